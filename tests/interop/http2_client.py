"""A WebSocket over HTTP/2 (RFC 8441): http2_client.py client ws+unix://PATH:/TARGET | ws://HOST:PORT/TARGET

The package h2 encodes HTTP/2, without TLS; Python's websockets encodes the WebSocket frames inside.
"""

import asyncio
from urllib.parse import urlsplit

import h2.connection
import h2.events
import h2.settings
from conversation import Closed, EXTENSIONS, Peer, run
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Opcode
from websockets.protocol import CLIENT, Protocol

FACTORY = ClientPerMessageDeflateFactory(client_max_window_bits=True)
STREAM = 1


class Http2(Peer):
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection()
        self.protocol = Protocol(CLIENT, max_size=None)
        self.settings = self.headers = self.end = None
        self.frames = []

    async def open(self, authority, target):
        """Sends an extended CONNECT once the server's settings allow it."""
        self.h2.initiate_connection()
        while self.settings is None:
            await self.step()
        can = self.settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL)
        assert can and can.new_value == 1, "the server has no extended CONNECT"
        offer = "; ".join(["permessage-deflate", *(name for name, _ in FACTORY.get_request_params())])
        request = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", authority),
            (":path", target),
            ("sec-websocket-version", "13"),
        ]
        self.h2.send_headers(STREAM, request + [("sec-websocket-extensions", offer)] * bool(EXTENSIONS))
        while self.headers is None:
            await self.step()
        assert self.headers[":status"] == "200", self.headers
        self.extensions = self.headers.get("sec-websocket-extensions", "")
        if self.extensions:
            name, *params = (part.strip() for part in self.extensions.split(";"))
            params = [(name, value or None) for name, _, value in (param.partition("=") for param in params)]
            self.protocol.extensions = [FACTORY.process_response_params(params, [])]

    async def step(self):
        """Reads once."""
        assert self.end is None, self.end
        self.writer.write(self.h2.data_to_send())
        received = await self.reader.read(1 << 16)
        if not received:
            raise Closed(1006)
        for event in self.h2.receive_data(received):
            match event:
                case h2.events.RemoteSettingsChanged():
                    self.settings = event.changed_settings
                case h2.events.ResponseReceived():
                    self.headers = {name.decode(): value.decode() for name, value in event.headers}
                case h2.events.DataReceived():
                    self.h2.acknowledge_received_data(event.flow_controlled_length, STREAM)
                    self.protocol.receive_data(event.data)
                    self.frames += self.protocol.events_received()
                case h2.events.StreamEnded() | h2.events.StreamReset() | h2.events.ConnectionTerminated():
                    # Frames before the end still count: after a Close frame a proxy may reset the stream.
                    self.end = self.end or event
        self.writer.write(self.h2.data_to_send())

    async def flush(self):
        """Sends the WebSocket's pending bytes within the flow-control windows of HTTP/2."""
        data = b"".join(self.protocol.data_to_send())
        while data:
            n = min(self.h2.local_flow_control_window(STREAM), self.h2.max_outbound_frame_size, len(data))
            if n:
                self.h2.send_data(STREAM, data[:n])
                data = data[n:]
            else:
                await self.step()
        self.writer.write(self.h2.data_to_send())

    async def frame(self):
        """Returns the next frame."""
        while not self.frames:
            if self.protocol.close_rcvd:
                raise Closed(self.protocol.close_rcvd.code)
            await self.step()
        return self.frames.pop(0)

    async def send(self, message):
        if isinstance(message, str):
            self.protocol.send_text(message.encode())
        else:
            self.protocol.send_binary(message)
        await self.flush()

    async def send_fragments(self, parts):
        is_text = isinstance(parts[0], str)
        first = self.protocol.send_text if is_text else self.protocol.send_binary
        for i, part in enumerate(parts):
            send = self.protocol.send_continuation if i else first
            send(part.encode() if is_text else part, fin=i == len(parts) - 1)
        await self.flush()

    async def receive(self):
        frame = await self.frame()
        if frame.opcode is Opcode.CLOSE:
            raise Closed(self.protocol.close_rcvd.code)
        is_text, data = frame.opcode is Opcode.TEXT, bytes(frame.data)
        while not frame.fin:
            frame = await self.frame()
            data += frame.data
        return data.decode() if is_text else data

    async def ping(self, payload):
        self.protocol.send_ping(payload)
        await self.flush()
        frame = await self.frame()
        assert (frame.opcode, bytes(frame.data)) == (Opcode.PONG, payload), frame

    async def close(self, code, reason):
        self.protocol.send_close(code, reason)
        await self.flush()
        try:
            return await self.receive()
        except Closed as closed:
            return closed.code


async def client(url):
    if url.startswith("ws+unix://"):
        path, target = url.removeprefix("ws+unix://").split(":")
        authority, streams = "localhost", asyncio.open_unix_connection(path)
    else:
        parts = urlsplit(url)
        authority, target = parts.netloc, parts.path
        streams = asyncio.open_connection(parts.hostname, parts.port)
    peer = Http2(*await streams)
    await peer.open(authority, target)
    return peer


run(client)
