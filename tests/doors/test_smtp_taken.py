"""What the door counts of refused recipients, and what it tells of mail that waits in the next hop's place."""

from __future__ import annotations

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
    gate = FakeGate(reply=Reply(code=250, enhanced="2.0.0", text="Ok: queued as 4AB"), is_plain=True)
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope("<s@example.com>", "<a@example.org>")
        await talk.ask("DATA")
        await talk.send(b"x\r\n.\r\n")
        said = await talk.reply()
        assert said.startswith("250 2.0.0 from MTA(")
        assert said.endswith("250 2.0.0 Ok: queued as 4AB")
        assert not house.raws
