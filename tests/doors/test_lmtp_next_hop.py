"""A next hop that speaks LMTP behind both doors: nobody's mail is lost, and nobody gets it twice (RFC 2033)."""

from __future__ import annotations

import pytest

from filterd.config import Config
from tests.dialogs.client import Dialog
from tests.dialogs.house import open_house
from tests.kit.hop import Hop, Talk, running

pytestmark = pytest.mark.turned

LOST = "451 4.4.2 Connection to the next hop lost, try again later"
ONE_AT_A_TIME = "452 4.5.3 Too many recipients"
DOTS = {b"b@example.org": "451 4.2.0 Mailbox locked", b"c@example.org": "552 5.2.2 Mailbox full"}
NAMES = ("<a@example.org>", "<b@example.org>", "<c@example.org>", "<d@example.org>")


async def replies_to_dot(talk: Dialog, count: int) -> list[str]:
    first = await talk.data(b"x\r\n")
    return [first, *[await talk.reply() for _ in range(count - 1)]]


async def test_each_answer_goes_to_whom_it_is_about() -> None:
    async with running(Hop(is_lmtp=True, dots=DOTS)) as hop:
        keys = {"address": hop.address, "protocol": "lmtp"}
        async with open_house(listener={"protocol": "lmtp"}, next_hop=keys) as house, house.dialog() as talk:
            await talk.greeted("LHLO x")
            assert [line[:3] for line in await talk.envelope("<>", *NAMES)] == ["250"] * 5
            taken = f"250 2.0.0 from MTA(lmtp:[127.0.0.1]:{hop.address.rpartition(':')[2]}): 250 2.0.0 Ok"
            assert await replies_to_dot(talk, 4) == [taken, DOTS[b"b@example.org"], DOTS[b"c@example.org"], taken]
            assert [mail.rcpt for mail in hop.taken] == [b"a@example.org", b"d@example.org"]
            # One outcome a message, and the full mailbox is a refused recipient.
            assert [(reply.code, refused) for _, reply, refused in house.gate.deliveries] == [(250, 1)]
            # A client that tries the one again doubles nothing.
            hop.dots = {}
            await talk.envelope("<>", "<b@example.org>")
            assert await replies_to_dot(talk, 1) == [taken]
            assert sorted(mail.rcpt for mail in hop.taken) == [b"a@example.org", b"b@example.org", b"d@example.org"]


async def test_when_nobody_is_served_it_is_a_refusal() -> None:
    async with running(Hop(is_lmtp=True, dots=DOTS)) as hop:
        keys = {"address": hop.address, "protocol": "lmtp"}
        async with open_house(listener={"protocol": "lmtp"}, next_hop=keys) as house, house.dialog() as talk:
            await talk.greeted("LHLO x")
            await talk.envelope("<>", *NAMES[1:3])
            assert await replies_to_dot(talk, 2) == list(DOTS.values())
            assert [(reply.code, refused) for _, reply, refused in house.gate.deliveries] == [(451, 0)]


async def test_a_break_among_the_answers() -> None:
    async def two_of_four(talk: Talk) -> None:
        talk.say("250 2.0.0 Ok", "552 5.2.2 Mailbox full")
        talk.writer.close()

    async with running(Hop(is_lmtp=True, misbehave={b".": two_of_four})) as hop:
        keys = {"address": hop.address, "protocol": "lmtp"}
        async with open_house(listener={"protocol": "lmtp"}, next_hop=keys) as house, house.dialog() as talk:
            await talk.greeted("LHLO x")
            await talk.envelope("<>", *NAMES)
            said = await replies_to_dot(talk, 4)
            assert said[0].startswith("250 2.0.0 from MTA(")
            assert said[1:] == ["552 5.2.2 Mailbox full", LOST, LOST]
            assert [is_unknown for _, _, is_unknown in house.gate.failures] == [True]
            assert house.gate.deliveries == []
            assert hop.connections == 1


async def test_smtp_takes_one_recipient_at_a_time() -> None:
    """One answer for all would be a lie to somebody: the mail would come twice, or not at all."""
    async with running(Hop(is_lmtp=True, dots=DOTS)) as hop:
        keys = {"address": hop.address, "protocol": "lmtp"}
        async with open_house(next_hop=keys) as house, house.dialog() as talk:
            await talk.greeted()
            said = []
            left = list(NAMES)
            while left:
                replies = await talk.envelope("<>", *left)
                assert [line[:3] for line in replies[:2]] == ["250", "250"]
                assert replies[2:] == [ONE_AT_A_TIME] * (len(left) - 1)
                said.append((await talk.data(b"x\r\n"))[:3])
                left.pop(0)
            assert said == ["250", "451", "552", "250"]
            assert [mail.rcpt for mail in hop.taken] == [b"a@example.org", b"d@example.org"]
            assert [len(intake.envelope.forward_paths) for intake in house.gate.intakes] == [1] * 4


async def test_a_refused_recipient_leaves_the_place_to_the_next() -> None:
    async with running(Hop(is_lmtp=True, replies={b"RCPT": "550 5.1.1 No such mailbox"})) as hop:
        keys = {"address": hop.address, "protocol": "lmtp"}
        async with open_house(next_hop=keys) as house, house.dialog() as talk:
            await talk.greeted()
            assert (await talk.envelope("<>", *NAMES))[1:] == ["550 5.1.1 No such mailbox"] * 4
            hop.replies.clear()
            assert await talk.ask("RCPT TO:<a@example.org>") == "250 2.1.5 Ok"


def test_all_or_none_cannot_be_one_at_a_time() -> None:
    hop = {"address": "127.0.0.1:2525", "protocol": "lmtp"}
    with pytest.raises(ValueError, match="selective_rcpt"):
        Config.model_validate({"next_hop": hop, "listener": [{"selective_rcpt": False}]})
    Config.model_validate({"next_hop": hop, "listener": [{"selective_rcpt": False, "protocol": "lmtp"}]})
