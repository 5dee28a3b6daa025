"""Chasquid's dialogues and fuzz seeds (conformance/smtp-dialogues): the class of each answer, no crash, no hang.

Chasquid's exact codes are its own choice; what must hold for us is that we refuse where it refuses and deliver where it
accepts. Where we differ on purpose, DEVIATIONS says so and why; no case is edited.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filterd.doors.smtp_reader import ClientReader
from tests.conftest import find_data
from tests.dialogs.client import Dialog
from tests.dialogs.house import House, open_house
from tests.kit.loops import turn
from tests.kit.waiting import soon

pytestmark = pytest.mark.data

NO_AUTH = "no AUTH and no TLS here: the MTA before us has both"
# Dialogue: (reason, what we say in place of the expectation that begins like the key).
DEVIATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "auth_multi_dialog": (NO_AUTH, {"334": "5", "235": "5"}),
    "auth_not_tls": (NO_AUTH, {}),
    "auth_too_many_failures": (NO_AUTH, {}),
    "bad_data": ("a bad header is for the checks to judge, not for the door", {"554": "2"}),
    "bad_data_dot": ("stray line ends are mended before anybody looks, as Postfix does by default", {"521": "2"}),
    "bad_data_dot_2": ("stray line ends are mended before anybody looks, as Postfix does by default", {"521": "2"}),
}
REFUSALS = ("4", "5")


def suite(name: str) -> list[dict[str, Any]]:
    folder = find_data()
    if folder is None:
        return [{"id": "none", "steps": [], "session": ""}]
    return json.loads(Path(folder, f"conformance/smtp-dialogues/{name}.json").read_text())


DIALOGUES = suite("dialogues")
SEEDS = suite("fuzz-seeds")


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=[d["id"] for d in DIALOGUES])
async def test_a_dialogue(data_dir: Path, dialogue: dict[str, Any]) -> None:
    # Chasquid's limit in this suite.
    async with open_house(listener={"max_message_bytes": 1 << 20}) as house:
        await Runner(house, dialogue).run()
        assert not house.errors
        if dialogue["id"] == "data_dot_stuffing":
            assert house.raws == [
                b"From: Mailer daemon <somewhere@horns.com>\r\nSubject: I've come to haunt you\r\n\r\n"
                b"Muahahahaha\r\n\r\n.x\r\n\r\n.\r\n\r\nThis is stuffy.\r\n\r\n"
            ]
        if dialogue["id"] == "sendmail":
            assert len(house.raws) == 1


class Runner:
    def __init__(self, house: House, dialogue: dict[str, Any]) -> None:
        self.house, self.steps = house, dialogue["steps"]
        self.deviations = DEVIATIONS.get(dialogue["id"], ("", {}))[1]
        self.talk: Dialog | None = None

    async def run(self) -> None:
        for step in self.steps:
            ((kind, value),) = [(k, v) for k, v in step.items() if k != "tls"]
            match kind:
                case "connect":
                    await self.close()
                    self.talk = await self.house.dialog().__aenter__()
                case "close":
                    await self.close()
                case "send_line":
                    await self.talk.send(value.encode() + b"\r\n")
                case "send_raw_hex":
                    await self.talk.send(bytes.fromhex(value))
                case "send_raw_repeat":
                    await self.talk.send(value["unit"].encode() * value["times"])
                case "read_until":
                    # The last line of EHLO; chasquid's is HELP.
                    assert (await self.talk.reply()).startswith("250")
                case "expect_prefix" | "expect_exact":
                    self.check(value, await self.talk.reply())
                case _:
                    assert kind == "note", kind
        await self.close()

    async def close(self) -> None:
        if self.talk is not None:
            await self.talk.__aexit__(None, None, None)
            self.talk = None

    def check(self, expected: str, said: str) -> None:
        ours = self.deviations.get(expected[:3], expected[0])
        assert said[0] in (REFUSALS if ours in REFUSALS else (ours,)), (expected, said)


@pytest.mark.turned
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("seed", SEEDS, ids=[s["id"] for s in SEEDS])
async def test_a_fuzz_seed_neither_crashes_nor_hangs_nor_smuggles(
    data_dir: Path, seed: dict[str, Any], line_end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = seed["session"].encode().replace(b"\n", line_end)
    fed = 0

    def feed_data(reader: ClientReader, data: bytes) -> None:
        nonlocal fed
        fed += len(data)
        true(reader, data)

    true = ClientReader.feed_data
    monkeypatch.setattr(ClientReader, "feed_data", feed_data)
    async with open_house(listener={"command_timeout_s": 100, "data_timeout_s": 100}) as house:
        async with house.dialog() as talk:
            await talk.send(octets)
            # All has been heard and done, or nobody listens any more.
            await soon(lambda: fed and house.is_waiting and (fed == len(octets) or not house.server.connections))
            await turn(100)
            said = await all_of(talk)
            assert all(line[:1] in b"2345" for line in said.split(b"\r\n") if line)
            assert len(house.raws) <= octets.count(b".\r\n")
        async with house.dialog() as talk:
            await talk.greeted()
            await talk.envelope()
            assert (await talk.data(b"still here\r\n")).startswith("250 ")
        assert not house.errors


async def all_of(talk: Dialog) -> bytes:
    try:
        return await talk.reader.read(-1)
    except ConnectionResetError:
        return b""
