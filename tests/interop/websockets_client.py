"""Python's websockets as a client: websockets_client.py URL"""

import sys

from websockets.sync.client import connect

SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]


def main(url):
    # It offers permessage-deflate, which a server may decline.
    with connect(url, max_size=None) as ws:

        def echo(message, expected):
            ws.send(message)
            answer = ws.recv(timeout=60)
            assert answer == expected, f"{len(answer)} other bytes came back"

        echo("héllo €", "héllo €")
        for size in SIZES:
            data = bytes(i * 31 & 0xFF for i in range(size))
            echo(data, data)
            echo("x" * size, "x" * size)
        echo(["frag", "", "ments", " €"], "fragments €")
        echo([b"\x00", b"\x01\x02"], b"\x00\x01\x02")
        assert ws.ping(b"are you there?").wait(60), "no pong came"
        ws.close(1000, "done")
        assert ws.protocol.close_rcvd.code == 1000, ws.protocol.close_rcvd


main(sys.argv[1])
