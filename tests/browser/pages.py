"""Uses the pages as people do: pages.py CHROMIUM SCREENSHOTS ECHO_SERVER CHAT AXUM_ECHO [echo | chat | http2]..."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from devtools import Browser, Failed, Server

# What Chromium reports when a page connects again and the server is not there yet.
REFUSED = "WebSocket connection to"


def echo(stack, chromium, shots, program):
    server = started(stack, Server(program, "--deflate"))
    page = started(stack, Browser(chromium)).open(f"http://{server.address}/")
    page.wait("document.querySelector('#state').innerText === 'connected'")
    extensions = page.text("#extensions")
    expect(extensions.startswith("permessage-deflate"), extensions)

    page.type("#text", "h\u00e9llo \u20ac <b>" * 20)
    page.press("Enter", 13)
    page.wait("document.querySelector('#count').innerText === '1'")
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    for name, size in (("some bytes.bin", 1 << 20), ("empty", 0), ("too long", (16 << 20) + 1)):
        path = os.path.join(directory, name)
        with open(path, "wb") as file:
            file.write((bytes(range(256)) * (size // 256 + 1))[:size])
        page.choose_file("#file", path)
        page.click("#file-form button")
        if name == "too long":
            page.wait("document.querySelector('#problem').innerText.includes('more than 16 MiB')")
    page.wait("document.querySelector('#count').innerText === '3'")
    page.wait("[...document.querySelectorAll('#log tr')].every(row => row.cells[2].innerText)")
    page.click("#measure")
    page.wait("document.querySelector('#count').innerText === '103'")
    expect(page.evaluate("document.querySelectorAll('#log .bad').length") == 0, "an echo is different")
    expect(page.evaluate("document.querySelector('#log b')") is None, "text was used as HTML")
    expect("saved" in page.text("#saved"), page.text("#saved"))
    page.check_accessible()
    page.check_errors()
    page.screenshots(shots, "echo")

    page.keep_states()
    server.terminate()
    page.wait_for_state("server has stopped, next attempt in ")
    server.wait()
    expect(page.evaluate("document.querySelector('#text-form button').disabled"), "it sends while disconnected")
    page.screenshots(shots, "echo-waiting")
    server.start()
    page.wait("document.querySelector('#state').innerText === 'connected'")
    page.type("#text", "again")
    page.press("Enter", 13)
    page.wait("document.querySelector('#count').innerText === '104'")
    page.click("#toggle")
    page.wait("document.querySelector('#state').innerText === 'disconnected'")
    page.click("#toggle")
    page.wait("document.querySelector('#state').innerText === 'connected'")

    # A new connection before the old one has ended: nothing waits on it for an echo of the old one.
    for number, button in enumerate(("#measure", "#text-form button")):
        buttons = [button, "#toggle", "#toggle"]
        page.evaluate(f"{buttons}.forEach(button => document.querySelector(button).click())")
        page.wait("document.querySelector('#state').innerText === 'connected'")
        expect(not page.evaluate("document.querySelector('#measure').disabled"), "it measures for ever")
        page.type("#text", "on the new one")
        page.press("Enter", 13)
        page.wait(f"document.querySelector('#count').innerText === '{105 + number}'")
    expect_equal(page.evaluate("[...document.querySelectorAll('#log .bad')].map(cell => cell.innerText)"), ["lost"])
    page.check_errors(expected=REFUSED)
    server.terminate()
    server.wait()


def last_message(who, text):
    return (f"(last => last?.querySelector('.name').innerText === {who!r} && last.querySelector('.text').innerText === {text!r})"
            "([...document.querySelectorAll('#log article:not(.note)')].at(-1))")


def say(page, text):
    page.type("#text", text)
    page.press("Enter", 13)


def chat(stack, chromium, shots, program):
    redis = started(stack, Redis()) if shutil.which("redis-server") else None
    if redis:
        options = ["--redis", redis.url]
    else:
        print("!! redis-server is not installed: the page was not tested with Redis", flush=True)
        options = []
    servers = [started(stack, Server(program, *options)) for _ in range(2 if redis else 1)]
    browsers = [started(stack, Browser(chromium)) for _ in range(2)]
    # With Redis, each browser uses a server of its own.
    ann, ben = (browser.open(f"http://{server.address}/tea") for browser, server in zip(browsers, [servers[0], servers[-1]]))
    for page, name in ((ann, "Ann"), (ben, "Ben <i>")):
        page.wait("document.querySelector('#state').innerText === 'connected'")
        page.click("#who")
        page.type("#name", name)
        page.press("Enter", 13)
        page.wait(f"document.querySelector('#who').innerText === {name!r}")
        page.wait("document.querySelector('#state').innerText === 'connected'")
        if redis:
            page.wait("document.querySelector('#link').innerText === 'linked'")

    # A room that was just entered may not be subscribed to on the other server yet: this repeats until it is.
    ben.evaluate("globalThis.knock = setInterval(() => socket.send(JSON.stringify({ type: 'typing' })), 50); 0")
    ann.wait("document.querySelector('#typing').innerText === 'Ben <i> is typing\u2026'")
    ann.evaluate("globalThis.knock = setInterval(() => socket.send(JSON.stringify({ type: 'typing' })), 50); 0")
    ben.wait("document.querySelector('#typing').innerText === 'Ann is typing\u2026'")
    for page in (ann, ben):
        page.evaluate("clearInterval(globalThis.knock)")

    for speaker, who, text in (
        (ann, "Ann", "Hello, is anyone here?"),
        (ben, "Ben <i>", "<img src=x onerror=alert(1)> & \u20ac"),
        (ann, "Ann", "A long one: " + "tea, " * 60 + "https://example.com/" + "x" * 120),
    ):
        say(speaker, text)
        for page in (ann, ben):
            page.wait(last_message(who, text))
    ann.type("#text", "I am")
    ben.wait("document.querySelector('#typing').innerText === 'Ann is typing\u2026'")
    expect(ben.evaluate("document.querySelector('#log img, #log i')") is None, "text was used as HTML")
    expect(ann.evaluate("document.querySelectorAll('#log .own').length") == 2, "own messages do not look so")
    for page, name in ((ann, "chat-ann"), (ben, "chat-ben")):
        page.check_accessible()
        page.check_errors()
        page.screenshots(shots, name)
        page.click("#who")
        page.screenshots(shots, f"{name}-settings")
        page.click("#who")

    # Whoever comes later sees what was said.
    late = browsers[0].open(f"http://{servers[0].address}/tea")
    late.wait("document.querySelectorAll('#log article').length === 3")
    late.check_errors()

    if redis:
        redis.kill()
        for page in (ann, ben):
            page.wait("document.querySelector('#link').innerText === 'other servers unreachable'")
        say(ann, "still here")
        late.wait(last_message("Ann", "still here"))
        ann.screenshots(shots, "chat-unlinked")
        redis.start()
        for page in (ann, ben):
            page.wait("document.querySelector('#link').innerText === 'linked'")
        say(ben, "linked again")
        ann.wait(last_message("Ben <i>", "linked again"))
        ann.check_errors()
        ben.check_errors()

    shown = ann.evaluate("document.querySelectorAll('#log article').length")
    ann.keep_states()
    servers[0].terminate()
    ann.wait_for_state("server restarts, next attempt in ")
    servers[0].wait()
    expect(ann.evaluate("document.querySelector('#send').disabled"), "it sends while disconnected")
    ann.screenshots(shots, "chat-waiting")
    servers[0].start()
    ann.wait("document.querySelector('#state').innerText === 'connected'")
    expect(ann.evaluate("document.querySelectorAll('#log article').length") == shown, "messages are gone, or shown twice")
    say(ann, "back")
    ann.wait(last_message("Ann", "back"))
    late.wait(last_message("Ann", "back"))
    for page in (ann, ben, late):
        page.check_errors(expected=REFUSED)

    # Another room, by the page's own form.
    ann.click("#who")
    ann.type("#room", "coffee")
    ann.press("Enter", 13)
    ann.wait("location.pathname === '/coffee' && document.querySelector('#state')?.innerText === 'connected'")
    expect(ann.evaluate("document.querySelectorAll('#log article').length") == 0, "the other room has messages")
    expect(ann.text("#who") == "Ann", "the name is forgotten")
    ann.check_errors()
    for server in servers:
        server.terminate()
        server.wait()


# Echoes over three WebSockets at once, and returns what came back and how each of them ended.
CONVERSE = """
Promise.all([0, 1, 2].map(number => new Promise(resolve => {
    const bytes = new Uint8Array(1 << 20).map((_, i) => i * 31 + number);
    const socket = new WebSocket(location.origin.replace("http", "ws"));
    const echoed = [];
    socket.binaryType = "arraybuffer";
    socket.onopen = () => ["h\u00e9llo \u20ac", bytes, "x".repeat(65536), ""].forEach(message => socket.send(message));
    socket.onmessage = ({ data }) => {
        const back = typeof data === "string" ? data.length : new Uint8Array(data).every((byte, i) => byte === bytes[i]);
        echoed.push(back);
        if (echoed.length === 4) socket.close(1000, "done");
    };
    socket.onclose = ({ code, wasClean }) => resolve([...echoed, code, wasClean, socket.extensions.split(";")[0]]);
})))
"""


def http2(stack, chromium, shots, program):
    """Over TLS, Chromium opens WebSockets on the HTTP/2 connection of the page (RFC 8441)."""
    if "TLS_CHAIN" not in os.environ:
        print("!! openssl is not installed: Chromium was not tested over HTTP/2", flush=True)
        return
    certificate = ["--tls", os.environ["TLS_CHAIN"], os.environ["TLS_KEY"]]
    for options, scheme, flags, protocol, version in (
        (certificate, "https", (), "h2", "HTTP/2.0"),
        (certificate, "https", ("--disable-http2",), "http/1.1", "HTTP/1.1"),
        ((), "http", (), "http/1.1", "HTTP/1.1"),
    ):
        server = started(stack, Server(program, "--deflate", *options))
        browser = started(stack, Browser(chromium, "--ignore-certificate-errors", *flags))
        page = browser.open(f"{scheme}://{server.address}/")
        page.wait("document.querySelector('pre').innerText === 'hello\\n'")
        expect_equal(page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol"), protocol)
        expect_equal(page.evaluate(CONVERSE), [[7, True, 65536, 0, 1000, True, "permessage-deflate"]] * 3)
        expect_equal([server.line() for _ in range(4)], [f"a WebSocket over {version}"] * 4)
        page.check_errors()
        server.terminate()
        server.wait()


class Redis:
    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.directory.name, "socket")
        self.url = f"redis+unix://{self.path}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--save", "", "--unixsocket", self.path, "--dir", self.directory.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait(30)

    def end(self):
        self.kill()
        self.directory.cleanup()


def started(stack, program):
    stack.callback(program.end)
    return program


def expect(condition, what):
    if not condition:
        raise Failed(what)


def expect_equal(found, expected):
    expect(found == expected, f"{found}, expected {expected}")


def main(chromium, shots, echo_server, chat_server, axum_echo, *names):
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: sys.exit("ended by a signal"))
    for test, program in ((echo, echo_server), (chat, chat_server), (http2, axum_echo)):
        if names and test.__name__ not in names:
            continue
        with contextlib.ExitStack() as stack:
            test(stack, chromium, shots, program)
        print(f"browser: {test.__name__} went well", flush=True)
    print(f"browser: the screenshots are in {shots}", flush=True)


main(*sys.argv[1:])
