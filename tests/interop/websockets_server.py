"""A server of Python's websockets, and the example client on it.

websockets_server.py CLIENT [--unix PATH]

The server answers each line with text, with fragments of text, and with bytes; it pings the client
and waits for the pong. The client is given lines, and closes at their end.
"""

import subprocess
import sys
import threading

from websockets.sync.server import serve, unix_serve

LINES = ["hello", "", "héllo €", "x" * 100_000]
problems = []


def answer(ws):
    heard = []
    for message in ws:
        heard.append(message)
        if not ws.ping(b"are you there?").wait(60):
            problems.append("no pong came")
        ws.send(message)
        ws.send([message, "", "!"])
        ws.send(message.encode())
    if heard != LINES:
        problems.append(f"the client sent other lines: {[line[:40] for line in heard]}")
    if ws.protocol.close_rcvd is None or ws.protocol.close_rcvd.code != 1000:
        problems.append(f"the client did not close with 1000: {ws.protocol.close_rcvd}")


def escaped(line):
    """As Rust's `escape_ascii` prints bytes."""
    return "".join(chr(b) if 32 <= b < 127 else f"\\x{b:02x}" for b in line.encode())


def main(client, unix=None, path=None):
    server = unix_serve(answer, path) if unix else serve(answer, "127.0.0.1", 0)
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"ws+unix://{path}:/chat" if unix else "ws://127.0.0.1:%d/chat" % server.socket.getsockname()[1]
        program = subprocess.Popen([client, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        for line in LINES:
            program.stdin.write(line + "\n")
            program.stdin.flush()
            for expected in [line, line + "!", escaped(line)]:
                printed = program.stdout.readline()
                assert printed == expected + "\n", f"{printed[:80]!r} was printed, not {expected[:80]!r}"
        # Ctrl-D: the end of the input.
        program.stdin.close()
        assert program.stdout.read() == ""
        status = program.wait(60)
        assert status == 0, f"the client ended with status {status}"
        server.shutdown()
        thread.join()
    assert not problems, problems


main(*sys.argv[1:])
