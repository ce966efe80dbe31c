"""A wire between a client and a PostgreSQL that can be cut at any message, though all of it goes through TLS.

It shows the server's own certificate, so names and channel binding hold on both sides of it, and it knows the messages
of the protocol (https://www.postgresql.org/docs/current/protocol-flow.html), so the test can choose which one to harm.
"""

import asyncio
import contextlib
import re
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from typing import Self

from rehearsal.aws.postgres import Postgres

SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])
START = 30.0
"""Seconds that a wire has to listen, and a server to stand again."""


class Harm(Enum):
    """What befalls the client at a message."""

    LOST = "the message never reaches the server"
    UNANSWERED = "the server acts on it, and its answer is lost"
    VANISHED = "the message and the connection are lost, and the server never learns of it"


@dataclass(frozen=True)
class Message:
    """A message of the client: which connection of the wire, its type, and its text or no text.

    Types are those of the protocol: Q for a statement, p for a password, X for a farewell; S stands for the startup.
    """

    connection: int
    type: str
    text: str = ""


class Wire:
    """Listens at `address`:`port` for one server. `messages` are what clients sent, from the last `strike_once` on."""

    def __init__(self, postgres: Postgres, address: str = "127.0.0.1", port: int = 0) -> None:
        self.postgres = postgres
        self.address = address
        self.port = port
        self.messages: list[Message] = []
        self.backend = 0
        """Process of the newest connection's session, as the server numbers it."""
        self._connections = 0
        self._struck = threading.Event()
        self._judge: Callable[[Message], Harm | None] = lambda _: None
        self._kept: list[asyncio.StreamWriter] = []
        self._listens = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(START)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(START)

    def strike_once(self, at: str, act: Callable[[], Harm | None], nth: int = 1) -> None:
        """Forget the messages so far, and have `act` judge the `nth` of this `moment`, and none before or after.

        A Harm befalls it, None lets it pass. What `act` does itself, such as a restart of the server, is done before
        the message is forwarded.
        """
        left = nth

        def judge(message: Message) -> Harm | None:
            nonlocal left
            if moment(message) != at:
                return None
            left -= 1
            if left:
                return None
            try:
                return act()
            finally:
                self._struck.set()

        self.messages, self._connections, self._judge = [], 0, judge
        self._struck.clear()

    def calm(self) -> None:
        """Wait until the act of `strike_once` is over."""
        assert self._struck.wait(START)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, self.address, self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._listens.set()
        await self._ended.wait()
        server.close()
        for writer in self._kept:
            writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        keep = False
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                assert await reader.readexactly(8) == SSL_REQUEST
                answers, upstream = await self._open()
                writer.write(b"S")
                await writer.start_tls(self._certificate())
                keep = await _Conversation(self, reader, writer, answers, upstream).hold()
            finally:
                writer.close()
                if upstream and keep:
                    self._kept.append(upstream)
                elif upstream:
                    upstream.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self.postgres.addresses[0], self.postgres.port)
        writer.write(SSL_REQUEST)
        assert await reader.readexactly(1) == b"S"
        trusting = ssl.create_default_context(cafile=str(self.postgres.ca))
        await writer.start_tls(trusting, server_hostname="localhost")
        return reader, writer

    def _certificate(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.postgres.data / "server.pem", self.postgres.data / "server.key")
        return context


class _Conversation:
    """One connection through the wire."""

    def __init__(
        self,
        wire: Wire,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        self.wire = wire
        self.client, self.to_client = client, to_client
        self.server, self.to_server = server, to_server
        wire._connections += 1
        self.number = wire._connections
        self.harm: Harm | None = None

    async def hold(self) -> bool:
        """Speak until one side ends; returns whether the server's side is to be kept open."""
        sides = [asyncio.create_task(self._forward()), asyncio.create_task(self._answer())]
        try:
            done, _ = await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
            if sides[0] in done and self.harm is Harm.UNANSWERED:
                await sides[1]
        finally:
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)
        return self.harm is Harm.VANISHED

    async def _forward(self) -> None:
        """What the client says. Ends with a harm, or with the connection."""
        async for kind, raw, body in _messages(self.client, startup=True):
            message = Message(self.number, kind, body.rstrip(b"\0").decode() if kind == "Q" else "")
            self.wire.messages.append(message)
            self.harm = await asyncio.to_thread(self.wire._judge, message)
            if self.harm not in (None, Harm.UNANSWERED):
                return
            self.to_server.write(raw)
            await self.to_server.drain()
            if self.harm:
                return

    async def _answer(self) -> None:
        """What the server says; of what it says to a message whose answer is to be lost, nothing goes on."""
        async for kind, raw, body in _messages(self.server, startup=False):
            if kind == "K":
                self.wire.backend = int.from_bytes(body[:4])
            if self.harm is Harm.UNANSWERED:
                if kind in "ZR":
                    return
                continue
            self.to_client.write(raw)
            await self.to_client.drain()


async def _messages(reader: asyncio.StreamReader, *, startup: bool) -> AsyncIterator[tuple[str, bytes, bytes]]:
    """Type, raw bytes and body of each message until the end; the first of a client has no type on the wire."""
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            kind = b"" if startup else await reader.readexactly(1)
            length = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(length) - 4)
            yield (kind or b"S").decode(), kind + length + body, body
            startup = False


def moment(message: Message) -> str:
    """A name for it: its connection and its kind, such as `2 CREATE ROLE`."""
    if message.type != "Q":
        return f"{message.connection} {'startup' if message.type == 'S' else 'password'}"
    words = re.match(r"(?:SELECT|CREATE|ALTER) \w+|\w+", message.text)
    return f"{message.connection} {words.group() if words else message.text}"
