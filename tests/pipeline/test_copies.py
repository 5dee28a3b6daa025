"""Campaign copies that were delivered: they are asked back, and the tenant's contact reads to whom they went.

STANDING 5.7-14 (queue and held mail on release), story s1 step 5. The mail store and the mail server's log are
dictionaries; with a real Dovecot: tests/e2e/test_claw_back.py.
"""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from filterd.errors import PortError
from filterd.model.reply import Reply
from filterd.pipeline.copies import mark_of
from tests.kit.house import START
from tests.pipeline.test_effects import ALICE, BELLA
from tests.pipeline.theft import BOB, BOSS, CAMPAIGN, CAROL, DAVE, OWN, Theft, opened

pytestmark = pytest.mark.slow

HOOK = {"claw_back": {"command": ["/bin/true"]}}
LOG = {"delivery_log": {"command": ["/bin/true"]}}
EVE, FRED = "eve@far.example", "fred@elsewhere.example"


@pytest.fixture
async def theft(tmp_path: Path) -> AsyncIterator[Theft]:
    async with opened(tmp_path, **HOOK, **LOG) as theft:
        yield theft


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Theft]:
    """A site with neither program."""
    async with opened(tmp_path) as theft:
        yield theft


def mark(tx: str, account_id: str) -> str:
    return mark_of({"tx": tx, "account_id": account_id})


def deliver(theft: Theft) -> tuple[str, str]:
    """Two copies are delivered, to three users of ours and two elsewhere, and a mail of hers."""
    first = theft.mail(CAMPAIGN, BOB, CAROL, DAVE, queue_id="G00001")
    second = theft.mail(CAMPAIGN, BOB, EVE, queue_id="G00002")
    theft.mail(OWN, BELLA, FRED, queue_id="G00003")
    theft.store.boxes = {(BOB, first), (CAROL, first), (BOB, second)}
    theft.log.lines = {"G00001": frozenset({BOB, CAROL, DAVE}), "G00002": frozenset({BOB, EVE})}
    return first, second


async def notice(theft: Theft) -> None:
    await theft.steal(CAMPAIGN)
    theft.clock.advance(120)
    await theft.work()


async def tell(theft: Theft) -> str:
    """Let the time come at which the contact is told; say what the one letter says."""
    theft.clock.advance(600)
    await theft.work()
    ((to, raw),) = theft.mailer.sent
    assert to == BOSS
    return str(email.message_from_bytes(raw, policy=email.policy.default).get_content())  # type: ignore[attr-defined]


async def test_each_copy_in_a_mailbox_of_ours_is_asked_back_once_and_no_other_mail(theft: Theft) -> None:
    first, second = deliver(theft)
    await notice(theft)
    await theft.ask_back()
    asked = {(x["login"], x["transaction_id"], x["queue_id"]) for x in theft.store.asked}
    assert asked == {(BOB, first, "G00001"), (CAROL, first, "G00001"), (BOB, second, "G00002")}
    assert theft.store.boxes == set()
    # One row, in which no account is named: hers may be another tenant's than theirs.
    ((outcome, count, ids),) = await theft.fates()
    assert (outcome, count) == ("applied", 3)
    assert set(ids) == {mark(first, "a_3"), mark(first, "a_4"), mark(second, "a_3")}
    assert not [x for x in ids if "a_3" in x or "a_4" in x]
    # The attestation looks again, and asks for nothing twice.
    await theft.attest()
    await theft.ask_back()
    assert len(theft.store.asked) == 3


async def test_the_request_names_the_mailbox_and_our_own_id_of_the_mail_and_nothing_it_says(theft: Theft) -> None:
    first, _ = deliver(theft)
    await notice(theft)
    await theft.ask_back()
    (asked,) = [x for x in theft.store.asked if x["login"] == CAROL]
    effect_id, delivered_at = asked.pop("effect_id"), asked.pop("delivered_at")
    assert effect_id.startswith("e_")
    assert delivered_at.startswith(f"{START:%Y-%m-%dT%H:%M}")
    assert asked == {
        "version": "1",
        "act": "claw_back",
        "hold_id": "h_a_1",
        "account_id": "a_4",
        "login": CAROL,
        "transaction_id": first,
        "field": "X-Filterd-Id",
        "queue_id": "G00001",
    }


async def test_her_own_letter_that_the_thief_has_sent_again_stays_where_it_is(theft: Theft) -> None:
    """Whoever has her account has her letters, too."""
    hers = theft.mail(CAMPAIGN, BOB, queue_id="F00001", at=START - timedelta(hours=25))
    copy = theft.mail(CAMPAIGN, CAROL, queue_id="G00001", at=START - timedelta(hours=23))
    theft.store.boxes = {(BOB, hers), (CAROL, copy)}
    await notice(theft)
    await theft.ask_back()
    assert theft.store.boxes == {(BOB, hers)}
    assert list(await said(theft)) == ["a_4"]


async def test_a_mail_store_that_fails_is_asked_again_under_the_same_id_and_the_failure_is_said_once(
    theft: Theft,
) -> None:
    first = theft.mail(CAMPAIGN, BOB, queue_id="G00001")
    theft.store.boxes, theft.store.error = {(BOB, first)}, PortError("doveadm ended with 75: no")
    await notice(theft)
    for _ in range(3):
        await theft.ask_back()
        theft.clock.advance(hours=2)
    assert [(outcome, ids) for outcome, _, ids in await theft.fates()] == [("failed", (mark(first, "a_3"),))]
    assert len([x for x in theft.errors if "doveadm ended with 75" in x]) == 3
    theft.store.error = None
    await theft.ask_back()
    assert [outcome for outcome, _, _ in await theft.fates()] == ["failed", "applied"]
    assert len({x["effect_id"] for x in theft.store.asked}) == 1
    assert len(theft.store.asked) == 4


async def test_an_error_that_is_none_of_ours_is_on_record_by_its_kind_alone(theft: Theft) -> None:
    theft.mail(CAMPAIGN, BOB, queue_id="G00001")
    theft.store.error = RuntimeError(f"quoting {BOB}")
    await notice(theft)
    await theft.ask_back()
    (row,) = [x for x in await theft.reports(ALICE) if x.effector == "claw_back"]
    assert (row.outcome, row.detail) == ("failed", "RuntimeError")
    assert "RuntimeError" in theft.errors


async def test_a_copy_that_is_not_there_any_more_is_no_failure(theft: Theft) -> None:
    first = theft.mail(CAMPAIGN, BOB, queue_id="G00001")
    await notice(theft)
    await theft.ask_back()
    assert await theft.fates() == [("nothing", 0, (mark(first, "a_3"),))]


async def test_nothing_is_taken_back_once_a_moderator_says_that_nothing_was_stolen(theft: Theft) -> None:
    deliver(theft)
    await notice(theft)
    await theft.act("hold.release", hold=ALICE, clear=True)
    await theft.ask_back()
    theft.clock.advance(600)
    await theft.work()
    assert theft.store.asked == []
    # Nor does anybody tell the contact that she was robbed.
    assert theft.mailer.sent == []
    assert "report" not in [x.act for x in await theft.reports(ALICE)]


async def test_nobody_is_warned_of_what_was_cleared_before_the_index_was_asked(theft: Theft) -> None:
    deliver(theft)
    await theft.steal(CAMPAIGN)
    await theft.act("hold.release", hold=ALICE, clear=True)
    theft.clock.advance(120)
    await theft.work()
    await theft.ask_back()
    assert await theft.warned() == {}
    assert theft.store.asked == []


async def test_a_warning_says_whether_the_mail_is_being_taken_back(theft: Theft) -> None:
    deliver(theft)
    await notice(theft)
    assert await said(theft) == {"a_3": [True], "a_4": [True]}


async def test_without_a_program_nothing_is_taken_back_and_that_is_said(bare: Theft) -> None:
    deliver(bare)
    await notice(bare)
    await bare.ask_back()
    assert bare.store.asked == []
    (row,) = [x for x in await bare.reports(ALICE) if x.effector == "claw_back"]
    assert (row.outcome, row.count) == ("unavailable", 3)
    assert "[effectors.claw_back]" in row.detail
    assert await said(bare) == {"a_3": [False], "a_4": [False]}
    text = await tell(bare)
    assert "Nothing was taken back out of their mailboxes" in text
    assert "2 users of this platform got one" in text


async def said(theft: Theft) -> dict[str, list[bool]]:
    pending = [item.payload for item, _, _ in await theft.engine.pending()]
    told = [x for x in pending if x.get("event") == "recipient_warning"]
    return {x["account_id"]: [f["is_taken_back"] for f in x["facts"]] for x in told}


# --- the letter to the tenant's contact -------------------------------------------------------------------------------


async def test_the_contact_reads_who_got_a_copy_elsewhere_and_how_many_were_taken_back(theft: Theft) -> None:
    first, _ = deliver(theft)
    theft.store.boxes.discard((CAROL, first))
    await notice(theft)
    await theft.ask_back()
    text = await tell(theft)
    assert "Of 3 copies in their mailboxes 2 were taken back, 1 were not there any more, and 0 are still" in text
    assert DAVE in text
    assert EVE in text
    # Users of ours are counted and not named, and a mail of hers is none of the campaign.
    assert not any(x in text for x in (BOB, CAROL, BELLA, FRED))
    # Nobody asks the log about mail that is hers.
    assert theft.log.asked == [{"G00001", "G00002"}]
    # Once.
    await theft.attest()
    theft.clock.advance(hours=2)
    await theft.work()
    assert len(theft.mailer.sent) == 1


async def test_no_address_elsewhere_is_in_a_row_or_in_the_outbox(theft: Theft) -> None:
    deliver(theft)
    await notice(theft)
    await theft.ask_back()
    await tell(theft)
    rows = [repr(x) for x in await theft.engine.submit(lambda txn: txn.records("a_1"))]
    work = [json.dumps(item.payload, default=str) for item, _, _ in await theft.engine.pending()]
    assert not [x for x in (*rows, *work) if DAVE in x or EVE in x]


async def test_what_the_log_says_of_another_mail_under_the_same_id_is_not_believed(theft: Theft) -> None:
    """Short queue ids are used again: FRED got a mail of somebody else's."""
    deliver(theft)
    theft.log.lines = {"G00001": frozenset({FRED, BOB}), "G00002": frozenset({EVE})}
    await notice(theft)
    text = await tell(theft)
    assert FRED not in text
    assert EVE in text
    # That there was one more is said, and where to look.
    assert "G00001  (+ 1: " in text
    assert "G00002  (+" not in text


async def test_without_a_log_the_contact_reads_the_queue_ids_to_look_for(bare: Theft) -> None:
    deliver(bare)
    await notice(bare)
    text = await tell(bare)
    assert "G00001  (+ 1: " in text
    assert "G00002  (+ 1: " in text
    assert not any(x in text for x in (DAVE, EVE))


async def test_a_log_that_cannot_be_read_keeps_the_letter_waiting_and_not_for_ever(theft: Theft) -> None:
    deliver(theft)
    theft.log.error = PortError("delivered-to ended with 1: no right to read")
    await notice(theft)
    theft.clock.advance(600)
    for _ in range(2):
        await theft.work()
        assert theft.mailer.sent == []
        theft.clock.advance(hours=2)
    text = await tell(theft)
    assert "G00001  (+ 1: " in text
    assert any("goes without addresses" in x for x in theft.errors)


async def test_the_letter_is_tried_until_a_contact_takes_it(theft: Theft) -> None:
    deliver(theft)
    await notice(theft)
    theft.mailer.reply = Reply(code=451, enhanced="4.3.0", text="later")
    theft.clock.advance(600)
    await theft.work()
    assert any("no contact of the tenant takes" in x for x in theft.errors)
    assert ("report", "failed") in [(x.act, x.outcome) for x in await theft.reports(ALICE)]
    theft.mailer.reply = Reply(code=250, enhanced="2.0.0", text="queued")
    assert DAVE in await tell(theft)
    assert (await theft.reports(ALICE))[-1].outcome == "applied"


async def test_a_tenant_without_a_contact_is_a_failure_that_is_said(theft: Theft) -> None:
    deliver(theft)

    def forget(txn: object) -> None:
        tenant = txn.tenant("n_1")  # type: ignore[attr-defined]
        txn.put_tenant(replace(tenant, contact=None))  # type: ignore[attr-defined]

    await theft.engine.submit(forget)
    await notice(theft)
    theft.clock.advance(600)
    await theft.work()
    row = (await theft.reports(ALICE))[-1]
    assert (row.act, row.outcome, row.count, row.detail) == ("report", "failed", 2, "the tenant has no contact")
    assert any("nobody reads what was delivered" in x for x in theft.errors)
    assert theft.mailer.sent == []


async def test_a_campaign_that_reached_nobody_here_needs_no_program(bare: Theft) -> None:
    bare.mail(CAMPAIGN, DAVE, queue_id="G00001")
    await notice(bare)
    assert [x for x in await bare.reports(ALICE) if x.effector == "claw_back"] == []
    assert "No other user of this platform got one" in await tell(bare)
