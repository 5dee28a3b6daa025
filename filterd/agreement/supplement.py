"""Which terms bind an account at an instant?  AL-9.1, 9.2, CLAUSES 0.1 and §8 (g).

The tenant's agreement; or, where both sides have signed a supplement to it and its first day has come, that supplement,
as far as its record names categories. The worker asks before it judges a mail, the ledger asks again with its own
directory before it writes anything down, and both ask here. No record in force: the agreement alone.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from datetime import datetime, time
from zoneinfo import ZoneInfo

from filterd.agreement.terms import Agreement
from filterd.agreement.versions import in_force
from filterd.model.principal import Supplement, Tenant


def effective_terms(
    terms: Mapping[str, Agreement], agreement: str, supplement: Supplement | None, at: datetime
) -> Agreement:
    """Say the terms in force for a tenant.

    Args:
        terms: every agreement there is, by id.
        agreement: what binds the tenant.
        supplement: its record, None when there is none.
        at: when the act was; of several versions the one in force then counts.

    Raises:
        KeyError: there is no such agreement; start-up has refused such tenants.
    """
    found = terms.get(supplement.agreement) if supplement is not None else None
    if supplement is None or found is None or found.supplements != agreement:
        return in_force(terms[agreement], at)
    begins_at = in_force_from(supplement, found)
    if begins_at is None or at < begins_at:
        return in_force(terms[agreement], at)
    return limited(in_force(found, at), supplement.categories)


def pinned_terms(
    pinned: Agreement, terms: Mapping[str, Agreement], tenant: Tenant | None, at: datetime
) -> Agreement:
    """Say by which terms a decision begun under `pinned` may end.

    An ordinary agreement stays: a reload cannot mix two texts. A supplement binds only if the directory still says so;
    withdrawn meanwhile, the agreement alone does.
    """
    if pinned.supplements is None:
        return pinned
    if tenant is None:
        return in_force(terms[pinned.supplements], at)
    alone = pinned.model_copy(update={"versions": ()}) if pinned.versions else pinned
    return effective_terms(ChainMap({pinned.id: alone}, dict(terms)), tenant.agreement, tenant.supplement, at)


def terms_at_decision(
    at_act: Agreement, terms: Mapping[str, Agreement], tenant: Tenant | None, now: datetime
) -> Agreement:
    """Say what the terms of an act have become by now: `at_act` itself where they have not changed.

    Only another version of the same agreement counts: what did not bind at the act is no ground for it.
    """
    head = terms.get(at_act.id)
    found = in_force(head, now) if head is not None else at_act
    if found.digest == at_act.digest:
        return at_act
    signed = tenant.supplement if tenant is not None and found.supplements is not None else None
    return limited(found, signed.categories) if signed is not None else found


def in_force_from(supplement: Supplement, found: Agreement) -> datetime | None:
    """Say the instant the record takes effect, by the agreement's calendar; None while a signature is missing."""
    day = supplement.first_day
    return None if day is None else datetime.combine(day, time(), tzinfo=ZoneInfo(found.timezone))


def limited(found: Agreement, categories: tuple[str, ...]) -> Agreement:
    """Say the supplement as far as the parties agreed on it: no rule leads to any other category.

    The categories themselves stay, so that what was decided under them can still be explained and undone. A finding
    that then leads nowhere is shown to people. Nothing named: the whole file.
    """
    if not categories:
        return found
    rules = tuple(rule for rule in found.rule if rule.category in categories)
    named = {rule.finding for rule in rules} | {item.finding for item in found.protection} | set(found.advisory)
    adrift = dict.fromkeys(rule.finding for rule in found.rule if rule.finding not in named)
    return found.model_copy(update={"rule": rules, "advisory": (*found.advisory, *adrift)})


def misbound(terms: Mapping[str, Agreement], agreement: str, supplement: Supplement | None) -> str | None:
    """Say why a tenant cannot be bound like this; None when it can. The text begins where a name would end."""
    base = terms.get(agreement)
    if base is None:
        return f"is bound by {agreement!r}, which is none of {', '.join(sorted(ordinary(terms)))}"
    if base.supplements is not None:
        return (
            f"is bound by {agreement!r}, a supplement to {base.supplements!r}: bind it by that and record the"
            " supplement with both signatures"
        )
    if supplement is None:
        return None
    found = terms.get(supplement.agreement)
    if found is None or found.supplements != agreement:
        known = sorted(item.id for item in terms.values() if item.supplements == agreement)
        return f"has the supplement {supplement.agreement!r}; {agreement!r} has {', '.join(known) or 'none'}"
    if strange := [name for name in supplement.categories if found.find_category(name) is None]:
        return f"has a supplement for category {strange[0]!r}, which {supplement.agreement!r} does not have"
    return None


def ordinary(terms: Mapping[str, Agreement]) -> tuple[str, ...]:
    """Say which agreements may bind a tenant by themselves."""
    return tuple(item.id for item in terms.values() if item.supplements is None)


def unfounded(terms: Mapping[str, Agreement]) -> str | None:
    """Say which supplement has nothing to supplement, None when every one has an ordinary agreement."""
    for item in terms.values():
        if item.supplements is not None and item.supplements not in ordinary(terms):
            return f"{item.id} supplements {item.supplements!r}, which is no agreement here"
    return None
