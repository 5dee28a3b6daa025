"""Everything the event stream says about an id that somebody quotes, offline and in order."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from filterd.model.reply import Reply
from tests.cli.rig import House, run

pytestmark = pytest.mark.slow

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
    ("entry", "tenant.charged"),
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
        # It has read what there was; what comes now is what it follows.
        assert '"event":"refused"' in process.stdout.readline()
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


# --- Filters, and the index ------------------------------------------------------------------------------------------

CLEAN, VIRUS = "clean", "virus"
FILTERS = [
    (["--since", "2026-11-02T12:00:30Z"], [VIRUS]),
    (["--since", "2026-11-02"], [CLEAN, VIRUS]),
    (["--until", "2026-11-02T12:00:30"], [CLEAN]),
    (["--until", "2026-11-02T14:00:30+02:00"], [CLEAN]),
    (["--account", "bob@corp.example"], [VIRUS]),
    (["--tenant", "TENANT"], [CLEAN, VIRUS]),
    (["--code", "virus.signature.match"], [VIRUS]),
    (["--code", "virus.signature"], []),
    (["--disposition", "reject"], [VIRUS]),
    (["--sender-domain", "Nowhere.example"], []),
    (["--message-id", "x@y"], [CLEAN, VIRUS]),
    (["--queue-id", "4XbM2k0FQz"], [CLEAN]),
    (["--incident", "INCIDENT"], [VIRUS]),
    (["--message-id", "x@y", "--limit", "1"], [VIRUS]),
    (["--tenant", "TENANT", "--disposition", "reject", "--since", "2026-11-02", "--until", "2026-11-03"], [VIRUS]),
]


def found(past: Past, words: list[str]) -> tuple[list[str], str]:
    """Say which mails a search finds, and what it says on standard error."""
    known = {past.clean.transaction_id: CLEAN, past.virus.transaction_id: VIRUS}
    names = {"TENANT": past.ann.tenant_id, "INCIDENT": str(past.decision.incident_id)}
    said = past.house.run("log", "find", *(names.get(word, word) for word in words), "--json")
    assert said.code == (0 if said.out else 1)
    return [known[mail["tx"]] for mail in said.objects], said.err


def test_every_filter_says_the_same_from_files_and_index(past: Past) -> None:
    # One tenant for both, so that the filter for it says something.
    for words, expected in FILTERS:
        actual, err = found(past, words)
        assert (actual, "from the files: " in err) == (_of_tenant(past, words, expected), True), words
    rebuilt = past.house.run("log", "index", "rebuild", "--json")
    assert (rebuilt.code, rebuilt.json["mails"]) == (0, 2), rebuilt.err
    for words, expected in FILTERS:
        actual, err = found(past, words)
        assert (actual, "from the index" in err) == (_of_tenant(past, words, expected), True), words
        assert found(past, [*words, "--files"])[0] == actual


def _of_tenant(past: Past, words: list[str], expected: list[str]) -> list[str]:
    """First mail gives each of them a tenant of its own, unless they share a domain that somebody imported."""
    if "TENANT" not in words or past.ann.tenant_id == past.bob.tenant_id:
        return expected
    return [CLEAN] if CLEAN in expected else []


def test_what_the_index_has_not_read_yet_is_found_all_the_same(past: Past) -> None:
    assert past.house.run("log", "index", "rebuild").code == 0
    # The answer to a mail that the index has, and a new mail.
    past.house.clock.advance(60)
    case, decision = past.house.violate(past.bob)
    past.house.tell(case, decision, REFUSED)
    status = past.house.run("log", "index", "status", "--json").json
    assert status["writers"]["node1.ledger"]["behind"] > 0
    said = past.house.run("log", "find", "--account", past.bob.account_id, "--json")
    assert [m["tx"] for m in said.objects] == [past.virus.transaction_id, case.transaction_id]
    assert "from the index" in said.err
    past.house.run("log", "index", "rebuild")
    text = past.house.run("log", "index", "status").out
    assert text.splitlines()[0].startswith(f"{past.house.state_dir / 'verdicts.sqlite3'}: 3 mails, 3 answers")


def test_an_index_that_is_switched_off_or_damaged_is_done_without(past: Past, tmp_path: Path) -> None:
    config = tmp_path / "filterd.toml"
    config.write_text("[index]\nenabled = false\n")
    said = past.house.run("log", "find", "--message-id", "x@y", "--config", config)
    assert (len(said.out.splitlines()), "switched off" in said.err) == (2, True)
    assert past.house.run("log", "index", "status", "--config", config).code == 1
    (past.house.state_dir / "verdicts.sqlite3").write_bytes(b"nothing of ours" * 1000)
    said = past.house.run("log", "find", "--message-id", "x@y")
    assert (len(said.out.splitlines()), "from the files" in said.err) == (2, True)


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01", "12:00", ""])
def test_a_time_that_is_none_is_said(past: Past, time: str) -> None:
    said = past.house.run("log", "find", "--since", time)
    assert (said.code, "is no time" in said.err) == (1, True)


# --- Ledger and stream ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ledger", ["running", "stopped"])
def test_verify_says_that_ledger_and_stream_agree(past: Past, ledger: str) -> None:
    if ledger == "stopped":
        past.house.close()
    said = past.house.run("log", "verify", "--json")
    assert (said.code, said.err) == (0, "")
    assert (said.json["sound"], said.json["ledger"], said.json["differences"]) == (True, ledger, [])
    assert said.json["rows"] == said.json["streams"]["node1.ledger"]["entries"] > 5
    assert past.house.run("log", "verify").out.splitlines()[-1] == "ledger and stream agree"


@pytest.mark.parametrize("ledger", ["running", "stopped"])
def test_verify_names_the_first_difference_and_is_exit_1(past: Past, ledger: str) -> None:
    path = past.house.log.stream.path
    if ledger == "stopped":
        past.house.close()
    lines = path.read_bytes().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if b'"event":"entry"' in line and n > 1)
    path.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
    said = past.house.run("log", "verify", "--json")
    assert said.code == 1
    assert said.err.startswith(f"filterd: ledger and stream do not agree: gap: node1.ledger:{at + 1}: ")
    assert [d["kind"] for d in said.json["differences"]] == ["gap", "missing"]
    text = past.house.run("log", "verify").out
    assert "missing: node1.ledger:" in text
    assert "agree" not in text


def test_verify_of_a_ledger_that_lost_rows_names_the_event(past: Past, tmp_path: Path) -> None:
    """A store restored from an older copy: the stream knows better."""
    past.house.close()
    kept = tmp_path / "kept"
    shutil.copytree(past.house.state_dir, kept, ignore=shutil.ignore_patterns("*.sock"))
    with (kept / "events" / "node1.ledger.jsonl").open("ab") as file:
        lines = (kept / "events" / "node1.ledger.jsonl").read_bytes().splitlines()
        entry = next(line for line in reversed(lines) if b'"event":"entry"' in line)
        number = int(entry.partition(b'"seq":')[2].partition(b",")[0])
        row = int(entry.partition(b'"ledger":')[2].partition(b'"seq":')[2].partition(b",")[0])
        fresh = entry.replace(b'"seq":%d' % number, b'"seq":%d' % (len(lines) + 1), 1)
        file.write(fresh.replace(b'"seq":%d,"written_at"' % row, b'"seq":%d,"written_at"' % (row + 1)) + b"\n")
    said = run("log", "verify", "--state-dir", kept)
    assert (said.code, f"unknown: node1.ledger:{row + 1}" in said.err) == (1, True)
