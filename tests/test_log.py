"""The event stream: gap-free, unforgeable, documented, and without a word of the mail."""

from __future__ import annotations

import gzip
import io
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from filterd.errors import PortError, UsageError
from filterd.log import (
    EVENTS,
    EventStream,
    Log,
    events_about,
    pseudonym,
    read_events,
    service_log,
    set_up,
    stream_files,
)
from filterd.log.facts import queue_id
from filterd.log.safe import TEXT_MAX, json_line, safe, safe_text
from filterd.model.decision import Case, Counts, Decision, Disposition, MailFacts, Reason
from filterd.model.entry import Entry
from filterd.model.exception import Applied
from filterd.model.principal import NOBODY
from filterd.model.records import KINDS
from filterd.model.reply import Reply
from filterd.model.sanction import Ground, Mode, Rung, Violation
from filterd.model.session import Direction, Envelope, ForwardPath, Session
from filterd.model.verdict import Assessment, AuthResult, FailMode, Finding, Outcome, Verdict
from tests.checks.contexts import ACCOUNT, path, transaction
from tests.kit.clock import NOON, FrozenClock
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.slow

ROOT = FilePath(__file__).resolve().parent.parent
KEY = b"k" * 32
YES = Reply(code=250, enhanced="2.0.0", text="Ok: queued as 4XyZ")
NO = Reply(code=550, enhanced="5.7.1", text="No, says bob@example.org")

VIOLATION = Violation(
    category="malware",
    family="malware",
    mode=Mode.A,
    severity=3,
    ground=Ground(kind="clause", ids=("tail-b",)),
    finding_codes=("virus.signature.match",),
)
LOCKED = Violation(
    category="politics.list",
    family="lists",
    mode=Mode.C1,
    severity=None,
    ground=Ground(kind="clause", ids=("tail-x",)),
    finding_codes=("list.term.hit",),
)


def verdict(*codes: str, check: str = "clamd") -> Verdict:
    return Verdict(
        check=check,
        version="1 ClamAV 1.4.6",
        outcome=Outcome.FOUND if codes else Outcome.CLEAN,
        findings=tuple(Finding(code=c, confidence=1.0, where="1.2", why=(("signature", "Eicar"),)) for c in codes),
        scores=(("spam", 0.25),),
        results=(AuthResult(method="dkim", result="pass", properties=(("header.d", "example.org"),)),),
        elapsed_ms=1.5,
    )


def case(**changes: Any) -> Case:
    said: dict[str, Any] = {
        "transaction_id": "t_1",
        "at": NOON,
        "direction": Direction.OUTBOUND,
        "principal": ACCOUNT,
        "evidence_key": "e_1",
        "delivery_keys": ("d_1",),
        "text_fp": "x_1",
        "facts": MailFacts(
            recipients=1,
            external_recipients=1,
            has_attachments=False,
            has_links=True,
            counts=Counts(recipients_10min=7),
        ),
        "assessment": Assessment(
            verdicts=(verdict("virus.signature.match"),), is_complete=False, fail_modes=(("spam", FailMode.ACCEPT),)
        ),
        "policy_digest": "p_1",
    }
    return Case(**(said | changes))


def decision(**changes: Any) -> Decision:
    said: dict[str, Any] = {
        "decision_id": "de_1",
        "transaction_id": "t_1",
        "disposition": Disposition.REJECT,
        "reasons": (Reason(code="category.malware", disposition=Disposition.REJECT, ids=("tail-b",)),),
        "violations": (VIOLATION,),
        "incident_id": "inc_1",
        "clauses": ("tail-b",),
        "policy_digest": "p_1",
        "rung_after": Rung.WARN,
    }
    return Decision(**(said | changes))


def entry(seq: int = 1, writer: str = "node1", body: dict[str, Any] | None = None, **changes: Any) -> Entry:
    said: dict[str, Any] = {
        "writer": writer,
        "seq": seq,
        "written_at": NOON,
        "kind": "violation.recorded",
        "account_id": "acc_1",
        "tenant_id": "ten_1",
        "schema": 1,
        "body": orjson.dumps(body or {"transaction_id": "t_1", "incident_id": "inc_1", "points": 4}),
        "sealed": b"secret",
        "prev_hash": b"\0" * 32,
        "row_hash": b"\1" * 32,
    }
    return Entry(**(said | changes))


@pytest.fixture(autouse=True)
def service_lines() -> Iterator[io.StringIO]:
    """What the service log writes."""
    handlers, level = logging.getLogger().handlers, logging.getLogger().level
    lines = io.StringIO()
    set_up("info", json=True, stream=lines)
    yield lines
    structlog.reset_defaults()
    logging.getLogger().handlers, logging.getLogger().level = handlers, level


def stream(folder: FilePath, writer: str = "w1") -> EventStream:
    return EventStream(folder, writer, FrozenClock().now)


@pytest.fixture
def log(tmp_path: FilePath) -> Iterator[Log]:
    one = Log(stream(tmp_path), pseudonym_key=KEY)
    yield one
    one.stream.close()


def written(log: Log) -> list[dict[str, Any]]:
    return list(read_events([log.stream.path], on_broken=fail_on_broken))


def fail_on_broken(file: FilePath, number: int, why: str) -> None:
    raise AssertionError((file, number, why))


def decide(log: Log, **changes: Any) -> None:
    # One for each field there may be.
    asked = (
        ("_dmarc.example.com", "TXT", ("v=DMARC1; p=none",)),
        ("example.com", "TXT", ("token=1",)),
        ("gone.example.com", "A", "nxdomain"),
        ("s._domainkey.example.com", "TXT", ("v=DKIM1; p=" + "A" * 6_000,)),
    )
    log.decided(
        transaction(), case(), decision(**changes), message_id="<1@example.com>", elapsed_ms=12.0, asked=asked
    )


def say_everything(log: Log) -> None:
    """One event of each kind; two where something may be null."""
    session = transaction().session
    log.stopped("cut")
    os.truncate(log.stream.path, 0)
    log.started(version="0.1.0", role="worker", checks={"clamd": "1"}, policies={"tencent-exmail": "p_1"})
    listed = Applied(topic="deny", entry_id="net", file="deny.toml", line=2, is_followed=True, choice="reject")
    decide(log, exceptions=(listed,))
    log.delivered("t_1", YES, 1)
    log.refused("t_2", NO)
    log.relay_failed("t_3", "550 no <bob@example.org>", is_unknown=True)
    log.held("t_4", "q_1", Reply(code=250, enhanced="2.0.0", text="held"))
    log.denied(session, "acc_1", NO, reverse_path=path("a@example.com"), recipient=path("b@example.org"))
    log.denied(session, "acc_1", NO)
    log.bypassed("t_5", session, transaction().envelope, "b_1", "d" * 64, message_id="<x@y>")
    log.troubled("t_4", "spam", ValueError("words of the mail"))
    log.entry(entry())
    log.outbox_done("o_1", "notice", attempts=1)
    log.outbox_failed("o_2", "notice", attempts=3, reason="to bob@example.org: timeout", is_final=False)
    log.config(checks={"clamd": "1"}, policies={})
    log.config_refused(file="filterd.toml", line=3, key="spam.model")
    log.stopped("sigterm")
    # As after a crash: the next event closes the line.
    os.write(os.open(log.stream.path, os.O_WRONLY | os.O_APPEND), b'{"v":1,"ev')
    log.stream.close()
    log.stream = stream(log.stream.path.parent)


# --- Every event and field is documented ----------------------------------------------------------------------------

MAPS = {"properties", "counts", "fail_modes", "scores", "why", "body", "policies"}


def paths_of(fields: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """`a.b` for objects, `a` and `a[].b` for lists of objects; maps with free keys are leaves."""
    for name, item in fields.items():
        if isinstance(item, dict) and name not in MAPS and not (name == "checks" and prefix == ""):
            yield from paths_of(item, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
        for one in item if isinstance(item, list) else ():
            if isinstance(one, dict):
                yield from paths_of(one, f"{prefix}{name}[].")


def documented() -> dict[str, set[str]]:
    """Section → the fields of its table."""
    sections = re.split(r"^## ", (ROOT / "ops/docs/EVENTS.md").read_text(), flags=re.MULTILINE)[1:]
    return {s.partition("\n")[0].strip(): set(re.findall(r"^\| `([^`]+)` \|", s, flags=re.MULTILINE)) for s in sections}


def test_every_event_and_field_has_its_line_in_the_docs_and_no_other_has(log: Log) -> None:
    say_everything(log)
    docs = documented()
    common = docs.pop("Every event")
    broken: list[str] = []
    events = list(read_events([log.stream.path], lambda _file, _number, why: broken.append(why)))
    assert broken == ["not_json"]
    actual: dict[str, set[str]] = {}
    for event in events:
        actual.setdefault(event["event"], set()).update(set(paths_of(event)) - common)
    for fields in actual.values():
        # It is null for some and an object for others.
        fields |= {"sender"} if "sender.hash" in fields else set()
    assert actual == docs
    assert set(EVENTS) == set(docs)
    assert common == {"v", "event", "writer", "seq", "at", "tx"}


def test_every_kind_of_entry_is_named_in_the_docs() -> None:
    text = (ROOT / "ops/docs/EVENTS.md").read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


# --- What is said, and what is not ----------------------------------------------------------------------------------


def test_decided_holds_what_replay_needs(log: Log) -> None:
    decide(log)
    event = written(log)[0]
    assert (event["v"], event["event"], event["writer"], event["seq"], event["tx"]) == (1, "decided", "w1", 1, "t_1")
    assert event["at"] == "2026-11-02T12:00:00Z"
    client = {"address": "192.0.2.7", "name": None, "helo": "pc.example", "protocol": None, "tls": None}
    assert event["client"] == client
    assert event["sender"] == {"domain": "example.com", "hash": pseudonym(KEY, "alice@example.com")}
    assert event["recipients"] == {"count": 1, "external": 1, "hashes": [pseudonym(KEY, "bob@example.org")]}
    assert event["counts"]["recipients_10min"] == 7
    assert set(event["counts"]) == set(Counts.__slots__)
    assert event["checks"][0]["scores"] == {"spam": 0.25}
    assert event["checks"][0]["version"] == "1 ClamAV 1.4.6"
    assert event["checks"][0]["findings"][0]["why"] == {"signature": "Eicar"}
    assert (event["is_complete"], event["fail_modes"]) == (False, {"spam": "accept"})
    assert event["decision"]["disposition"] == "reject"
    assert (event["decision"]["rung_before"], event["decision"]["rung_after"]) == ("none", "warn")
    assert event["decision"]["violations"][0]["ground"] == {"kind": "clause", "ids": ["tail-b"]}


def test_null_sender_and_nobody_are_null(log: Log) -> None:
    mail = transaction(envelope=Envelope(reverse_path=None))
    log.decided(mail, case(principal=NOBODY), decision(), message_id=None, elapsed_ms=1)
    event = written(log)[0]
    assert (event["sender"], event["principal"]["account_id"], event["message"]["message_id"]) == (None, None, None)


def test_no_address_or_word_of_anybody_is_in_the_stream(log: Log, service_lines: io.StringIO) -> None:
    say_everything(log)
    said = log.stream.path.read_bytes() + service_lines.getvalue().encode()
    for secret in (b"alice", b"bob@", b"1@example.com", b"words of the mail", b"secret", NO.text.encode()):
        assert secret not in said


def test_pseudonym_is_the_same_for_any_case_and_needs_the_key() -> None:
    assert pseudonym(KEY, "Bob@Example.org") == pseudonym(KEY, "bob@example.org")
    assert pseudonym(KEY, "bob@example.org") != pseudonym(b"other" * 8, "bob@example.org")


def test_recipients_are_counted_and_never_listed_beyond_the_bound(log: Log) -> None:
    forwards = tuple(ForwardPath(path=path(f"r{n}@example.org")) for n in range(1500))
    mail = transaction(envelope=Envelope(reverse_path=None, forward_paths=forwards))
    log.decided(mail, case(), decision(), message_id=None, elapsed_ms=1)
    recipients = written(log)[0]["recipients"]
    assert (recipients["count"], len(recipients["hashes"])) == (1500, 1000)


def test_locked_category_leaves_no_trace(log: Log) -> None:
    hit = case(assessment=Assessment(verdicts=(verdict("list.term.hit", check="lists"), verdict())))
    miss = case(assessment=Assessment(verdicts=(verdict(check="lists"), verdict())))
    log.decided(transaction(), hit, decision(violations=(LOCKED,)), message_id=None, elapsed_ms=1)
    log.decided(transaction(), miss, decision(violations=()), message_id=None, elapsed_ms=1)
    with_hit, without = written(log)
    assert with_hit | {"seq": 0} == without | {"seq": 0}


def test_locked_violation_is_left_out_of_an_entry(log: Log) -> None:
    open_one = {"mode": "A", "category": "malware"}
    log.entry(entry(body={"violations": [{"mode": "C1", "category": "politics"}, open_one]}))
    assert written(log)[0]["body"] == {"violations": [open_one]}


def test_entry_inlines_its_body_whole_and_not_its_seal(log: Log) -> None:
    reason = "x" * 5000
    log.entry(entry(body={"reason": reason, "transaction_id": "t_9"}))
    event = written(log)[0]
    assert (event["tx"], event["body"]["reason"], event["is_sealed"]) == ("t_9", reason, True)
    assert event["ledger"]["row_hash"] == "01" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ok: queued as 4XyZ1234", "4XyZ1234"),
        ("OK id=1abcDE-000001-XX", "1abcDE-000001-XX"),
        ("5A2Bc3d4 Message accepted for delivery", "5A2Bc3d4"),
        ("ok 1730000000 qp 4711", "4711"),
        ("Ok", None),
        ("thank you bob@example.org", None),
    ],
)
def test_queue_id_of_known_next_hops(text: str, expected: str | None) -> None:
    assert queue_id(text) == expected


@pytest.mark.parametrize(
    ("disposition", "by"),
    [
        (Disposition.ACCEPT, "next_hop"),
        (Disposition.TAG, "next_hop"),
        (Disposition.DEFER, "policy"),
        (Disposition.REJECT, "policy"),
    ],
)
def test_refused_says_by_whom(log: Log, disposition: Disposition, by: str) -> None:
    decide(log, disposition=disposition)
    assert log.refused("t_1", NO) == by
    assert written(log)[1]["by"] == by


def test_refused_without_a_decision_is_by_standing(log: Log) -> None:
    log.refused("t_1", NO)
    assert written(log)[0]["by"] == "standing"


def test_trouble_says_kind_and_place_and_only_our_own_text(log: Log) -> None:
    for error in (ValueError("words of the mail"), PortError("clamd away")):
        try:
            raise error
        except Exception as err:
            log.troubled("t_1", "clamd", err)
    first, second = written(log)
    assert (first["kind"], first["text"]) == ("ValueError", None)
    assert re.fullmatch(r"test_log\.py:\d+", first["place"])
    assert (second["kind"], second["text"]) == ("PortError", "clamd away")


# --- No field can forge or break a line (FAULTS 53, 54) -------------------------------------------------------------

NASTY = [
    'x"}\n{"v":1,"event":"delivered","writer":"w1","seq":99,"at":"x","tx":"t_666"}\n',
    "\r\n",
    "\x1b[2J",
    "\x9b31m",
    "a\u2028b\u2029c\x85d",
    "\u202eevil",
    "\udcff\ud800",
    "nul\0",
    "😀" * 1000,
    "x" * 1_000_000,
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_field_from_outside_stays_in_its_line(log: Log, text: str) -> None:
    session = Session(
        id="s_1", door=transaction().session.door, listener="smtp", peer_address=text, client_name=text, helo=text
    )
    mail = transaction(session=session, envelope=Envelope(reverse_path=path(f"a@{text}"), forward_paths=()))
    log.decided(mail, case(), decision(), message_id=text, elapsed_ms=1)
    log.relay_failed("t_1", text, is_unknown=False)
    octets = log.stream.path.read_bytes()
    assert octets.count(b"\n") == 2
    assert octets.decode().splitlines() == octets.decode().split("\n")[:-1]
    first, second = written(log)
    assert [first["event"], second["event"]] == ["decided", "relay_failed"]
    assert first["client"]["helo"].isprintable()
    assert len(octets) < 20_000


TEXTS = st.text(st.characters()) | st.text("ab", max_size=600) | st.sampled_from(NASTY)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from(Outcome) | st.just(NOON)


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS | st.sampled_from(Outcome), inner)))
def test_any_value_is_one_line_and_the_short_way_says_the_same(value: Any) -> None:
    line = json_line({"x": value})
    assert line.decode().splitlines() == [line[:-1].decode()]
    assert line[:-1] == orjson.dumps(safe({"x": value}), option=orjson.OPT_UTC_Z)
    assert line[:-1].decode().isprintable()


def test_text_is_capped_and_says_so() -> None:
    assert safe_text("x" * (TEXT_MAX + 1)) == "x" * (TEXT_MAX - 1) + "…"
    assert safe_text("x" * TEXT_MAX) == "x" * TEXT_MAX
    assert safe_text("x" * 1000, None) == "x" * 1000


# --- The stream: seq, tears, rotation -------------------------------------------------------------------------------


def seqs(*files: FilePath) -> list[int]:
    return [event["seq"] for event in read_events(files)]


def test_seq_goes_on_after_a_restart(tmp_path: FilePath) -> None:
    for _ in range(3):
        one = stream(tmp_path)
        one.append("stopped", None, {"reason": "x"})
        one.close()
    assert seqs(tmp_path / "w1.jsonl") == [1, 2, 3]


def test_torn_last_line_is_closed_and_counted(tmp_path: FilePath) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "x"})
    one.close()
    with (tmp_path / "w1.jsonl").open("ab") as file:
        file.write(b'{"v":1,"event":"deci')
    again = stream(tmp_path)
    again.append("stopped", None, {"reason": "y"})
    broken: list[tuple[int, str]] = []
    events = list(read_events([again.path], lambda _file, number, why: broken.append((number, why))))
    assert [(e["event"], e["seq"]) for e in events] == [("stopped", 1), ("stream.torn", 2), ("stopped", 3)]
    assert events[1]["octets"] == 20
    assert broken == [(2, "not_json")]
    again.close()


def test_whole_last_line_without_its_end_keeps_its_seq(tmp_path: FilePath) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "x"})
    one.append("stopped", None, {"reason": "y"})
    one.close()
    (tmp_path / "w1.jsonl").write_bytes((tmp_path / "w1.jsonl").read_bytes()[:-1])
    (tmp_path / "w1.seq").unlink()
    again = stream(tmp_path)
    assert seqs(again.path) == [1, 2, 3]
    again.close()


def test_reader_reports_what_it_skips(tmp_path: FilePath) -> None:
    file = tmp_path / "w1.jsonl"
    whole = b'{"v":1,"event":"stopped","writer":"w1","seq":1,"at":"2026-11-02T12:00:00Z","tx":null}\n'
    file.write_bytes(b"\n" + b"[1]\n" + b"nonsense\n" + b'{"v":1}\n' + whole + b'{"v":1')
    broken: list[tuple[int, str]] = []
    events = list(read_events([file], lambda _file, number, why: broken.append((number, why))))
    assert [e["seq"] for e in events] == [1]
    assert broken == [(2, "not_an_event"), (3, "not_json"), (4, "not_an_event"), (6, "torn")]


@pytest.mark.parametrize("how", ["renamed", "renamed and made anew", "removed"])
def test_rotation_is_followed_and_seq_goes_on(tmp_path: FilePath, how: str) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "x"})
    if how == "removed":
        one.path.unlink()
    else:
        one.path.rename(tmp_path / "w1.jsonl.1")
    if how == "renamed and made anew":
        one.path.touch()
    one.append("stopped", None, {"reason": "y"})
    assert seqs(one.path) == [2]
    one.close()
    assert seqs(*stream_files(tmp_path, "w1")) == ([2] if how == "removed" else [1, 2])


def test_reopen_on_request(tmp_path: FilePath) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "x"})
    one.path.rename(tmp_path / "w1.jsonl.1")
    one.reopen()
    assert one.path.read_bytes() == b""
    one.append("stopped", None, {"reason": "y"})
    assert seqs(one.path) == [2]
    one.close()


@pytest.mark.parametrize("packed", [False, True])
def test_seq_is_read_back_from_a_rotated_file(tmp_path: FilePath, packed: bool) -> None:
    one = stream(tmp_path)
    for _ in range(3):
        one.append("stopped", None, {"reason": "x"})
    one.close()
    lines = one.path.read_bytes()
    one.path.unlink()
    (tmp_path / "w1.seq").unlink()
    if packed:
        (tmp_path / "w1.jsonl.1.gz").write_bytes(gzip.compress(lines))
    else:
        (tmp_path / "w1.jsonl.1").write_bytes(lines)
    again = stream(tmp_path)
    assert again.seq == 3
    again.close()


def test_seq_survives_when_every_file_was_taken_away(tmp_path: FilePath) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "x"})
    one.close()
    one.path.unlink()
    again = stream(tmp_path)
    again.append("stopped", None, {"reason": "y"})
    assert seqs(again.path) == [2]
    again.close()


@pytest.mark.parametrize("note", [b"", b"nonsense", b"[]", b"{}", b'{"seq":null}'])
def test_broken_note_or_packed_file_does_not_stop_the_start(tmp_path: FilePath, note: bytes) -> None:
    (tmp_path / "w1.seq").write_bytes(note)
    (tmp_path / "w1.jsonl.1.gz").write_bytes(b"\x1f\x8bnonsense")
    one = stream(tmp_path)
    assert one.seq == 0
    one.close()


def test_two_processes_cannot_be_one_writer(tmp_path: FilePath) -> None:
    one = stream(tmp_path)
    with pytest.raises(UsageError, match="another process"):
        stream(tmp_path)
    one.close()
    stream(tmp_path).close()


@pytest.mark.parametrize("writer", ["", "../w1", "..", ".w1", "W1", "a/b", "-x", "x" * 65])
def test_name_that_is_none_is_refused(tmp_path: FilePath, writer: str) -> None:
    with pytest.raises(UsageError):
        stream(tmp_path, writer)


def test_threads_share_a_stream(tmp_path: FilePath) -> None:
    one = stream(tmp_path)

    def write() -> None:
        for _ in range(200):
            one.append("stopped", None, {"reason": "x" * 200})

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seqs(one.path) == list(range(1, 1601))
    one.close()


def test_one_write_an_event(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stream(tmp_path)
    writes: list[int] = []
    write = os.write

    def count(fd: int, octets: bytes) -> int:
        writes.append(len(octets))
        return write(fd, octets)

    monkeypatch.setattr(os, "write", count)
    one.append("stopped", None, {"reason": "x" * 200})
    assert len(writes) == 1
    one.close()


def test_full_disk_is_temporary_and_costs_no_seq(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "1"})
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, octets: write(fd, octets[:10]))
    with pytest.raises(PortError) as err:
        one.append("stopped", None, {"reason": "2"})
    assert err.value.temporary
    monkeypatch.setattr(os, "write", write)
    one.append("stopped", None, {"reason": "3"})
    actual = [(e["event"], e["seq"]) for e in read_events([one.path])]
    assert actual == [("stopped", 1), ("stream.torn", 2), ("stopped", 3)]
    one.close()


def test_full_disk_while_a_tear_is_mended_costs_no_seq(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stream(tmp_path)
    one.append("stopped", None, {"reason": "1"})
    write = os.write
    for room in (10, 1, 0, 7):
        monkeypatch.setattr(os, "write", lambda fd, octets, room=room: write(fd, octets[:room]))
        with pytest.raises(PortError):
            one.append("stopped", None, {"reason": "2"})
    monkeypatch.setattr(os, "write", write)
    one.append("stopped", None, {"reason": "3"})
    assert [(e["event"], e["seq"]) for e in read_events([one.path])] == [
        ("stopped", 1),
        ("stream.torn", 2),
        ("stopped", 3),
    ]
    one.close()


def test_copytruncate_is_noticed(tmp_path: FilePath) -> None:
    one = stream(tmp_path)
    for _ in range(3):
        one.append("stopped", None, {"reason": "x"})
    size = one.path.stat().st_size
    (tmp_path / "w1.jsonl.1").write_bytes(one.path.read_bytes())
    os.truncate(one.path, 0)
    one.append("stopped", None, {"reason": "y"})
    one.append("stopped", None, {"reason": "z"})
    events = list(read_events([one.path]))
    assert [(e["event"], e["seq"]) for e in events] == [("stream.cut", 4), ("stopped", 5), ("stopped", 6)]
    assert events[0]["octets"] == size
    one.close()


def test_the_note_never_knows_more_than_the_disk(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is synced before the note is replaced: at the start, at a rotation the old file, at the end."""
    done: list[str] = []
    sync, replace = os.fdatasync, os.replace
    monkeypatch.setattr(os, "fdatasync", lambda fd: (done.append(f"sync {os.fstat(fd).st_ino}"), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("note"), replace(a, b))[1])
    one = stream(tmp_path)
    first = one.path.stat().st_ino
    one.append("stopped", None, {"reason": "x"})
    one.path.rename(tmp_path / "w1.jsonl.1")
    one.append("stopped", None, {"reason": "y"})
    second = one.path.stat().st_ino
    one.close()
    assert done == [f"sync {first}", "note", f"sync {first}", "note", f"sync {second}", "note"]


def test_folder_that_cannot_be_made_is_a_port_error(tmp_path: FilePath) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PortError):
        stream(tmp_path / "file" / "events")


def test_file_is_not_for_everybody(tmp_path: FilePath) -> None:
    one = stream(tmp_path / "events")
    assert one.path.stat().st_mode & 0o007 == 0
    one.close()


WRITE_FOR_EVER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from filterd.log import EventStream
one = EventStream(Path(sys.argv[1]), "w1", lambda: datetime.now(UTC))
while True:
    one.append("stopped", None, {"reason": "x" * 250})
"""


def test_kill_9_leaves_no_gap(tmp_path: FilePath) -> None:
    file = tmp_path / "w1.jsonl"
    for _ in range(5):
        size = file.stat().st_size if file.exists() else 0
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT) as process:
            try:
                wait_until(lambda size=size: file.exists() and file.stat().st_size > size + 2_000)
            finally:
                # Somewhere in the midst of it.
                process.kill()
    one = stream(tmp_path)
    actual = seqs(one.path)
    assert actual == list(range(1, len(actual) + 1))
    assert len(actual) > 5
    one.close()


# --- After a crash: which entries are missing -----------------------------------------------------------------------


def test_last_ledger_seq(tmp_path: FilePath) -> None:
    log = Log(stream(tmp_path), pseudonym_key=KEY)
    assert log.stream.last_ledger_seq("node1") == 0
    for seq in (1, 2, 3):
        log.entry(entry(seq))
    log.entry(entry(7, writer="node0"))
    log.stopped("x")
    assert (log.stream.last_ledger_seq("node1"), log.stream.last_ledger_seq("node0")) == (3, 7)
    log.stream.path.rename(tmp_path / "w1.jsonl.1")
    assert log.stream.last_ledger_seq("other") == 0
    log.stream.reopen()
    assert log.stream.last_ledger_seq("node1") == 3
    log.stream.close()
    (tmp_path / "w1.jsonl.1").unlink()
    again = stream(tmp_path)
    assert again.last_ledger_seq("node1") == 3
    again.close()


# --- Reading by id --------------------------------------------------------------------------------------------------


def test_events_about_an_id_come_from_all_writers_in_order(tmp_path: FilePath) -> None:
    clock = FrozenClock()
    worker = Log(EventStream(tmp_path, "node1.w1", clock.now), pseudonym_key=KEY)
    ledger = Log(EventStream(tmp_path, "node1.ledger", clock.now), pseudonym_key=KEY)
    ledger.entry(entry(body={"transaction_id": "t_1"}))
    clock.advance(1)
    decide(worker)
    clock.advance(1)
    worker.refused("t_1", NO)
    worker.refused("t_11", NO)
    found = events_about(stream_files(tmp_path), "t_1")
    assert [e["event"] for e in found] == ["entry", "decided", "refused"]
    assert [e["event"] for e in events_about(stream_files(tmp_path), "inc_1")] == ["decided"]
    worker.stream.close()
    ledger.stream.close()


# --- The service log ------------------------------------------------------------------------------------------------


def said(lines: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines.getvalue().splitlines()]


def test_one_line_a_mail(log: Log, service_lines: io.StringIO) -> None:
    accepted = decision(disposition=Disposition.ACCEPT, incident_id=None)
    complete = case(assessment=Assessment(verdicts=(verdict(),)))
    log.decided(transaction(), complete, accepted, message_id=None, elapsed_ms=12.0)
    log.delivered("t_1", YES)
    (line,) = said(service_lines)
    assert line.pop("timestamp")
    assert line.pop("elapsed_ms") >= 12.0
    assert line == {
        "event": "mail",
        "level": "info",
        "tx": "t_1",
        "account": "acc_1",
        "disposition": "accept",
        "code": 250,
        "incident": None,
    }


def test_refused_mail_has_its_line_with_the_incident(log: Log, service_lines: io.StringIO) -> None:
    decide(log)
    log.refused("t_1", NO)
    unchecked, line = said(service_lines)
    assert (unchecked["event"], unchecked["level"], unchecked["check"]) == ("unchecked", "warning", "spam")
    assert (line["disposition"], line["code"], line["incident"], line["by"]) == ("reject", 550, "inc_1", "policy")


def test_mail_that_is_never_answered_is_forgotten(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filterd.log.events.OPEN_MAX", 2)
    for name in ("t_1", "t_2", "t_3"):
        log.decided(transaction(id=name), case(), decision(), message_id=None, elapsed_ms=1)
    log.refused("t_1", NO)
    log.refused("t_3", NO)
    assert [e["by"] for e in written(log)[3:]] == ["standing", "policy"]


@pytest.mark.parametrize("json", [True, False])
def test_service_line_cannot_be_forged(json: bool) -> None:
    lines = io.StringIO()
    set_up("info", json=json, stream=lines)
    service_log().info("x", helo="a\nlevel=error tx=t_666 \x1b[2J\u2028\udcff")
    assert len(lines.getvalue().splitlines()) == 1
    assert lines.getvalue()[:-1].isprintable()


def test_level_is_kept() -> None:
    lines = io.StringIO()
    set_up("warning", json=True, stream=lines)
    service_log().info("x")
    service_log().warning("y")
    assert [line["event"] for line in said(lines)] == ["y"]


def test_libraries_say_neither_arguments_nor_tracebacks(service_lines: io.StringIO) -> None:
    library = logging.getLogger("library.of.others")
    library.debug("AUTH PLAIN secret")
    try:
        raise ValueError("secret")
    except ValueError:
        library.exception("session of %r failed\nsecret", "secret")
    service_log().error("x", exc_info=True)
    assert "secret" not in service_lines.getvalue()
    first, _ = said(service_lines)
    heard = (first["logger"], first["text"], first["error"])
    assert heard == ("library.of.others", "session of %r failed", "ValueError")
