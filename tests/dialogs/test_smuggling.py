"""SMTP smuggling, in and out: false ends of data (conformance/smtp-smuggling, FAULTS row 29)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import find_data
from tests.dialogs.house import House, open_house

pytestmark = pytest.mark.data

ENVELOPE = (b"FROM:<a@outer.example>", (b"TO:<b@outer.example>",))


def suite() -> dict[str, Any]:
    folder = find_data()
    if folder is None:
        return {"template": {}, "terminators": [{"id": "none"}], "also": []}
    return json.loads(Path(folder, "conformance/smtp-smuggling/payloads.json").read_text())


TERMINATORS = suite()["terminators"]


def check_outgoing(house: House) -> None:
    """Whatever we hand on holds no stray CR or LF, and is what was scanned."""
    for message in house.sink.messages:
        assert (message.mail, message.rcpts) == ENVELOPE
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", message.raw)
    assert [i.raw for i in house.gate.intakes] == house.raws


@pytest.mark.parametrize("terminator", TERMINATORS, ids=[t["id"] for t in TERMINATORS])
@pytest.mark.parametrize("pieces", ["one write", "cut at the sequence", "octet by octet"])
async def test_only_the_real_end_ends_the_message(data_dir: Path, terminator: dict[str, str], pieces: str) -> None:
    template = suite()["template"]
    seq = bytes.fromhex(terminator["hex"])
    assert seq == terminator["seq"].encode("latin-1")
    before, after, end = (template[part].encode() for part in ("before", "after", "real_end"))
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope("<a@outer.example>", "<b@outer.example>")
        await talk.ask("DATA")
        match pieces:
            case "one write":
                await talk.send(before + seq + after + end)
            case "cut at the sequence":
                for part in (before, seq, after, end):
                    await talk.send(part)
                    assert not house.sink.messages
            case "octet by octet":
                await talk.send(before)
                for octet in seq:
                    await talk.send(bytes((octet,)))
                await talk.send(after)
                for octet in end:
                    await talk.send(bytes((octet,)))
        assert re.match(r"[245]\d\d ", await talk.reply())
        # One reply and not more: nothing inside was a command.
        assert await talk.ask("QUIT") == "221 2.0.0 Bye"
        assert await talk.ended()
        assert len(house.sink.messages) == 1
        assert b"smuggled body" in house.raws[0]
        check_outgoing(house)


async def test_a_second_transaction_behind_the_real_end_is_a_second_transaction(data_dir: Path) -> None:
    template = suite()["template"]
    before, after, end = (template[part].encode() for part in ("before", "after", "real_end"))
    async with open_house() as house, house.dialog() as talk:
        await talk.greeted()
        await talk.envelope("<a@outer.example>", "<b@outer.example>")
        await talk.ask("DATA")
        # Its DATA comes with content before 354, which is content all the same: the command succeeds.
        await talk.send(before + end + after + end)
        codes = [(await talk.reply())[:3] for _ in range(5)]
        assert codes == ["250", "250", "250", "354", "250"]
        assert [(m.mail, m.rcpts) for m in house.sink.messages] == [
            ENVELOPE,
            (b"FROM:<forged@b.example>", (b"TO:<victim@b.example>",)),
        ]
