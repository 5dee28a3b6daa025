"""Who registers again after a termination for breach: fingerprints, matches, what a person made of them.  TX-8.2.4.

Bodies hold kinds and ids. The fingerprints, keyed hashes in the form `kind:hash`, are in the sealed part of a row: of
a tenant's own rows under the tenant's key, of a termination's under a key of its own, so that they can be erased.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationNoted:
    """A list has brought keys of a tenant's registration; sealed: `keys`. The plain data is kept nowhere (TX-2.1.4)."""

    at: datetime
    tenant_id: str
    kinds: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationMarked:
    """An enterprise's service ends for breach: its fingerprints are kept for whoever comes next. Sealed: `keys`.

    Args:
        file_id: whose key seals them; erasing that subject erases them.
        agreement: id of the agreement under which it ended.
        step_id: the step against the tenant that ended it; empty where terminations of its accounts did.
        sanction_ids: those, by account id and sanction id in turn; every one of them must stand.
    """

    at: datetime
    file_id: str
    tenant_id: str
    agreement: str
    kinds: tuple[str, ...]
    by: str
    step_id: str = ""
    sanction_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationErased:
    """The fingerprints of a termination are gone for good. `because`: `expired` or `undone`."""

    at: datetime
    file_id: str
    tenant_id: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationMatched:
    """A tenant that has just come answers to a terminated one: its sending waits for a person. Sealed: `keys`, those in
    common. `file_ids`: what it matched; `kinds`: in what."""

    at: datetime
    match_id: str
    tenant_id: str
    file_ids: tuple[str, ...]
    matched_tenant_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    clauses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationSettled:
    """A person has looked at a match. `outcome`: confirmed or dismissed.

    Of a dismissal a copy stands with the fingerprints that were matched, with the sealed `keys` that were dismissed.
    """

    at: datetime
    match_id: str
    tenant_id: str
    outcome: str
    by: str
    reason: str


RegistrationRecord = (
    RegistrationNoted | RegistrationMarked | RegistrationErased | RegistrationMatched | RegistrationSettled
)

KINDS: dict[str, type[RegistrationRecord]] = {
    "registration.noted": RegistrationNoted,
    "registration.marked": RegistrationMarked,
    "registration.erased": RegistrationErased,
    "registration.matched": RegistrationMatched,
    "registration.settled": RegistrationSettled,
}
