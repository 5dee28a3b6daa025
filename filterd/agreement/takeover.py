"""Stolen, or the user's own doing?  STANDING 5.3 step 2, 5.7-14.

What speaks for a stolen account makes a hold, and of an incident's points provisional ones; an attestation that the
password was reset and all sessions were revoked says whose doing it was not. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from filterd.agreement.registration import is_evasion
from filterd.agreement.security import SENDING, covers
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import BURST
from filterd.model import records as r
from filterd.model.decision import Case
from filterd.model.ids import derived_id
from filterd.model.principal import Strength
from filterd.model.session import Direction
from filterd.model.standing import MALICIOUS, UNKNOWN, History, IncidentFile, Surroundings
from filterd.model.verdict import Outcome

# Why a hold was placed (model.records.HoldPlaced).
COMPROMISE, ZERO_TOLERANCE, REGISTRATION, BY_PERSON = "compromise", "zero_tolerance", "registration", "person"


def indicators_in(case: Case, terms: Agreement) -> tuple[str, ...]:
    """Say which findings of a mail speak for a stolen account; only of mail somebody logged in for."""
    if case.direction is Direction.INBOUND or case.principal.strength is not Strength.STRONG:
        return ()
    listed = frozenset(terms.security.indicators)
    found = (f.code for v in case.assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings)
    return tuple(dict.fromkeys(code for code in found if code in listed))


def reported(history: History, terms: Agreement, at: datetime) -> tuple[str, ...]:
    """Say which indicators were reported so lately that they speak for mail at `at`, but those reported for a case of
    their own, and those from before an attestation: that the password was changed since answers them."""
    since = at - timedelta(hours=terms.security.indicator_hours)
    cleared = max((x.at for x in history.of(r.HoldAttested) if x.at <= at), default=since)
    seen = (x for x in history.of(r.IndicatorSeen) if max(since, cleared) <= x.at <= at and x.incident_id is None)
    return tuple(dict.fromkeys(x.indicator for x in seen))


def is_stolen(incident: IncidentFile, terms: Agreement) -> bool:
    """Say whether an incident has what makes a hold and provisional points of it (STANDING 5.3 step 2)."""
    return incident.hypothesis != MALICIOUS and terms.security.speaks(incident.indicators)


def is_malicious(incident: IncidentFile) -> bool:
    """Say whether it is taken for the user's own doing: neither cap nor provision applies then."""
    return incident.hypothesis == MALICIOUS


def hypothesis_of(case: Case, history: History, terms: Agreement, around: Surroundings) -> str:
    """Say whose doing a mail in breach is before anybody has looked: malicious for an account that answers a
    registration match, and for one that sends from where it always did in a tenant that has just come; else unknown."""
    if any(h.because == REGISTRATION for h, _ in history.holds):
        return MALICIOUS
    if around.tenant is not None and is_evasion(around.tenant, case.at):
        return MALICIOUS
    opened = around.tenant_opened_at
    is_young = opened is not None and case.at < opened + timedelta(days=terms.security.young_tenant_days)
    return MALICIOUS if is_young and case.facts.counts.client_is_original else UNKNOWN


def takeover_hold(case: Case, history: History, terms: Agreement, account_id: str) -> r.HoldPlaced | None:
    """Say the hold that a running burst with an indicator brings, whatever the mail says and whether or not the
    agreement forbids anything; None when there is no such thing, or sending is locked already."""
    found = indicators_in(case, terms)
    codes = {f.code for v in case.assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings}
    if BURST not in codes or case.principal.strength is not Strength.STRONG:
        return None
    found = tuple(dict.fromkeys((*found, *reported(history, terms, case.at))))
    # An open one locks it, or lets a trickle through that is no burst.
    is_held = any(h.indicators and covers(h, end, case.at) for h, end in history.holds)
    quiet_since = case.at - timedelta(minutes=terms.security.quiet_minutes)
    is_settled = any(h.indicators and end is not None and quiet_since < end <= case.at for h, end in history.holds)
    if is_held or is_settled or not terms.security.speaks(found) or hypothesis_of_account(history) == MALICIOUS:
        return None
    return r.HoldPlaced(
        at=case.at,
        hold_id=derived_id("h", account_id, case.transaction_id),
        incident_id="",
        account_id=account_id,
        features=(SENDING,),
        starts_at=case.at,
        ends_at=None,
        because=COMPROMISE,
        indicators=found,
    )


def hypothesis_of_account(history: History) -> str:
    """Say what a person has last settled about the account's incidents."""
    settled = history.of(r.HypothesisSettled)
    return settled[-1].hypothesis if settled else UNKNOWN


# --- attestation ------------------------------------------------------------------------------------------------------


def attestation_number(history: History, terms: Agreement, at: datetime) -> int:
    """Say which attestation within the term one made at `at` would be, from 1."""
    since = at - timedelta(days=terms.security.attestation_days)
    # One act may attest several holds.
    return 1 + len({x.at for x in history.of(r.HoldAttested) if since < x.at <= at})


def attestable(history: History, at: datetime) -> tuple[r.HoldPlaced, ...]:
    """Say the holds in force that an attestation ends: those with an indicator."""
    return tuple(h for h, end in history.holds if h.indicators and covers(h, end, at))


def excusable(history: History, holds: Iterable[r.HoldPlaced], terms: Agreement) -> tuple[IncidentFile, ...]:
    """Say the incidents whose strikes such an attestation excuses: those behind the holds, and every other one with an
    indicator that began under them."""
    held = tuple(holds)
    named = {h.incident_id for h in held}
    since = min((h.starts_at for h in held), default=None)
    return tuple(
        i
        for i in history.incidents
        if not i.is_void
        and not is_malicious(i)
        and (
            i.opened.incident_id in named
            or (since is not None and i.opened.at >= since and terms.security.speaks(i.indicators))
        )
    )
