"""Chromium opens the README's line in a page: browser.py CHROMIUM README URL

EXTENSIONS in the environment is the expected value of Sec-WebSocket-Extensions, if any. The page reports its output to
the server that delivered it.
"""

import http.server
import json
import os
import queue
import re
import signal
import subprocess
import sys
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
]
PAGE = """<!doctype html><meta charset="utf-8"><title>echo</title><script>
const report = what => fetch("/reports", { method: "POST", body: JSON.stringify(what) });
// Bytes are looked at below.
console.log = text => typeof text === "string" && report({ printed: text });
onerror = message => report({ error: message });
let ws;
%s
// What a person would do next in the console.
const size = 1 << 20, bytes = new Uint8Array(size).map((_, i) => i * 31);
ws.binaryType = "arraybuffer";
ws.addEventListener("message", ({ data }) => {
  if (data === "hello") ws.send("h\\u00e9llo \\u20ac");
  else if (typeof data === "string") ws.send(bytes);
  else {
    const back = new Uint8Array(data);
    report({ bytes: back.length === size && back.every((byte, i) => byte === bytes[i]) });
    ws.close(1000, "done");
  }
});
ws.addEventListener("close", event => report({ code: event.code, clean: event.wasClean, extensions: ws.extensions }));
</script>"""

reports = queue.Queue()
# The browser's requests. If it never requested the page, its missing reports mean nothing.
asked = []


def readme_line(path, url):
    """Returns the README's line for a browser's console, with the server's real address."""
    with open(path, encoding="utf-8") as file:
        line = re.search(r"```js\n(.*?)```", file.read(), re.DOTALL).group(1)
    assert "ws://127.0.0.1:9001" in line, line
    return line.replace("ws://127.0.0.1:9001", url)


def handler(page):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            found = self.path == "/"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode() if found else b"")

        def do_POST(self):
            reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


def browse(chromium, address, reported):
    """Opens the page and collects its reports. Each report is a separate request, so their order is not fixed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        with open(os.path.join(directory, "log"), "w+b") as log:
            browser = subprocess.Popen(
                [chromium, *FLAGS, f"--user-data-dir={directory}", address],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                while len(reported) < 4:
                    reported.append(reports.get(timeout=60))
            except queue.Empty:
                log.seek(0)
                print(log.read().decode(errors="replace")[-3000:])
                print("the page was asked for:", asked, "and reported only:", reported)
            finally:
                os.killpg(browser.pid, signal.SIGTERM)
                browser.wait(30)


def main(chromium, readme, url):
    page = PAGE % readme_line(readme, url)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(page)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = "http://127.0.0.1:%d/" % server.server_port
        reported = []
        for _ in range(3):
            browse(chromium, address, reported)
            if asked:
                break
        server.shutdown()
    closed = {"code": 1000, "clean": True, "extensions": os.environ.get("EXTENSIONS", "")}
    expected = [{"printed": "hello"}, {"printed": "h\u00e9llo \u20ac"}, {"bytes": True}, closed]
    assert sorted(map(str, reported)) == sorted(map(str, expected)), reported


main(*sys.argv[1:])
