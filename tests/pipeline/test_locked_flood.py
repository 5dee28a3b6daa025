"""A mailing in which a list of a locked category finds its words: few cases, little on disk, no work for the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.ledger.txn import Txn
from filterd.pipeline import locked_cases
from filterd.pipeline.locked import CASES_AT_MOST
from tests.kit.house import letter
from tests.pipeline.locked_rig import LIST, WORDS, cases, mail, running
from tests.pipeline.people import ALICE, BOB, Office, open_office

pytestmark = pytest.mark.slow

ZOE = "zoe@cust.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin")
        yield opened


async def sent(office: Office, *mails: bytes, login: str = ALICE) -> None:
    for raw in mails:
        assert (await office.send(raw, BOB, login=login)).reply is None
    await office.gate.flush()


def spooled(office: Office) -> list[str]:
    return sorted(x.name for x in office.engine.spool.directory.iterdir() if x.name.startswith("lh_"))


async def waiting(office: Office) -> list[str]:
    rows = await office.act("dana", "review.list")
    return [row["id"] for row in rows if row["kind"] == "sealed"]


async def test_one_text_to_many_is_one_case_and_the_same_text_with_another_hit_is_another(office: Office) -> None:
    await running(office, LIST)
    body = b"Dear Bob, the velvet teapot of the second of March is in the town hall until Tuesday.\r\n"
    mails = [letter(f"Hello {number}") + body for number in range(12)]
    await sent(office, *mails)
    assert len(cases(office)) == 1
    assert spooled(office) == []
    await sent(office, letter("Hello marmalade jar") + body)
    assert len(cases(office)) == 2


async def test_an_account_makes_so_many_cases_a_day_and_no_more_and_nothing_of_it_stays_in_the_spool(
    office: Office,
) -> None:
    await running(office)
    await sent(office, *(mail(f"{WORDS} {'abcdefghijklmnopqrstuvwxyz'[n] * 9}") for n in range(CASES_AT_MOST + 3)))
    assert len(cases(office)) == CASES_AT_MOST
    assert spooled(office) == []
    # Another one's is taken, and the next day hers.
    await sent(office, mail(sender=ZOE), login=ZOE)
    assert len(cases(office)) == CASES_AT_MOST + 1
    office.clock.advance(hours=25)
    await sent(office, mail(f"{WORDS} on the next day"))
    assert len(cases(office)) == CASES_AT_MOST + 2


async def test_a_hit_and_a_reader_look_up_one_case_and_not_all(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(office)
    await sent(office, mail())
    (case,) = cases(office)

    def everything(*_: Any, **__: Any) -> Any:
        raise AssertionError("all cases were read for one")

    with monkeypatch.context() as patched:
        patched.setattr(Txn, "locked_cases", everything)
        await sent(office, mail(), mail("one more velvet teapot"))
        given = {"case": case.transaction_id, "reason": "my turn"}
        await office.act("dana", "locked.open", **given)
        await office.act("dana", "locked.close", **given, outcome="nothing")
    assert len(cases(office)) == 2


async def test_the_queue_shows_the_oldest_and_reads_no_more_than_it_shows(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked_cases, "ROWS_AT_MOST", 2)
    await running(office)
    for name in ("one", "two", "three", "four", "five"):
        await sent(office, mail(f"velvet teapot {name}"))
        office.clock.advance(60)
    all_of_them = [case.transaction_id for case in cases(office)]
    real, read = Txn.locked_cases, []

    def counted(txn: Txn, *given: Any, **more: Any) -> Any:
        found = real(txn, *given, **more)
        read.append(len(found))
        return found

    monkeypatch.setattr(Txn, "locked_cases", counted)
    assert await waiting(office) == all_of_them[:2]
    assert read == [2]
    # What is settled and still kept hides nothing behind it.
    for case in all_of_them[:2]:
        await office.act("dana", "locked.open", case=case, reason="my turn")
        await office.act("dana", "locked.close", case=case, outcome="nothing", reason="a kettle")
    assert await waiting(office) == all_of_them[2:4]
