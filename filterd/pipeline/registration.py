"""Whoever registers again after a termination for breach is found, inside a transaction.  TX-8.2.4, TX-2.1.4.

Data given at registration becomes keyed hashes at once and is kept in no other form. A termination puts a copy of them
into a file of its own, sealed under a key of its own, which outlives the tenant's data and is erased when its years are
over or the termination is undone. A tenant that has just come is compared with these files; a match locks its sending
until a person has looked (pipeline/registration_acts), and gives no points.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from filterd.agreement.registration import (
    DISMISSED,
    DOMAIN,
    Fingerprints,
    in_common,
    is_kept,
    kinds_of,
    marks,
    open_matches,
)
from filterd.agreement.standing import half_points_at
from filterd.agreement.terms import Agreement
from filterd.errors import PeerError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.notice_events import Facts, announce_event
from filterd.ports import LedgerTxn

# What a list may say of a registration; the domains it says anyway.
LISTED = ("payment", "organisation", "contact", "dkim_key", "client_net", "template")
KEYS = "keys"
# What differs between two spellings of one number, of a means of payment or a telephone.
_IGNORED = frozenset("-()/ .")


class Rules(Protocol):
    """What of the desk's rules is asked here (pipeline/verbs.DeskRules)."""

    @property
    def terms(self) -> Mapping[str, Agreement]: ...

    @property
    def default_agreement(self) -> str: ...

    def terms_for(self, tenant: Tenant | None, at: datetime) -> Agreement: ...


# --- keys -------------------------------------------------------------------------------------------------------------


def read_key(word: str) -> tuple[str, str]:
    """Read `kind:value`. Raises PeerError."""
    kind, colon, value = word.partition(":")
    if not colon or kind not in LISTED:
        raise PeerError(f"must begin with one of {', '.join(f'{kind}:' for kind in LISTED)}")
    if not _plain(kind, value):
        raise PeerError("has no value")
    return kind, value


def key_of(txn: LedgerTxn, kind: str, value: str) -> str:
    """Say the fingerprint of a value: `kind:` and a keyed hash, from which nobody without the key learns anything."""
    return f"{kind}:{txn.pseudonym(f'registration:{kind}:{_plain(kind, value)}')}"


def note_keys(txn: LedgerTxn, tenant: Tenant, said: Iterable[tuple[str, str]], *, by: str) -> frozenset[str]:
    """Keep the fingerprints of what a list says of a tenant's registration; say those that are new."""
    new = frozenset(key_of(txn, kind, value) for kind, value in said) - _noted(txn, tenant.tenant_id)
    if new:
        noted = r.RegistrationNoted(at=txn.now, tenant_id=tenant.tenant_id, kinds=kinds_of(new), by=by)
        txn.append(noted, account_id=None, tenant_id=tenant.tenant_id, personal={KEYS: joined(new)})
    return new


def keys_of(txn: LedgerTxn, tenant: Tenant) -> frozenset[str]:
    """Say the fingerprints of a tenant: of its domains, and of what lists have said."""
    return _noted(txn, tenant.tenant_id) | {key_of(txn, DOMAIN, domain) for domain in tenant.domains}


def _noted(txn: LedgerTxn, tenant_id: str) -> frozenset[str]:
    if not any(isinstance(x, r.RegistrationNoted) for x in txn.records(tenant_id)):
        return frozenset()
    rows = txn.opened_entries(tenant_id)
    return frozenset().union(*(_opened(x.personal) for x in rows if isinstance(x.record, r.RegistrationNoted)))


def _plain(kind: str, value: str) -> str:
    """Say a value in one spelling. Of a domain, an address or a network every character counts."""
    text = unicodedata.normalize("NFKC", value).strip().casefold()
    if kind not in ("payment", "organisation", "contact") or "@" in text:
        return text
    return "".join(c for c in text if c not in _IGNORED)


def joined(keys: Iterable[str]) -> str:
    return " ".join(sorted(keys))


def _opened(personal: object) -> frozenset[str]:
    return frozenset(str(personal.get(KEYS, "")).split()) if isinstance(personal, dict) else frozenset()


# --- a newcomer -------------------------------------------------------------------------------------------------------


def has_come(before: Tenant | None, after: Tenant) -> bool:
    """Say whether a tenant is new, or has a domain that it had not."""
    return before is None or not set(after.domains) <= set(before.domains)


@dataclass(slots=True)
class Screening:
    """Compares newcomers of one transaction with the terminated; their files are read once."""

    txn: LedgerTxn
    rules: Rules
    _files: tuple[Fingerprints, ...] | None = None

    def screen(self, tenant: Tenant) -> r.RegistrationMatched | None:
        """Hold a tenant that answers to a terminated one until a person has looked; say the match, None for none."""
        txn, terms = self.txn, self.rules.terms_for(tenant, self.txn.now)
        section = terms.tenant.registration if terms.tenant is not None else None
        if section is None or not self._known() or open_matches(txn.history(tenant.tenant_id), txn.now):
            return None
        keys = keys_of(txn, tenant)
        found = {x.mark: common for x in self._known() if (common := in_common(keys, x, tenant.tenant_id, section))}
        if not found:
            return None
        common = frozenset().union(*found.values())
        file_ids = tuple(sorted(mark.file_id for mark in found))
        matched = r.RegistrationMatched(
            at=txn.now,
            match_id=derived_id("rm", tenant.tenant_id, *file_ids, txn.now.isoformat()),
            tenant_id=tenant.tenant_id,
            file_ids=file_ids,
            matched_tenant_ids=tuple(sorted({mark.tenant_id for mark in found})),
            kinds=kinds_of(common),
            clauses=section.ground,
        )
        txn.append(matched, account_id=None, tenant_id=tenant.tenant_id, personal={KEYS: joined(common)})
        self._ask(tenant, terms, matched)
        return matched

    def _ask(self, tenant: Tenant, terms: Agreement, matched: r.RegistrationMatched) -> None:
        """Have a person look, and tell the tenant what matched: kinds, never values."""
        txn = self.txn
        task = r.TaskOpened(
            at=txn.now,
            task_id=task_of(matched),
            incident_id="",
            account_id="",
            what="tenant.registration",
            warranted="suspend",
            imposed="hold",
            due_at=txn.now + timedelta(hours=terms.incident.task_due_hours),
        )
        txn.append(task, account_id=None, tenant_id=tenant.tenant_id)
        facts: Facts = {"hold_id": matched.match_id, "at": txn.now, "reasons": matched.kinds}
        announce_event(txn, "registration_hold", tenant.tenant_id, facts)
        facts = {"task_id": task.task_id, "what": task.what, "due_at": task.due_at}
        announce_event(txn, "desk_task", tenant.tenant_id, facts)

    def _known(self) -> tuple[Fingerprints, ...]:
        if self._files is None:
            txn = self.txn
            kept = (
                mark
                for mark in marks(txn.history(SITE))
                if is_kept(mark, txn.history, terms_of(self.rules, mark), txn.now, half_points_at)
            )
            self._files = tuple(x for mark in kept if (x := _read(txn, mark)).keys)
        return self._files


def terms_of(rules: Rules, mark: r.RegistrationMarked) -> Agreement:
    """Say the terms a mark was made under; those in force by default where they are gone."""
    return rules.terms.get(mark.agreement) or rules.terms[rules.default_agreement]


def task_of(matched: r.RegistrationMatched) -> str:
    """Say the id of the task that a match is."""
    return derived_id("w", matched.match_id, "registration")


def matched_keys(txn: LedgerTxn, matched: r.RegistrationMatched) -> frozenset[str]:
    """Say the fingerprints that a match was made of."""
    rows = txn.opened_entries(matched.tenant_id)
    return frozenset().union(*(_opened(x.personal) for x in rows if x.record == matched))


def settle(txn: LedgerTxn, matched: r.RegistrationMatched, outcome: str, *, by: str, reason: str) -> None:
    """Write down what a person has made of a match, and close its task. Dismissed, it does not come again."""
    settled = r.RegistrationSettled(
        at=txn.now, match_id=matched.match_id, tenant_id=matched.tenant_id, outcome=outcome, by=by, reason=reason
    )
    closed = r.TaskClosed(at=txn.now, task_id=task_of(matched), by=by, outcome="done", reason=reason)
    for record in (settled, closed):
        txn.append(record, account_id=None, tenant_id=matched.tenant_id)
    kept = {x.file_id for x in marks(txn.history(SITE))}
    for file_id in matched.file_ids if outcome == DISMISSED else ():
        if file_id in kept:
            personal = {KEYS: joined(matched_keys(txn, matched))}
            txn.append(settled, account_id=file_id, tenant_id=None, personal=personal)


def _read(txn: LedgerTxn, mark: r.RegistrationMarked) -> Fingerprints:
    keys: frozenset[str] = frozenset()
    dismissed: dict[str, frozenset[str]] = {}
    for row in txn.opened_entries(mark.file_id):
        match row.record:
            case r.RegistrationMarked():
                keys |= _opened(row.personal)
            case r.RegistrationSettled(tenant_id=tenant_id, outcome=outcome) if outcome == DISMISSED:
                dismissed[tenant_id] = dismissed.get(tenant_id, frozenset()) | _opened(row.personal)
            case _:
                pass
    return Fingerprints(mark=mark, keys=keys, dismissed=dismissed)
