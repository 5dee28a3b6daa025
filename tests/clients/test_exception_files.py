"""Files of exceptions: what is read, what is refused and where, and what stays in force after a faulty change."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from filterd.clients.exception_files import ExceptionFiles, ExceptionReading, load_exceptions
from filterd.errors import ConfigError
from filterd.model.exception import Denial, ExceptionEntry, Kind
from tests.kit.clock import FrozenClock
from tests.kit.house import START
from tests.kit.waiting import PATIENCE_S

HEAD = 'by = "Ann Op"\nreason = "as the contract says"\n'
GOOD = f"""\
# who is refused
[[deny]]
id = "net"
{HEAD}client = ["192.0.2.0/24", "2001:db8::/32"]
reply = "defer"
text = "Ask us first"

[[accept]]
id = "partner"
{HEAD}sender = [".Partner.example", "Ann@例子.example"]
authenticated = ["spf", "dkim"]
skip = ["spam", "deny"]
mark_only = true
until = 2026-06-30

[[exception]]
id = "lab"
{HEAD}recipient = ["lab@cust.example"]
virus = "quarantine"
spam_at = 0.98
"""


def load(tmp_path: Path, text: str) -> tuple[ExceptionEntry, ...]:
    file = tmp_path / "list.toml"
    file.write_text(text, encoding="utf-8")
    return load_exceptions([file])


def test_entries_are_read_with_their_place(tmp_path: Path) -> None:
    net, partner, lab = load(tmp_path, GOOD)
    assert [(x.id, x.kind, x.line) for x in (net, partner, lab)] == [
        ("net", Kind.DENY, 2),
        ("partner", Kind.ACCEPT, 10),
        ("lab", Kind.EXCEPTION, 20),
    ]
    assert net.file == str(tmp_path / "list.toml")
    assert net.denial == Denial(is_final=False, enhanced="4.7.1", text="Ask us first")
    assert [str(x) for x in net.client] == ["192.0.2.0/24", "2001:db8::/32"]
    assert partner.sender == (".partner.example", "ann@xn--fsqu00a.example")
    assert dict(partner.choices) == {"spam": "tag", "deny": "accept"}
    assert partner.until is not None
    assert partner.until.isoformat() == "2026-06-30T00:00:00+00:00"
    assert dict(lab.choices) == {"virus": "quarantine", "spam_at": "0.98"}
    assert (lab.is_inbound, lab.is_outbound) == (True, False)


DENY = f'[[deny]]\nid = "x"\n{HEAD}'
ACCEPT = f'[[accept]]\nid = "x"\n{HEAD}skip = ["spam"]\n'
EXCEPTION = f'[[exception]]\nid = "x"\n{HEAD}'


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        (DENY, "2: deny.0.id", "no condition"),
        (f"{DENY}sendr = []", "5: deny.0.sendr", "unknown key"),
        ('[[deny]]\nid = "x"\nby = "a"\nclient = ["192.0.2.1"]', "1: deny.0.reason", "required"),
        ('[[deny]]\nid = "x"\nreason = "because"\nclient = ["192.0.2.1"]', "1: deny.0.by", "required"),
        (f'{DENY}client = ["192.0.2.1/24"]', "5: deny.0.client", "host bits"),
        (f'{DENY}client = ["0.0.0.0/0"]', "5: deny.0.client", "everybody"),
        (f'{DENY}recipient = ["@cust.example"]', "5: deny.0.recipient", "without @"),
        (f'{DENY}recipient = ["."]', "5: deny.0.recipient", "empty"),
        (f'{DENY}recipient = ["a@b.example"]\nenhanced = "4.7.1"', "6: deny.0.enhanced", "5.x.x"),
        (f'{DENY}recipient = ["a@b.example"]\ntext = "two\\nlines"', "6: deny.0.text", "pattern"),
        (f'{DENY}recipient = ["a@b.example"]\nreply = "discard"', "6: deny.0.reply", "reject"),
        (f'{DENY}recipient = ["a@b.example"]\nuntil = 2026-06-30T00:00:00', "6: deny.0.until", "offset"),
        # Somebody else's name is written by anybody.
        (f'{DENY}from_domain = ["b.example"]', "5: deny.0.from_domain", "needs authenticated"),
        (f'{ACCEPT}sender = ["b.example"]', "6: accept.0.sender", "needs authenticated"),
        (f'{EXCEPTION}sender = ["b.example"]\nspam = "tag"', "5: exception.0.sender", "needs authenticated"),
        (f'{ACCEPT}from_domain = ["b.example"]\nauthenticated = ["spf"]', "6: accept.0.from_domain", "dmarc"),
        (f'{ACCEPT}sender = ["<>"]\nauthenticated = ["spf"]', "6: accept.0.sender", "null sender"),
        (f'{ACCEPT}client = ["192.0.2.1"]\nauthenticated = ["spf"]', "7: accept.0.authenticated", "neither"),
        # A virus is passed on to nobody.
        (
            f'[[accept]]\nid = "x"\n{HEAD}recipient = ["a@b.example"]\nskip = ["virus"]',
            "6: accept.0.skip",
            "Input should",
        ),
        (f'{EXCEPTION}recipient = ["a@b.example"]\nvirus = "tag"', "6: exception.0.virus", "quarantine"),
        (f'{EXCEPTION}recipient = ["a@b.example"]', "2: exception.0.id", "changes nothing"),
        # Who has signed in answers for his mail, and is not suspended by another name.
        (f'{ACCEPT}account = ["a@b.example"]', "6: accept.0.account", "answers for his mail"),
        (f'{EXCEPTION}tenant = ["b.example"]\nspam = "tag"', "5: exception.0.tenant", "answers for his mail"),
        (f'{DENY}account = ["a@b.example"]', "1: deny.0.direction", "outbound"),
        (f'{DENY}account = ["a@b.example"]\ndirection = "outbound"', "6: deny.0.direction", "suspension"),
        (f'{DENY}sender = ["a@b.example"]\ndirection = "any"', "6: deny.0.direction", "suspension"),
        (f"{DENY}client = [192]", "5: deny.0.client.0", "string"),
        (f'{DENY}client = ["192.0.2.1"]\n{ACCEPT}client = ["192.0.2.1"]', "6: id", "'x' stands at"),
        ("[[deny]\n", "1", "Expected"),
    ],
)
def test_what_is_wrong_is_refused_by_file_line_and_key(tmp_path: Path, text: str, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    assert f"{tmp_path / 'list.toml'}:{where}" in str(raised.value)
    assert words in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: No such file"):
        load_exceptions([tmp_path / "nowhere.toml"])


def test_entries_written_inline_have_a_line_too(tmp_path: Path) -> None:
    (one,) = load(tmp_path, '\ndeny = [{id = "x", by = "a", reason = "because", client = ["192.0.2.1"]}]\n')
    assert one.line == 2


async def test_a_change_is_taken_and_a_faulty_one_leaves_in_force_what_was(tmp_path: Path) -> None:
    file, said = tmp_path / "list.toml", list[ExceptionReading]()
    file.write_text(GOOD, encoding="utf-8")
    files = ExceptionFiles([file], FrozenClock(START), len, recheck_s=0, on_reading=said.append)
    files.open()
    assert (await files.current(), said) == (3, [ExceptionReading(in_force=3)])

    def write(text: str) -> None:
        other = tmp_path / "new"
        other.write_text(text, encoding="utf-8")
        os.replace(other, file)

    write(f"{DENY}client = ['192.0.2.1']\n")
    assert (await files.current(), len(said)) == (1, 2)
    write("[[deny]]\nid = 'y'\n")
    assert await files.current() == 1
    assert said[-1].error is not None
    assert f"{file}:1: deny.0.by" in said[-1].error
    assert said[-1].in_force == 1
    count = len(said)
    assert await files.current() == 1
    # Once is enough.
    assert len(said) == count
    file.unlink()
    assert await files.current() == 1
    assert "cannot be read" in str(said[-1].error)
    write(GOOD)
    assert await files.current() == 3


def test_a_faulty_list_is_not_started_with(tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    file.write_text(DENY)
    with pytest.raises(ConfigError):
        ExceptionFiles([file], FrozenClock(START), len, on_reading=lambda _: None).open()


def test_the_end_of_time_of_another_zone_is_an_end(tmp_path: Path) -> None:
    entries = load(tmp_path, f'{DENY}client = ["192.0.2.1"]\nuntil = 9999-12-31T23:59:59-05:00\n')
    assert [x.until.year for x in entries if x.until is not None] == [9999]


def test_what_nobody_foresaw_is_told_too_and_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "list.toml"
    file.write_text(f'{DENY}client = ["192.0.2.1"]\n')
    told: list[ExceptionReading] = []
    files = ExceptionFiles([file], FrozenClock(START), len, on_reading=told.append)
    files.open()
    file.write_text(f'{DENY}client = ["192.0.2.1", "192.0.2.2"]\n')
    monkeypatch.setattr("filterd.clients.exception_files.load_exceptions", lambda _: 1 / 0)
    files._look()
    assert told[-1].error == "cannot be read: ZeroDivisionError"
    assert len(files.entries) == 1


def test_a_reading_that_nobody_waits_for_any_more_does_not_come_last(tmp_path: Path) -> None:
    """Whoever asked for it may have hung up; its thread goes on, and must not put old entries over new ones."""
    file = tmp_path / "list.toml"
    may_end, has_begun = threading.Event(), threading.Event()

    def made(entries: tuple[ExceptionEntry, ...]) -> tuple[str, ...]:
        if [x.id for x in entries] == ["slow"]:
            has_begun.set()
            assert may_end.wait(PATIENCE_S)
        return tuple(x.id for x in entries)

    file.write_text(f'{DENY}client = ["192.0.2.1"]\n')
    files = ExceptionFiles([file], FrozenClock(START), made, recheck_s=0, on_reading=lambda _: None)
    files.open()
    file.write_text(f'{DENY}client = ["192.0.2.1"]\n'.replace('id = "x"', 'id = "slow"'))
    first = threading.Thread(target=files._look)
    first.start()
    assert has_begun.wait(PATIENCE_S)
    file.write_text(f'{DENY}client = ["192.0.2.1", "192.0.2.7"]\n'.replace('id = "x"', 'id = "newest"'))
    second = threading.Thread(target=files._look)
    second.start()
    may_end.set()
    for thread in (first, second):
        thread.join(PATIENCE_S)
    assert [x.id for x in files.entries] == ["newest"]
