"""The conversation of the Python peers: with an echo server, and with the example client.

`PEER client URL` talks with an echo server. `PEER server` prints `listening on URL`, serves one connection, and ends.

Environment:
  EXTENSIONS  the expected value of Sec-WebSocket-Extensions in the server's answer; if empty, a peer does not compress
  CLOSED      the close code if the echo server is expected to close before the end of the conversation
"""

import asyncio
import json
import os
import random
import sys

SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]
EXTENSIONS = os.environ.get("EXTENSIONS", "")
CLOSED = os.environ.get("CLOSED")
# No conversation may take longer, because a hang is a failure.
SECONDS = 120


class Closed(Exception):
    """Reports the other side's close code, 1006 without a Close frame."""

    def __init__(self, code):
        super().__init__(f"closed with code {code}")
        self.code = code


class Peer:
    """One connection of a WebSocket implementation."""

    # The value of Sec-WebSocket-Extensions in the server's answer.
    extensions = ""

    async def send(self, message):
        """Sends a message: a str as text, bytes as binary."""
        raise NotImplementedError

    async def receive(self):
        """Returns the next message, or raises Closed."""
        raise NotImplementedError

    async def close(self, code, reason):
        """Closes the connection and returns the close code of the answer."""
        raise NotImplementedError

    async def send_fragments(self, parts):
        """Sends one message in fragments, or whole if the implementation cannot fragment."""
        await self.send(type(parts[0])().join(parts))

    async def ping(self, payload):
        """Sends a ping and waits for its pong, if the implementation can."""


def text(n):
    """Returns text that compresses well, also with earlier text in the window."""
    return json.dumps([{"id": i, "name": f"user {i}", "text": "héllo €"} for i in range(n)], ensure_ascii=False)


async def converse(peer):
    """Converses with an echo server."""

    async def echo(message):
        await peer.send(message)
        expect_message(await peer.receive(), message)

    await echo("héllo €")
    for size in SIZES:
        await echo(bytes(i * 31 & 0xFF for i in range(size)))
        await echo("x" * size)
    noise = random.Random(1).randbytes(70000)
    for message in [text(1), text(40), text(40), "", text(300), noise, noise, text(2)]:
        await echo(message)
    await peer.send_fragments(["frag", "", "ments, fragments", " €"])
    expect_message(await peer.receive(), "fragments, fragments €")
    await peer.send_fragments([b"\x00" * 1000, b"\x01\x02" * 1000])
    expect_message(await peer.receive(), b"\x00" * 1000 + b"\x01\x02" * 1000)
    await peer.ping(b"are you there?")
    await echo("yes")
    expect(await peer.close(1000, "done"), 1000)


async def answer(peer):
    """Answers each text with three messages: the text, the text and "!" in fragments, and the text as binary."""
    try:
        while True:
            message = await peer.receive()
            assert isinstance(message, str), "the example client sends text only"
            await peer.ping(b"are you there?")
            await peer.send(message)
            await peer.send_fragments([message, "", "!"])
            await peer.send(message.encode())
    except Closed as closed:
        expect(closed.code, 1000)


def expect(found, expected):
    assert found == expected, f"{found!r}, expected {expected!r}"


def expect_message(found, expected):
    kinds = [f"{len(message)} of {type(message).__name__}" for message in (found, expected)]
    assert found == expected, f"the message that came back differs: {kinds[0]}, expected {kinds[1]}"


async def be_client(connect, url):
    peer = await connect(url)
    expect(peer.extensions, EXTENSIONS)
    try:
        await converse(peer)
    except Closed as closed:
        expect(str(closed.code), CLOSED)
    else:
        expect(CLOSED, None)


async def be_server(listening, *arguments):
    done = asyncio.get_running_loop().create_future()

    async def serve(peer):
        try:
            expect(peer.extensions, EXTENSIONS)
            await answer(peer)
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    async with listening(serve, *arguments) as url:
        print("listening on", url, flush=True)
        await done


def run(connect, listening=None):
    """Runs a peer's program.

    `connect(url)` returns a Peer. `listening(serve)` is an asynchronous context manager: it returns the
    address and calls `serve(peer)` for the connection.
    """
    role, *arguments = sys.argv[1:]
    program = be_client(connect, *arguments) if role == "client" else be_server(listening, *arguments)
    asyncio.run(asyncio.wait_for(program, SECONDS))
