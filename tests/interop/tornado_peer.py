"""Tornado: tornado_peer.py client URL | server

Tornado cannot send fragments.
"""

import asyncio
import contextlib

from conversation import Closed, EXTENSIONS, Peer, run
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

OPTIONS = {} if EXTENSIONS else None


class Tornado(Peer):
    def __init__(self, connection, headers):
        self.connection = connection
        self.extensions = headers.get("Sec-WebSocket-Extensions", "")
        self.pongs = asyncio.Queue()
        connection.on_pong = self.pongs.put_nowait

    async def send(self, message):
        await self.connection.write_message(message, binary=isinstance(message, bytes))

    async def receive(self):
        message = await self.connection.read_message()
        if message is None:
            raise Closed(self.connection.close_code or 1006)
        return message

    async def close(self, code, reason):
        self.connection.close(code, reason)
        try:
            return await self.receive()
        except Closed as closed:
            return closed.code

    async def ping(self, payload):
        self.connection.ping(payload)
        assert await self.pongs.get() == payload


async def client(url):
    connection = await websocket_connect(url, compression_options=OPTIONS)
    return Tornado(connection, connection.headers)


class Handler(WebSocketHandler):
    """A connection of the server, with `read_message` like a client's."""

    def initialize(self, talk):
        self.talk = talk
        self.messages = asyncio.Queue()

    def get_compression_options(self):
        return OPTIONS

    def open(self):
        self.talking = asyncio.create_task(self.talk(Tornado(self, self._headers)))

    def on_message(self, message):
        self.messages.put_nowait(message)

    def on_close(self):
        self.messages.put_nowait(None)

    async def read_message(self):
        return await self.messages.get()


@contextlib.asynccontextmanager
async def listening(talk):
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([("/chat", Handler, {"talk": talk})]))
    server.add_sockets(sockets)
    yield "ws://127.0.0.1:%d/chat" % sockets[0].getsockname()[1]
    server.stop()


run(client, listening)
