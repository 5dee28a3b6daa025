"""Termination by standing order: two people decided it beforehand, for what a machine can be sure of.  STANDING 5.9.

Nine conditions, and each missing one leaves the account suspended. What this makes is a termination that has yet to
begin: its notice is the cooling-off, and until it begins an objection, a hold or a veto stops it as it stops any other
(agreement/termination).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from filterd.agreement.breaker import freeze, tripped
from filterd.agreement.sections_security import AUTOMATED
from filterd.agreement.standing import SENDING, in_effect, is_still_ordered, standing_at, stretches, strike_at
from filterd.agreement.termination import cooling_off
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Rung
from filterd.model.standing import COMPROMISED, History, IncidentFile, SanctionFile, Surroundings

# How the sanction says that nobody decided about the case: `by`, before the entry's id.
BY_ORDER = "order:"
_LEAST_INCIDENTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ByOrder:
    """What an order would do to an account. `missing`: the conditions not met, by code; none: `imposed` is due."""

    missing: tuple[str, ...]
    imposed: r.SanctionImposed | None = None


def by_order(history: History, around: Surroundings, terms: Agreement, at: datetime) -> ByOrder:
    """Say whether an account's termination by order is due, and what is missing.

    Codes of what may be missing: `order`, `incidents`, `mode_a`, `after_notice`, `not_compromised`, `suspension`,
    `no_objection`, `no_hold`, `no_breaker`. That the notice is accepted on two channels and was sent seven days before
    is what the termination itself waits for.
    """
    order = _order(around, terms, at)
    counting = [i for i in history.incidents if strike_at(i, history, at) is not None]
    suspension = _suspension(history, terms, at)
    now = standing_at(history, terms, at, around)
    missing = [
        code
        for code, is_met in (
            ("order", order is not None),
            ("incidents", len(counting) >= _LEAST_INCIDENTS),
            ("mode_a", order is not None and all(_is_sure(i, order.categories) for i in counting)),
            ("after_notice", _each_after_notice(counting)),
            ("not_compromised", all(_is_their_own(i) for i in counting)),
            ("suspension", suspension is not None and _has_run(suspension, terms, at)),
            ("no_objection", not _is_contested(history)),
            ("no_hold", not now.holds),
            ("no_breaker", freeze(around, at) is None and not tripped(around.site, at)),
        )
        if not is_met
    ]
    if missing or order is None or suspension is None or _is_ordered(history, suspension):
        return ByOrder(missing=tuple(missing))
    return ByOrder(missing=(), imposed=_imposed(history, suspension, order, terms, at))


def fallen(history: History, terms: Agreement, at: datetime) -> tuple[SanctionFile, ...]:
    """Say the terminations by order that will not come any more, though nobody has stopped them by name: the suspension
    they rest on was lifted, annulled, shortened or stepped down before they began. Nothing of that comes back."""
    begun = {file.imposed.sanction_id for file in in_effect(history, terms, at)}
    return tuple(
        file
        for file in history.sanctions
        if file.imposed.rung is Rung.TERMINATE
        and file.imposed.is_automatic
        and file.imposed.sanction_id not in begun
        and file.lifted_at is None
        and file.annulled_at is None
        and not is_still_ordered(history, file, terms, at)
    )


def _order(around: Surroundings, terms: Agreement, at: datetime) -> r.StandingOrderSigned | None:
    """Find the order in force. It is for one text of the agreement: what two people have not read it does not cover."""
    if around.site is None or terms.termination is None or terms.termination.order_after_days is None:
        return None
    ended = {x.entry_id for x in around.site.of(r.EntryEnded) if x.at <= at}
    found = (x for x in around.site.of(r.StandingOrderSigned) if x.entry_id not in ended and x.at <= at < x.until)
    return next((x for x in found if x.policy_digest == terms.digest), None)


def _is_sure(incident: IncidentFile, categories: tuple[str, ...]) -> bool:
    """Say whether all of an incident is high-precision, of known authorship, and among what the order names."""
    return bool(incident.recipients) and all(
        name in categories and n == in_a > 0 for name, n, in_a in incident.recipients
    )


def _is_their_own(incident: IncidentFile) -> bool:
    """Say whether nothing hints at a stolen account. What a sender can write into a mail of his own is no hint: it
    would put him out of the order's reach."""
    return incident.hypothesis != COMPROMISED and incident.indicators <= AUTOMATED


def _each_after_notice(counting: list[IncidentFile]) -> bool:
    """Say whether each began after the notice of the one before it was received."""
    ordered = sorted(counting, key=lambda i: i.opened.at)
    return all(
        before.noticed_at is not None and before.noticed_at < after.opened.at
        for before, after in pairwise(ordered)
    )


def _suspension(history: History, terms: Agreement, at: datetime) -> SanctionFile | None:
    """Find the automatic suspension without an end that has run longest."""
    running = [
        file
        for file in history.sanctions
        if file.imposed.is_automatic
        and any(p.covers(at) and p.rung is Rung.SUSPEND and p.until is None for p in stretches(file, terms, at))
    ]
    return min(running, key=lambda file: file.imposed.starts_at, default=None)


def _has_run(suspension: SanctionFile, terms: Agreement, at: datetime) -> bool:
    """Say whether, once the cooling-off that begins now is over, it will have run as long as it has to."""
    days = terms.termination.order_after_days if terms.termination is not None else None
    return days is not None and cooling_off(terms, at) >= suspension.imposed.starts_at + timedelta(days=days)


def _is_contested(history: History) -> bool:
    decided = {x.appeal_id for x in history.of(r.AppealDecided)}
    reopened = {x.appeal_id for x in history.of(r.AppealReopened)}
    return any(
        s.objected_at is not None
        and s.annulled_at is None
        and (s.appeal_id not in decided or s.appeal_id in reopened)
        for s in history.sanctions
    )


def _is_ordered(history: History, suspension: SanctionFile) -> bool:
    """Say whether a termination was made for this suspension before; vetoed, it is not made again."""
    return any(s.imposed.sanction_id == _id(suspension) for s in history.sanctions)


def _id(suspension: SanctionFile) -> str:
    return derived_id("s", suspension.imposed.sanction_id, Rung.TERMINATE.word)


def _imposed(
    history: History, suspension: SanctionFile, order: r.StandingOrderSigned, terms: Agreement, at: datetime
) -> r.SanctionImposed:
    return r.SanctionImposed(
        at=at,
        sanction_id=_id(suspension),
        incident_id=suspension.imposed.incident_id,
        decision_id=derived_id("d", order.entry_id, suspension.imposed.sanction_id),
        account_id=history.account_id,
        rung=Rung.TERMINATE,
        step=suspension.imposed.step,
        features=SENDING,
        category=suspension.imposed.category,
        clauses=suspension.imposed.clauses,
        starts_at=cooling_off(terms, at),
        ends_at=None,
        lapses_at=None,
        step_down_features=(),
        is_automatic=True,
        by=BY_ORDER + order.entry_id,
        warranted=Rung.TERMINATE,
    )
