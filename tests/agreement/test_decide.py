"""Whom a mail concerns, what is written down about it, and what is cited for it.  HOUSE §4 steps 4-6, rules 6 and 7."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from filterd.agreement.decide import decide, is_for_the_record, notices_of
from filterd.agreement.deletion import run_out
from filterd.agreement.due_service import of_service
from filterd.agreement.fold import fold
from filterd.model import records as r
from filterd.model.decision import Case, Decision, Disposition, NoticeDue
from filterd.model.sanction import Preset, Rung
from filterd.model.session import Direction
from filterd.model.standing import ALONE, History, Surroundings
from tests.agreement.cases import MEDIUM, NOON, STRANGER, case
from tests.agreement.contract import shipped
from tests.agreement.rows import BULK, DAY, HOUR, LINKS, hold, imposed

TERMS = shipped()
VIRUS, COSTUME, BURST, NEW = (
    "virus.signature.match",
    "sender.from.other_tenant",
    "rate.burst.running",
    "rate.client.new",
)
NOBODY_YET = History(account_id="a_1")


def mail(*codes: str, **changes: Any) -> Case:
    return case(codes, **changes)


def decided(one: Case, history: History | None = NOBODY_YET, around: Surroundings = ALONE, **more: Any) -> Decision:
    given: dict[str, Any] = {"new_deliveries": one.delivery_keys} | more
    return decide(one, TERMS, Preset.SUPERVISED, history, given["new_deliveries"], around)


# --- is the ledger to decide? -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "history", "expected"),
    [
        (mail(), NOBODY_YET, False),
        (mail(VIRUS), NOBODY_YET, True),
        (mail(VIRUS), None, True),
        (mail(VIRUS, principal=MEDIUM), NOBODY_YET, False),
        (mail(VIRUS, direction=Direction.INBOUND), NOBODY_YET, False),
        # A mail that is refused without points, and about which advice is kept.
        (mail(COSTUME), NOBODY_YET, True),
        (mail(COSTUME, direction=Direction.INTERNAL), NOBODY_YET, True),
        (mail(COSTUME, principal=MEDIUM), NOBODY_YET, False),
        (mail(COSTUME, direction=Direction.INBOUND), NOBODY_YET, False),
        (mail(COSTUME, principal=STRANGER), None, False),
        # What is being sent by a thief is locked without a breach.
        (mail(BURST, NEW), NOBODY_YET, True),
        (mail(BURST, NEW), None, False),
        (mail(BURST, NEW, principal=STRANGER), NOBODY_YET, False),
        (mail(NEW), NOBODY_YET, False),
    ],
)
def test_the_ledger_decides_where_something_may_have_to_be_written_down(
    one: Case, history: History | None, expected: bool
) -> None:
    assert is_for_the_record(one, TERMS, history) is expected


def test_an_agreement_without_registers_keeps_no_advice() -> None:
    terms = TERMS.model_copy(update={"registers": None})
    assert not is_for_the_record(mail(COSTUME), terms, NOBODY_YET)


# --- retries ----------------------------------------------------------------------------------------------------------


def test_case_5_7_09_a_retry_adds_nothing_and_names_the_incident_it_is_on_record_in() -> None:
    first = decided(mail(VIRUS))
    assert (first.is_recorded, first.is_retry) == (True, False)
    history = fold("a_1", first.records)
    again = decided(mail(VIRUS), history, new_deliveries=())
    assert (again.is_retry, again.is_recorded, again.records, again.notices) == (True, False, (), ())
    assert (again.incident_id, again.disposition) == (first.incident_id, Disposition.REJECT)
    # One that stands goes before one that is annulled.
    (file,) = history.incidents
    other = replace(file, opened=replace(file.opened, incident_id="i_b"))
    both = replace(history, incidents=(replace(file, is_annulled=True), other))
    assert decided(mail(VIRUS), both, new_deliveries=()).incident_id == "i_b"
    assert decided(mail(VIRUS, evidence_key="e_9"), history, new_deliveries=()).incident_id is None


def test_a_retry_of_advised_mail_writes_nothing() -> None:
    assert [type(x) for x in decided(mail(COSTUME)).records] == [r.Advised]
    assert decided(mail(COSTUME)).advice == ("impersonation.exact",)
    again = decided(mail(COSTUME), new_deliveries=())
    assert (again.records, again.advice) == ((), ())


def test_of_mail_nobody_answers_for_nothing_is_written() -> None:
    said = decided(mail(VIRUS, principal=STRANGER, direction=Direction.INBOUND), None)
    assert (said.records, said.violations, said.rung_before, said.is_recorded) == ((), (), Rung.NONE, False)


# --- what is cited ----------------------------------------------------------------------------------------------------


def cited(*rows: r.Record, codes: tuple[str, ...] = ()) -> tuple[str | None, object, tuple[str, ...]]:
    said = decided(mail(*codes, at=NOON + HOUR), fold("a_1", rows))
    return said.incident_id, said.ends_at, said.clauses


def put(**changes: Any) -> r.SanctionImposed:
    return imposed(**({"at": NOON, "starts_at": NOON, "ends_at": NOON + DAY} | changes))


def test_a_refusal_by_standing_names_its_case_its_end_and_its_clauses() -> None:
    one = put()
    assert cited(one) == ("i_1", NOON + DAY, ("3.6",))
    later = put(incident_id="i_2", ends_at=NOON + 3 * DAY, clauses=("4.3.1",))
    assert cited(one, later) == ("i_1", NOON + 3 * DAY, ("3.6", "4.3.1"))
    assert cited(one, put(incident_id="i_2", ends_at=None)) == ("i_1", None, ("3.6",))
    lock = hold(at=NOON, starts_at=NOON, incident_id="i_7")
    assert cited(lock) == ("i_7", None, ())
    assert cited(hold(at=NOON, starts_at=NOON, incident_id="")) == (None, None, ())
    # What does not stop this mail is not cited.
    assert cited(put(rung=Rung.RESTRICT, features=(BULK, LINKS))) == (None, None, ())
    assert cited() == (None, None, ())


def test_a_breach_is_cited_before_what_was_in_force() -> None:
    incident_id, _, clauses = cited(put(), codes=(VIRUS,))
    assert incident_id not in (None, "i_1")
    assert clauses == TERMS.category_of("malware").ground


def test_the_rung_before_and_after() -> None:
    said = decided(mail(VIRUS))
    assert (said.rung_before, said.rung_after) == (Rung.NONE, Rung.WARN)
    held = decided(mail(VIRUS, at=NOON + HOUR), fold("a_1", [put()]))
    assert (held.rung_before, held.rung_after) == (Rung.SUSPEND, Rung.SUSPEND)


# --- notices ----------------------------------------------------------------------------------------------------------


def test_one_notice_a_sanction_and_one_for_a_hold_of_a_case() -> None:
    rows = (
        put(rung=Rung.WARN, sanction_id="s_w"),
        put(rung=Rung.RESTRICT, sanction_id="s_r"),
        put(sanction_id="s_s"),
        hold("h_1"),
        hold("h_2", incident_id=""),
    )
    assert notices_of(rows) == (
        NoticeDue(template="warning", account_id="a_1", incident_id="i_1", sanction_ids=("s_w",)),
        NoticeDue(template="restriction", account_id="a_1", incident_id="i_1", sanction_ids=("s_r",)),
        NoticeDue(template="suspension", account_id="a_1", incident_id="i_1", sanction_ids=("s_s",)),
        NoticeDue(template="hold", account_id="a_1", incident_id="i_1"),
    )


def test_case_5_7_21_frozen_a_tenant_is_charged_and_no_step_is_taken() -> None:
    frozen = r.AutomationFrozen(at=NOON, freeze_id="z_1", tenant_id=None, until=NOON + DAY, by="ann", reason="x")
    rows = [
        r.TenantCharged(
            at=NOON,
            tenant_id="n_1",
            account_id=f"a_{n}",
            incident_id=f"i_{n}",
            half_points=40,
            a_half_points=40,
        )
        for n in (7, 8)
    ]
    tenant = fold("n_1", rows)

    def steps(site: History) -> list[str]:
        around = Surroundings(tenant=tenant, site=site, seats=4, active_seats=4)
        return [x.step for x in decided(mail(VIRUS), around=around).records if isinstance(x, r.TenantStepTaken)]

    assert steps(History(account_id="site")) == ["quota", "propose"]
    assert steps(fold("site", [frozen])) == ["propose"]


# --- a service that is over -------------------------------------------------------------------------------------------


def test_finding_14_a_termination_is_kept_from_its_start_and_only_while_it_stands() -> None:
    told = r.NoticeSent(
        at=NOON,
        notice_id="m_1",
        account_id="a_1",
        incident_ids=("i_1",),
        template="suspension+termination_proposed",
        languages=("en",),
        channel="mail+sms",
        outcome="accepted",
        deemed_at=NOON,
        body_digest="",
    )
    opened = r.IncidentOpened(
        at=NOON,
        incident_id="i_1",
        account_id="a_1",
        tenant_id="n_1",
        family="spam",
        evidence_key="e_1",
        is_after_notice=False,
        is_first=True,
    )
    end = put(rung=Rung.TERMINATE, ends_at=None, is_automatic=False, by="dana", sanction_id="s_end")
    late = NOON + 900 * DAY

    def kept(*rows: r.Record) -> bool:
        return run_out(fold("a_1", rows), TERMS, late) is not None

    assert kept(opened, end, told)
    # Behind a suspension that is in force, and another one that was taken back.
    assert kept(opened, put(ends_at=None), end, told)
    back = r.AccountReinstated(at=NOON + DAY, account_id="a_1", sanction_id="s_end", proposal_id="pr_1", by="dana")
    assert not kept(opened, end, told, back)
    second = replace(end, sanction_id="s_two")
    assert kept(opened, end, second, told, back)
    assert not kept(opened, put(ends_at=None), told)
    assert not kept(end, told)
    assert run_out(fold("a_1", [opened, end, told]), TERMS.model_copy(update={"lifecycle": None}), late) is None
    assert of_service(fold("a_1", [opened, end, told]), None, TERMS, late) == ()
