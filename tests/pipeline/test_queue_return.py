"""Mail in the MTA's queue of somebody whose service has ended: kept until then, returned after.  STANDING 5.7-20.

The queue is a dictionary and the mailer a list; the ledger, its outbox and the worker are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from filterd.errors import PortError
from filterd.mail.parse import parse
from filterd.mail.report import read_report
from filterd.model import records as r
from filterd.model.about import EVERYTHING
from filterd.model.reply import Reply
from filterd.model.sanction import Rung
from filterd.pipeline.queue_return import batches, report_of
from filterd.ports import QueuedMail
from tests.kit.house import START
from tests.pipeline.test_effects import ALICE, BELLA, SENDING, Site
from tests.pipeline.test_effects import site as made

pytestmark = pytest.mark.slow

site = made
ADMIN, OWNER = "admin@elsewhere.example", "owner@elsewhere.example"
YES, NO = Reply(code=250, enhanced="2.0.0", text="ok"), Reply(code=550, enhanced="5.1.1", text="no")


@dataclass
class Post:
    """Implements ports.Mailer. `answers`: by address; `sent`: what was taken."""

    answers: dict[str, Reply] = field(default_factory=dict)
    error: PortError | None = None
    sent: list[tuple[str, bytes, str | None]] = field(default_factory=list)

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        if self.error is not None:
            raise self.error
        answer = self.answers.get(recipient, YES)
        if answer.is_positive:
            self.sent.append((recipient, raw, reverse_path))
        return answer


@pytest.fixture
async def post(site: Site) -> Post:
    found = Post()
    site.worker._mailer, site.worker._sender = found, "Mail desk <desk@provider.example>"
    site.worker._appeals = "appeals@provider.example"

    def known(txn: Any) -> None:
        tenant = txn.tenant("n_1")
        txn.put_tenant(replace(tenant, contact=ADMIN, second_contact=OWNER))

    await site.engine.submit(known, EVERYTHING)
    return found


def told(at: datetime, channel: str) -> r.NoticeSent:
    return r.NoticeSent(
        at=at, notice_id=f"m_{channel}", account_id="a_1", incident_ids=(), template="termination_proposed",
        languages=("en",), channel=channel, outcome="accepted", deemed_at=at, body_digest="",
    )  # fmt: skip


async def ends(site: Site, days: float = 7, *, is_automatic: bool = False) -> r.SanctionImposed:
    """Have a suspension without an end, and a termination whose cooling-off takes so many days."""
    await site.suspend(ALICE, hours=None)
    now = site.clock.now()
    imposed = r.SanctionImposed(
        at=now, sanction_id="s_end", incident_id=f"i_{site.ids[ALICE]}_1", decision_id="d_2", account_id="a_1",
        rung=Rung.TERMINATE, step=5, features=SENDING, category="", clauses=("4.3.1",),
        starts_at=now + timedelta(days=days), ends_at=None, lapses_at=None, step_down_features=(),
        is_automatic=is_automatic, by="dana", warranted=Rung.TERMINATE,
    )  # fmt: skip
    await site.append(ALICE, imposed)
    for channel in ("account", "tenant"):
        await site.append(ALICE, told(now, channel))
    return imposed


def fill(site: Site) -> None:
    site.queue.put("AAAAAA01", ALICE, "bob@other.example", "eve@other.example")
    site.queue.put("AAAAAA02", "Sales@CUST.example")
    site.queue.put("BBBBBB01", BELLA)
    site.queue.put("CCCCCC01", ALICE, "appeals@provider.example")
    site.queue.put("DDDDDD01", ALICE, is_held=True)


async def test_case_5_7_20_it_is_held_through_the_cooling_off_and_then_returned_to_the_contact(
    site: Site, post: Post
) -> None:
    fill(site)
    await ends(site)
    await site.work()
    site.clock.advance(days=6)
    await site.work()
    assert (post.sent, site.queue.held) == ([], {"AAAAAA01", "AAAAAA02", "DDDDDD01"})
    site.clock.advance(days=2)
    await site.work()
    ((to, raw, reverse_path),) = post.sent
    assert (to, reverse_path) == (ADMIN, None)
    report = read_report(raw)
    assert report is not None
    assert [(x.action, x.status) for x in report.outcomes] == [("failed", "5.7.13")] * 3
    # Gone are the account's own that we held; what others hold, and what goes to the desk, stays.
    assert set(site.queue.mails_by_id) == {"BBBBBB01", "CCCCCC01", "DDDDDD01"}
    rows = [(x.act, x.outcome, x.count, set(x.ids)) for x in await site.reports(ALICE)]
    assert [x for x in rows if x[0] == "return"] == [("return", "applied", 2, {"AAAAAA01", "AAAAAA02"})]
    site.clock.advance(days=1)
    await site.work()
    assert len(post.sent) == 1


async def test_the_report_has_nothing_of_the_mail_but_whom_it_was_for(site: Site, post: Post) -> None:
    fill(site)
    await ends(site, days=0)
    await site.work()
    ((_, raw, _),) = post.sent
    message = parse(raw)
    assert [x.content_type for x in message.parts] == ["text/plain", "message/delivery-status"]
    assert message.first("auto-submitted") == "auto-replied"
    assert b"alice@cust.example" in raw
    text = message.parts[0].content.decode()
    assert ("AAAAAA01" in text, "eve@other.example" in text, "appeals@provider.example" in text) == (True,) * 3


async def test_the_second_contact_is_told_where_the_first_takes_nothing(site: Site, post: Post) -> None:
    fill(site)
    post.answers[ADMIN] = NO
    await ends(site, days=0)
    await site.work()
    assert [to for to, _, _ in post.sent] == [OWNER]
    assert "AAAAAA01" not in site.queue.mails_by_id


@pytest.mark.parametrize("trouble", ["refused", "away", "nobody"])
async def test_where_nobody_takes_the_report_the_mail_stays_and_it_is_tried_again(
    site: Site, post: Post, trouble: str
) -> None:
    fill(site)
    if trouble == "refused":
        post.answers |= {ADMIN: NO, OWNER: NO}
    elif trouble == "away":
        post.error = PortError("away", temporary=True)
    else:
        await site.engine.submit(
            lambda txn: txn.put_tenant(replace(txn.tenant("n_1"), contact=None, second_contact=ALICE)), EVERYTHING
        )
    await ends(site, days=0)
    await site.work()
    assert site.queue.held == {"AAAAAA01", "AAAAAA02", "DDDDDD01"}
    assert site.errors
    assert [x.outcome for x in await site.reports(ALICE)].count("failed") == 1
    post.answers, post.error = {}, None
    await site.engine.submit(lambda txn: txn.put_tenant(replace(txn.tenant("n_1"), contact=ADMIN)), EVERYTHING)
    site.clock.advance(days=1)
    await site.work()
    assert site.queue.held == {"DDDDDD01"}
    assert [to for to, _, _ in post.sent] == [ADMIN]


async def test_a_number_that_postfix_has_used_again_is_somebody_else_s_mail(site: Site, post: Post) -> None:
    fill(site)
    await ends(site)
    await site.work()
    site.queue.put("AAAAAA01", BELLA, is_held=True)
    site.clock.advance(days=8)
    await site.work()
    assert "AAAAAA01" in site.queue.held
    ((_, raw, _),) = post.sent
    assert b"AAAAAA02" in raw
    assert b"AAAAAA01" not in raw


async def test_what_a_standing_order_ends_stays_held(site: Site, post: Post) -> None:
    fill(site)
    await ends(site, days=0, is_automatic=True)
    site.clock.advance(days=40)
    await site.work()
    assert post.sent == []
    assert site.queue.held == {"AAAAAA01", "AAAAAA02", "DDDDDD01"}


async def test_reinstated_before_anything_was_returned_it_goes_on(site: Site, post: Post) -> None:
    fill(site)
    imposed = await ends(site)
    await site.work()
    lifted = r.SanctionLifted(
        at=site.clock.now(), sanction_id=imposed.sanction_id, incident_id=imposed.incident_id, by="erin", reason="no"
    )
    await site.append(ALICE, lifted)
    await site.lift(ALICE, "s_a_1_1")
    site.clock.advance(days=9)
    await site.work()
    assert (post.sent, site.queue.held) == ([], {"DDDDDD01"})
    assert "AAAAAA01" in site.queue.mails_by_id


async def test_an_enterprise_that_ends_has_the_mail_of_all_its_accounts_returned(site: Site, post: Post) -> None:
    fill(site)
    now = site.clock.now()
    step = r.TenantStepTaken(
        at=now, step_id="ts_1", decision_id="d_9", tenant_id="n_1", step="terminate", quota=None,
        starts_at=now + timedelta(days=7), ends_at=None, score_milli=0, incident_ids=(), clauses=("4.3.1",),
        is_automatic=False, by="dana",
    )  # fmt: skip
    about = {"account_id": "", "template": "tenant_termination_proposed"}
    notices = [replace(told(now, x), **about) for x in ("tenant", "second")]

    def write(txn: Any) -> None:
        for row in (step, *notices):
            txn.append(row, account_id=None, tenant_id="n_1")

    await site.engine.submit(write, EVERYTHING)
    await site.work()
    assert site.queue.held == {"DDDDDD01"}
    site.clock.advance(days=8)
    await site.work()
    assert sorted(to for to, _, _ in post.sent) == [ADMIN, ADMIN]
    assert set(site.queue.mails_by_id) == {"CCCCCC01", "DDDDDD01"}


def mail(number: int, recipients: int = 1) -> QueuedMail:
    return QueuedMail(
        queue_id=f"Q{number}",
        is_held=True,
        arrived_at=START,
        sender=ALICE,
        recipients=tuple(f"p{n}@other.example" for n in range(recipients)),
    )


def test_one_report_names_as_many_as_it_can_and_no_mail_is_left_out() -> None:
    mails = [mail(n, 300) for n in range(8)] + [mail(9, 2500)]
    lots = list(batches(mails))
    assert [len(x) for x in lots] == [3, 3, 2, 1]
    assert [m for lot in lots for m in lot] == mails


def test_the_same_mails_have_the_same_message_id() -> None:
    said = {
        parse(
            report_of(ALICE, "s_1", mails, sender="d@p.example", to=ADMIN, appeals="a@p.example", at=START)
        ).first("message-id")
        for mails in ([mail(1), mail(2)], [mail(1), mail(2)], [mail(1)])
    }
    assert len(said) == 2
