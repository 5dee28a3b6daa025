"""The socketmap door: netstrings as Postfix sends them, account state as it takes it (socketmap_table(5))."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filterd.config import SocketmapConfig
from filterd.doors import socketmap_wire as wire
from filterd.doors.socketmap import start_socketmap
from filterd.errors import LedgerUnavailable, PeerError
from filterd.model.reply import Reply
from filterd.ports import AccountState

SUSPENDED = AccountState(
    login="mallory@corp.example",
    state="suspended",
    refusal=Reply(code=550, enhanced="5.7.13", text="Account suspended\nSee s_1"),
)
ALICE = AccountState(login="alice@corp.example", state="good")


class Accounts:
    def __init__(self) -> None:
        self.known = {"mallory@corp.example": SUSPENDED, "alice@corp.example": ALICE, "ally@corp.example": ALICE}
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def account_state(self, login: str) -> AccountState | None:
        self.asked.append(login)
        if self.error is not None:
            raise self.error
        return self.known.get(login)


@asynccontextmanager
async def talking(
    accounts: Accounts | None = None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, list[BaseException]]]:
    errors: list[BaseException] = []
    config = SocketmapConfig(port=0, login_domain="corp.example")
    server = await start_socketmap(config, accounts or Accounts(), on_error=lambda _, err: errors.append(err))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield reader, writer, errors
    finally:
        writer.close()
        await server.drain(1)


def question(text: str) -> bytes:
    octets = text.encode()
    return b"%d:%b," % (len(octets), octets)


async def answer(reader: asyncio.StreamReader) -> str:
    size = int((await reader.readuntil(b":"))[:-1])
    said = await reader.readexactly(size + 1)
    assert said.endswith(b",")
    return said[:-1].decode()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("state alice@corp.example", "OK good"),
        ("state alice", "OK good"),
        ("state ALICE@Corp.example", "OK good"),
        ("state mallory@corp.example", "OK suspended"),
        ("state nobody@corp.example", "NOTFOUND "),
        ("access mallory@corp.example", "OK 550 5.7.13 Account suspended See s_1"),
        ("access alice@corp.example", "NOTFOUND "),
        ("access nobody@corp.example", "NOTFOUND "),
        ("owner ally@corp.example", "OK alice@corp.example"),
        ("owner nobody@corp.example", "NOTFOUND "),
        ("owner @corp.example", "NOTFOUND "),
        ("owner a b@corp.example", "NOTFOUND "),
        ("other alice@corp.example", "PERM no such map; there are state, access and owner"),
    ],
)
async def test_a_question(asked: str, said: str) -> None:
    async with talking() as (reader, writer, errors):
        writer.write(question(asked))
        assert await answer(reader) == said
        assert errors == []


async def test_many_questions_on_one_connection_in_pieces() -> None:
    async with talking() as (reader, writer, _):
        octets = question("state alice@corp.example") + question("state mallory@corp.example") + question("state x@y.z")
        for octet in octets:
            writer.write(bytes((octet,)))
            await writer.drain()
        assert [await answer(reader) for _ in range(3)] == ["OK good", "OK suspended", "NOTFOUND "]


async def test_standing_that_cannot_be_known_puts_the_mail_off() -> None:
    accounts = Accounts()
    accounts.error = LedgerUnavailable("away")
    async with talking(accounts) as (reader, writer, errors):
        writer.write(question("access alice@corp.example"))
        assert await answer(reader) == "TEMP standing cannot be known now"
        assert errors == [accounts.error]
        accounts.error = None
        writer.write(question("access alice@corp.example"))
        assert await answer(reader) == "NOTFOUND "


@pytest.mark.parametrize(
    "octets", [b"GET / HTTP/1.1\r\n", b"5:state,", b"99999:x", b"5:state x,", b"03:a b,", b"-1:x,"]
)
async def test_what_is_no_question_ends_the_connection(octets: bytes) -> None:
    async with talking() as (reader, writer, errors):
        writer.write(octets)
        assert await reader.read() == b""
        assert [type(err) for err in errors] == [PeerError]


@given(st.binary(max_size=60))
def test_any_octets_are_a_question_or_refused(octets: bytes) -> None:
    with contextlib.suppress(PeerError):
        found = wire.parse_request(octets)
        assert found is None or 0 < found[2] <= len(octets)


def test_a_value_is_one_line_of_bounded_length() -> None:
    assert wire.found("a\r\n\0b") == b"OK a   b"
    assert wire.reply(wire.found("x" * 200_000)).startswith(b"100000:OK xxx")
