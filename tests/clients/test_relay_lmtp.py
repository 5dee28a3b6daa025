"""LMTP towards the next hop: one reply a recipient, also when it breaks among them (RFC 2033)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from filterd.clients.relay import NextHopRelay
from filterd.clients.relay_wire import MAX_UNREAD_REPLIES, RelayBroken, RelayWire
from filterd.errors import PortError
from filterd.mail.address import parse_forward_path
from filterd.model.reply import Reply
from filterd.model.session import ForwardPath
from tests.clients.test_relay_tls import RAW, relay_to, server
from tests.kit.hop import Hop, Misbehave, Talk, hangs_up, is_silent, says
from tests.kit.loops import turn

pytestmark = pytest.mark.turned

# Greeting, LHLO, MAIL, RCPT four times, DATA.
BEFORE_THE_DOT = 8
NAMES = (b"a@example.org", b"b@example.org", b"c@example.org", b"a@example.org")


def path(name: bytes) -> ForwardPath:
    return ForwardPath(path=parse_forward_path(b"<" + name + b">"))


async def deliver(relay: NextHopRelay, *names: bytes) -> list[int]:
    lease = await relay.lease()
    try:
        await lease.mail(None, ())
        for name in names:
            await lease.rcpt(path(name))
        return [reply.code for reply in await lease.data(RAW)]
    finally:
        await lease.close()


async def test_each_recipient_has_its_own_answer() -> None:
    hop = Hop(
        is_lmtp=True, dots={b"b@example.org": "451 4.2.0 locked", b"c@example.org": "552-5.2.2 is\r\n552 5.2.2 full"}
    )
    async with relay_to(hop, protocol="lmtp") as relay:
        assert relay.name == f"lmtp:[127.0.0.1]:{hop.address.rpartition(':')[2]}"
        assert relay.answers_each
        assert await deliver(relay, *NAMES) == [250, 451, 552, 250]
        assert [mail.rcpt for mail in hop.taken] == [b"a@example.org"] * 2
        # And again on the same connection.
        assert await deliver(relay, b"a@example.org") == [250]
        assert hop.connections == 1
        assert hop.verbs()[0] == b"LHLO"


async def test_who_was_refused_before_has_no_answer_behind_the_dot() -> None:
    async def gone(talk: Talk) -> None:
        if b"b@" in hop.heard[-1]:
            talk.say("550 5.1.1 no such mailbox")
        else:
            talk.rcpts.append(hop.heard[-1].partition(b"<")[2].partition(b">")[0])
            talk.say("250 2.1.5 Ok")

    hop = Hop(is_lmtp=True, misbehave={b"RCPT": gone}, dots={b"c@example.org": "451 4.2.0 locked"})
    async with relay_to(hop, protocol="lmtp") as relay:
        assert await deliver(relay, *NAMES) == [250, 451, 250]


async def test_as_many_answers_as_recipients() -> None:
    """They come in one breath, more than anybody else may say unasked."""
    hop = Hop(is_lmtp=True)
    async with relay_to(hop, protocol="lmtp") as relay:
        names = tuple(b"u%d@example.org" % n for n in range(MAX_UNREAD_REPLIES + 50))
        assert await deliver(relay, *names) == [250] * len(names)


@pytest.mark.parametrize(
    ("protocol", "extensions", "sent"),
    [
        ("lmtp", (), b"MAIL FROM:<> BODY=8BITMIME"),
        ("lmtp", ("SIZE 9",), b"MAIL FROM:<> size=99 BODY=8BITMIME"),
        # MAIL-PATH 4a: verbatim, whatever the next hop of a proxy offers.
        ("smtp", (), b"MAIL FROM:<> size=99 BODY=8BITMIME"),
    ],
)
async def test_the_size_is_said_where_it_is_understood(protocol: str, extensions: tuple[str, ...], sent: bytes) -> None:
    hop = Hop(is_lmtp=protocol == "lmtp", extensions=extensions)
    async with relay_to(hop, protocol=protocol) as relay:
        lease = await relay.lease()
        await lease.mail(None, (b"size=99", b"BODY=8BITMIME"))
        assert hop.heard[-1] == sent
        await lease.close()


async def test_smtp_has_one_answer_for_all() -> None:
    hop = Hop()
    async with relay_to(hop) as relay:
        assert not relay.answers_each
        assert await deliver(relay, *NAMES) == [250] * 4


@pytest.mark.parametrize("reply", ["451 4.3.0 later", "554 5.5.1 no"])
async def test_a_refused_data_is_everybodys(reply: str) -> None:
    hop = Hop(is_lmtp=True, replies={b"DATA": reply})
    async with relay_to(hop, protocol="lmtp") as relay:
        assert await deliver(relay, *NAMES) == [int(reply[:3])] * 4


async def test_a_server_of_smtp_is_no_server_of_lmtp() -> None:
    hop = Hop()
    async with relay_to(hop, protocol="lmtp") as relay:
        with pytest.raises(PortError, match="LHLO answered with 503"):
            await relay.lease()
        # HELO would be SMTP.
        assert hop.verbs() == [b"LHLO"]


@pytest.mark.parametrize("how", ["hang up", "garbage", "silence", "354"])
async def test_a_break_among_the_answers(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was answered has the answer; of the others nobody knows."""
    ends: dict[str, Misbehave] = {
        "hang up": hangs_up,
        "garbage": says(b"what\r\n"),
        "silence": is_silent,
        "354": says(b"354 go on\r\n"),
    }

    # Three replies have been asked for behind the dot: two have come.
    third, asked = asyncio.Event(), []
    reply = RelayWire.reply

    async def counted(wire: RelayWire) -> Reply:
        asked.append(wire)
        if len(asked) == BEFORE_THE_DOT + 3:
            third.set()
        return await reply(wire)

    monkeypatch.setattr(RelayWire, "reply", counted)

    async def two_of_four(talk: Talk) -> None:
        talk.say("250 2.0.0 Ok", "552 5.2.2 full")
        await ends[how](talk)

    hop = Hop(is_lmtp=True, misbehave={b".": two_of_four})
    async with relay_to(hop, protocol="lmtp", data_timeout_s=80, command_timeout_s=60) as relay:
        delivery = asyncio.create_task(deliver(relay, *NAMES))
        if how == "silence":
            await third.wait()
            await turn(80)
        with pytest.raises(RelayBroken) as caught:
            await delivery
        assert caught.value.is_after_dot
        assert [reply.code for reply in caught.value.replies] == [250, 552]
        del hop.misbehave[b"."]
        assert await deliver(relay, b"a@example.org") == [250]


async def test_lmtp_through_tls(tmp_path: Path) -> None:
    hop = Hop(is_lmtp=True, context=server(tmp_path))
    async with relay_to(hop, protocol="lmtp", tls="encrypt") as relay:
        assert await deliver(relay, *NAMES) == [250] * 4
        assert all(mail.is_tls for mail in hop.taken)
        assert hop.verbs()[:3] == [b"LHLO", b"STARTTLS", b"LHLO"]
