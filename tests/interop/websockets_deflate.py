"""Python's websockets as a client that compresses, with every form of the parameters: websockets_deflate.py URL"""

import itertools
import json
import os
import sys

from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.sync.client import connect

# Python's zlib cannot compress with 8 bits.
SERVER_BITS = [None, 8, 9, 11, 15]
CLIENT_BITS = [None, True, 9, 11, 15]


def text(n):
    return json.dumps([{"id": i, "name": f"user {i}", "text": "héllo €"} for i in range(n)], ensure_ascii=False)


def talk(url, form):
    noise = os.urandom(70000)
    with connect(url, max_size=None, compression=None, extensions=[ClientPerMessageDeflateFactory(*form)]) as ws:
        chosen = ws.response.headers["Sec-WebSocket-Extensions"]
        assert chosen.startswith("permessage-deflate"), chosen
        for message in [text(1), text(40), text(40), "", text(300), noise, noise, bytes(1 << 18), text(2)]:
            ws.send(message)
            answer = ws.recv(timeout=60)
            assert answer == message, f"{len(answer)} other bytes came back: {form}"
        ws.send(["frag", "", "ments, fragments, fragments", " €"])
        assert ws.recv(timeout=60) == "fragments, fragments, fragments €"
        ws.send([b"\x00" * 1000, b"\x01\x02" * 1000])
        assert ws.recv(timeout=60) == b"\x00" * 1000 + b"\x01\x02" * 1000
        ws.close(1000, "done")
        assert ws.protocol.close_rcvd.code == 1000, ws.protocol.close_rcvd


# server_no_context_takeover, client_no_context_takeover, server_max_window_bits, client_max_window_bits
for form in itertools.product([False, True], [False, True], SERVER_BITS, CLIENT_BITS):
    talk(sys.argv[1], form)
