"""A person switches features of one account off for a time.  STANDING 5.4 row 2, HOUSE rule 8.

Only the rung restrict, only for hours, only under a clause of the account's own agreement. On an incident's ground the
sanction joins that incident and answers its task; without one the act opens an incident that holds no violation and so
never gives points. The row of the confirmation says who and why; the account and its tenant get a statement of reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from filterd.agreement.standing import standing_at
from filterd.agreement.terms import FEATURES, Agreement
from filterd.errors import PeerError, RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.decision import NoticeDue
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.sanction import RECIPIENT, Feature, Rung, feature
from filterd.model.standing import History
from filterd.ports import LedgerTxn

# A year; what should last longer is another decision.
MAX_HOURS = 24 * 366
# The family of an incident that a person's act opened: no category has it, so no violation ever joins.
FAMILY = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """What a person wants. `case`: an incident id or the case id people quote, None for none."""

    features: tuple[Feature, ...]
    hours: int
    clauses: tuple[str, ...]
    case: str | None
    by: str
    reason: str


def read_features(txn: LedgerTxn, texts: Sequence[str]) -> tuple[Feature, ...]:
    """Read `links`, `messages_per_day:50` or `recipient:someone@x.example`; the address is kept as a keyed hash only.

    Raises:
        RefusedError: a text is no feature that can be switched off by itself.
    """
    if not texts:
        raise RefusedError("say what is to be switched off: --feature")
    return tuple(dict.fromkeys(_read(txn, text) for text in texts))


def _read(txn: LedgerTxn, text: str) -> Feature:
    try:
        item = feature(text)
    except ValueError as err:
        raise RefusedError(str(err)) from err
    known = [name for name in FEATURES if name != "sending"]
    if item.name == "sending":
        raise RefusedError("a suspension by a person does not exist yet; external_recipients and bulk come nearest")
    if item.name not in known:
        raise RefusedError(f"no feature {item.name!r}; known: {', '.join(known)}")
    if item.name == RECIPIENT:
        try:
            path = parse_forward_path(f"<{item.value or ''}>".encode(), smtputf8=True)
        except PeerError as err:
            raise RefusedError(f"{RECIPIENT} needs an address, {RECIPIENT}:someone@example.com") from err
        return Feature(name=RECIPIENT, value=txn.pseudonym(path.address))
    if FEATURES[item.name] != (item.limit is not None):
        raise RefusedError(f"feature {item.name} {'needs' if FEATURES[item.name] else 'takes no'} number")
    return item


def find_clauses(terms: Agreement, text: str) -> tuple[str, ...]:
    """Say the clauses meant by a key of the agreement file, or by a number as the agreement prints it.

    Raises:
        RefusedError: the agreement that binds the account has none; no ground, no sanction.
    """
    if text in terms.clause:
        return (text,)
    found = tuple(key for key, clause in terms.clause.items() if clause.number == text)
    if not found:
        raise RefusedError(f"agreement {terms.id} has no clause {text!r}; it has {', '.join(terms.clause)}")
    return found


def impose(txn: LedgerTxn, account: Account, terms: Agreement, wanted: Restriction) -> NoticeDue:
    """Append the rows of a restriction; says the notice to be promised."""
    if not 1 <= wanted.hours <= MAX_HOURS:
        raise RefusedError(f"a restriction lasts 1 to {MAX_HOURS} hours")
    history = txn.history(account.account_id)
    ends_at = txn.now + timedelta(hours=wanted.hours)
    _refuse_if_in_force(history, terms, txn, wanted, account)
    decision_id = derived_id("d", account.account_id, wanted.by, txn.now.isoformat())
    incident_id = _incident(txn, account, history, wanted, decision_id)
    step = next((i for i, s in enumerate(terms.ladder) if s.as_rung is Rung.RESTRICT), 0)
    imposed = r.SanctionImposed(
        at=txn.now,
        sanction_id=derived_id("s", decision_id, Rung.RESTRICT.word),
        incident_id=incident_id,
        decision_id=decision_id,
        account_id=account.account_id,
        rung=Rung.RESTRICT,
        step=step,
        features=wanted.features,
        category="",
        clauses=wanted.clauses,
        starts_at=txn.now,
        ends_at=ends_at,
        lapses_at=None,
        step_down_features=(),
        is_automatic=False,
        by=wanted.by,
        warranted=Rung.RESTRICT,
    )
    confirmed = r.SanctionConfirmed(
        at=txn.now,
        sanction_id=imposed.sanction_id,
        incident_id=incident_id,
        by=wanted.by,
        reason=wanted.reason,
    )
    for record in (imposed, confirmed):
        txn.append(record, account_id=account.account_id, tenant_id=account.tenant_id)
    return NoticeDue(
        template="restriction",
        account_id=account.account_id,
        incident_id=incident_id,
        sanction_ids=(imposed.sanction_id,),
    )


def _refuse_if_in_force(
    history: History, terms: Agreement, txn: LedgerTxn, wanted: Restriction, account: Account
) -> None:
    ends_at = txn.now + timedelta(hours=wanted.hours)
    for active in standing_at(history, terms, txn.now).sanctions:
        covers = set(wanted.features) <= set(active.features)
        if covers and active.ends_at is not None and active.ends_at >= ends_at:
            raise RefusedError(f"all of this is off already, by {active.sanction_id}")


def _incident(
    txn: LedgerTxn, account: Account, history: History, wanted: Restriction, decision_id: str
) -> str:
    """Find the incident meant, or open one for the act itself."""
    if wanted.case is not None:
        prefix = wanted.case.split("_", 1)[-1]
        ids = [i.opened.incident_id for i in history.incidents if not i.is_annulled]
        found = [x for x in ids if x.split("_", 1)[-1].startswith(prefix)]
        if len(found) != 1 or not prefix:
            raise UsageError(f"{account.login} has no case {wanted.case}")
        return found[0]
    opened = r.IncidentOpened(
        at=txn.now,
        incident_id=derived_id("i", account.account_id, FAMILY, decision_id),
        account_id=account.account_id,
        tenant_id=account.tenant_id,
        family=FAMILY,
        evidence_key="",
        is_after_notice=False,
        is_first=False,
    )
    txn.append(opened, account_id=account.account_id, tenant_id=account.tenant_id)
    return opened.incident_id
