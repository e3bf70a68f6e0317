"""A WebSocket over openssl's client, which changes its keys, and asks for new ones: key_update.py AUTHORITY URL"""

import os
import subprocess
import sys
import tempfile
import threading

ROUNDS = 10
SECONDS = 60  # a guard against hanging
REQUEST = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Client:
    def __init__(self, authority, address, log):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", address, "-CAfile", authority, "-verify_return_error", "-tls1_3",
             "-msg", "-msgfile", log],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.printed, self.changed, self.ended = b"", threading.Condition(), False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while part := os.read(self.process.stdout.fileno(), 1 << 16):
            with self.changed:
                self.printed += part
                self.changed.notify()
        with self.changed:
            self.ended = True
            self.changed.notify()

    def send(self, data):
        # One write, because a command is recognized only at the beginning of what openssl reads.
        os.write(self.process.stdin.fileno(), data)

    def expect(self, part):
        """Waits for a part, and drops what is before it."""
        with self.changed:
            self.changed.wait_for(lambda: part in self.printed or self.ended, SECONDS)
            assert part in self.printed, f"{part!r} was not printed, but {self.printed[-3000:]!r}"
            self.printed = self.printed.split(part, 1)[1]


def frame(opcode, payload):
    """A masking key of zeros leaves the payload unchanged."""
    return bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def main(authority, url):
    with tempfile.TemporaryDirectory() as directory:
        log = os.path.join(directory, "messages")
        client = Client(authority, url.removeprefix("wss://"), log)
        try:
            client.expect(b"Verify return code: 0 (ok)")
            client.send(REQUEST.encode())
            client.expect(b"HTTP/1.1 101 Switching Protocols\r\n")
            client.expect(b"\r\n\r\n")
            for number in range(ROUNDS):
                # K changes this side's keys and asks for new ones of the other side; k only changes them.
                for command in (b"K\n", b"k\n"):
                    client.send(command)
                    client.expect(b"KEYUPDATE")
                    text = b"round %d %s" % (number, command[:1])
                    client.send(frame(1, text))
                    client.expect(bytes([0x81, len(text)]) + text)
            client.send(frame(8, b"\x03\xe8"))
            client.expect(b"\x88\x02\x03\xe8")
            assert client.process.wait(SECONDS) == 0
        finally:
            client.process.kill()
            client.process.wait(SECONDS)
        with open(log, encoding="utf-8") as file:
            lines = [line for line in file if "KeyUpdate" in line]
        counts = [sum(line.startswith(start) for line in lines) for start in (">>>", "<<<")]
        assert counts == [2 * ROUNDS, ROUNDS], f"updates sent and received: {counts}"


main(*sys.argv[1:])
