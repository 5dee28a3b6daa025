"""Whoever was restricted by our error reads which of their own mails were refused.

CLAUSES §7 (annulled), story S5 row 8.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.reply import Reply
from filterd.model.session import Door, Session
from filterd.pipeline import refusal_notes
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_requests import read_request
from filterd.pipeline.notices import Audience, NoticeSettings, Templates
from filterd.pipeline.refusal_notes import KEPT_A_DAY, RefusalNotes, RefusedList, RefusedMail, refused_between
from filterd.share import path
from tests.kit.house import START, letter
from tests.pipeline.people import ALICE, BOB, Office, open_office

pytestmark = pytest.mark.slow

SETTINGS = NoticeSettings(sender="Mail <desk@provider.example>", appeals_address="appeals@provider.example")
REFUSED = Reply(code=550, enhanced="5.7.13", text="no")
EVE = "eve@else.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana")
        row = {"line": 2, "name": "Cust", "domains": "cust.example", "contact": "boss@cust.example", "language": "en"}
        assert (await opened.act("dana", "tenant.import", rows=[row]))["errors"] == []
        yield opened


async def rcpt(office: Office, address: str) -> Reply | None:
    session = Session(
        id="c_7", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", is_trusted_peer=True, login=ALICE,
        login_source="xclient",
    )  # fmt: skip
    return await office.gate.admit(session, None, parse_forward_path(f"<{address}>".encode()))


async def annulled(office: Office, *audiences: Audience) -> dict[Audience, str]:
    """Word the notice that is promised."""
    desk = NoticeDesk(office.rules, Templates(path("policies/notices")), SETTINGS)
    (item,) = [
        x
        for x, _, _ in office.engine.run(lambda txn: txn.outbox.pending())
        if "annulled" in (x.payload.get("templates") or [])
    ]
    facts = office.engine.run(lambda txn: desk.gather(txn, read_request(item)))
    assert facts is not None
    wanted = audiences or (Audience.ACCOUNT,)
    return {a: x.text for a, x in desk.copies(facts, office.clock.now(), wanted).items()}  # type: ignore[arg-type]


async def test_the_notice_of_an_annulment_lists_what_it_had_refused(office: Office) -> None:
    sanction = await office.suspend("dana")
    office.clock.advance(minutes := 60)
    assert (await rcpt(office, BOB)) is not None
    office.clock.advance(minutes)
    whole = await office.send(letter("x"), EVE, login=ALICE)
    assert whole.reply is not None
    await office.gate.flush()
    office.clock.advance(minutes)
    await office.act("dana", "sanction.annul", sanction=sanction, reason="our error")
    said = await annulled(office, Audience.ACCOUNT, Audience.TENANT)
    mine = said[Audience.ACCOUNT]
    assert "These mails of yours were refused:" in mine
    assert f"- 2026-03-02 09:01, to {BOB}, reference c_7" in mine
    assert f"- 2026-03-02 09:02, to {EVE}, reference {whole.transaction_id}" in mine
    # Whoever answers for the user reads that there is a list, and no address.
    theirs = said[Audience.TENANT]
    assert "Your user has the list." in theirs
    assert BOB not in theirs
    assert EVE not in theirs


async def test_the_addresses_are_sealed_and_in_no_event(office: Office) -> None:
    await office.suspend("dana")
    await rcpt(office, BOB)
    await office.gate.flush()
    account = await office.mailbox()
    (row,) = [x for x in office.records(account.account_id) if isinstance(x, r.MailRefused)]
    assert row.transaction_id == "c_7"
    assert office.personal(account.account_id, r.MailRefused) == [{"recipient": BOB}]
    assert BOB not in str(office.records(account.account_id)) + str(office.events("denied"))
    # What is erased is gone with its key.
    office.engine.run(lambda txn: txn.erase_subject(account.account_id))
    assert not any(office.personal(account.account_id, r.MailRefused))


async def test_what_another_sanction_refused_or_what_passed_is_not_in_the_list(office: Office) -> None:
    first = await office.suspend("dana", hours=1)
    await rcpt(office, BOB)
    await office.gate.flush()
    office.clock.advance(hours=2)
    second = await office.suspend("dana")
    await rcpt(office, EVE)
    await office.gate.flush()
    office.clock.advance(hours=1)
    await office.act("dana", "sanction.annul", sanction=second, reason="our error")
    mine = (await annulled(office))[Audience.ACCOUNT]
    assert EVE in mine
    assert BOB not in mine
    assert first


async def test_a_long_list_is_cut_with_a_count(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal_notes.refused_between, "__kwdefaults__", {"listed": 2})
    sanction = await office.suspend("dana")
    for number in range(5):
        await rcpt(office, f"r{number}@else.example")
    await office.gate.flush()
    office.clock.advance(hours=1)
    await office.act("dana", "sanction.annul", sanction=sanction, reason="our error")
    mine = (await annulled(office))[Audience.ACCOUNT]
    assert "(the first 2; 3 more came after them):" in mine
    assert "r1@else.example" in mine
    assert "r2@else.example" not in mine


async def test_without_any_refusal_it_reads_as_before(office: Office) -> None:
    sanction = await office.suspend("dana")
    office.clock.advance(hours=1)
    await office.act("dana", "sanction.annul", sanction=sanction, reason="our error")
    mine = (await annulled(office))[Audience.ACCOUNT]
    assert "it can be sent again.\n" in mine
    assert "These mails of yours" not in mine


class Book:
    """A ledger that takes rows, unless it is away."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.is_away = False
        self.is_wrong = False

    async def call(self, verb: str, arguments: Any) -> Any:
        if self.is_away:
            raise LedgerUnavailable("away")
        if self.is_wrong:
            raise UsageError("nobody takes this")
        # Another's turn, as while a ledger takes its time.
        await asyncio.sleep(0)
        self.rows += arguments["rows"]


async def test_a_closed_door_that_is_hammered_on_fills_no_ledger() -> None:
    book, errors = Book(), []
    notes = RefusalNotes(book, errors.append)  # type: ignore[arg-type]
    for number in range(KEPT_A_DAY + 50):
        notes.note("a_1", "c_1", [f"r{number}@x.example"], REFUSED, START)
    notes.note("a_2", "c_2", ["one@x.example"], REFUSED, START)
    notes.note("a_1", "c_3", ["next@x.example"], REFUSED, START + timedelta(days=1))
    book.is_away = True
    await notes.flush()
    assert (len(errors), book.rows) == (1, [])
    book.is_away = False
    await notes.flush()
    of_first = [row for row in book.rows if row[0] == "a_1"]
    assert (len(of_first), len(book.rows)) == (KEPT_A_DAY + 1, KEPT_A_DAY + 2)


async def test_two_that_hand_over_at_once_hand_over_once() -> None:
    book = Book()
    notes = RefusalNotes(book, lambda _: None)  # type: ignore[arg-type]
    for number in range(450 // 2):
        notes.note(f"a_{number}", "c_1", ["one@x.example", "two@x.example"], REFUSED, START)
    await asyncio.gather(notes.flush(), notes.flush())
    assert len(book.rows) == len({tuple(row) for row in book.rows}) == 450


async def test_rows_that_nobody_takes_are_given_up_and_said() -> None:
    book, errors = Book(), []
    notes = RefusalNotes(book, errors.append)  # type: ignore[arg-type]
    notes.note("a_1", "c_1", ["one@x.example"], REFUSED, START)
    book.is_wrong = True
    await notes.flush()
    book.is_wrong = False
    await notes.flush()
    assert ([type(x) for x in errors], book.rows) == ([UsageError], [])


async def test_what_waits_and_whoever_is_not_ours_leaves_nothing() -> None:
    book = Book()
    notes = RefusalNotes(book, lambda _: None)  # type: ignore[arg-type]
    notes.note("a_1", "c_1", [BOB], Reply(code=451, enhanced="4.7.1", text="later"), START)
    notes.note(None, "c_1", [BOB], REFUSED, START)
    await notes.flush()
    assert book.rows == []


async def test_the_ledger_keeps_to_the_same_bound(office: Office) -> None:
    account = await office.mailbox()
    rows = [[account.account_id, "c_1", f"r{n}@x.example", "", START.isoformat()] for n in range(KEPT_A_DAY + 5)]
    assert await office.ledger.call("refusal.note", {"rows": rows}) == KEPT_A_DAY
    assert await office.ledger.call("refusal.note", {"rows": rows}) == 0
    opened = office.engine.run(lambda txn: list(txn.opened_entries(account.account_id)))
    found = refused_between(opened, [(START, START)])
    assert (len(found.rows), found.more, found.is_capped) == (100, KEPT_A_DAY - 100, True)
    assert refused_between(opened, [(START + timedelta(hours=1), START + timedelta(hours=2))]) == RefusedList()
    assert found.rows[0] == RefusedMail(at=START, recipient="r0@x.example", queue_id="c_1")
