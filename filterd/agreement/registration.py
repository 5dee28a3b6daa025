"""Does an enterprise whose service was ended for breach come back under another name?  TX-8.2.4, STANDING 5.4 row 13.

Pure. Fingerprints are texts `kind:hash`, keyed hashes that only compare. One key of the organisation itself is enough:
the same domain, the same means of payment, the same number. Of the weaker ones, a contact for instance, it takes two
different kinds: a contact person at a new employer, or an office that several share, says nothing alone. What matches
is held for a person to look at; it gives no points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from filterd.agreement.clocks import registration_kept_until
from filterd.agreement.sections_tenant import TenantRegistration
from filterd.agreement.tenant_termination import begun_at
from filterd.agreement.termination import Points, begun
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.sanction import Rung
from filterd.model.standing import History

DOMAIN = "domain"
CONFIRMED, DISMISSED = "confirmed", "dismissed"
EXPIRED, UNDONE = "expired", "undone"

# Says the history of a tenant or an account, of one that is gone from the directory, too.
Histories = Callable[[str], History]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """What is kept of one terminated enterprise.

    Args:
        keys: texts `kind:hash`.
        dismissed: by tenant, the keys in common that a person has found to mean nothing.
    """

    mark: r.RegistrationMarked
    keys: frozenset[str]
    dismissed: Mapping[str, frozenset[str]]


def kind_of(key: str) -> str:
    """Say the kind of a fingerprint."""
    return key.partition(":")[0]


def kinds_of(keys: Iterable[str]) -> tuple[str, ...]:
    """Say the kinds of some, each once, in order."""
    return tuple(sorted({kind_of(key) for key in keys}))


# --- what matches -----------------------------------------------------------------------------------------------------


def in_common(
    keys: frozenset[str], fingerprints: Fingerprints, tenant_id: str, rules: TenantRegistration
) -> frozenset[str]:
    """Say the keys that a tenant shares with a terminated one, empty where they are not enough.

    A domain that a person has let pass is nobody's any more: whoever has it registered it since. Anything else passes
    for the tenant it was dismissed for.
    """
    if tenant_id == fingerprints.mark.tenant_id:
        return frozenset()
    passed = fingerprints.dismissed.get(tenant_id, frozenset())
    passed |= {key for keys in fingerprints.dismissed.values() for key in keys if kind_of(key) == DOMAIN}
    common = (keys & fingerprints.keys) - passed
    kinds = {kind_of(key) for key in common}
    is_enough = bool(kinds & set(rules.alone)) or len(kinds & set(rules.together)) >= rules.together_at_least
    return common if is_enough else frozenset()


# --- what is kept, and for how long -----------------------------------------------------------------------------------


def marks(site: History) -> tuple[r.RegistrationMarked, ...]:
    """Say the terminations whose fingerprints are kept."""
    gone = {x.file_id for x in site.of(r.RegistrationErased)}
    return tuple(x for x in site.of(r.RegistrationMarked) if x.file_id not in gone)


def ended_at(
    mark: r.RegistrationMarked, histories: Histories, terms: Agreement, at: datetime, points: Points
) -> datetime | None:
    """Say since when the service of a marked enterprise has ended for breach; None while it has not, and where the
    termination was annulled, vetoed or taken back."""
    if mark.step_id:
        return _step_began(histories(mark.tenant_id), mark.step_id, terms, at)
    began = []
    for account_id, sanction_id in _pairs(mark):
        history = histories(account_id)
        file = next((s for s in history.sanctions if s.imposed.sanction_id == sanction_id), None)
        stands = begun(history, file, terms, at, points) if file is not None else None
        if stands is None or stands.imposed.rung is not Rung.TERMINATE or _is_over(stands.lifted_at, at):
            return None
        if _is_over(stands.annulled_at, at):
            return None
        began.append(stands.imposed.starts_at)
    return max(began, default=None)


def why_erase(
    mark: r.RegistrationMarked, histories: Histories, terms: Agreement, at: datetime, points: Points
) -> str | None:
    """Say why the fingerprints of a termination are to be erased now: their years are over, or it was undone; None:
    they are kept."""
    since = ended_at(mark, histories, terms, at, points)
    if since is not None:
        return EXPIRED if at >= registration_kept_until(since, terms) else None
    return UNDONE if _is_undone(mark, histories) else None


def is_kept(
    mark: r.RegistrationMarked, histories: Histories, terms: Agreement, at: datetime, points: Points
) -> bool:
    """Say whether a termination is in effect and its fingerprints are still to be compared with; nothing has to have
    run for them not to be."""
    since = ended_at(mark, histories, terms, at, points)
    return since is not None and at < registration_kept_until(since, terms)


def _is_undone(mark: r.RegistrationMarked, histories: Histories) -> bool:
    """Say whether the termination will not come about any more, or was taken back."""
    if mark.step_id:
        return any(x.step_id == mark.step_id for x in histories(mark.tenant_id).of(r.TenantStepEnded))
    for account_id, sanction_id in _pairs(mark):
        history = histories(account_id)
        file = next((s for s in history.sanctions if s.imposed.sanction_id == sanction_id), None)
        is_back = any(x.sanction_id == sanction_id for x in history.of(r.AccountReinstated))
        if file is None or is_back or file.lifted_at is not None or file.annulled_at is not None:
            return True
    return False


def _pairs(mark: r.RegistrationMarked) -> tuple[tuple[str, str], ...]:
    return tuple(zip(mark.sanction_ids[::2], mark.sanction_ids[1::2], strict=True))


def _step_began(history: History, step_id: str, terms: Agreement, at: datetime) -> datetime | None:
    if any(x.step_id == step_id and x.at <= at for x in history.of(r.TenantStepEnded)):
        return None
    step = next((x for x in history.of(r.TenantStepTaken) if x.step_id == step_id), None)
    return begun_at(history, step, terms, at) if step is not None else None


def _is_over(end: datetime | None, at: datetime) -> bool:
    return end is not None and end <= at


# --- the match, until a person has looked -----------------------------------------------------------------------------


def open_matches(history: History, at: datetime) -> tuple[r.RegistrationMatched, ...]:
    """Say the matches of a tenant that nobody has settled."""
    settled = {x.match_id for x in history.of(r.RegistrationSettled) if x.at <= at}
    return tuple(x for x in history.of(r.RegistrationMatched) if x.match_id not in settled and x.at <= at)


def is_evasion(history: History, at: datetime) -> bool:
    """Say whether the tenant answers to a terminated one, by a match nobody has dismissed (STANDING 5.7-14)."""
    dismissed = {x.match_id for x in history.of(r.RegistrationSettled) if x.outcome == DISMISSED and x.at <= at}
    return any(x.match_id not in dismissed and x.at <= at for x in history.of(r.RegistrationMatched))
