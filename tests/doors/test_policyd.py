"""The policy door: requests as Postfix sends them, actions as it takes them (SMTPD_POLICY_README)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filterd.config import PolicyConfig
from filterd.doors import policy_wire, policyd
from filterd.doors.policy_wire import (
    MAX_REQUEST_BYTES,
    RequestReader,
    action,
    parse_request,
    recipient_of,
    sender_of,
)
from filterd.doors.policyd import start_policyd
from filterd.doors.serving import DoorServer
from filterd.errors import LedgerUnavailable, PeerError
from filterd.model.reply import Reply
from filterd.model.session import Door
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate
from tests.kit.loops import let_run, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = pytest.mark.turned

WAIT = "action=DEFER_IF_PERMIT 4.3.0 Temporary policy failure, try again later"


def request(**changes: str | bytes | None) -> bytes:
    """What Postfix 3.7 sends at RCPT on a submission port; None leaves an attribute out."""
    attributes: dict[str, str | bytes | None] = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "protocol_name": "ESMTP",
        "helo_name": "laptop.example",
        "queue_id": "",
        "sender": "a@example.com",
        "recipient": "b@example.org",
        "recipient_count": "0",
        "client_address": "192.0.2.7",
        "client_name": "unknown",
        "client_port": "54321",
        "reverse_client_name": "unknown",
        "instance": "1.2.3",
        "sasl_method": "PLAIN",
        "sasl_username": "a@example.com",
        "sasl_sender": "",
        "size": "0",
        "ccert_subject": "",
        "server_port": "587",
        "policy_context": "",
        "compatibility_level": "3.6",
        "mail_version": "3.7.11",
        "nobody_knows_this": "x=y",
    }
    attributes |= changes
    lines = [
        name.encode() + b"=" + (value.encode() if isinstance(value, str) else value)
        for name, value in attributes.items()
        if value is not None
    ]
    return b"\n".join(lines) + b"\n\n"


class OpenDoor:
    def __init__(self, server: DoorServer, errors: list[BaseException]) -> None:
        self.server, self.errors = server, errors

    def dialog(self) -> Dialog:
        return Dialog(self.server.port)


@asynccontextmanager
async def open_door(gate: FakeGate, **keys: str) -> AsyncIterator[OpenDoor]:
    errors: list[BaseException] = []
    config = PolicyConfig.model_validate({"port": 0} | keys)
    server = await start_policyd(config, gate, on_error=lambda _, err: errors.append(err))
    try:
        yield OpenDoor(server, errors)
    finally:
        let_run()
        await server.drain(1)


async def ask(talk: Dialog, octets: bytes) -> str:
    await talk.send(octets)
    line = (await talk.line()).removesuffix("\n")
    assert await talk.line() == "\n"
    return line


async def test_good_standing_passes_and_the_session_is_whole() -> None:
    gate = FakeGate()
    async with open_door(gate, login_domain="example.com") as door, door.dialog() as talk:
        assert await ask(talk, request(sasl_username="A.User")) == "action=DUNNO"
        session, reverse_path, forward = gate.admitted[0]
        assert (session.door, session.login, session.login_source) == (Door.POLICY, "a.user@example.com", "sasl")
        assert (session.client_address, session.client_port, session.client_name) == ("192.0.2.7", 54321, None)
        assert (session.helo, session.protocol) == ("laptop.example", "ESMTP")
        assert reverse_path is not None
        assert (reverse_path.address, forward.address) == ("a@example.com", "b@example.org")


async def test_bad_standing_is_refused_in_the_replys_own_words() -> None:
    refusal = Reply(code=550, enhanced="5.7.13", text="Account suspended\nSee https://policy.example")
    async with open_door(FakeGate(refusals={"b@example.org": refusal})) as door, door.dialog() as talk:
        said = await ask(talk, request())
        assert said == "action=550 5.7.13 Account suspended See https://policy.example"
        assert await ask(talk, request(recipient="abuse@example.com")) == "action=DUNNO"


async def test_a_recipient_asked_about_twice_is_one() -> None:
    """A policy service may stand in several restriction lists (smtpd_relay_restrictions and the recipients' own)."""
    gate = FakeGate()
    async with open_door(gate) as door, door.dialog() as talk:
        for recipient in ("b@example.org", "b@example.org", "c@example.org", "c@example.org"):
            await ask(talk, request(recipient=recipient))
    assert gate.accepted == [0, 0, 1, 1]


async def test_recipients_that_passed_are_counted_a_message() -> None:
    refusal = Reply(code=550, enhanced="5.7.1", text="no")
    gate = FakeGate(refusals={"no@example.org": refusal})
    async with open_door(gate) as door, door.dialog() as talk:
        for recipient, instance in (
            ("a@example.org", "1.1"),
            ("no@example.org", "1.1"),
            ("b@example.org", "1.1"),
            ("c@example.org", "1.1"),
            ("a@example.org", "1.2"),
            ("b@example.org", ""),
            ("c@example.org", ""),
        ):
            await ask(talk, request(recipient=recipient, instance=instance))
        assert gate.accepted == [0, 1, 1, 2, 0, 0, 0]


async def test_a_reply_in_two_languages_is_said_in_ascii() -> None:
    refusal = Reply(code=550, enhanced="5.7.1", text="F-LINKS off", utf8_text="F-LINKS off\nF-LINKS 停用")
    async with open_door(FakeGate(refusals={"b@example.org": refusal})) as door, door.dialog() as talk:
        assert await ask(talk, request()) == "action=550 5.7.1 F-LINKS off"


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol_state": "CONNECT"},
        {"protocol_state": "MAIL"},
        {"protocol_state": "DATA"},
        {"protocol_state": "END-OF-MESSAGE"},
        {"protocol_state": None},
        {"sasl_username": ""},
        {"sasl_username": None},
    ],
)
async def test_nothing_to_say(changes: dict[str, str | None]) -> None:
    gate = FakeGate(admit_error=AssertionError("not to be asked"))
    async with open_door(gate) as door, door.dialog() as talk:
        assert await ask(talk, request(**changes)) == "action=DUNNO"
        assert await ask(talk, request(**changes)) == "action=DUNNO"


async def test_without_the_ledger_the_mail_waits() -> None:
    gate = FakeGate(admit_error=LedgerUnavailable("gone"))
    async with open_door(gate) as door, door.dialog() as talk:
        assert await ask(talk, request()) == WAIT
        gate.admit_error = None
        assert await ask(talk, request()) == "action=DUNNO"
        assert len(door.errors) == 1


async def test_a_login_that_is_none_makes_the_mail_wait() -> None:
    async with open_door(FakeGate()) as door, door.dialog() as talk:
        assert await ask(talk, request(sasl_username=b"a\xff")) == WAIT


@pytest.mark.parametrize(
    "octets",
    [
        b"\n\n",
        # What is no request is not waited for until it has its empty line.
        b"EHLO x\r\n",
        b"GET /?a=b HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
        b"request=smtpd_access_policy\nnonsense\n\n",
        b"request=other\nprotocol_state=RCPT\n\n",
        request(request=None),
        request(helo_name="x\0y"),
        request(x="y" * MAX_REQUEST_BYTES),
        b"".join(b"a%d=x\n" % n for n in range(300)) + b"\n",
    ],
)
async def test_on_trouble_nothing_is_said(octets: bytes) -> None:
    async with open_door(FakeGate()) as door, door.dialog() as talk:
        await talk.send(octets)
        assert await talk.ended()
        await soon(lambda: len(door.errors) == 1)
        assert isinstance(door.errors[0], PeerError)


async def test_an_error_of_ours_says_nothing_either() -> None:
    async with open_door(FakeGate(admit_error=ValueError("secret"))) as door, door.dialog() as talk:
        await talk.send(request())
        assert await talk.ended()
        assert [str(e) for e in door.errors] == ["secret"]


async def test_octets_that_are_no_text_do_no_harm() -> None:
    gate = FakeGate()
    async with open_door(gate) as door, door.dialog() as talk:
        octets = request(
            sender=b"\xff x@Ex.com", recipient="用户@例子.中国".encode(), helo_name=b"\xfe", client_port="x"
        )
        assert await ask(talk, octets) == "action=DUNNO"
        session, reverse_path, forward = gate.admitted[0]
        assert reverse_path is not None
        assert reverse_path.address == "\\xff x@ex.com"
        assert forward.address == "用户@xn--fsqu00a.xn--fiqs8s"
        assert (session.helo, session.client_port) == ("\\xfe", None)


async def test_many_questions_in_pieces_and_at_once() -> None:
    async with open_door(FakeGate()) as door, door.dialog() as talk:
        for octet in request():
            await talk.send(bytes((octet,)))
        assert await talk.line() + await talk.line() == "action=DUNNO\n\n"
        await talk.send(request() * 50)
        for _ in range(50):
            assert await talk.line() + await talk.line() == "action=DUNNO\n\n"


async def test_an_idle_connection_is_let_go() -> None:
    async with open_door(FakeGate()) as door, door.dialog() as talk:
        for _ in range(3):
            assert await ask(talk, request()) == "action=DUNNO"
            await turn(policyd.IDLE_S - 1)
        assert await ask(talk, request()) == "action=DUNNO"
        await turn(policyd.IDLE_S)
        assert await talk.ended()
        assert not door.errors


async def test_draining_answers_what_was_asked_and_parts() -> None:
    gate, asked, go_on = FakeGate(), asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        asked.set()
        await go_on.wait()

    gate.admit = wait  # type: ignore[method-assign]
    async with open_door(gate) as door, door.dialog() as idle, door.dialog() as asking:
        await asking.send(request())
        await asked.wait()
        await soon(lambda: door.server.connections == 2)
        draining = asyncio.create_task(door.server.drain(60))
        assert await idle.ended()
        go_on.set()
        assert await asking.line() + await asking.line() == "action=DUNNO\n\n"
        assert await asking.ended()
        assert await draining == 0


# --- the wire alone ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "address"),
    [
        (b"", None),
        (b"a@B.example", "a@b.example"),
        (b"foo bar@b.example", '"foo bar"@b.example'),
        (b"root", "root"),
        (b'"foo bar"@b.example', '"foo bar"@b.example'),
    ],
)
def test_senders(octets: bytes, address: str | None) -> None:
    path = sender_of({"sender": octets})
    assert (path.address if path else None) == address


def test_a_recipient_without_domain() -> None:
    assert recipient_of({"recipient": b"postmaster"}).address == "postmaster"


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(code=451, enhanced="4.7.1", text="later"), b"action=451 4.7.1 later\n\n"),
        (Reply(code=550, enhanced=None, text="x\r\nfoo=bar\n\naction=OK"), b"action=550 x  foo=bar  action=OK\n\n"),
        (Reply(code=550, enhanced="5.7.1", text="例"), b"action=550 5.7.1 ?\n\n"),
        (Reply(code=550, enhanced="5.7.1", text="x" * 5000), b"action=550 5.7.1 " + b"x" * 1990 + b"\n\n"),
    ],
)
def test_actions_are_one_line(reply: Reply, octets: bytes) -> None:
    assert action(reply).split() == octets.split()
    assert action(reply).count(b"\n") == 2
    assert action(reply).endswith(b"\n\n")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_a_request_is_read_or_refused(octets: bytes) -> None:
    with suppress(PeerError):
        assert parse_request(octets + b"\n\n")["request"] == b"smtpd_access_policy"


async def test_asked_at_mail_only_the_sender_counts() -> None:
    gate = FakeGate(refusals={"b@example.org": Reply(code=550, enhanced="5.7.13", text="suspended")})
    async with open_door(gate) as door, door.dialog() as talk:
        assert await ask(talk, request(protocol_state="MAIL", recipient="")) == "action=DUNNO"
        gate.sender_refusal = Reply(code=550, enhanced="5.7.13", text="closed")
        assert await ask(talk, request(protocol_state="MAIL", recipient="")) == "action=550 5.7.13 closed"
        assert gate.admitted == []


async def test_of_mail_without_a_login_only_the_operators_lists_are_asked_and_only_at_rcpt() -> None:
    refusal = Reply(code=550, enhanced="5.7.1", text="M-LISTED not from here")
    gate = FakeGate(refusals={"b@example.org": refusal})
    async with open_door(gate) as door, door.dialog() as talk:
        assert await ask(talk, request(sasl_username="")) == "action=550 5.7.1 M-LISTED not from here"
        assert await ask(talk, request(sasl_username="", recipient="c@example.org")) == "action=DUNNO"
        assert await ask(talk, request(sasl_username="", protocol_state="MAIL")) == "action=DUNNO"
    session, reverse_path, forward = gate.screened[0]
    assert (session.login, session.login_source, session.client_address) == (None, None, "192.0.2.7")
    assert reverse_path is not None
    assert (reverse_path.address, forward.address) == ("a@example.com", "b@example.org")
    assert len(gate.screened) == 2
    assert gate.admitted == []


# --- how much work it is ----------------------------------------------------------------------------------------------


class Counted:
    """A pattern, and how many octets it was asked to look at."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.pattern, self.octets = pattern, 0

    def match(self, held: bytearray, start: int) -> re.Match[bytes] | None:
        found = self.pattern.match(held, start)
        # What it went over, and what stopped it.
        self.octets += (found.end() if found is not None else start) - start + 1
        return found


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize(
    "octets",
    [
        b"sender=" + b"x" * 60_000 + b"\n\n",
        b"x" * 60_000 + b"=\n\n",
        b"a=b\n" * 15_000 + b"\n",
        (b"request=smtpd_access_policy\n\n") * 2000,
    ],
    ids=["one value", "one name", "short lines", "many requests"],
)
def test_each_octet_is_looked_at_once(octets: bytes, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In whatever pieces it comes: a client must not make us go over one long line again and again."""
    patterns = [Counted(policy_wire._OF_A_NAME), Counted(policy_wire._OF_A_VALUE)]
    monkeypatch.setattr(policy_wire, "_OF_A_NAME", patterns[0])
    monkeypatch.setattr(policy_wire, "_OF_A_VALUE", patterns[1])
    reader, found = RequestReader(), b""
    for start in range(0, len(octets), size):
        reader.feed(octets[start : start + size])
        while (request := reader.request()) is not None:
            found += request
    assert found == octets
    assert sum(pattern.octets for pattern in patterns) <= 3 * len(octets)


def fed_until_refused(octets: bytes, size: int) -> int:
    """Say how many octets it took to refuse what is no request. Fails when it was not refused."""
    reader = RequestReader()
    for start in range(0, len(octets), size):
        reader.feed(octets[start : start + size])
        try:
            assert reader.request() is None
        except PeerError:
            return min(start + size, len(octets))
    raise AssertionError("not refused")


@pytest.mark.parametrize("size", [1, 1000, 100_000])
@pytest.mark.parametrize("endless", [b"sender=" + b"x" * 200_000, b"x" * 200_000, b"a=b\n" * 50_000])
def test_a_request_without_end_is_bounded(endless: bytes, size: int) -> None:
    assert fed_until_refused(endless, size) <= MAX_REQUEST_BYTES + 2 * size


@pytest.mark.parametrize(
    "octets",
    [b"\n", b"=x", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"EHLO x\r\n", b"a\n", b"a=b\n\0", b"a=\0", b"a b=c\n"],
)
def test_what_cannot_become_a_request_is_refused_before_its_end(octets: bytes) -> None:
    assert fed_until_refused(octets, 1) <= fed_until_refused(octets, len(octets)) == len(octets)
