"""Whom a supplement binds, from when on, and as far as what was agreed.  AL-9.1, 9.2, CLAUSES 0.1 and §8 (g)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from filterd.agreement.supplement import (
    effective_terms,
    in_force_from,
    limited,
    misbound,
    ordinary,
    pinned_terms,
    terms_at_decision,
    unfounded,
)
from filterd.agreement.terms import Agreement
from filterd.model.principal import Supplement, Tenant
from tests.agreement.mutants import shipped

BASE, ADDED, OTHER = shipped("aliyun-mail"), shipped("aliyun-supplement"), shipped("tencent-exmail")
ALL = {terms.id: terms for terms in (BASE, ADDED, OTHER)}
FIRST_DAY = datetime(2026, 2, 20, tzinfo=ZoneInfo("Asia/Shanghai"))
BEFORE = FIRST_DAY - timedelta(seconds=1)
SIGNED = Supplement(
    agreement=ADDED.id,
    document="C-17",
    signed_by_provider=date(2026, 2, 1),
    signed_by_tenant=date(2026, 2, 20),
)


def tenant(agreement: str = BASE.id, supplement: Supplement | None = SIGNED) -> Tenant:
    return Tenant(tenant_id="n_1", name="Acme", agreement=agreement, supplement=supplement)


@pytest.mark.parametrize(
    ("supplement", "at", "bound_by"),
    [
        (SIGNED, FIRST_DAY, ADDED.id),
        (SIGNED, BEFORE, BASE.id),
        (None, FIRST_DAY, BASE.id),
        (replace(SIGNED, signed_by_tenant=None), FIRST_DAY, BASE.id),
        (replace(SIGNED, signed_by_provider=None), FIRST_DAY, BASE.id),
        (replace(SIGNED, effective_from=date(2026, 2, 21)), FIRST_DAY, BASE.id),
        (replace(SIGNED, effective_from=date(2026, 2, 2)), FIRST_DAY, ADDED.id),
        (replace(SIGNED, agreement="gone"), FIRST_DAY, BASE.id),
        (replace(SIGNED, agreement=OTHER.id), FIRST_DAY, BASE.id),
    ],
)
def test_a_supplement_binds_from_its_first_day_on_once_both_have_signed(
    supplement: Supplement | None, at: datetime, bound_by: str
) -> None:
    assert effective_terms(ALL, BASE.id, supplement, at).id == bound_by


def test_it_binds_nobody_under_another_agreement() -> None:
    assert effective_terms(ALL, OTHER.id, SIGNED, FIRST_DAY).id == OTHER.id


def test_the_first_day_begins_on_the_agreement_s_own_clock() -> None:
    assert in_force_from(SIGNED, ADDED) == FIRST_DAY
    assert in_force_from(replace(SIGNED, signed_by_tenant=None), ADDED) is None


def test_what_was_not_agreed_on_is_shown_to_people_and_does_nothing() -> None:
    found = limited(ADDED, ("malware",))
    assert {rule.category for rule in found.rule} == {"malware"}
    assert found.category == ADDED.category
    silent = {rule.finding for rule in ADDED.rule} - {rule.finding for rule in found.rule}
    protected = {item.finding for item in found.protection}
    assert silent - protected <= set(found.advisory)
    assert len(found.advisory) == len(set(found.advisory))
    assert not {rule.finding for rule in found.rule} & set(found.advisory)
    assert limited(ADDED, ()) is ADDED


def test_a_reload_cannot_mix_two_texts_and_a_withdrawal_counts() -> None:
    assert pinned_terms(BASE, ALL, None, FIRST_DAY) is BASE
    assert pinned_terms(BASE, ALL, tenant(), FIRST_DAY) is BASE
    assert pinned_terms(ADDED, ALL, None, FIRST_DAY).id == BASE.id
    assert pinned_terms(ADDED, ALL, tenant(supplement=None), FIRST_DAY).id == BASE.id
    assert pinned_terms(ADDED, ALL, tenant(), BEFORE).id == BASE.id
    newer = ADDED.model_copy(update={"digest": "newer"})
    assert pinned_terms(ADDED, ALL | {ADDED.id: newer}, tenant(), FIRST_DAY).digest == ADDED.digest


def test_at_the_decision_another_version_of_the_same_text_counts() -> None:
    newer = ADDED.model_copy(update={"digest": "newer"})
    assert terms_at_decision(ADDED, ALL, tenant(), FIRST_DAY) is ADDED
    assert terms_at_decision(ADDED, {BASE.id: BASE}, tenant(), FIRST_DAY) is ADDED
    with_newer = ALL | {ADDED.id: newer}
    assert terms_at_decision(ADDED, with_newer, tenant(), FIRST_DAY) is newer
    assert terms_at_decision(ADDED, with_newer, None, FIRST_DAY) is newer
    part = tenant(supplement=replace(SIGNED, categories=("malware",)))
    assert {x.category for x in terms_at_decision(ADDED, with_newer, part, FIRST_DAY).rule} == {"malware"}
    changed = BASE.model_copy(update={"digest": "newer"})
    assert terms_at_decision(BASE, ALL | {BASE.id: changed}, part, FIRST_DAY) is changed


@pytest.mark.parametrize(
    ("agreement", "supplement", "says"),
    [
        (BASE.id, None, None),
        (BASE.id, SIGNED, None),
        (BASE.id, replace(SIGNED, categories=("malware",)), None),
        ("gone", None, "is bound by 'gone', which is none of aliyun-mail, tencent-exmail"),
        (ADDED.id, None, "a supplement to 'aliyun-mail': bind it by that"),
        (BASE.id, replace(SIGNED, agreement="gone"), "'aliyun-mail' has aliyun-supplement"),
        (BASE.id, replace(SIGNED, agreement=OTHER.id), "'aliyun-mail' has aliyun-supplement"),
        (OTHER.id, SIGNED, "'tencent-exmail' has none"),
        (BASE.id, replace(SIGNED, categories=("malware", "mal")), "for category 'mal', which 'aliyun-supplement'"),
    ],
)
def test_who_cannot_be_bound_like_this_is_told_why(
    agreement: str, supplement: Supplement | None, says: str | None
) -> None:
    found = misbound(ALL, agreement, supplement)
    assert found is None if says is None else found is not None and says in found


def test_a_supplement_to_nothing_is_named() -> None:
    assert unfounded(ALL) is None
    assert ordinary(ALL) == (BASE.id, OTHER.id)
    assert unfounded({ADDED.id: ADDED}) == "aliyun-supplement supplements 'aliyun-mail', which is no agreement here"
    to_itself: dict[str, Agreement] = {ADDED.id: ADDED.model_copy(update={"supplements": ADDED.id})}
    assert unfounded(to_itself) is not None
