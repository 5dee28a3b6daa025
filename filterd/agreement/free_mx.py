"""Does a free tenant's mail still come here?  TX-4.4.4.

A day is good, bad or unknown. The service ends on the 31st bad day: then 30 full natural days after the first one were
bad. One good day resets; one on which nobody could say (SERVFAIL, a timeout, no probe) neither counts nor resets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from filterd.agreement.clocks import of
from filterd.agreement.terms import Agreement
from filterd.model.records import MxProbed

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MxSeen:
    """What one resolver said of a domain.

    Args:
        exists: False for an authoritative NXDOMAIN.
        hosts: the MX hosts, lower case without the last dot; a null MX is "" (RFC 7505).
        has_address: whether the domain itself has an A or AAAA record: the implicit MX of RFC 5321 §5.1.
    """

    exists: bool = True
    hosts: tuple[str, ...] = ()
    has_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MxState:
    """Where the clock stands after some days.

    `first_bad`: the first bad day of those that count, None while none does. `unknown_days`: how many days have passed
    since anybody could say; `known_on`: the last day on which somebody could, else the first on which nobody could.
    """

    bad_days: int = 0
    first_bad: date | None = None
    unknown_days: int = 0
    known_on: date | None = None
    is_over: bool = False


def verdict(domain: str, seen: Collection[MxSeen | None], declared: Collection[str]) -> str:
    """Say what the resolvers' answers about one domain come to.

    Args:
        seen: None for a resolver that could not say.
        declared: the tenant's mail comes to these hosts directly; empty: any MX is good, it may be a filter in front.

    Returns:
        good when one resolver saw it right; bad when all of them, and at least one, saw it wrong; else unknown.
    """
    judged = [None if x is None else _is_good(domain, x, declared) for x in seen]
    if any(judged):
        return GOOD
    return BAD if judged and None not in judged else UNKNOWN


def of_domains(verdicts: Sequence[str]) -> str:
    """Say what the domains of one tenant come to: bad only when all of them are."""
    if GOOD in verdicts:
        return GOOD
    return BAD if verdicts and set(verdicts) == {BAD} else UNKNOWN


def mx_state(
    probes: Iterable[MxProbed], terms: Agreement, *, since: date | None = None, today: date | None = None
) -> MxState:
    """Say where the clock of a free tenant stands after these probes, in any order.

    Args:
        since: what was seen before that day does not count, as before the service was resumed.
        today: up to which day nobody knowing is counted; None: the last probe's.
    """
    days: dict[date, str] = {}
    for probe in probes:
        if since is None or probe.day >= since:
            days[probe.day] = _better(days.get(probe.day), probe.answer)
    limit = of(terms).mx_bad_days
    bad, first, known = 0, None, None
    for day in sorted(days):
        match days[day]:
            case "good":
                bad, first, known = 0, None, day
            case "bad":
                bad, first, known = bad + 1, first or day, day
        if limit is not None and bad > limit:
            break
    start = known if known is not None else min(days, default=None)
    upto = max((day for day in (*days, today) if day is not None), default=None)
    unknown = 0 if start is None or upto is None else (upto - start).days + (known is None)
    return MxState(
        bad_days=bad,
        first_bad=first,
        unknown_days=unknown,
        known_on=start,
        is_over=limit is not None and bad > limit,
    )


def ends_on(state: MxState, terms: Agreement) -> date | None:
    """Say the first day on which the service can end, if every day until then is bad; None while the MX is good."""
    limit = of(terms).mx_bad_days
    return None if state.first_bad is None or limit is None else state.first_bad + timedelta(days=limit)


def _is_good(domain: str, seen: MxSeen, declared: Collection[str]) -> bool:
    if not seen.exists or "" in seen.hosts:
        return False
    hosts = seen.hosts or ((domain,) if seen.has_address else ())
    return bool(hosts) and (not declared or not set(declared).isdisjoint(hosts))


def _better(known: str | None, answer: str) -> str:
    """Of several answers of one day the best for the user, and one that is known before one that is not."""
    order = (GOOD, BAD, UNKNOWN)
    return answer if known is None else min(known, answer, key=order.index)
