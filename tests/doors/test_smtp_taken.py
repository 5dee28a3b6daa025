"""What the door counts of refused recipients, and what it tells of mail that waits in the next hop's place."""

from __future__ import annotations

import re

from filterd.clients.sink import SinkScript
from filterd.model.reply import Reply
from tests.dialogs.house import FakeGate, open_house


async def test_of_what_the_next_hop_refuses_what_does_not_exist_is_counted_apart() -> None:
    script = SinkScript(recipients={b"none@example.org": "550 5.1.1 no", b"shut@example.org": "550 5.7.1 not for you"})
    async with open_house(script=script) as house, house.dialog() as talk:
        await talk.greeted()
        names = (f"<{name}@example.org>" for name in ("none", "shut", "a"))
        await talk.envelope("<s@example.com>", *names)
        assert (await talk.ask("DATA"))[:3] == "354"
        await talk.send(b"x\r\n.\r\n")
        assert (await talk.reply())[:3] == "250"
        (intake,) = house.gate.intakes
        assert (intake.unknown_recipients, intake.bad_addresses) == (2, 1)


async def test_what_is_taken_in_the_next_hops_place_is_told_as_the_next_hop_would() -> None:
    gate = FakeGate()
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()

        async def sends() -> str:
            await talk.envelope("<s@example.com>", "<a@example.org>")
            await talk.ask("DATA")
            await talk.send(b"x\r\n.\r\n")
            return await talk.reply()

        def shape(said: str) -> str:
            return re.sub(r"[0-9A-Z]{6,}", "ID", said)

        # Before a word of the next hop was heard they are Postfix's; afterwards they are its own.
        gate.reply, gate.is_plain = Reply(code=250, enhanced="2.0.0", text="Ok"), True
        assert shape(await sends()).endswith("250 2.0.0 Ok: queued as ID")
        assert not house.raws
        gate.reply, gate.is_plain = None, False
        relayed = await sends()
        gate.reply, gate.is_plain = Reply(code=250, enhanced="2.0.0", text="Ok"), True
        taken = [await sends() for _ in range(3)]
        assert {shape(said) for said in taken} == {shape(relayed)}
        assert len({relayed, *taken}) == 4
        # The gate hears of each what it hears of mail that was handed on.
        assert [(reply.code, refused) for _, reply, refused in gate.deliveries] == [(250, 0)] * 5
        assert taken[-1].endswith(gate.deliveries[-1][1].text)
        assert len(house.raws) == 1
