"""The SMTP door as its clients see it: greeting, EHLO, replies, and one mail through to the next hop."""

from __future__ import annotations

from tests.dialogs.house import open_house


async def test_a_mail_goes_through_and_the_reply_is_the_next_hops() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        assert await talk.envelope() == ["250 2.1.0 Ok", "250 2.1.5 Ok"]
        port = house.sink.address.rpartition(":")[2]
        assert await talk.data(b"Subject: x\r\n\r\nbody\r\n") == (
            f"250 2.0.0 from MTA(smtp:[127.0.0.1]:{port}): 250 2.0.0 Ok: queued as 000001"
        )
        assert house.raws == [b"Subject: x\r\n\r\nbody\r\n"]
        assert [(t, r.code, n) for t, r, n in house.gate.deliveries] == [("t_1", 250, 0)]
        assert await talk.ask("QUIT") == "221 2.0.0 Bye"
        assert await talk.ended()
        assert house.errors == []
