"""What somebody would try who wants to go on, and what must not befall who did nothing.

STANDING 5.3, 5.7-5, 5.7-15, 5.7-19, 5.7-21; CLAUSES §2.2 (declared stream).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from filterd.agreement.decide import decide
from filterd.agreement.exculpation import exculpations
from filterd.agreement.fold import apply, fold
from filterd.agreement.tenancy import Act, charge
from filterd.model import records as r
from filterd.model.sanction import Preset
from filterd.model.standing import History, Surroundings
from tests.agreement.cases import NOON, case
from tests.agreement.contract import shipped
from tests.agreement.test_registers import ADVERT, DAY, STREAM, Account, declared
from tests.agreement.test_tenancy import TENANT, incident

TERMS = shipped()
VIRUS = ("virus.signature.match",)
NO_TEXT = "0" * 16


def test_mails_without_any_text_are_no_campaign() -> None:
    """A virus in an empty mail is not the newsletter without text of the day before."""
    records: list[r.Record] = []
    for n, codes in enumerate((VIRUS, ("link.feed.match",), ADVERT, ("sender.from.other_tenant",))):
        one = case(codes, transaction_id=f"t_{n}", evidence_key=f"e_{n}", delivery_keys=(f"k_{n}",), text_fp=NO_TEXT)
        one = replace(one, at=NOON + n * timedelta(minutes=1))
        records += decide(one, TERMS, Preset.SUPERVISED, fold("a_1", records), one.delivery_keys).records
    opened = [x.family for x in records if isinstance(x, r.IncidentOpened)]
    assert NO_TEXT not in {x for i in fold("a_1", records).incidents for x in i.links}
    # Malware and phishing are one family, and so one act.
    assert len(opened) == len(set(opened))


def test_an_appeal_won_about_a_mail_without_text_exculpates_no_other_one() -> None:
    first = case(VIRUS, text_fp=NO_TEXT)
    records = list(decide(first, TERMS, Preset.SUPERVISED, fold("a_1", []), ("k_1",)).records)
    incident_id = next(x.incident_id for x in records if isinstance(x, r.IncidentOpened))
    given = exculpations(records, incident_id, TERMS, NOON + DAY, account_id="a_1")
    annulled = r.StrikeAnnulled(at=NOON + DAY, strike_id="k", incident_id=incident_id, by="ann", reason="x")
    later = case(
        VIRUS, text_fp=NO_TEXT, evidence_key="e_2", transaction_id="t_2", delivery_keys=("k_2",), at=NOON + 3 * DAY
    )
    decision = decide(later, TERMS, Preset.SUPERVISED, fold("a_1", [*records, annulled, *given]), ("k_2",))
    assert any(isinstance(x, r.StrikeIssued) for x in decision.records)


def test_declaring_a_stream_anew_takes_no_notice_back() -> None:
    """Or seven days without a way out could be had for ever, by one line a week."""
    account = Account(STREAM)
    assert account.sends(ADVERT, facts=declared(has_one_click=False)).violations == ()
    later = NOON + 8 * DAY
    account.tenant = apply(account.tenant, r.EntryEnded(at=later, entry_id="g_2", by="Chief", reason="again"))
    account.tenant = apply(account.tenant, replace(STREAM, at=later, entry_id="g_9"))
    assert account.sends(ADVERT, later, facts=declared(has_one_click=False)).advice == ("spam.advert",)
    assert account.sends(ADVERT, later + 2 * DAY, facts=declared(has_one_click=False)).violations


def test_a_stream_that_was_mended_passes_again() -> None:
    account = Account(STREAM)
    account.sends(ADVERT, facts=declared(has_one_click=False))
    for day in (1, 8, 60):
        decision = account.sends(ADVERT, NOON + day * DAY, facts=declared())
        assert (decision.violations, decision.advice) == ((), ())


def test_a_tenant_answers_for_nothing_from_before_the_account_was_its_own() -> None:
    old = incident("old", at=NOON)
    before = [replace(x, tenant_id="n_before") if isinstance(x, r.IncidentOpened) else x for x in old]
    account = fold("a_1", [*before, *incident("new", at=NOON + DAY)])
    around = Surroundings(tenant=History(account_id=TENANT), seats=4, active_seats=4)
    act = Act(at=NOON + DAY, tenant_id=TENANT, incident_id="i_new", decision_id="d", text_fp="x")
    rows = charge(account, around, TERMS, act)
    assert [x.incident_id for x in rows if isinstance(x, r.TenantCharged)] == ["i_new"]


def test_while_automation_is_frozen_a_proposal_comes_with_its_task_or_not_at_all() -> None:
    """A task whose proposal nobody wrote could never be answered."""
    frozen = r.AutomationFrozen(
        at=NOON, freeze_id="z_1", tenant_id=None, until=NOON + DAY, by="dana", reason="too much"
    )
    site = fold("site", [frozen])
    records: list[r.Record] = []
    tenant = History(account_id="n_1")
    for n in range(6):
        one = case(
            VIRUS, transaction_id=f"t_{n}", evidence_key=f"e_{n}", delivery_keys=(f"k_{n}",), text_fp=f"x_{n}"
        )
        one = replace(one, at=NOON + n * timedelta(hours=3))
        around = Surroundings(tenant=tenant, site=site, seats=1, active_seats=1)
        found = decide(one, TERMS, Preset.SUPERVISED, fold("a_1", records), one.delivery_keys, around).records
        noticed = [
            r.NoticeSent(
                at=one.at,
                notice_id=f"m_{n}",
                account_id="a_1",
                incident_ids=tuple(x.incident_id for x in found if isinstance(x, r.IncidentOpened)),
                template="warning",
                languages=("en",),
                channel="mail",
                outcome="accepted",
                deemed_at=one.at,
                body_digest="",
            )
        ]
        records += [*found, *noticed]
        for row in found:
            if isinstance(row, (r.TenantCharged, r.TenantStepTaken)) or (
                isinstance(row, r.TaskOpened) and not row.account_id
            ):
                tenant = apply(tenant, row)
    tasks = {x.task_id for x in records if isinstance(x, r.TaskOpened) and not x.account_id}
    steps = [x for x in records if isinstance(x, r.TenantStepTaken)]
    assert {x.step for x in steps} <= {"propose"}
    assert len(tasks) == len(steps)
    assert steps
