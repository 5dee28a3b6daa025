"""A raised C2 category warns once an incident and no more; whose doing an act was.  STANDING 5.3, 5.7-14, 5.9, 7.1."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from filterd.agreement.offence import Offence, commit_offence
from filterd.agreement.raised import warning
from filterd.agreement.takeover import (
    attestable,
    attestation_number,
    excusable,
    hypothesis_of,
    hypothesis_of_account,
    indicators_in,
    is_stolen,
    reported,
    takeover_hold,
)
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Case, Counts, MailFacts
from filterd.model.sanction import Ground, Mode, Preset, Rung, Violation
from filterd.model.session import Direction
from filterd.model.standing import History, Surroundings
from filterd.model.verdict import Outcome
from tests.agreement.cases import MEDIUM, assessed, case
from tests.agreement.contract import shipped
from tests.agreement.rows import DAY, HOUR, SECOND, T0, history, hold, incident, sanction, strike

TERMS = shipped()


def with_raised(*names: str) -> Agreement:
    """The shipped agreement as it is once two people have raised these."""
    categories = tuple(x.model_copy(update={"raised": True}) if x.id in names else x for x in TERMS.category)
    return TERMS.model_copy(update={"category": categories})


BOTH = with_raised("abuse.insult", "abuse.harass")


def violation(category: str, mode: Mode = Mode.C2, family: str = "raised.abuse", *, shadow: bool = False) -> Violation:
    found = TERMS.category_of(category)
    return Violation(
        category=category,
        family=family,
        mode=mode,
        severity=found.fixed_severity,
        ground=Ground(kind="clause", ids=found.ground),
        finding_codes=(),
        is_shadow=shadow,
    )


INSULT, HARASS = violation("abuse.insult"), violation("abuse.harass")
EMPTY = incident(strike=None)


def warned(*found: Violation, files: History | None = None, terms: Agreement = BOTH) -> tuple[r.Record, ...]:
    return warning(files or history(EMPTY), EMPTY, found, terms, T0, "d_1")


def test_prop_c2_ceiling_a_raised_category_warns_and_asks_a_person() -> None:
    first, task = warned(HARASS, INSULT)
    assert isinstance(first, r.SanctionImposed)
    assert isinstance(task, r.TaskOpened)
    assert (first.rung, first.step, first.features, first.category) == (Rung.WARN, 0, (), "abuse.harass")
    assert (first.warranted, first.is_automatic, first.lapses_at) == (Rung.WARN, True, None)
    grounds = (*HARASS.ground.ids, *INSULT.ground.ids, *TERMS.sanction_ground)
    assert first.clauses == tuple(dict.fromkeys(grounds))
    assert (task.what, task.warranted, task.imposed, task.due_at) == ("review", "warn", "warn", T0 + DAY)
    level = max(1, TERMS.category_of("abuse.harass").severity_of(1))
    assert first.ends_at == T0 + TERMS.counts_for(level)


def test_prop_c2_ceiling_nothing_more_and_nothing_twice() -> None:
    assert warned() == ()
    assert warned(INSULT, terms=TERMS) == ()
    assert warned(replace(INSULT, mode=Mode.C1)) == ()
    assert warned(replace(INSULT, category="gone")) == ()
    assert warned(INSULT, files=history(EMPTY, sanction(Rung.WARN))) == ()
    assert warned(INSULT, files=history(EMPTY, sanction(Rung.WARN, incident_id="i_2"))) != ()
    with_strike = incident()
    assert warning(history(with_strike), with_strike, (INSULT,), BOTH, T0, "d_1") == ()
    # A ladder that begins with more than a warning has none to give.
    steep = BOTH.model_copy(update={"ladder": BOTH.ladder[1:]})
    assert warned(INSULT, terms=steep) == ()
    # What is not raised beside it lends neither name nor ground.
    one = with_raised("abuse.insult")
    first = warned(HARASS, INSULT, terms=one)[0]
    assert isinstance(first, r.SanctionImposed)
    assert first.category == "abuse.insult"


@pytest.mark.parametrize(
    ("changes", "is_warned"),
    [
        ({}, True),
        # Who is not known well enough is not warned, nor is anybody while a person has stopped automation.
        ({"is_strong": False}, False),
        ({"is_frozen": True}, False),
        ({"violations": (replace(INSULT, is_shadow=True),)}, False),
    ],
)
def test_a_raised_act_of_somebody_known_warns(changes: dict[str, Any], is_warned: bool) -> None:
    said: dict[str, Any] = {
        "at": T0,
        "tenant_id": "n_1",
        "transaction_id": "t_1",
        "decision_id": "d_1",
        "evidence_key": "e_1",
        "text_fp": "x_1",
        "violations": (INSULT,),
        "delivery_keys": ("k_1",),
        "policy_digest": "",
    }
    outcome = commit_offence(History(account_id="a_1"), Offence(**(said | changes)), BOTH, Preset.SUPERVISED)
    assert any(isinstance(x, r.SanctionImposed) for x in outcome.records) is is_warned
    assert not any(isinstance(x, r.StrikeIssued) for x in outcome.records)


# --- whose doing ------------------------------------------------------------------------------------------------------

NEW, MANY = "rate.client.new", "rate.clients.many"
BURST = "rate.burst.running"


def mail(*codes: str, at: datetime = T0, is_original: bool = False, **changes: Any) -> Case:
    counts = Counts(client_is_original=is_original)
    facts = MailFacts(recipients=1, external_recipients=1, has_attachments=False, has_links=False, counts=counts)
    return case(codes, at=at, facts=facts, **changes)


def test_case_5_7_14_indicators_are_of_mail_somebody_logged_in_for() -> None:
    assert indicators_in(mail(MANY, NEW, "virus.signature.match", NEW), TERMS) == (MANY, NEW)
    assert indicators_in(mail(NEW, direction=Direction.INBOUND), TERMS) == ()
    assert indicators_in(mail(NEW, principal=MEDIUM), TERMS) == ()
    assert indicators_in(mail(NEW, assessment=assessed(NEW, outcome=Outcome.TEMPERROR)), TERMS) == ()


def seen(at: datetime, incident_id: str | None = None, code: str = "client.new") -> r.IndicatorSeen:
    return r.IndicatorSeen(at=at, account_id="a_1", indicator=code, by="watcher", incident_id=incident_id)


def attested(at: datetime) -> r.HoldAttested:
    return r.HoldAttested(
        at=at,
        attestation_id="t_1",
        hold_id="h_1",
        account_id="a_1",
        incident_ids=(),
        by="chief",
        number=1,
        is_verified=True,
        watch_until=at + DAY,
        watch_features=(),
    )


def test_a_report_speaks_for_a_day_unless_it_is_of_a_case_or_was_answered() -> None:
    def speaking(*rows: r.Record, at: datetime = T0 + DAY) -> tuple[str, ...]:
        return reported(history(further=rows), TERMS, at)

    assert speaking(seen(T0)) == ("client.new",)
    assert speaking(seen(T0 - SECOND)) == ()
    assert speaking(seen(T0 + DAY)) == ("client.new",)
    assert speaking(seen(T0 + DAY + SECOND)) == ()
    assert speaking(seen(T0, "i_1")) == ()
    assert speaking(seen(T0), seen(T0 + HOUR), seen(T0, code="auth.failures")) == ("client.new", "auth.failures")
    # That the password was changed since answers it.
    assert speaking(seen(T0 + HOUR), attested(T0 + HOUR + SECOND)) == ()
    assert speaking(seen(T0 + HOUR), attested(T0 + HOUR)) == ("client.new",)
    assert speaking(seen(T0 + HOUR), attested(T0 + DAY + SECOND)) == ("client.new",)
    assert speaking(seen(T0 + HOUR), attested(T0 - 9 * DAY)) == ("client.new",)


def test_case_5_7_14_the_same_origin_from_day_one_in_a_tenant_under_thirty_days_is_malicious() -> None:
    def said(opened_at: datetime | None, is_original: bool = True) -> str:
        around = Surroundings(tenant_opened_at=opened_at)
        return hypothesis_of(mail(at=T0, is_original=is_original), history(), TERMS, around)

    assert said(T0 - 30 * DAY + SECOND) == "malicious"
    assert said(T0 - 30 * DAY) == "unknown"
    assert said(T0 - DAY, is_original=False) == "unknown"
    assert said(None) == "unknown"


def test_case_5_7_14_a_registration_match_is_malicious() -> None:
    match = r.RegistrationMatched(
        at=T0,
        match_id="rm_1",
        tenant_id="n_1",
        file_ids=("f_1",),
        matched_tenant_ids=("n_old",),
        kinds=("domain",),
        clauses=("8.2.4",),
    )
    tenant = Surroundings(tenant=History(account_id="n_1", further=(match,)))
    assert hypothesis_of(mail(), history(), TERMS, tenant) == "malicious"
    assert hypothesis_of(mail(at=T0 - SECOND), history(), TERMS, tenant) == "unknown"
    held = history(hold(because="registration"))
    assert hypothesis_of(mail(), held, TERMS, Surroundings()) == "malicious"
    assert hypothesis_of(mail(), history(hold(because="person")), TERMS, Surroundings()) == "unknown"


def settled(hypothesis: str) -> r.HypothesisSettled:
    return r.HypothesisSettled(at=T0, account_id="a_1", incident_id="i_1", hypothesis=hypothesis, by="ann", reason="x")


def test_the_last_word_of_a_person_counts() -> None:
    assert hypothesis_of_account(history()) == "unknown"
    assert hypothesis_of_account(history(further=(settled("malicious"), settled("compromised")))) == "compromised"


@pytest.mark.parametrize(
    ("item", "files", "is_held"),
    [
        (mail(BURST, NEW), history(), True),
        (mail(NEW), history(), False),
        (mail(BURST), history(), False),
        (mail(BURST), history(further=(seen(T0),)), True),
        (mail(BURST, NEW, principal=MEDIUM), history(), False),
        (mail(BURST, NEW), history(further=(settled("malicious"),)), False),
        # Locked already; a hold without an indicator locks nothing of the kind.
        (mail(BURST, NEW), history(hold()), False),
        (mail(BURST, NEW), history(hold(indicators=())), True),
        # For an hour after a release what is still in the counters locks nothing anew.
        (mail(BURST, NEW), replace(history(), holds=((hold(starts_at=T0 - DAY), T0),)), False),
        (mail(BURST, NEW), replace(history(), holds=((hold(starts_at=T0 - DAY), T0 - HOUR + SECOND),)), False),
        (mail(BURST, NEW), replace(history(), holds=((hold(starts_at=T0 - DAY), T0 - HOUR),)), True),
        (mail(BURST, NEW), replace(history(), holds=((hold(indicators=()), T0 - SECOND),)), True),
    ],
)
def test_a_running_burst_with_an_indicator_locks_sending(item: Case, files: History, is_held: bool) -> None:
    found = takeover_hold(item, files, TERMS, "a_1")
    assert (found is not None) is is_held
    if found is not None:
        assert (found.ends_at, found.because, found.incident_id) == (None, "compromise", "")
        assert [f.name for f in found.features] == ["sending"]
        assert found.indicators != ()


def test_case_attestation_1_2_3_counts_those_of_ninety_days_and_several_holds_at_once_as_one() -> None:
    def number(*rows: r.Record) -> int:
        return attestation_number(history(further=rows), TERMS, T0)

    assert number() == 1
    assert number(attested(T0 - 90 * DAY + SECOND)) == 2
    assert number(attested(T0 - 90 * DAY)) == 1
    assert number(attested(T0)) == 2
    assert number(attested(T0 + SECOND)) == 1
    assert number(attested(T0 - DAY), attested(T0 - DAY), attested(T0 - 2 * DAY)) == 3


def test_an_attestation_ends_the_holds_in_force_with_an_indicator() -> None:
    rows = (hold("h_1"), hold("h_2", indicators=()), hold("h_3", ends_at=T0 + HOUR), hold("h_4", starts_at=T0 + DAY))
    assert [h.hold_id for h in attestable(history(*rows), T0 + HOUR)] == ["h_1"]
    assert [h.hold_id for h in attestable(history(*rows), T0)] == ["h_1", "h_3"]


def test_an_attestation_excuses_what_is_behind_the_hold_and_what_began_under_it_with_an_indicator() -> None:
    speaks: dict[str, Any] = {"indicators": frozenset({NEW})}
    files = history(
        incident("i_0", T0 - SECOND, **speaks),
        incident("i_1", T0 - DAY),
        incident("i_2", T0, **speaks),
        incident("i_3", T0 + DAY),
        incident("i_4", T0 + DAY, hypothesis="malicious", **speaks),
        incident("i_5", T0 + DAY, is_annulled=True, **speaks),
    )
    assert [i.opened.incident_id for i in excusable(files, [hold()], TERMS)] == ["i_1", "i_2"]
    later = hold("h_2", incident_id="i_9", starts_at=T0 + HOUR)
    assert [i.opened.incident_id for i in excusable(files, [later, hold()], TERMS)] == ["i_1", "i_2"]
    assert excusable(files, [], TERMS) == ()
    mine = incident("i_1", hypothesis="malicious")
    assert excusable(history(mine), [hold()], TERMS) == ()


def test_stolen_is_what_speaks_and_was_not_settled_otherwise() -> None:
    speaks = incident(indicators=frozenset({NEW}), strike=strike())
    assert is_stolen(speaks, TERMS)
    assert not is_stolen(replace(speaks, hypothesis="malicious"), TERMS)
    assert is_stolen(replace(speaks, hypothesis="compromised"), TERMS)
    assert not is_stolen(incident(), TERMS)
