"""A stolen account's mail in the queue after the attestation: its user's own goes out, the campaign does not.

STANDING 5.7-14 (queue and held mail on release), story s1 step 5 and 6. The queue is a dictionary; the ledger, its
outbox, the search index and the worker are real. With a real Postfix: tests/e2e/test_queue_effector.py.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest

from filterd.errors import PortError
from filterd.mail.fingerprint import text_fp
from filterd.model.decision import NO_TEXT
from filterd.model.evidence import WHOLE, Kept, Portion
from filterd.model.sanction import Ground, Mode, Violation
from tests.kit.house import START
from tests.pipeline.test_effects import ALICE, BELLA
from tests.pipeline.theft import BOB, CAMPAIGN, CAROL, DAVE, INCIDENT, OWN, Theft, opened

pytestmark = pytest.mark.slow


@pytest.fixture
async def theft(tmp_path: Path) -> AsyncIterator[Theft]:
    async with opened(tmp_path) as theft:
        yield theft


def fill(theft: Theft) -> None:
    """Two copies of the campaign, one of them before anything was noticed; two mails of hers; one nobody knows."""
    for queue_id in ("C00001", "C00002", "D00001", "D00002", "E00001"):
        theft.queue.put(queue_id, ALICE, f"{queue_id.lower()}@far.example")
    theft.mail(CAMPAIGN, DAVE, queue_id="C00001")
    theft.mail("another template", DAVE, queue_id="C00002", incident_id=INCIDENT)
    theft.mail(OWN, DAVE, queue_id="D00001")
    theft.mail("a second text of hers", DAVE, queue_id="D00002")


async def test_after_an_attestation_her_own_mail_goes_out_and_the_campaign_stays_and_comes_back_as_one_letter(
    theft: Theft,
) -> None:
    fill(theft)
    await theft.steal(CAMPAIGN)
    assert theft.queue.held == {"C00001", "C00002", "D00001", "D00002", "E00001"}
    await theft.attest()
    # What nobody knows stays, too, and is in no letter.
    assert theft.queue.held == {"C00001", "C00002", "E00001"}
    assert set(theft.queue.mails_by_id) == {"C00001", "C00002", "D00001", "D00002", "E00001"}
    ((login, copies, raw),) = theft.post.letters
    assert (login, set(copies)) == (ALICE, {"C00001", "C00002"})
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert "2 messages" in str(letter["subject"])
    body = str(letter.get_content())  # type: ignore[attr-defined]
    assert all(f"{x}@far.example" in body for x in ("c00001", "c00002"))
    assert not any(f"{x}@far.example" in body for x in ("d00001", "d00002", "e00001"))
    rows = [(x.act, x.outcome, x.count, set(x.ids)) for x in await theft.reports(ALICE)][-2:]
    assert rows == [
        ("release", "applied", 2, {"D00001", "D00002"}),
        ("summary", "applied", 2, {"C00001", "C00002"}),
    ]
    # A person says what becomes of the rest; each copy is on record.
    said = await theft.act("effect.queue", account=ALICE, act="delete")
    assert said["held"] == 3
    await theft.work()
    assert set(theft.queue.mails_by_id) == {"D00001", "D00002"}
    last = (await theft.reports(ALICE))[-1]
    assert (last.act, set(last.ids)) == ("delete", {"C00001", "C00002", "E00001"})


async def test_the_letter_is_one_and_is_tried_until_it_is_taken(theft: Theft) -> None:
    fill(theft)
    theft.post.error = PortError("451", temporary=True)
    await theft.steal(CAMPAIGN)
    await theft.attest()
    assert (theft.post.letters, theft.queue.held) == ([], {"C00001", "C00002", "E00001"})
    theft.post.error = None
    for _ in range(4):
        theft.clock.advance(hours=2)
        await theft.work()
    assert len(theft.post.letters) == 1


async def test_where_nobody_knows_the_campaign_all_of_it_stays(theft: Theft) -> None:
    """A lock by indicators alone has no incident: what the other wrote is not known from what she did."""
    fill(theft)
    await theft.steal(incident_id="")
    await theft.attest()
    assert theft.queue.held == {"C00001", "C00002", "D00001", "D00002", "E00001"}
    assert theft.post.letters == []


async def test_a_copy_that_names_its_reader_is_a_copy_and_a_picture_alone_tells_nothing(theft: Theft) -> None:
    body = (
        "{}, your mailbox is over its limit and will be closed on Friday; log in at once to keep all of your messages. "
        "Our team has tried to reach you several times about the storage of this account. To confirm that you still "
        "use it, open the page below and enter your address and password there, then wait until it is done."
    )
    first, second = (text_fp(body.format(name)) for name in ("Dear Bob", "Dear Carol"))
    hers = text_fp("thank you for coming on Tuesday; we agreed to move the review to the second week of the month, Ann")
    assert first != second
    for queue_id, text in (("C00001", second), ("D00001", hers), ("E00001", NO_TEXT)):
        theft.queue.put(queue_id, ALICE, "x@far.example")
        theft.mail(text, DAVE, queue_id=queue_id)
    await theft.steal(first, NO_TEXT)
    await theft.attest()
    assert theft.queue.held == {"C00001", "E00001"}
    assert [copies for _, copies, _ in theft.post.letters] == [("C00001",)]


async def test_a_short_id_that_was_another_mail_s_tells_nothing(theft: Theft) -> None:
    theft.queue.put("D00001", ALICE, "x@far.example")
    # A week ago the id was a mail of hers; what is under it now the event stream does not know.
    theft.mail(OWN, DAVE, queue_id="D00001", at=START - timedelta(days=7))
    theft.queue.put("D00002", ALICE, "x@far.example")
    theft.mail(OWN, DAVE, queue_id="D00002", account=BELLA)
    await theft.steal(CAMPAIGN)
    held = set(theft.queue.held)
    await theft.attest()
    assert theft.queue.held == held


async def test_what_a_moderator_releases_is_told_apart_by_nobody(theft: Theft) -> None:
    """The lock was an error: then nothing of it is a campaign."""
    fill(theft)
    await theft.steal(CAMPAIGN)
    await theft.act("hold.release", hold=ALICE, clear=True)
    await theft.work()
    assert theft.queue.held == set()
    assert theft.post.letters == []


async def test_users_of_ours_who_got_a_copy_are_warned_once_and_nobody_else(theft: Theft) -> None:
    theft.mail(CAMPAIGN, BOB, DAVE, queue_id="G00001")
    theft.mail(OWN, CAROL, queue_id="G00002")
    theft.mail(CAMPAIGN, CAROL, queue_id=None)
    theft.mail(CAMPAIGN, BELLA, queue_id="H00001")
    # This one waits in the queue: nobody got it.
    theft.queue.put("H00001", ALICE, BELLA)
    await theft.steal(CAMPAIGN)
    assert await theft.warned() == {}
    theft.clock.advance(120)
    await theft.work()
    assert list(await theft.warned()) == ["a_3"]
    # A copy that the index learnt of later is told of at the attestation, and the first not again.
    theft.mail(CAMPAIGN, CAROL, queue_id="G00003")
    await theft.attest()
    assert {who: len(times) for who, times in (await theft.warned()).items()} == {"a_3": 1, "a_4": 1}
    rows = [x for x in await theft.reports(ALICE) if x.act == "warn"]
    assert [(x.act, x.outcome, x.count) for x in rows] == [("warn", "applied", 1), ("warn", "applied", 1)]


# --- the sample -------------------------------------------------------------------------------------------------------

SAMPLE = (
    b"From: Alice <alice@cust.example>\r\nTo: dave@far.example\r\nSubject: Your storage is full\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nLog in at once, \xe6\x82\xa8\xe5\xa5\xbd.\r\n"
)


def breach(category: str, code: str) -> Violation:
    ground = Ground(kind="clause", ids=("4.3.1",))
    return Violation(category=category, family="spam", mode=Mode.A, severity=2, ground=ground, finding_codes=(code,))


async def summarised(theft: Theft, raw: bytes | None, found: Violation, kept: Portion = WHOLE) -> EmailMessage:
    """Have a campaign of which this mail is the evidence end, and say the letter to the sender."""
    fill(theft)
    if raw is not None:
        theft.engine.spool.put("t_v0", raw)
        until = START + timedelta(days=90)
        assert theft.engine.run(lambda txn: txn.promote_evidence("t_v0", "a_1", until, kept)) is not None
    await theft.steal(CAMPAIGN, violations=(found,))
    await theft.attest()
    ((_, _, letter),) = theft.post.letters
    return email.message_from_bytes(letter, policy=email.policy.default)


async def test_the_letter_has_one_of_the_copies_attached_as_it_was(theft: Theft) -> None:
    letter = await summarised(theft, SAMPLE, breach("spam.outbound", "rate.burst.outbound"))
    text, sample = letter.iter_parts()
    assert "One of them is attached" in str(text.get_content())
    assert sample.get_content_type() == "message/rfc822"
    assert SAMPLE in theft.post.letters[0][2]


@pytest.mark.parametrize(
    "found",
    [
        breach("malware", "virus.signature.match"),
        breach("phishing.known", "links.list.phishing"),
        # Whatever it is called.
        breach("spam.outbound", "virus.signature.match"),
    ],
    ids=lambda x: f"{x.category}, {x.finding_codes[0]}",
)
async def test_of_what_would_harm_whoever_opens_it_the_letter_has_the_header_alone(
    theft: Theft, found: Violation
) -> None:
    letter = await summarised(theft, SAMPLE, found)
    text, sample = letter.iter_parts()
    assert "The header of one of them is attached" in str(text.get_content())
    assert sample.get_content_type() == "text/rfc822-headers"
    raw = theft.post.letters[0][2]
    assert b"Subject: Your storage is full" in raw
    assert b"Log in at once" not in raw


async def test_of_a_large_mail_or_where_no_more_was_kept_the_letter_has_the_header_alone(theft: Theft) -> None:
    found = breach("spam.outbound", "rate.burst.outbound")
    letter = await summarised(theft, SAMPLE + b"Log in at once.\r\n" * 20_000, found)
    assert [x.get_content_type() for x in letter.iter_parts()] == ["text/plain", "text/rfc822-headers"]
    assert len(theft.post.letters[0][2]) < 10_000


@pytest.mark.parametrize(("kept", "attached"), [(Kept.HEADERS, "text/rfc822-headers"), (Kept.HASH, None)])
async def test_no_more_is_attached_than_was_kept(theft: Theft, kept: Kept, attached: str | None) -> None:
    found = breach("spam.outbound", "rate.burst.outbound")
    letter = await summarised(theft, SAMPLE, found, Portion(kept=kept))
    parts = [x.get_content_type() for x in letter.iter_parts()]
    assert parts == (["text/plain", attached] if attached is not None else [])
    assert b"Log in at once" not in theft.post.letters[0][2]


async def test_evidence_of_another_incident_is_no_sample(theft: Theft) -> None:
    theft.engine.spool.put("t_other", SAMPLE)
    until = START + timedelta(days=90)
    theft.engine.run(lambda txn: txn.promote_evidence("t_other", "a_1", until))
    letter = await summarised(theft, None, breach("spam.outbound", "rate.burst.outbound"))
    assert letter.get_content_type() == "text/plain"
    assert "No sample of them was kept" in str(letter.get_content())
