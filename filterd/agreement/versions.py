"""Which version of an agreement counts?  STANDING 5.7-7, TX-1.2, 9.1.

Several files may bear the same id with another `version` and `effective_from`; of them the one in force at the act
counts. What is decided after a change about an act before it follows the version whose sanction is milder. A sanction
once imposed is a record: no version ends it, and none brings it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from filterd.agreement.decide import decide
from filterd.agreement.offence import Outcome
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import Case, Decision
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import ALONE, History, Surroundings

_FOREVER = timedelta.max

# Finds a version by its digest; None where its file is gone.
Packs = Callable[[str], Agreement | None]


def begins_at(terms: Agreement) -> datetime:
    """Say since when a version is in force; a time without a zone is one of the agreement's own clock."""
    start = terms.effective_from
    return start if start.tzinfo is not None else start.replace(tzinfo=ZoneInfo(terms.timezone))


def versions(terms: Agreement) -> tuple[Agreement, ...]:
    """Say every version there is, the oldest first; each stands for itself alone."""
    return terms.versions or (terms,)


def in_force(terms: Agreement, at: datetime) -> Agreement:
    """Say the version in force at an instant (aware): the latest that had begun, before all of them the first.

    Args:
        terms: any version that `shelved` gave out, or an agreement that has no other.
    """
    return _latest(versions(terms), at)


def shelved(found: Iterable[Agreement], now: datetime) -> dict[str, Agreement]:
    """Put agreements together by id: each the version in force `now`, which knows the others of its id.

    They must be free of `conflict`.
    """
    by_id: dict[str, list[Agreement]] = {}
    for item in found:
        by_id.setdefault(item.id, []).append(item)
    out = {}
    for name, items in by_id.items():
        known = tuple(sorted(items, key=begins_at))
        out[name] = _latest(known, now).model_copy(update={"versions": known if len(known) > 1 else ()})
    return out


def _latest(known: tuple[Agreement, ...], at: datetime) -> Agreement:
    return next((item for item in reversed(known) if begins_at(item) <= at), known[0])


def conflict(items: Iterable[Agreement]) -> str | None:
    """Say why files of one id cannot stand side by side; None when they can, or when there is only one."""
    known = sorted(items, key=begins_at)
    for earlier, later in pairwise(known):
        if begins_at(earlier) == begins_at(later):
            return f"agreement {later.id!r} stands in two files with the same effective_from"
        if earlier.supplements != later.supplements:
            return f"versions {earlier.version} and {later.version} of {later.id!r} supplement different agreements"
        if later.supplements is not None and earlier.timezone != later.timezone:
            # A supplement's first day would begin twice.
            return f"versions {earlier.version} and {later.version} of {later.id!r} are in two time zones"
    if len({item.version for item in known}) != len(known):
        return f"two files of agreement {known[0].id!r} bear the same version"
    return None


# --- an act before a change, decided after it -------------------------------------------------------------------------


def decide_between(
    case: Case,
    at_act: Agreement,
    at_decision: Agreement,
    preset: Preset,
    history: History | None,
    new_deliveries: tuple[str, ...],
    around: Surroundings = ALONE,
) -> Decision:
    """Decide by both versions where they differ, and say the decision with the milder sanction, with both pinned.

    Args:
        at_act: the terms in force when the mail came. `at_decision`: those in force now; the same digest: no change.
    """
    chosen = decide(case, at_act, preset, history, new_deliveries, around)
    if at_decision.digest != at_act.digest:
        chosen = milder(chosen, decide(case, at_decision, preset, history, new_deliveries, around))
    return _pinned(chosen, at_act.digest, at_decision.digest)


def milder(at_act: Decision, at_decision: Decision) -> Decision:
    """Say the one with the milder sanction, the lower rung, then the shorter; where both are equal, that of the act."""
    return at_decision if _severity(at_decision) < _severity(at_act) else at_act


def milder_of(commit: Callable[[Agreement], Outcome], between: Iterable[Agreement]) -> tuple[Agreement, Outcome]:
    """Weigh one act by several versions, and say the one with the milder sanction and what it brings; where they are
    equal, the first of them.

    Args:
        between: at least one, that of the act first.
    """
    return min(((terms, commit(terms)) for terms in between), key=lambda found: severity(found[1].records))


def pinned_by(record: r.ViolationRecorded, terms: Agreement, packs: Packs) -> tuple[Agreement, ...]:
    """Say by which versions an act was weighed, that of the act first; `terms` where neither is at hand any more. One
    that does not know what was found weighed nothing."""
    digests = (record.policy_digest_act or record.policy_digest, record.policy_digest_decision or record.policy_digest)
    found = (packs(digest) for digest in dict.fromkeys(digests) if digest)
    return tuple(x for x in found if x is not None and knows(x, record)) or (terms,)


def knows(terms: Agreement, record: r.ViolationRecorded) -> bool:
    """Say whether a version has every category that an act was found to be of."""
    return all(terms.find_category(item.category) is not None for item in record.violations)


def severity(records: Iterable[r.Record]) -> tuple[Rung, timedelta]:
    """Say how hard the hardest sanction among some rows is: its rung, then how long it lasts."""
    imposed = [_weight(record) for record in records if isinstance(record, r.SanctionImposed)]
    return max(imposed, default=(Rung.NONE, timedelta()))


def _severity(decision: Decision) -> tuple[Rung, timedelta]:
    return severity(decision.records)


def _weight(record: r.SanctionImposed) -> tuple[Rung, timedelta]:
    ends = [end for end in (record.ends_at, record.lapses_at) if end is not None]
    return record.rung, min(ends) - record.starts_at if ends else _FOREVER


def _pinned(decision: Decision, at_act: str, at_decision: str) -> Decision:
    records = tuple(
        replace(x, policy_digest_act=at_act, policy_digest_decision=at_decision)
        if isinstance(x, r.ViolationRecorded)
        else x
        for x in decision.records
    )
    return replace(decision, records=records, policy_digest_act=at_act, policy_digest_decision=at_decision)
