"""The time to appeal runs from the first refusal that showed the case, where that was later.  STANDING 5.6, TX-6.2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import LedgerUnavailable
from filterd.ledger.codec import encode_record
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.session import Door, Session
from tests.kit.house import letter
from tests.pipeline.people import ALICE, BOB, CONFIG, DAY, Office, open_office

pytestmark = pytest.mark.slow

QUEUE = {"name": "queue", "attribution": "xclient", "direction": "outbound", "after_queue": True, "port": 10030}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, listener=[*CONFIG["listener"], QUEUE]) as opened:
        await opened.hire("dana", "erin")
        yield opened


async def shown(office: Office) -> list[r.CaseShown]:
    account = await office.mailbox()
    return [x for x in office.records(account.account_id) if isinstance(x, r.CaseShown)]


async def mail(office: Office, listener: str = "submission") -> int:
    reply = (await office.send(letter("hello"), BOB, login=ALICE, listener=listener)).reply
    return 250 if reply is None else reply.code


async def at_rcpt(office: Office) -> Any:
    session = Session(
        id="c_1", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", is_trusted_peer=True,
        login=ALICE, login_source="xclient",
    )  # fmt: skip
    return await office.gate.admit(session, None, parse_forward_path(f"<{BOB}>".encode()))


async def test_only_the_first_refusal_of_a_case_writes_a_row(office: Office) -> None:
    await office.suspend("dana")
    assert await shown(office) == []
    office.clock.advance(DAY * 5)
    first = office.clock.now()
    for _ in range(3):
        assert await mail(office) == 550
        office.clock.advance(3600)
    assert (await at_rcpt(office)).code == 550
    (row,) = await shown(office)
    assert row.at == first


async def test_a_refusal_before_data_is_one_too_and_another_worker_adds_none(office: Office) -> None:
    await office.suspend("dana")
    assert (await at_rcpt(office)).code == 550
    office.gate._shown._noted.clear()
    assert (await at_rcpt(office)).code == 550
    assert len(await shown(office)) == 1
    # Also where two asked at the same moment, before either had heard.
    (row,) = await shown(office)
    wanted = {"account_id": row.account_id, "incident_ids": [row.incident_id], "at": row.at.isoformat()}
    assert await office.ledger.call("case.shown", wanted) == []
    assert len(await shown(office)) == 1


async def test_what_refuses_a_mail_in_breach_shows_the_new_case(office: Office) -> None:
    await office.spread(subject="one")
    (row,) = await shown(office)
    (incident,) = (await office.show(ALICE))["incidents"]
    assert row.incident_id == incident["incident_id"]
    await office.spread(subject="two")
    assert len(await shown(office)) == 1


async def test_what_is_put_off_or_let_on_shows_nothing(office: Office) -> None:
    assert await mail(office) == 250
    await office.suspend("dana")
    assert await mail(office, "queue") == 451
    assert await shown(office) == []


async def test_a_refusal_for_the_whole_organisation_shows_no_case_of_the_account(office: Office) -> None:
    account = await office.mailbox()
    await office.act("dana", "tenant.lock", tenant=account.tenant_id, reason="look")
    assert await mail(office) == 550
    assert await shown(office) == []


async def test_the_window_begins_with_it_where_the_notice_came_before(office: Office) -> None:
    await office.suspend("dana", hours=24 * 300)
    await office.notice_received()
    (incident,) = (await office.show(ALICE))["incidents"]
    answer = await office.act("dana", "appeal.file", target=incident["incident_id"])
    appeal = answer["appeals"][0]["appeal_id"]

    async def closes() -> Any:
        said = (await office.act("erin", "appeal.show", appeal=appeal))["window_closes_at"]
        return office.at(said.replace("Z", "+00:00"))

    before = await closes()
    office.clock.advance(DAY * 60)
    assert await mail(office) == 550
    assert (await closes()) - before >= timedelta(days=59)
    office.clock.advance(DAY * 60)
    later = await closes()
    assert await mail(office) == 550
    assert await closes() == later


async def test_the_row_has_ids_and_an_instant_alone(office: Office) -> None:
    await office.suspend("dana")
    assert await mail(office) == 550
    (row,) = await shown(office)
    body = encode_record(row)
    for secret in (b"bob", b"alice", b"hello", b"other.example"):
        assert secret not in body


async def test_a_ledger_that_is_away_keeps_no_refusal_waiting_and_the_next_one_tells(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.suspend("dana")
    call = office.ledger.call

    async def away(verb: str, arguments: Any) -> Any:
        raise LedgerUnavailable("away")

    monkeypatch.setattr(office.ledger, "call", away)
    assert (await at_rcpt(office)).code == 550
    monkeypatch.setattr(office.ledger, "call", call)
    assert await shown(office) == []
    assert (await at_rcpt(office)).code == 550
    assert len(await shown(office)) == 1
