"""Each restricted feature refuses only itself, from its own limit on; and who is named for it.  STANDING 5.10, 5.11."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from filterd.agreement.category import FEATURES
from filterd.agreement.disposition import reasons, refused_features, strongest, without_bounce
from filterd.agreement.standing import standing_at
from filterd.model.decision import Counts, Decision, Disposition, MailFacts, Reason
from filterd.model.records import IncidentOpened
from filterd.model.sanction import Feature, Rung
from filterd.model.session import Direction
from filterd.model.standing import ActiveSanction, History, IncidentFile, Standing, TenantLimit
from filterd.model.verdict import Assessment, FailMode, Outcome, Verdict
from tests.agreement.cases import NOON, case
from tests.agreement.contract import shipped

TERMS = shipped()
GOOD = standing_at(History(account_id="a_1"), TERMS, NOON)
PLAIN = MailFacts(recipients=5, external_recipients=0, has_attachments=False, has_links=False)
SENDING = Feature(name="sending")


def facts(**changes: Any) -> MailFacts:
    return replace(PLAIN, **changes)


def counted(recipients: int = 5, external: int = 1, **counts: int) -> MailFacts:
    return facts(recipients=recipients, external_recipients=external, counts=Counts(**counts))


def item(name: str, limit: int | None = None, value: str | None = None) -> Feature:
    return Feature(name=name, limit=limit, value=value)


# (the feature, a mail it lets pass, a mail it does not, what happens to that)
CASES: list[tuple[Feature, MailFacts, MailFacts, str]] = [
    (item("bulk"), facts(recipients=10), facts(recipients=11), "reject"),
    (item("attachments"), facts(has_links=True), facts(has_attachments=True), "reject"),
    (item("links"), facts(has_attachments=True), facts(has_links=True), "reject"),
    (item("external_recipients"), facts(external_recipients=0), facts(external_recipients=1), "reject"),
    (item("recipient", value="x"), facts(recipient_hashes=("y",)), facts(recipient_hashes=("y", "x")), "reject"),
    (item("recipients_per_message", 6), facts(recipients=6), facts(recipients=7), "reject"),
    (item("messages_per_hour", 8), counted(messages_hour=8), counted(messages_hour=9), "defer"),
    (item("messages_per_day", 8), counted(messages_day=8), counted(messages_day=9), "defer"),
    (item("recipients_per_hour", 8), counted(recipients_hour=8), counted(recipients_hour=9), "defer"),
    (item("recipients_per_day", 8), counted(recipients_day=8), counted(recipients_day=9), "defer"),
    (item("external_recipients_per_day", 8), counted(external_day=8), counted(external_day=9), "defer"),
    (
        item("tenant_external_per_day", 8),
        counted(tenant_external_day=8),
        counted(tenant_external_day=9),
        "defer",
    ),
    (item("from_own"), facts(strangers=1), facts(is_from_another=True), "reject"),
    (item("strangers"), facts(is_from_another=True), facts(strangers=1), "reject"),
    (item("auto_forward"), facts(strangers=1), facts(is_by_rule=True), "reject"),
]


@pytest.mark.parametrize(("feature", "passes", "stopped", "effect"), CASES, ids=[c[0].name for c in CASES])
def test_a_feature_stops_what_uses_it_and_nothing_else(
    feature: Feature, passes: MailFacts, stopped: MailFacts, effect: str
) -> None:
    standing = replace(GOOD, features=(feature,))
    assert refused_features(passes, standing) == ()
    assert [(f, e.value) for f, e in refused_features(stopped, standing)] == [(feature, effect)]


def test_every_feature_an_agreement_can_name_is_in_the_table() -> None:
    assert {feature.name for feature, *_ in CASES} >= set(FEATURES) - {"sending"}


@pytest.mark.parametrize("name", ["external_recipients_per_day", "tenant_external_per_day"])
def test_what_stays_inside_is_not_held_to_what_goes_out(name: str) -> None:
    mail = counted(external=0, external_day=9, tenant_external_day=9)
    assert refused_features(mail, replace(GOOD, features=(item(name, 8),))) == ()


@pytest.mark.parametrize(
    ("name", "limit", "mail"),
    [
        ("bulk", None, facts(recipients=12, reachable_recipients=2)),
        ("recipients_per_message", 6, facts(recipients=8, reachable_recipients=2)),
        ("external_recipients", None, facts(external_recipients=2, reachable_external=2)),
    ],
)
def test_who_is_always_reachable_does_not_count(name: str, limit: int | None, mail: MailFacts) -> None:
    standing = replace(GOOD, features=(item(name, limit),))
    assert refused_features(mail, standing) == ()
    one_more = replace(mail, recipients=mail.recipients + 1, external_recipients=mail.external_recipients + 1)
    assert [f.name for f, _ in refused_features(one_more, standing)] == [name]


# --- who is named for it ----------------------------------------------------------------------------------------------


def active(name: str, rung: Rung, *features: Feature) -> ActiveSanction:
    return ActiveSanction(
        sanction_id=name,
        incident_id="i_1",
        rung=rung,
        features=features,
        category="malware",
        clauses=(),
        ends_at=None,
        is_automatic=True,
        is_confirmed=False,
    )


def limit(name: str, kind: str, *features: Feature) -> TenantLimit:
    return TenantLimit(limit_id=name, kind=kind, features=features, ends_at=None)


def stopped(
    *sanctions: ActiveSanction, limits: tuple[TenantLimit, ...] = (), mail: MailFacts = PLAIN
) -> list[tuple[str, str, tuple[str, ...]]]:
    rung = max((s.rung for s in sanctions), default=Rung.NONE)
    standing = replace(GOOD, rung=rung, features=(SENDING,), sanctions=sanctions, tenant_limits=limits)
    return shown(standing, mail)


def shown(standing: Standing, mail: MailFacts = PLAIN) -> list[tuple[str, str, tuple[str, ...]]]:
    found = reasons(case([], facts=mail), TERMS, standing, ())
    return [(x.code, x.disposition.value, x.ids) for x in found]


def test_a_suspension_is_named_before_what_else_stops_mail() -> None:
    suspended, restricted = active("s_1", Rung.SUSPEND, SENDING), active("s_2", Rung.RESTRICT, item("links"))
    locked = limit("l_1", "lock", SENDING)
    assert stopped(suspended, restricted, limits=(locked,)) == [("standing.suspended", "reject", ("s_1",))]


def test_a_restriction_beside_a_lock_of_the_tenant_is_not_what_stops_mail() -> None:
    restricted = active("s_2", Rung.RESTRICT, SENDING)
    assert stopped(restricted, limits=(limit("l_1", "lock", SENDING),)) == [("standing.tenant", "reject", ("l_1",))]
    assert stopped(restricted) == [("standing.hold", "reject", ())]


def test_mail_waits_while_a_registration_is_looked_at_and_for_nothing_else() -> None:
    waiting, locked = limit("l_1", "registration", SENDING), limit("l_2", "lock", SENDING)
    quota = limit("l_3", "quota", item("tenant_external_per_day", 8))
    assert stopped(limits=(waiting,)) == [("standing.tenant", "defer", ("l_1",))]
    assert stopped(limits=(waiting, quota)) == [("standing.tenant", "defer", ("l_1",))]
    assert stopped(limits=(waiting, locked)) == [("standing.tenant", "reject", ("l_1", "l_2"))]


@pytest.mark.parametrize(
    ("recipients", "reachable", "passes"), [(1, 1, True), (2, 2, True), (2, 1, False), (1, 0, False), (0, 0, False)]
)
def test_nobody_is_kept_from_writing_to_who_can_end_it(recipients: int, reachable: int, passes: bool) -> None:
    mail = facts(recipients=recipients, reachable_recipients=reachable)
    assert (stopped(active("s_1", Rung.SUSPEND, SENDING), mail=mail) == []) is passes


def test_a_feature_names_all_that_switched_it_off_and_only_those() -> None:
    links, bulk = item("links"), item("bulk")
    standing = replace(
        GOOD,
        rung=Rung.RESTRICT,
        features=(bulk, links),
        sanctions=(active("s_1", Rung.RESTRICT, links), active("s_2", Rung.RESTRICT, bulk)),
        tenant_limits=(limit("l_1", "quota", links),),
    )
    assert shown(standing, facts(has_links=True)) == [("feature.links", "reject", ("s_1", "l_1"))]


def test_standing_says_nothing_about_mail_that_comes_in() -> None:
    standing = replace(GOOD, features=(item("links"),))
    mail = case([], facts=facts(has_links=True), direction=Direction.INBOUND)
    assert reasons(mail, TERMS, standing, ()) == ()


# --- checks that could not say anything -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "mode", "expected"),
    [
        (Outcome.TEMPERROR, FailMode.DEFER, [("check.virus.temperror", "defer")]),
        (Outcome.PERMERROR, FailMode.DEFER, [("check.virus.permerror", "defer")]),
        (Outcome.TEMPERROR, FailMode.ACCEPT, [("check.virus.temperror", "accept")]),
        (Outcome.CLEAN, FailMode.DEFER, []),
    ],
)
def test_a_check_that_failed_does_what_its_mode_says(
    outcome: Outcome, mode: FailMode, expected: list[tuple[str, str]]
) -> None:
    assessment = Assessment(
        verdicts=(Verdict(check="virus", version="1", outcome=outcome, findings=()),), fail_modes=(("virus", mode),)
    )
    found = reasons(case([], assessment=assessment), TERMS, GOOD, ())
    assert [(x.code, x.disposition.value) for x in found] == expected


def test_the_strongest_reason_wins() -> None:
    weak = Reason(code="a", disposition=Disposition.ACCEPT)
    strong = Reason(code="b", disposition=Disposition.REJECT)
    assert strongest((weak, strong, weak)) is Disposition.REJECT
    assert strongest(()) is Disposition.ACCEPT


# --- behind the queue -------------------------------------------------------------------------------------------------


def on_record(*, is_annulled: bool) -> History:
    opened = IncidentOpened(
        at=NOON,
        incident_id="i_1",
        account_id="a_1",
        tenant_id="n_1",
        family="malware",
        evidence_key="e_1",
        is_after_notice=False,
        is_first=True,
        is_in_probation=False,
    )
    return History(account_id="a_1", incidents=(IncidentFile(opened=opened, is_annulled=is_annulled),))


@pytest.mark.parametrize(
    ("said", "history", "becomes"),
    [
        ({"is_recorded": True, "incident_id": "i_1"}, on_record(is_annulled=False), "discard"),
        ({"is_retry": True, "incident_id": "i_1"}, on_record(is_annulled=False), "discard"),
        # A person has said that this was no breach: nobody gets a notice of it, so it is not made to vanish.
        ({"is_retry": True, "incident_id": "i_1"}, on_record(is_annulled=True), "defer"),
        ({"is_recorded": True}, None, "discard"),
        ({}, on_record(is_annulled=False), "defer"),
    ],
)
def test_behind_the_queue_only_what_is_on_record_is_discarded(
    said: dict[str, Any], history: History | None, becomes: str
) -> None:
    refused = Decision(decision_id="d_1", transaction_id="t_1", disposition=Disposition.REJECT, **said)
    decision = without_bounce(refused, history)
    assert decision.disposition.value == becomes
    assert [(x.code, x.disposition.value) for x in decision.reasons] == [("after_queue", becomes)]


@pytest.mark.parametrize("disposition", [d for d in Disposition if d is not Disposition.REJECT])
def test_behind_the_queue_all_but_a_refusal_stays_as_it_is(disposition: Disposition) -> None:
    decision = Decision(decision_id="d_1", transaction_id="t_1", disposition=disposition)
    assert without_bounce(decision, None) is decision
