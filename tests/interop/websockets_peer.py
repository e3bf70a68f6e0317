"""Python's websockets: websockets_peer.py client URL | server [PATH]

An address is `ws://..` or, over a Unix socket, `ws+unix://PATH:/..`. As a client it always offers
permessage-deflate, which a server may decline. As a server with TLS, it uses the certificate and the key in the files
TLS_CHAIN and TLS_KEY.
"""

import contextlib
import os
import ssl

from conversation import Closed, EXTENSIONS, Peer, run
from websockets.asyncio.client import connect, unix_connect
from websockets.asyncio.server import serve, unix_serve
from websockets.exceptions import ConnectionClosed


class Websockets(Peer):
    def __init__(self, ws):
        self.ws = ws
        self.extensions = ws.response.headers.get("Sec-WebSocket-Extensions", "")

    async def send(self, message):
        await self.ws.send(message)

    async def receive(self):
        try:
            return await self.ws.recv()
        except ConnectionClosed:
            raise Closed(self.ws.close_code) from None

    async def close(self, code, reason):
        await self.ws.close(code, reason)
        return self.ws.close_code

    async def send_fragments(self, parts):
        await self.ws.send(parts)

    async def ping(self, payload):
        await (await self.ws.ping(payload))


async def client(url):
    if url.startswith("ws+unix://"):
        path, target = url.removeprefix("ws+unix://").split(":")
        return Websockets(await unix_connect(path, "ws://localhost" + target, max_size=None))
    return Websockets(await connect(url, max_size=None))


@contextlib.asynccontextmanager
async def listening(talk, path=None):
    async def handler(ws):
        await talk(Websockets(ws))

    options = {"max_size": None, "compression": "deflate" if EXTENSIONS else None}
    if path:
        async with unix_serve(handler, path, **options):
            yield f"ws+unix://{path}:/chat"
    else:
        secure = None
        if "TLS_CHAIN" in os.environ:
            secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            secure.load_cert_chain(os.environ["TLS_CHAIN"], os.environ["TLS_KEY"])
        async with serve(handler, "127.0.0.1", 0, ssl=secure, **options) as server:
            scheme = "wss" if secure else "ws"
            yield "%s://127.0.0.1:%d/chat" % (scheme, server.sockets[0].getsockname()[1])


run(client, listening)
