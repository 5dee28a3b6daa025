"""SMTP smuggling, in by every door and out to the next hop (conformance/smtp-smuggling, FAULTS row 29).

In: false ends of data end nothing. Out: nothing we hand on holds a stray CR or LF, and a next hop that believes in a
false end finds none; what cannot be helped there stands in smtp_smuggling_deviations.toml with its reason. What was
judged is what is handed on; there is one Intake, so what is kept as evidence or held is the same.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from filterd.config import MilterConfig
from filterd.doors.milter import start_milter
from tests.conformance.ways import WAYS, LenientHop, Way
from tests.conftest import find_data
from tests.dialogs.house import FakeGate, House
from tests.kit import mta as mta_kit

pytestmark = [pytest.mark.data, pytest.mark.slow]

SENDER, RCPT = "<a@outer.example>", "<b@outer.example>"
ENVELOPE = (b"FROM:<a@outer.example>", (b"TO:<b@outer.example>",))
STRAY = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def suite() -> dict[str, Any]:
    folder = find_data()
    if folder is None:
        return {"template": {}, "terminators": [{"id": "none"}], "also": []}
    return json.loads(Path(folder, "conformance/smtp-smuggling/payloads.json").read_text())


def deviations() -> dict[str, str]:
    table = tomllib.loads(Path(__file__).with_name("smtp_smuggling_deviations.toml").read_text())
    return {name: row["why"] for name, row in table["lenient_next_hop"].items()}


def template() -> tuple[bytes, bytes, bytes]:
    texts = suite()["template"]
    return texts["before"].encode(), texts["after"].encode(), texts["real_end"].encode()


TERMINATORS = suite()["terminators"]
by_terminator = pytest.mark.parametrize("terminator", TERMINATORS, ids=[t["id"] for t in TERMINATORS])
by_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)


def sequence(terminator: dict[str, str]) -> bytes:
    seq = bytes.fromhex(terminator["hex"])
    assert seq == terminator["seq"].encode("latin-1")
    return seq


def check_outgoing(house: House) -> None:
    """Whatever we hand on holds no stray CR or LF, and is what was scanned."""
    for message in house.sink.messages:
        assert (message.mail, message.rcpts) == ENVELOPE
        assert not STRAY.search(message.raw)
    assert [intake.raw for intake in house.gate.intakes] == house.raws


def test_the_suite_is_whole(data_dir: Path) -> None:
    assert len(TERMINATORS) == 10
    assert [case["id"] for case in suite()["also"]] == ["pipelining"]


@by_terminator
@by_way
@pytest.mark.parametrize("pieces", ["one write", "cut at the sequence", "octet by octet"])
async def test_only_the_real_end_ends_the_message(
    data_dir: Path, tmp_path: Path, way: Way, terminator: dict[str, str], pieces: str
) -> None:
    before, after, end = template()
    seq = sequence(terminator)
    async with way.open(tmp_path) as house, house.dialog() as talk:
        await way.ready(talk, SENDER, RCPT)
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
        assert not house.errors


@by_way
async def test_a_second_transaction_behind_the_real_end_is_a_second_transaction(
    data_dir: Path, tmp_path: Path, way: Way
) -> None:
    before, after, end = template()
    async with way.open(tmp_path) as house, house.dialog() as talk:
        await way.ready(talk, SENDER, RCPT)
        # Its DATA comes with content before 354, which is content all the same: the command succeeds.
        await talk.send(before + end + after + end)
        codes = [(await talk.reply())[:3] for _ in range(5)]
        assert codes == ["250", "250", "250", "354", "250"]
        assert [(m.mail, m.rcpts) for m in house.sink.messages] == [
            ENVELOPE,
            (b"FROM:<forged@b.example>", (b"TO:<victim@b.example>",)),
        ]


@by_terminator
async def test_for_a_milter_it_is_one_message(data_dir: Path, terminator: dict[str, str]) -> None:
    """The MTA has ended the message before we see it: whatever stands in a body is body, and is not touched."""
    before, after, _ = template()
    raw = before + sequence(terminator) + after + b"\r\n"
    gate = FakeGate()
    server = await start_milter(
        MilterConfig.model_validate({"address": "inet:127.0.0.1:0"}), gate, on_error=lambda *_: None
    )
    try:
        for chunk in (65_535, 1):
            mta = await mta_kit.connect(server.port)
            await mta.connect()
            await mta.helo()
            await mta.mail(SENDER.encode())
            await mta.rcpt(RCPT.encode())
            # An accept without any edit: the MTA keeps its own octets.
            assert await mta.message(raw, chunk=chunk) == [(b"a", b"")]
            mta.close()
    finally:
        await server.drain(1)
    first, second = gate.intakes
    assert first.raw == second.raw
    assert not STRAY.search(first.raw)
    assert b"smuggled body" in first.raw
    assert [f.path.address for f in first.envelope.forward_paths] == ["b@outer.example"]


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
async def test_a_lenient_next_hop_finds_no_false_end(data_dir: Path, tmp_path: Path, protocol: str) -> None:
    """Each hop believes in one false end; it must see one message and one envelope all the same."""
    before, after, end = template()
    fooled: set[str] = set()
    for terminator in TERMINATORS:
        seq = sequence(terminator)
        async with (
            LenientHop(seq).listening() as hop,
            WAYS[0].open(tmp_path, next_hop={"address": f"127.0.0.1:{hop.port}", "protocol": protocol}) as house,
            house.dialog() as talk,
        ):
            await WAYS[0].ready(talk, SENDER, RCPT)
            await talk.send(before + seq + after + end)
            # A hop that is fooled answers the smuggled commands as well, and the relay reads the first of it.
            await talk.reply()
            async with asyncio.timeout(60):
                while not hop.messages:
                    await asyncio.sleep(0)
            envelope, content = hop.messages[0]
            assert envelope == (b"MAIL " + ENVELOPE[0], b"RCPT " + ENVELOPE[1][0])
            if b"smuggled body" not in content:
                fooled.add(terminator["id"])
    assert fooled == set(deviations())


async def test_a_lenient_next_hop_of_the_tests_is_one(data_dir: Path) -> None:
    """Without us it is fooled: the test above can fail."""
    before, after, end = template()
    for terminator in TERMINATORS:
        async with LenientHop(sequence(terminator)).listening() as hop:
            reader, writer = await asyncio.open_connection("127.0.0.1", hop.port)
            writer.write(b"MAIL FROM:<a@b.example>\r\nDATA\r\n" + before + sequence(terminator) + after + end)
            writer.write(b"QUIT\r\n")
            replies = b""
            while b"221" not in replies:
                octets = await reader.read(1024)
                assert octets
                replies += octets
            writer.close()
        assert len(hop.messages) == 2, terminator["id"]
        assert hop.messages[1][0][0] == b"MAIL FROM:<forged@b.example>"
