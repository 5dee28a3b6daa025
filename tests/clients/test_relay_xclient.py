"""XCLIENT towards the next hop: who it is told, what begins anew, what stops the mail (XCLIENT_README)."""

from __future__ import annotations

import pytest

from filterd.clients.relay import NextHopRelay
from filterd.clients.xtext import xclient_commands
from filterd.errors import PortError
from filterd.model.session import ForwardPath, Path
from tests.clients.test_relay_tls import RAW, RCPT, relay_to
from tests.kit.hop import Hop, Talk, hangs_up, says
from tests.kit.waiting import soon

pytestmark = pytest.mark.turned

OFFERED = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
ALICE = {
    "NAME": "laptop.example",
    "ADDR": "192.0.2.7",
    "PORT": "4711",
    "PROTO": "ESMTP",
    "HELO": "laptop",
    "LOGIN": "alice@example.com",
}
BOB = {"NAME": "[UNAVAILABLE]", "ADDR": "IPV6:2001:db8::7", "PORT": "1", "PROTO": "SMTP", "HELO": "[192.0.2.8]"}


async def deliver(relay: NextHopRelay, attributes: dict[str, str]) -> str:
    lease = await relay.lease()
    try:
        await lease.speak_for(attributes)
        reply = await lease.mail(None, ())
        if reply.is_positive:
            assert (await lease.rcpt(RCPT)).is_positive
            (reply,) = await lease.data(RAW)
        return f"{reply.code} {reply.enhanced} {reply.text}"
    finally:
        await lease.close()


async def test_the_session_begins_anew_for_each_client() -> None:
    hop = Hop(xclient=OFFERED, extensions=("PIPELINING", "XFORWARD NAME ADDR"))
    async with relay_to(hop, xclient=True) as relay:
        for client in (ALICE, BOB):
            assert (await deliver(relay, client)).startswith("250")
        assert hop.connections == 1
        assert hop.heard == [
            b"EHLO us.example",
            b"XCLIENT NAME=laptop.example PORT=4711 PROTO=ESMTP HELO=laptop DESTADDR=[UNAVAILABLE] "
            b"DESTPORT=[UNAVAILABLE] LOGIN=alice@example.com ADDR=192.0.2.7",
            # As nginx does, so that the next hop knows what the client calls itself.
            b"EHLO laptop",
            b"MAIL FROM:<>",
            b"RCPT TO:<b@example.org>",
            b"DATA",
            b"XCLIENT NAME=[UNAVAILABLE] PORT=1 PROTO=SMTP HELO=[192.0.2.8] DESTADDR=[UNAVAILABLE] "
            b"DESTPORT=[UNAVAILABLE] LOGIN=[UNAVAILABLE] ADDR=IPV6:2001:db8::7",
            b"EHLO [192.0.2.8]",
            b"MAIL FROM:<>",
            b"RCPT TO:<b@example.org>",
            b"DATA",
        ]
        # Nobody's login stands for the next one's mail.
        assert [mail.who[b"LOGIN"] for mail in hop.taken] == [b"alice@example.com", b"[UNAVAILABLE]"]


async def test_where_it_is_not_wanted_it_is_xforward() -> None:
    hop = Hop(xclient=OFFERED, extensions=("XFORWARD NAME ADDR LOGIN",))
    async with relay_to(hop, xclient=False) as relay:
        assert (await deliver(relay, ALICE)).startswith("250")
        # And never the login.
        assert hop.heard[1] == b"XFORWARD NAME=laptop.example ADDR=192.0.2.7"
        assert b"XCLIENT" not in hop.verbs()


@pytest.mark.parametrize(
    "reply", [b"550 5.7.0 no\r\n", b"501 5.5.4 bad\r\n", b"421 4.7.0 out\r\n", b"250 ok\r\n", None]
)
async def test_a_refused_xclient_stops_the_mail(reply: bytes | None) -> None:
    """The next hop would take the mail for ours, with all that our address may do there."""
    hop = Hop(xclient=OFFERED, misbehave={b"XCLIENT": says(reply) if reply else hangs_up})
    async with relay_to(hop, xclient=True) as relay:
        with pytest.raises(PortError):
            await deliver(relay, ALICE)
        assert b"MAIL" not in hop.verbs()
        assert hop.connections == 1


async def test_an_address_it_does_not_know_is_unavailable() -> None:
    """Postfix with inet_protocols = ipv4, and a client that has an IPv6 address."""

    async def ipv4(talk: Talk) -> None:
        talk.say("501 5.5.4 Bad ADDR syntax" if b"IPV6:" in hop.heard[-1] else "220 again")

    hop = Hop(xclient="ADDR LOGIN", misbehave={b"XCLIENT": ipv4})
    async with relay_to(hop, xclient=True) as relay:
        assert (await deliver(relay, BOB | {"LOGIN": "bob"})).startswith("250")
        assert hop.heard[1:3] == [
            b"XCLIENT LOGIN=bob ADDR=IPV6:2001:db8::7",
            b"XCLIENT LOGIN=bob ADDR=[UNAVAILABLE]",
        ]


async def test_where_it_is_wanted_and_not_offered_no_mail_goes() -> None:
    """The next hop would take a stranger's mail for our own, and apply our own rights."""
    hop = Hop(extensions=("XFORWARD NAME ADDR LOGIN",))
    async with relay_to(hop, xclient=True) as relay:
        with pytest.raises(PortError, match="offers no XCLIENT"):
            await deliver(relay, ALICE)
        assert b"MAIL" not in hop.verbs()


async def test_an_offer_of_nothing_is_no_way_to_say_who_it_is() -> None:
    hop = Hop(xclient="")
    async with relay_to(hop, xclient=True) as relay:
        with pytest.raises(PortError):
            await deliver(relay, ALICE)
        assert b"MAIL" not in hop.verbs()


async def test_a_client_whom_the_next_hop_does_not_want() -> None:
    async def greet(talk: Talk) -> None:
        talk.say("554 5.7.1 Client host rejected" if b"192.0.2.7" in hop.heard[-1] else "220 again")
        talk.who = {b"ADDR": b"x"}

    hop = Hop(xclient=OFFERED, misbehave={b"XCLIENT": greet})
    async with relay_to(hop, xclient=True) as relay:
        assert await deliver(relay, ALICE) == "554 5.7.1 Client host rejected"
        assert b"MAIL" not in hop.verbs()
        # What it thinks of this one is no matter of the next.
        assert (await deliver(relay, BOB)).startswith("250")
        assert hop.connections == 2


async def test_a_client_whose_name_it_does_not_want() -> None:
    async def refuse(talk: Talk) -> None:
        talk.say("501 5.5.2 Helo command rejected" if talk.who else f"250-hop.example\r\n250 XCLIENT {OFFERED}")

    hop = Hop(xclient=OFFERED, misbehave={b"EHLO": refuse, b"HELO": refuse})
    async with relay_to(hop, xclient=True) as relay:
        assert await deliver(relay, ALICE) == "501 5.5.2 Helo command rejected"
        assert b"MAIL" not in hop.verbs()


@pytest.mark.parametrize("helo", ["[UNAVAILABLE]", "two words", "x\r\nMAIL FROM:<>", "例.cn", "<x>", ""])
async def test_a_client_whose_name_cannot_be_said(helo: str) -> None:
    hop = Hop(xclient=OFFERED)
    async with relay_to(hop, xclient=True) as relay:
        assert (await deliver(relay, ALICE | {"HELO": helo})).startswith("250")
        ehlo = hop.heard[2]
        # Brackets are an address literal's, so the first of these is sent, as the next hop knows it from XCLIENT.
        assert ehlo == (b"EHLO [UNAVAILABLE]" if helo == "[UNAVAILABLE]" else b"EHLO us.example")
        assert hop.verbs().count(b"MAIL") == 1


async def test_mail_of_our_own_is_nobodys() -> None:
    hop = Hop(xclient=OFFERED)
    async with relay_to(hop, xclient=True) as relay:
        await deliver(relay, ALICE)
        await deliver(relay, {})
        assert hop.connections == 2
        assert [mail.who for mail in hop.taken][1] == {}


async def test_a_dead_kept_connection_is_replaced() -> None:
    hop = Hop(xclient=OFFERED)
    async with relay_to(hop, xclient=True) as relay:
        await deliver(relay, ALICE)

        async def once(talk: Talk) -> None:
            del hop.misbehave[b"XCLIENT"]
            talk.say("421 4.4.2 idle too long")
            talk.writer.close()

        hop.misbehave[b"XCLIENT"] = once
        assert (await deliver(relay, BOB)).startswith("250")
        assert hop.connections == 2
        assert len(hop.taken) == 2


async def test_a_client_that_may_not_say_it_again() -> None:
    """A next hop that goes by the client it was told no longer offers XCLIENT."""

    async def offer(talk: Talk) -> None:
        talk.helo = b"x"
        talk.say("250 hop.example" if talk.who else f"250-hop.example\r\n250 XCLIENT {OFFERED}")

    hop = Hop(xclient=OFFERED, misbehave={b"EHLO": offer})
    async with relay_to(hop, xclient=True) as relay:
        for client in (ALICE, BOB):
            assert (await deliver(relay, client)).startswith("250")
        assert [mail.who[b"ADDR"] for mail in hop.taken] == [b"192.0.2.7", b"IPV6:2001:db8::7"]
        assert hop.connections == 2
        # Given up at its end, not when the next mail finds out, which would cost the other connections.
        assert relay._idle == []
        await soon(lambda: hop.verbs().count(b"QUIT") == 2)


# --- the commands -----------------------------------------------------------------------------------------------------


def test_only_what_is_offered_with_login_and_address_last() -> None:
    assert xclient_commands("addr LOGIN NAME", ALICE) == [
        b"XCLIENT NAME=laptop.example LOGIN=alice@example.com ADDR=192.0.2.7"
    ]
    assert xclient_commands("", ALICE) == []


def test_values_are_xtext_and_what_is_unknown_is_unavailable() -> None:
    assert xclient_commands("LOGIN HELO PORT", {"LOGIN": "a b=c+d", "HELO": "x\r\nRSET"}) == [
        b"XCLIENT HELO=x+0D+0ARSET PORT=[UNAVAILABLE] LOGIN=a+20b+3Dc+2Bd"
    ]


@pytest.mark.parametrize("protocol", ["LMTP", "HTTP", "[UNAVAILABLE]"])
def test_a_protocol_that_xclient_does_not_know_is_left_out(protocol: str) -> None:
    """Postfix answers 501 to it."""
    assert xclient_commands("PROTO ADDR", {"PROTO": protocol, "ADDR": "192.0.2.1"}) == [b"XCLIENT ADDR=192.0.2.1"]


def test_long_commands_are_parted_and_the_last_has_login_and_address() -> None:
    known = {"NAME": "n" * 250, "HELO": "h" * 250, "LOGIN": "l" * 250, "ADDR": "192.0.2.1", "PORT": "1"}
    commands = xclient_commands("NAME ADDR PORT HELO LOGIN", known)
    assert len(commands) > 1
    assert all(len(command) + 2 <= 512 for command in commands)
    assert commands[-1].endswith(b" LOGIN=" + b"l" * 250 + b" ADDR=192.0.2.1")
    assert b"".join(commands).count(b"=") == 5


async def test_an_address_with_a_line_end_is_no_command() -> None:
    """A milter can be told any octets, and what was held goes out by SMTP."""
    hop = Hop(extensions=())
    evil = Path(raw=b"a@b.example>\r\nRCPT TO:<victim@else.example", local_part="a", domain="b.example")
    async with relay_to(hop) as relay:
        lease = await relay.lease()
        try:
            assert (await lease.mail(evil, ())).code == 553
            assert (await lease.mail(None, ())).code == 250
            assert (await lease.rcpt(ForwardPath(path=evil))).code == 553
        finally:
            await lease.close()
    assert b"RCPT" not in hop.verbs()
