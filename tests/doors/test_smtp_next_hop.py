"""What a client sees when the next hop refuses, fails or leaves, in each phase (FAULTS 3-6)."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from filterd.clients.sink import SinkScript
from filterd.config import NextHopConfig
from tests.dialogs.house import FakeGate, open_house
from tests.kit.hop import Hop, Misbehave, Talk, hangs_up, is_silent, repeats, running, says
from tests.kit.loops import settled, turn
from tests.kit.waiting import soon

# No limit is met but by turning the time.
pytestmark = [pytest.mark.slow, pytest.mark.turned]

NO_NEXT_HOP = "451 4.4.1 Next hop cannot be reached, try again later"
LOST = "451 4.4.2 Connection to the next hop lost, try again later"
CLOSING = "451 4.3.2 Next hop not accepting mail now, try again later"


async def test_each_recipient_gets_the_next_hops_own_words() -> None:
    script = SinkScript(
        recipients={
            b"gone@example.org": "550 5.1.1 <gone@example.org>: Recipient address rejected",
            b"full@example.org": "452 4.2.2 Mailbox full",
            b"bare@example.org": "550 no code",
            b"odd@example.org": "550 4.1.1 odd",
        }
    )
    async with open_house(script=script) as house, house.dialog() as talk:
        await talk.greeted()
        names = ("here", "gone", "full", "bare", "odd")
        assert await talk.envelope("<>", *(f"<{name}@example.org>" for name in names)) == [
            "250 2.1.0 Ok",
            "250 2.1.5 Ok",
            "550 5.1.1 <gone@example.org>: Recipient address rejected",
            "452 4.2.2 Mailbox full",
            "550 5.0.0 no code",
            "550 5.0.0 4.1.1 odd",
        ]
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert house.sink.messages[0].rcpts == (b"TO:<here@example.org>",)
        assert [(r.code, refused) for _, r, refused in house.gate.deliveries] == [(250, 3)]
        assert [f.path.address for f in house.gate.intakes[0].envelope.forward_paths] == ["here@example.org"]


@pytest.mark.parametrize(
    ("phase", "reply", "seen"),
    [
        ("mail", "550 5.7.1 not you", "550 5.7.1 not you"),
        ("mail", "451 4.3.0 later", "451 4.3.0 later"),
        ("mail", "421 4.3.2 closing", CLOSING),
        ("rcpt", "421 4.3.2 closing", CLOSING),
        ("data", "554 5.5.1 no", "554 5.5.1 no"),
        ("data", "421 4.3.2 closing", CLOSING),
        ("dot", "554 5.6.0 bad content", "554 5.6.0 bad content"),
        ("dot", "451 4.3.0 later", "451 4.3.0 later"),
        ("dot", "421 4.3.2 closing", CLOSING),
        ("dot", "552-5.2.2 too\r\n552 5.2.2 full", "552-5.2.2 too\n552 5.2.2 full"),
    ],
)
async def test_a_refusal_in_each_phase(phase: str, reply: str, seen: str) -> None:
    async with open_house(script=SinkScript(replies={phase: reply})) as house, house.dialog() as talk:
        await talk.greeted()
        said = await talk.envelope()
        if phase == "mail":
            assert said[0] == seen
        elif phase == "rcpt":
            assert said[1] == seen
            assert await talk.ask("DATA") == seen
        else:
            assert await talk.data(b"x\r\n") == seen
            assert [r.code for _, r, _ in house.gate.deliveries] == [int(reply[:3])]
        assert not house.gate.failures
        house.sink.script = SinkScript()
        await talk.ask("RSET")
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        assert house.sink.counts["messages"] == 1


@pytest.mark.parametrize("how", ["hang_up", "stall"])
@pytest.mark.parametrize(
    ("phase", "seen"),
    [
        ("banner", NO_NEXT_HOP),
        ("ehlo", NO_NEXT_HOP),
        ("mail", NO_NEXT_HOP),
        ("rcpt", LOST),
        ("data", LOST),
        ("dot", LOST),
    ],
)
async def test_a_break_in_each_phase(phase: str, how: str, seen: str) -> None:
    script = SinkScript(hang_up=frozenset({phase})) if how == "hang_up" else SinkScript(stall=frozenset({phase}))
    limits = {"connect_timeout_s": 50, "command_timeout_s": 50, "data_timeout_s": 50, "max_connections": 1}
    async with open_house(script=script, next_hop=limits) as house, house.dialog() as talk:

        async def wait_in_vain() -> None:
            await soon(lambda: house.sink.counts[phase])
            await settled()
            await turn(50)

        waiting = asyncio.create_task(wait_in_vain() if how == "stall" else settled())
        await talk.greeted()
        said = await talk.envelope()
        if phase in {"banner", "ehlo", "mail"}:
            assert said[0] == seen
        elif phase == "rcpt":
            assert said[1] == seen
            assert await talk.ask("RCPT TO:<c@example.org>") == seen
            assert await talk.ask("DATA") == seen
        else:
            assert await talk.data(b"x\r\n") == seen
            # Nobody knows who has the mail only when the dot was out.
            assert [(t, unknown) for t, _, unknown in house.gate.failures] == [("t_1", phase == "dot")]
        await waiting
        assert len(house.errors) == 1
        assert not house.gate.deliveries
        # One attempt: behind a dot a second one could make a second copy.
        assert house.sink.counts["connections"] == 1
        house.sink.script = SinkScript()
        await talk.ask("RSET")
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        # Silence behind the dot hid a message taken: that is why it is called unknown.
        assert house.sink.counts["messages"] == (2 if (phase, how) == ("dot", "stall") else 1)


async def test_nobody_listens() -> None:
    async with open_house() as house, house.dialog() as talk:
        await house.sink.close()
        await talk.greeted()
        assert await talk.ask("MAIL FROM:<>") == NO_NEXT_HOP
        assert await talk.ask("RCPT TO:<b@example.org>") == "503 5.5.1 Need MAIL first"


async def test_the_next_hop_dies_while_the_house_thinks() -> None:
    gate = FakeGate()
    async with open_house(gate=gate) as house, house.dialog() as talk:

        async def die() -> None:
            house.sink.drop_connections()
            await soon(lambda: not wire.is_quiet)

        gate.on_enforce = die
        await talk.greeted()
        await talk.envelope()
        wire = house.connection.transaction.lease._connection.wire  # type: ignore[union-attr]
        assert await talk.data(b"x\r\n") == LOST
        assert [unknown for _, _, unknown in gate.failures] == [False]
        assert not house.sink.messages


async def test_a_dead_kept_connection_costs_nothing() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        for n in range(3):
            await talk.envelope()
            assert (await talk.data(b"x\r\n")).startswith("250 ")
            house.sink.drop_connections()
            assert house.sink.counts["messages"] == n + 1
        assert not house.errors


async def test_a_full_pool_makes_the_client_wait_then_come_back() -> None:
    limits = {"max_connections": 1, "connect_timeout_s": 50}
    async with open_house(next_hop=limits) as house, house.dialog() as first, house.dialog() as second:
        await first.greeted()
        await first.envelope()
        await second.greeted()
        waiting = asyncio.create_task(second.ask("MAIL FROM:<>"))
        await soon(lambda: house.relay._slots._waiters)
        await turn(50)
        assert await waiting == NO_NEXT_HOP
        waiting = asyncio.create_task(second.ask("MAIL FROM:<>"))
        await soon(lambda: house.relay._slots._waiters)
        await turn(49)
        await first.data(b"x\r\n")
        assert await waiting == "250 2.1.0 Ok"


# --- a next hop that means ill ----------------------------------------------------------------------------------------


async def half_a_reply(talk: Talk) -> None:
    talk.writer.write(b"250 2.0.0 O")
    talk.writer.close()


ENDLESS = b"250-more\r\n" * 50
ODD: dict[str, Misbehave] = {
    "garbage": says(b"\xff\x00 what\r\n"),
    "http": says(b"HTTP/1.1 200 OK\r\n\r\n"),
    "lone LF": says(b"250 2.0.0 Ok\n"),
    "two codes": says(b"250-2.0.0 Ok\r\n550 5.7.1 no\r\n"),
    "a line without end": repeats(b"250 " + b"x" * 5000),
    "lines without end": repeats(ENDLESS),
    "hangs up": hangs_up,
    "half a reply": half_a_reply,
    "354": says(b"354 go on\r\n"),
    "1xx": says(b"150 wait\r\n"),
}


@pytest.mark.parametrize("how", ODD)
@pytest.mark.parametrize(
    ("phase", "seen"),
    [(b"", NO_NEXT_HOP), (b"EHLO", NO_NEXT_HOP), (b"MAIL", NO_NEXT_HOP), (b"RCPT", LOST), (b".", LOST)],
)
async def test_no_oddity_loses_or_doubles_a_mail(phase: bytes, seen: str, how: str) -> None:
    """451, nothing held for ever, one attempt; and the next mail passes."""
    async with running(Hop(misbehave={phase: ODD[how]})) as hop:
        keys = {"address": hop.address, "max_connections": 1}
        async with open_house(next_hop=keys) as house, house.dialog() as talk:
            await talk.greeted()
            said = await talk.envelope()
            if phase == b".":
                assert await talk.data(b"x\r\n") == seen
                # The dot was out: it may have been taken, and is not sent again.
                assert [is_unknown for _, _, is_unknown in house.gate.failures] == [True]
            else:
                assert said[1 if phase == b"RCPT" else 0] == seen
            assert hop.connections == 1
            assert hop.verbs().count(b"DATA") == (1 if phase == b"." else 0)
            assert len(house.errors) == 1
            hop.misbehave.clear()
            await talk.ask("RSET")
            await talk.envelope()
            assert (await talk.data(b"x\r\n")).startswith("250 ")
            assert len(hop.taken) == 1


async def test_a_next_hop_that_leaves_in_the_middle_of_the_message() -> None:
    async def leave(talk: Talk) -> None:
        talk.say("354 Go ahead")
        await talk.reader.readexactly(100_000)
        cast(asyncio.Transport, talk.writer.transport).abort()

    async with (
        running(Hop(misbehave={b"DATA": leave})) as hop,
        open_house(next_hop={"address": hop.address}) as house,
        house.dialog() as talk,
    ):
        await talk.greeted()
        await talk.envelope()
        assert await talk.data((b"x" * 998 + b"\r\n") * 10_000) == LOST
        # The end had not been sent: nobody has the mail, and whoever tries again makes no second copy.
        assert [is_unknown for _, _, is_unknown in house.gate.failures] == [False]
        assert hop.connections == 1
        assert hop.taken == []


async def test_a_second_answer_to_the_dot_is_no_answer_to_the_next_mail() -> None:
    async def twice(talk: Talk) -> None:
        del hop.misbehave[b"."]
        talk.say("250 2.0.0 Ok", "250 2.0.0 Ok")

    async with (
        running(Hop(misbehave={b".": twice})) as hop,
        open_house(next_hop={"address": hop.address}) as house,
        house.dialog() as talk,
    ):
        await talk.greeted()
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        hop.replies[b"MAIL"] = "550 5.7.1 not you"
        assert (await talk.envelope())[0] == "550 5.7.1 not you"
        assert hop.connections == 2


# --- what the next hop cannot do --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameter", ["SMTPUTF8", "BODY=8BITMIME", "REQUIRETLS", "MT-PRIORITY=3", "RET=HDRS ENVID=Ab+2B"]
)
async def test_what_it_cannot_do_it_refuses_itself(parameter: str) -> None:
    """MAIL-PATH 4a: verbatim whatever was offered; nothing is downgraded, and its answer is the client's."""
    async with (
        running(Hop(extensions=(), replies={b"MAIL": "555 5.5.4 Unsupported option"})) as hop,
        open_house(next_hop={"address": hop.address}) as house,
        house.dialog() as talk,
    ):
        await talk.greeted()
        assert await talk.ask(f"MAIL FROM:<A@Example.com> {parameter}") == "555 5.5.4 Unsupported option"
        assert hop.heard[-1] == b"MAIL FROM:<A@Example.com> " + parameter.encode()


async def test_without_extensions_the_mail_goes_out_as_it_came() -> None:
    """Eight bits, long lines, addresses and parameters to the letter."""
    async with (
        running(Hop(extensions=())) as hop,
        open_house(next_hop={"address": hop.address}) as house,
        house.dialog() as talk,
    ):
        await talk.greeted()
        lines = ("MAIL FROM:<A+b@Example.COM> BODY=8BITMIME RET=HDRS ENVID=QQ+3Dx", 'RCPT TO:<"C D"@EXAMPLE.org>')
        for line in (lines[0], lines[1] + " NOTIFY=SUCCESS,Failure ORCPT=rfc822;C+20D@EXAMPLE.org"):
            assert (await talk.ask(line)).startswith("250 ")
            assert hop.heard[-1] == line.encode()
        raw = "标题: x\r\n\r\n".encode() + b"\xff" * 5000 + b"\r\n..\r\n"
        assert (await talk.data(raw)).startswith("250 ")
        assert [mail.raw for mail in hop.taken] == [raw.replace(b"\r\n..", b"\r\n.")]


@pytest.mark.parametrize("phase", [b"", b"EHLO", b"MAIL", b"DATA", b"."])
async def test_no_phase_outlasts_what_postfix_waits(phase: bytes) -> None:
    """smtpd_proxy_timeout is 100 s; with the limits as they are, each command is answered within 85."""
    async with running(Hop(misbehave={phase: is_silent})) as hop:
        hop_keys = {"address": hop.address, "connect_timeout_s": NextHopConfig().connect_timeout_s}
        async with open_house(next_hop=hop_keys) as house, house.dialog() as talk:
            await talk.greeted()

            async def converse() -> str:
                said = await talk.envelope()
                return await talk.data(b"x\r\n") if said[0].startswith("250") else said[0]

            answer = asyncio.create_task(converse())
            await soon(lambda: hop.connections if phase == b"" else phase == b"." or phase in hop.verbs())
            if phase == b".":
                await soon(lambda: house.gate.intakes and hop.verbs()[-1] == b"DATA")
                await soon(lambda: house.connection.is_past_dot)
            await settled()
            await turn(85)
            assert await answer in {NO_NEXT_HOP, LOST}


# --- whom it is told it speaks with -----------------------------------------------------------------------------------

OFFERED = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"


async def test_the_client_of_a_trusted_peer_is_the_next_hops_client() -> None:
    async with running(Hop(xclient=OFFERED)) as hop:
        keys = {"address": hop.address, "xclient": True}
        listener = {"attribution": "xclient"}
        async with open_house(next_hop=keys, listener=listener) as house, house.dialog() as talk:
            await talk.greeted("EHLO proxy.example")
            said = "NAME=h.example ADDR=IPV6:2001:db8::7 PORT=4711 LOGIN=a+20b+40example.com"
            await talk.ask(f"XCLIENT {said} DESTADDR=192.0.2.1 DESTPORT=587")
            await talk.ask("EHLO laptop")
            await talk.envelope()
            assert (await talk.data(b"x\r\n")).startswith("250 ")
            (mail,) = hop.taken
            assert mail.helo == b"laptop"
            assert mail.who == {
                b"NAME": b"h.example",
                b"ADDR": b"IPV6:2001:db8::7",
                b"PORT": b"4711",
                b"PROTO": b"ESMTP",
                b"HELO": b"laptop",
                b"LOGIN": b"a+20b@example.com",
                b"DESTADDR": b"192.0.2.1",
                b"DESTPORT": b"587",
            }


async def test_a_client_of_our_own_is_told_with_our_own_port_and_without_login() -> None:
    async with (
        running(Hop(xclient=OFFERED)) as hop,
        open_house(next_hop={"address": hop.address, "xclient": True}) as house,
        house.dialog() as talk,
    ):
        await talk.greeted("EHLO client.example")
        await talk.envelope()
        assert (await talk.data(b"x\r\n")).startswith("250 ")
        (mail,) = hop.taken
        mine = talk.writer.get_extra_info("sockname")[1]
        assert (mail.who[b"ADDR"], mail.who[b"PORT"]) == (b"127.0.0.1", str(mine).encode())
        assert mail.who[b"LOGIN"] == b"[UNAVAILABLE]"
        assert (mail.who[b"DESTADDR"], mail.who[b"DESTPORT"]) == (b"127.0.0.1", str(house.port).encode())


async def test_by_xforward_nobody_is_told_who_logged_in() -> None:
    async with running(Hop(extensions=("XFORWARD NAME ADDR LOGIN DESTADDR",))) as hop:
        listener = {"attribution": "xclient"}
        async with open_house(next_hop={"address": hop.address}, listener=listener) as house, house.dialog() as talk:
            await talk.greeted()
            await talk.ask("XCLIENT ADDR=192.0.2.7 LOGIN=alice@example.com")
            await talk.ask("EHLO laptop")
            await talk.envelope()
            assert b"XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.7" in hop.heard
