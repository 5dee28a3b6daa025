"""Everything the event stream says about an id that somebody quotes, offline and in order."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from filterd.model.reply import Reply
from tests.cli.rig import House, run

TAKEN = Reply(code=250, enhanced="2.0.0", text="2.0.0 Ok: queued as 4XbM2k0FQz")
REFUSED = Reply(code=550, enhanced="5.7.1", text="Message refused")


class Past:
    """A clean mail that was delivered and one with a virus, of two accounts."""

    def __init__(self, house: House):
        self.house = house
        self.ann, self.bob = house.account("ann@corp.example"), house.account("bob@corp.example")
        self.clean, decision = house.violate(self.ann, "virus.heuristic.match")
        house.tell(self.clean, decision, TAKEN)
        house.clock.advance(60)
        self.virus, self.decision = house.violate(self.bob)
        house.tell(self.virus, self.decision, REFUSED)

    def show(self, ident: str) -> list[tuple[str, str | None]]:
        said = self.house.run("log", "show", ident, "--json")
        assert (said.code, said.err) == (0, "")
        return [(e["event"], e.get("kind")) for e in said.objects]


@pytest.fixture
def past(house: House) -> Past:
    return Past(house)


VIRUS_EVENTS = [
    ("entry", "incident.opened"),
    ("entry", "violation.recorded"),
    ("entry", "strike.issued"),
    ("entry", "sanction.imposed"),
    ("entry", "task.opened"),
    ("decided", None),
]


def test_a_transaction_shows_its_events_and_the_entries_of_its_decision(past: Past) -> None:
    said = past.show(past.virus.transaction_id)
    assert said == [*VIRUS_EVENTS[1:4], ("decided", None), ("refused", None)]
    assert past.show(past.clean.transaction_id) == [("decided", None), ("delivered", None)]


@pytest.mark.parametrize("digits", [12, 20, 40])
def test_a_case_id_shows_its_incident(past: Past, digits: int) -> None:
    incident = past.decision.incident_id
    assert incident is not None
    assert past.show(incident[2 : 2 + digits]) == VIRUS_EVENTS
    assert past.show(incident[2 : 2 + digits].upper()) == VIRUS_EVENTS
    assert past.show(incident[: 2 + digits]) == VIRUS_EVENTS


def test_a_queue_id_shows_the_mail_it_became(past: Past) -> None:
    assert past.show("4XbM2k0FQz") == [("decided", None), ("delivered", None)]


def test_an_account_shows_all_that_happened_to_it(past: Past) -> None:
    said = past.show(past.bob.account_id)
    assert said[0] == ("entry", "account.opened")
    assert {e for e, _ in said} == {"entry", "decided"}


def test_rotated_and_packed_files_are_read_too(past: Past) -> None:
    stream = next((past.house.state_dir / "events").glob("*.jsonl"))
    shutil.copy(stream, f"{stream}.1")
    with gzip.open(f"{stream}.1.gz", "wb") as packed:
        packed.write(Path(f"{stream}.1").read_bytes())
    Path(f"{stream}.1").unlink()
    # What is written again after a crash is said once.
    assert past.show(past.virus.transaction_id) == [*VIRUS_EVENTS[1:4], ("decided", None), ("refused", None)]


def test_the_text_says_what_was_found_and_why(past: Past) -> None:
    lines = past.house.run("log", "show", past.virus.transaction_id).out.splitlines()
    assert lines[0].startswith("2026-11-02 12:01:00Z  entry        node1.ledger:")
    text = "\n".join(lines)
    assert f"{past.virus.transaction_id}  outbound -> reject" in text
    assert "    clamd 1: found  virus.signature.match 1.00" in lines
    assert "    because category.malware: reject (3.3.2 tail-b, 3.5.2)" in lines
    assert "    standing none -> warn" in lines
    assert "rung=warn" in text
    assert "reply=550 5.7.1" in lines[-1]


@pytest.mark.parametrize("ident", ["t_nothing", "f" * 12, "someone@corp.example"])
def test_an_id_nobody_knows_is_exit_1(past: Past, ident: str) -> None:
    said = past.house.run("log", "show", ident)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith(f"filterd: nothing about {ident} in ")
    assert ("account show" in said.err) == ("@" in ident)


def test_no_stream_is_said(tmp_path: Path) -> None:
    for command in (("show", "x"), ("tail",)):
        said = run("log", *command, "--state-dir", tmp_path)
        assert (said.code, "no event stream" in said.err) == (1, True)


def test_the_tail_is_the_last_events_one_line_each(past: Past) -> None:
    said = past.house.run("log", "tail", "-n", "2")
    assert [line.split()[2] for line in said.out.splitlines()] == ["decided", "refused"]
    assert [e["event"] for e in past.house.run("log", "tail", "-n", "1000", "--json").objects][-2:] == [
        "decided",
        "refused",
    ]


def test_following_says_what_comes(past: Past) -> None:
    command = ["log", "tail", "-n", "1", "-f", "--json", "--state-dir", str(past.house.state_dir)]
    process = subprocess.Popen([sys.executable, "-m", "filterd", *command], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert '"event":"refused"' in process.stdout.readline()
        time.sleep(0.5)
        case, decision = past.house.violate(past.ann, "virus.heuristic.match")
        past.house.tell(case, decision, TAKEN)
        assert '"event":"decided"' in process.stdout.readline()
        assert '"event":"delivered"' in process.stdout.readline()
    finally:
        process.kill()
        process.wait()


def test_nothing_in_the_stream_can_speak_to_the_terminal(house: House) -> None:
    house.log.stream.append("odd", None, {"reason": "x"})
    with house.log.stream.path.open("ab") as file:
        file.write(
            b'{"v":1,"event":"odd","writer":"w","seq":9,"at":"2026-11-02T12:00:00Z","tx":null,"r":"a\\u001b[31m\\nb"}\n'
        )
    assert house.run("log", "tail").out.splitlines()[-1] == "2026-11-02 12:00:00Z  odd          r=a\\x1b[31m\\nb"


def test_find_says_one_line_a_mail_by_each_key(past: Past) -> None:
    house = past.house
    for words in (["--message-id", "<x@y>"], ["--message-id", "x@y"]):
        said = house.run("log", "find", *words, "--json")
        assert [mail["tx"] for mail in said.objects] == [past.clean.transaction_id, past.virus.transaction_id]
    said = house.run("log", "find", "--queue-id", "4XbM2k0FQz", "--json")
    assert [(m["tx"], m["outcome"], m["queue_id"]) for m in said.objects] == [
        (past.clean.transaction_id, "delivered", "4XbM2k0FQz")
    ]
    for who in (past.bob.account_id, "bob@corp.example"):
        said = house.run("log", "find", "--account", who, "--json")
        assert [(m["tx"], m["disposition"], m["outcome"]) for m in said.objects] == [
            (past.virus.transaction_id, "reject", "refused")
        ]
    line = house.run("log", "find", "--account", past.bob.account_id).out
    assert past.decision.incident_id in line
    assert "550 5.7.1" in line


def test_find_narrows_and_never_says_an_address(past: Past) -> None:
    said = past.house.run("log", "find", "--message-id", "x@y", "--account", past.ann.account_id)
    assert past.clean.transaction_id in said.out
    assert past.virus.transaction_id not in said.out
    assert "@" not in said.out
    assert past.house.run("log", "find").code != 0
    assert past.house.run("log", "find", "--queue-id", "NOSUCH").code != 0
