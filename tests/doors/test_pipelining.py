"""PIPELINING (RFC 2920): groups of commands in one packet or in any other number, answered one by one, in order."""

from __future__ import annotations

import pytest

from filterd.clients.sink import SinkScript
from filterd.doors.smtp_reader import ClientReader
from filterd.model.reply import Reply
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, open_house
from tests.kit.waiting import soon

pytestmark = pytest.mark.slow

GROUP = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<gone@example.org>\r\nDATA\r\n"
MAIL = b"Subject: x\r\n\r\n..dot\r\nRSET\r\n.\r\n"
NEXT = b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<c@example.org>\r\nRCPT TO:<d@example.org>\r\nDATA\r\n"
# What both get.
BOTH = ["250", "250", "550", "354", "250", "250", "250", "250", "250", "354", "250"]
GONE = SinkScript(recipients={b"gone@example.org": "550 5.1.1 no"})


async def codes(talk: Dialog, count: int) -> list[str]:
    return [(await talk.reply())[:3] for _ in range(count)]


async def test_two_transactions_in_groups() -> None:
    async with open_house(script=GONE) as house, house.dialog() as talk:
        assert "250-PIPELINING" in (await talk.greeted()).split("\n")
        await talk.send(GROUP)
        assert await codes(talk, 4) == ["250", "250", "550", "354"]
        # RFC 2920 §3.1: the next group may follow the end of data at once.
        await talk.send(MAIL + NEXT)
        assert await codes(talk, 6) == ["250", "250", "250", "250", "250", "354"]
        await talk.send(b"second\r\n.\r\nQUIT\r\n")
        assert await codes(talk, 2) == ["250", "221"]
        assert await talk.ended()
        assert house.raws == [b"Subject: x\r\n\r\n.dot\r\nRSET\r\n", b"second\r\n"]
        assert [len(m.rcpts) for m in house.sink.messages] == [1, 2]


class Packets:
    """Sends octets so that the door reads them apart from those before and after."""

    def __init__(self, talk: Dialog, monkeypatch: pytest.MonkeyPatch) -> None:
        self._talk, self._sent, self._read = talk, 0, 0
        true = ClientReader.feed_data

        def feed_data(reader: ClientReader, data: bytes) -> None:
            self._read += len(data)
            true(reader, data)

        monkeypatch.setattr(ClientReader, "feed_data", feed_data)

    async def send(self, octets: bytes) -> None:
        await self._talk.send(octets)
        self._sent += len(octets)
        await soon(lambda: self._read == self._sent)


async def test_wherever_the_packets_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same dialogue for each place: two packets, cut at every octet."""
    whole = GROUP + MAIL + NEXT + b"second\r\n.\r\n"
    async with open_house(script=GONE) as house, house.dialog() as talk:
        await talk.greeted()
        packets = Packets(talk, monkeypatch)
        for at in range(1, len(whole)):
            await packets.send(whole[:at])
            await packets.send(whole[at:])
            assert await codes(talk, 11) == BOTH
        assert len(house.gate.intakes) == 2 * (len(whole) - 1)
        assert set(house.raws) == {b"Subject: x\r\n\r\n.dot\r\nRSET\r\n", b"second\r\n"}
        assert not house.errors


@pytest.mark.parametrize("size", [1, 2, 7])
async def test_in_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = GROUP + MAIL + NEXT + b"second\r\n.\r\n"
    async with open_house(script=GONE) as house, house.dialog() as talk:
        await talk.greeted()
        packets = Packets(talk, monkeypatch)
        for start in range(0, len(whole), size):
            await packets.send(whole[start : start + size])
        assert await codes(talk, 11) == BOTH
        assert house.raws == [b"Subject: x\r\n\r\n.dot\r\nRSET\r\n", b"second\r\n"]


async def test_data_of_a_group_without_any_recipient_is_refused_and_the_session_goes_on() -> None:
    script = SinkScript(recipients={b"b@example.org": "550 5.1.1 no", b"gone@example.org": "450 4.2.0 busy"})
    async with open_house(script=script) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(GROUP)
        assert [await talk.reply() for _ in range(4)] == [
            "250 2.1.0 Ok",
            "550 5.1.1 no",
            "450 4.2.0 busy",
            "554 5.5.1 No valid recipients",
        ]
        # As Postfix's client goes on: RSET and the next mail, in one group.
        house.sink.script = SinkScript()
        await talk.send(NEXT)
        assert await codes(talk, 5) == ["250", "250", "250", "250", "354"]
        await talk.send(b"x\r\n.\r\n")
        assert await codes(talk, 1) == ["250"]
        assert house.raws == [b"x\r\n"]


async def test_standing_refuses_inside_a_group() -> None:
    gate = FakeGate(refusals={"b@example.org": Reply(code=550, enhanced="5.7.13", text="Account suspended")})
    async with open_house(gate=gate) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(GROUP)
        assert await codes(talk, 4) == ["250", "550", "250", "354"]
        await talk.send(b"x\r\n.\r\n")
        assert await codes(talk, 1) == ["250"]
        assert house.sink.messages[0].rcpts == (b"TO:<gone@example.org>",)


async def test_a_refused_mail_refuses_its_whole_group() -> None:
    script = SinkScript(replies={"mail": "450 4.1.8 who are you"})
    async with open_house(script=script) as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(GROUP)
        assert await codes(talk, 4) == ["450", "503", "503", "503"]
        house.sink.script = SinkScript()
        await talk.send(b"RSET\r\nMAIL FROM:<>\r\n" + NEXT)
        assert await codes(talk, 7) == ["250", "250", "250", "250", "250", "250", "354"]
        await talk.send(b"x\r\n.\r\n")
        assert await codes(talk, 1) == ["250"]
        assert len(house.sink.messages[0].rcpts) == 2


async def test_a_thousand_recipients_in_one_write() -> None:
    rcpts = b"".join(b"RCPT TO:<u%d@example.org>\r\n" % n for n in range(1001))
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.send(b"MAIL FROM:<>\r\n" + rcpts + b"DATA\r\n")
        said = await codes(talk, 1003)
        assert said == ["250"] * 1001 + ["452", "354"]
        await talk.send(b"x\r\n.\r\n")
        assert await codes(talk, 1) == ["250"]
        assert len(house.sink.messages[0].rcpts) == 1000


async def test_many_mails_on_one_connection() -> None:
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        group = b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
        await talk.send(group)
        assert await codes(talk, 3) == ["250", "250", "354"]
        for n in range(300):
            await talk.send(b"mail %d\r\n.\r\n" % n + group)
            assert await codes(talk, 4) == ["250", "250", "250", "354"]
        assert house.raws == [b"mail %d\r\n" % n for n in range(300)]
        assert house.server.connections == 1
