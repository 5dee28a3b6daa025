"""Chasquid's dialogues and fuzz seeds (conformance/smtp-dialogues): the class of each answer, no crash, no hang.

Chasquid's exact codes are its own choice; what must hold for us is that we refuse where it refuses and deliver where it
accepts, at every door, and that what is let through reaches the next hop as well-formed commands. Where we differ on
purpose, smtp_dialogues_deviations.toml says so and why; no case is edited, and a row that no longer holds fails.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from filterd.config import MilterConfig, PolicyConfig, SocketmapConfig
from filterd.doors.milter import start_milter
from filterd.doors.policyd import start_policyd
from filterd.doors.smtp_reader import ClientReader
from filterd.doors.socketmap import start_socketmap
from tests.conformance.ways import WAYS, Way
from tests.conftest import find_data
from tests.dialogs.client import Dialog
from tests.dialogs.house import FakeGate, House
from tests.doors.test_socketmap import Accounts
from tests.kit import mta as mta_kit
from tests.kit.loops import turn
from tests.kit.waiting import soon

pytestmark = [pytest.mark.data, pytest.mark.slow]

REFUSALS = ("4", "5")
# STARTTLS has its own dialogues; these three begin with a greeting in clear text.
PLAIN_WAYS = [way for way in WAYS if not way.is_tls]
# Chasquid's limit in this suite.
LIMITS = {"max_message_bytes": 1 << 20}
# What a next hop may hear from us, whatever a client says (RFC 5321 §4.1.1; the suite uses no parameters).
COMMAND = re.compile(
    rb"(EHLO|HELO) [!-~]+|MAIL FROM:<[!-~]*>|RCPT TO:<[!-~]+>|DATA|RSET|QUIT|NOOP|XFORWARD( [A-Z]+=[!-~]+)+"
)
HAUNTED = (
    b"From: Mailer daemon <somewhere@horns.com>\r\nSubject: I've come to haunt you\r\n\r\n"
    b"Muahahahaha\r\n\r\n.x\r\n\r\n.\r\n\r\nThis is stuffy.\r\n\r\n"
)


def suite(name: str) -> list[dict[str, Any]]:
    folder = find_data()
    if folder is None:
        return [{"id": "none", "steps": [], "session": ""}]
    return json.loads(Path(folder, f"conformance/smtp-dialogues/{name}.json").read_text())


def deviations(table: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("smtp_dialogues_deviations.toml").read_text())[table]


DIALOGUES = suite("dialogues")
SEEDS = suite("fuzz-seeds")
by_way = pytest.mark.parametrize("way", PLAIN_WAYS, ids=lambda way: way.name)
by_dialogue = pytest.mark.parametrize("dialogue", DIALOGUES, ids=[d["id"] for d in DIALOGUES])
by_seed = pytest.mark.parametrize("seed", SEEDS, ids=[s["id"] for s in SEEDS])


def test_the_suite_is_whole(data_dir: Path) -> None:
    assert (len(DIALOGUES), len(SEEDS)) == (17, 11)
    names = {dialogue["id"] for dialogue in DIALOGUES}
    assert {*deviations("answers"), *deviations("milter")} <= names


@by_dialogue
@by_way
async def test_a_dialogue(data_dir: Path, tmp_path: Path, way: Way, dialogue: dict[str, Any]) -> None:
    async with way.open(tmp_path, listener=LIMITS) as house:
        differences = await Runner(house, way, dialogue).run()
        assert not house.errors
        assert differences == deviations("answers").get(dialogue["id"], {}).get("ours", {})
        assert [line for line in house.sink.commands if not COMMAND.fullmatch(line)] == []
        assert [intake.raw for intake in house.gate.intakes] == house.raws
        if dialogue["id"] == "data_dot_stuffing":
            assert house.raws == [HAUNTED]
        if dialogue["id"] == "sendmail":
            assert len(house.raws) == 1


@by_dialogue
async def test_a_milter_is_given_the_same_message(data_dir: Path, tmp_path: Path, dialogue: dict[str, Any]) -> None:
    """What the proxy judges and what the milter judges, where an MTA takes the dialogue, are the same octets."""
    async with WAYS[0].open(tmp_path, listener=LIMITS) as house:
        await Runner(house, WAYS[0], dialogue).run()
        mails = house.raws
    gate = FakeGate()
    config = MilterConfig.model_validate({"address": "inet:127.0.0.1:0"})
    server = await start_milter(config, gate, on_error=lambda *_: None)
    try:
        for raw in mails:
            mta = await mta_kit.connect(server.port)
            await mta.connect()
            await mta.helo()
            await mta.mail(b"<>")
            await mta.rcpt(b"<user@testserver>")
            assert await mta.message(raw) == [(b"a", b"")]
            mta.close()
    finally:
        await server.drain(1)
    is_same = [intake.raw for intake in gate.intakes] == mails
    assert is_same == (dialogue["id"] not in deviations("milter"))


class Runner:
    """Plays the client of one dialogue; `run` says where the class of an answer is another than chasquid's."""

    def __init__(self, house: House, way: Way, dialogue: dict[str, Any]) -> None:
        self.house, self.way, self.steps = house, way, dialogue["steps"]
        self.differences: dict[str, str] = {}
        self.talk: Dialog | None = None

    async def run(self) -> dict[str, str]:
        for step in self.steps:
            ((kind, value),) = [(k, v) for k, v in step.items() if k != "tls"]
            match kind:
                case "connect":
                    await self.close()
                    self.talk = await self.house.dialog().__aenter__()
                    await self.talk.send(self.way.before)
                case "close":
                    await self.close()
                case "send_line":
                    await self.talk.send(spoken(value, self.way).encode() + b"\r\n")
                case "send_raw_hex":
                    await self.talk.send(bytes.fromhex(value))
                case "send_raw_repeat":
                    await self.talk.send(value["unit"].encode() * value["times"])
                case "read_until":
                    # The last line of EHLO; chasquid's is HELP.
                    assert (await self.talk.reply()).startswith("250")
                case "expect_prefix" | "expect_exact":
                    self.compare(value, await self.talk.reply())
                case _:
                    assert kind == "note", kind
        await self.close()
        return self.differences

    async def close(self) -> None:
        if self.talk is not None:
            await self.talk.__aexit__(None, None, None)
            self.talk = None

    def compare(self, expected: str, said: str) -> None:
        wanted = REFUSALS if expected[0] in REFUSALS else (expected[0],)
        if said[:1] not in wanted:
            self.differences[expected] = said[:1]


def spoken(line: str, way: Way) -> str:
    """LMTP has a hello of its own (RFC 2033 §4.1)."""
    return re.sub(r"^(EHLO|HELO)\b", way.hello, line) if way.hello != "EHLO" else line


@pytest.mark.turned
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@by_seed
@by_way
async def test_a_fuzz_seed_neither_crashes_nor_hangs_nor_smuggles(
    data_dir: Path, tmp_path: Path, way: Way, seed: dict[str, Any], line_end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = b"".join(spoken(line, way).encode() + line_end for line in seed["session"].splitlines())
    fed = 0

    def feed_data(reader: ClientReader, data: bytes) -> None:
        nonlocal fed
        fed += len(data)
        true(reader, data)

    true = ClientReader.feed_data
    monkeypatch.setattr(ClientReader, "feed_data", feed_data)
    async with way.open(tmp_path, listener={"command_timeout_s": 100, "data_timeout_s": 100}) as house:
        async with house.dialog() as talk:
            await talk.send(way.before + octets)
            # All has been heard and done, or nobody listens any more.
            await soon(lambda: fed and house.is_waiting and (fed == len(octets) or not house.server.connections))
            await turn(100)
            said = await all_of(talk)
            assert all(line[:1] in b"2345" for line in said.split(b"\r\n") if line)
            assert len(house.raws) <= octets.count(b".\r\n")
        async with house.dialog() as talk:
            await way.ready(talk, "<a@example.com>", "<b@example.org>")
            await talk.send(b"still here\r\n.\r\n")
            assert (await talk.reply()).startswith("250 ")
        assert not house.errors


@by_seed
async def test_a_fuzz_seed_is_no_word_of_another_protocol(data_dir: Path, seed: dict[str, Any]) -> None:
    """SMTP at the milter, the policy service, the socketmap: closed without an answer, and the next one is served."""
    errors: list[BaseException] = []
    gate, octets = FakeGate(), seed["session"].encode().replace(b"\n", b"\r\n") + b"\r\n\n\n"

    def on_error(_: str, err: BaseException) -> None:
        errors.append(err)

    doors = (
        await start_milter(MilterConfig.model_validate({"address": "inet:127.0.0.1:0"}), gate, on_error=on_error),
        await start_policyd(PolicyConfig.model_validate({"port": 0}), gate, on_error=on_error),
        await start_socketmap(SocketmapConfig(port=0), Accounts(), on_error=on_error),
    )
    try:
        for number, door in enumerate(doors, 1):
            async with Dialog(door.port) as talk:
                await talk.send(octets)
                assert await all_of(talk) == b""
            assert len(errors) == number
        mta = await mta_kit.connect(doors[0].port)
        assert mta.agreed_version == 6
        mta.close()
    finally:
        for door in doors:
            await door.drain(1)
    assert gate.intakes == []


async def all_of(talk: Dialog) -> bytes:
    try:
        return await talk.reader.read(-1)
    except ConnectionResetError:
        return b""
