"""Chromium without a window, controlled over a pipe by the DevTools protocol; and the servers that it visits."""

import base64
import fcntl
import json
import os
import queue
import re
import signal
import subprocess
import tempfile
import threading

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
]
SECONDS = 60  # a guard against hanging


class Failed(Exception):
    pass


class Browser:
    def __init__(self, chromium, *flags):
        self.directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        there_in, here_out = self.pipe()
        here_in, there_out = self.pipe()
        # Chromium receives commands on descriptor 3, and answers on 4.
        command = f'exec "$@" 3<&{there_in} 4>&{there_out} {there_in}<&- {there_out}>&-'
        self.log = open(os.path.join(self.directory.name, "log"), "w+b")
        self.process = subprocess.Popen(
            ["bash", "-c", command, "bash", chromium, *FLAGS, *flags,
             f"--user-data-dir={self.directory.name}/profile"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
            pass_fds=(there_in, there_out), start_new_session=True)
        os.close(there_in)
        os.close(there_out)
        self.out, self.input = os.fdopen(here_out, "wb"), os.fdopen(here_in, "rb")
        self.last_id, self.answers, self.pages = 0, queue.Queue(), {}
        threading.Thread(target=self.receive, daemon=True).start()

    @staticmethod
    def pipe():
        """Makes a pipe whose descriptors are not those that Chromium uses."""
        ends = []
        for end in os.pipe():
            ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20))
            os.close(end)
        return ends

    def receive(self):
        rest = b""
        while part := self.input.read1(1 << 16):
            *messages, rest = (rest + part).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self.answers.put(message)
                elif page := self.pages.get(message.get("sessionId")):
                    page.note(message["method"], message["params"])
        self.answers.put({"id": None})

    def call(self, method, session=None, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self.out.write(json.dumps(message).encode() + b"\0")
        self.out.flush()
        while True:
            try:
                answer = self.answers.get(timeout=SECONDS)
            except queue.Empty:
                raise Failed(f"no answer to {method} {params}") from None
            if answer["id"] is None:
                self.log.seek(0)
                raise Failed("the browser has ended: " + self.log.read().decode(errors="replace")[-2000:])
            if answer["id"] == self.last_id:
                if "error" in answer:
                    raise Failed(f"{method} {params}: {answer['error']}")
                return answer["result"]

    def open(self, url):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        return Page(self, session, url)

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
        self.log.close()
        self.directory.cleanup()


class Page:
    def __init__(self, browser, session, url):
        self.browser, self.session, self.errors = browser, session, []
        browser.pages[session] = self
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def note(self, method, params):
        """Keeps every error and warning that a developer would see in the console."""
        if method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.errors.append(json.dumps(params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise Failed(f"{expression}: {json.dumps(result['exceptionDetails'])}")
        return result["result"].get("value")

    def wait(self, condition):
        """Waits until the expression is true in the page."""
        expression = f"""new Promise((resolve, reject) => {{
            const last = performance.now() + {SECONDS * 800};
            const look = () => {{
                if ({condition}) resolve(true);
                else if (performance.now() > last) reject(new Error("it does not happen: " + document.body?.innerText));
                else setTimeout(look, 10);
            }};
            look();
        }})"""
        try:
            self.evaluate(expression)
        except Failed as error:
            # The page was left while the expression waited.
            if "context was destroyed" in str(error) or "navigated" in str(error):
                return self.wait(condition)
            raise

    def keep_states(self):
        """Keeps what the page's state was, however briefly, for `wait_for_state`."""
        self.evaluate("""globalThis.states = [], new MutationObserver(() => states.push(document.querySelector("#state").innerText))
            .observe(document.querySelector("#state"), { childList: true, characterData: true, subtree: true })""")

    def wait_for_state(self, start):
        self.wait(f"globalThis.states.some(state => state.startsWith({json.dumps(start)}))")

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector):
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector, text):
        """Replaces the text of a field, as with a keyboard."""
        self.evaluate(f"(e => {{ e.focus(); e.select(); }})(document.querySelector({json.dumps(selector)}))")
        self.call("Input.insertText", text=text)

    def press(self, key, code):
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text="\r" if key == "Enter" else "", **common)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def choose_file(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[path])

    def look(self, width, height, scheme):
        phone = width < 600
        # A tab behind another one is not drawn.
        self.call("Page.bringToFront")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        overflow = self.evaluate("document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            raise Failed(f"at {width} pixels, the page is {overflow} pixels too wide")

    def screenshots(self, directory, name):
        """Takes four screenshots: of a phone and a desk, in light and in dark."""
        for device, width, height in (("phone", 390, 844), ("desk", 1280, 800)):
            for scheme in ("light", "dark"):
                self.look(width, height, scheme)
                image = self.call("Page.captureScreenshot", format="png")["data"]
                with open(os.path.join(directory, f"{name}-{device}-{scheme}.png"), "wb") as file:
                    file.write(base64.b64decode(image))

    def check_accessible(self):
        """Each field and button has a name, and no id occurs twice."""
        problems = self.evaluate("""[
            ...[...document.querySelectorAll("input, textarea, select")]
                .filter(e => !e.ariaLabel && ![...e.labels].some(l => l.textContent.trim())).map(e => "no label: " + e.id),
            ...[...document.querySelectorAll("button, a, summary")]
                .filter(e => !e.ariaLabel && !e.textContent.trim()).map(e => "no text: " + e.outerHTML),
            ...[...document.querySelectorAll("[id]")]
                .filter(e => document.querySelectorAll("#" + e.id).length > 1).map(e => "twice: " + e.id),
            ...(document.documentElement.lang ? [] : ["no language"]),
            ...(document.querySelector("h1") ? [] : ["no heading"]),
        ]""")
        if problems:
            raise Failed(f"not accessible: {problems}")

    def check_errors(self, expected=None):
        """Fails if the console has an error. `expected` is a part of those that are no fault of the page."""
        errors = [error for error in self.errors if not (expected and expected in error)]
        self.errors.clear()
        if errors:
            raise Failed(f"errors in the console: {errors}")


class Server:
    """An example that prints the address it listens on. It can be stopped and started again there."""

    def __init__(self, *command):
        self.command, self.address = command, "127.0.0.1:0"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, self.address], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address = re.fullmatch(r"listening on wss?://(.*)\n", line).group(1)

    def line(self):
        """Waits for the next line that the server prints, and returns it."""
        return self.process.stdout.readline().removesuffix("\n")

    def terminate(self):
        self.process.terminate()

    def wait(self):
        if self.process.wait(SECONDS) != 0:
            raise Failed(f"the server's exit status is {self.process.returncode}")

    def end(self):
        self.process.kill()
        self.process.wait(SECONDS)
