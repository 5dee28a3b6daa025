"""Protective holds: features taken away without points, and what is asked of people then.  STANDING 5.7-14."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from filterd.agreement.draft import Draft
from filterd.agreement.incident import is_first, is_raised_only, scope_of
from filterd.agreement.standing import SENDING
from filterd.agreement.takeover import COMPROMISE, is_malicious, is_stolen
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.sanction import Mode, Violation
from filterd.model.standing import IncidentFile


def place_hold(
    ledger: Draft,
    incident: IncidentFile,
    acts: Iterable[Violation],
    at: datetime,
    terms: Agreement,
    *,
    is_new_message: bool,
) -> None:
    """Place the protection that an incident calls for, if any.

    What a thief may have done locks sending until somebody attests; a first zero-tolerance act gets the category's
    scope for a day, and a single refused message nothing: that takes a running burst or a second such message. The
    user's own doing is the ladder's matter.

    Args:
        acts: what the message in hand violates, as far as it is strongly attributed.
        is_new_message: this message is no copy of one that the incident has.
    """
    # What two people raised to warn locks nobody out (STANDING 7.1, prop_c2_ceiling).
    if is_malicious(incident) or is_raised_only(incident):
        return
    incident_id = incident.opened.incident_id
    if is_stolen(incident, terms):
        if not any(h.indicators and h.incident_id == incident_id for h, _ in ledger.history.holds):
            _lock(ledger, incident, at, terms)
        return
    strict = {item.id for item in terms.category if item.zero_tolerance}
    mine = [v for v in acts if v.mode is Mode.A and (v.is_burst or v.category in strict)]
    if not mine or incident.has_hold or not is_first(ledger.history, incident):
        return
    # An open breaker keeps points from counting, and protects nobody less (STANDING 5.7-21).
    shadows = tuple(v for v in mine if v.is_shadow)
    had_one = bool(shadows and incident.message_count > 1) or (
        incident.strike is not None and incident.strike.provisional_until is not None
    )
    if not any(v.is_burst for v in mine) and not (had_one and is_new_message):
        return
    ledger.add(
        r.HoldPlaced(
            at=at,
            hold_id=derived_id("h", incident_id),
            incident_id=incident_id,
            account_id=ledger.history.account_id,
            features=scope_of(incident, terms, shadows),
            starts_at=at,
            ends_at=at + timedelta(hours=terms.incident.hold_hours),
        )
    )


def _lock(ledger: Draft, incident: IncidentFile, at: datetime, terms: Agreement) -> None:
    """Lock sending, and ask somebody to change the password and attest it."""
    incident_id = incident.opened.incident_id
    hold_id = derived_id("h", incident_id, COMPROMISE)
    ledger.add(
        r.HoldPlaced(
            at=at,
            hold_id=hold_id,
            incident_id=incident_id,
            account_id=ledger.history.account_id,
            features=SENDING,
            starts_at=at,
            ends_at=None,
            because=COMPROMISE,
            indicators=tuple(sorted(incident.indicators)),
        )
    )
    ledger.add(attestation_task(hold_id, ledger.history.account_id, at, terms))


def attestation_task(hold_id: str, account_id: str, at: datetime, terms: Agreement) -> r.TaskOpened:
    """Say the task that comes with a hold of a stolen account; apart from what its incident has people look at."""
    return r.TaskOpened(
        at=at,
        task_id=derived_id("w", hold_id, "attest"),
        incident_id="",
        account_id=account_id,
        what="hold: have the password reset and all sessions revoked, then attest or release",
        warranted="none",
        imposed="hold",
        due_at=at + timedelta(hours=terms.incident.task_due_hours),
    )
