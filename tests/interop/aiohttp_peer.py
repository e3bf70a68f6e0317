"""aiohttp: aiohttp_peer.py client URL | server

aiohttp cannot send fragments.
"""

import contextlib

from aiohttp import ClientSession, WSMsgType, web
from conversation import Closed, EXTENSIONS, Peer, run

# Pongs are returned by `receive`.
OPTIONS = {"autoping": False, "max_msg_size": 0}


class Aiohttp(Peer):
    def __init__(self, ws, headers):
        self.ws = ws
        self.extensions = headers.get("Sec-WebSocket-Extensions", "")

    async def send(self, message):
        await (self.ws.send_bytes if isinstance(message, bytes) else self.ws.send_str)(message)

    async def receive(self):
        message = await self.ws.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            return message.data
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            raise Closed(self.ws.close_code)
        raise AssertionError(message)

    async def close(self, code, reason):
        await self.ws.close(code=code, message=reason.encode())
        return self.ws.close_code

    async def ping(self, payload):
        await self.ws.ping(payload)
        message = await self.ws.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, payload), message


class Client(Aiohttp):
    def __init__(self, session, ws, headers):
        super().__init__(ws, headers)
        self.session = session

    async def close(self, code, reason):
        answer = await super().close(code, reason)
        await self.session.close()
        return answer


async def client(url):
    session = ClientSession()
    ws = await session.ws_connect(url, compress=15 if EXTENSIONS else 0, **OPTIONS)
    return Client(session, ws, ws._response.headers)


@contextlib.asynccontextmanager
async def listening(talk):
    async def handler(request):
        ws = web.WebSocketResponse(compress=bool(EXTENSIONS), **OPTIONS)
        await ws.prepare(request)
        await talk(Aiohttp(ws, ws.headers))
        return ws

    application = web.Application()
    application.router.add_get("/chat", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield "ws://127.0.0.1:%d/chat" % runner.addresses[0][1]
    await runner.cleanup()


run(client, listening)
