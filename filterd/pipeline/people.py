"""Who acts?  Named persons by their token, and how somebody becomes one.  STANDING 5.5, HOUSE rule 13.

A token is said once, in the answer that made it; the ledger keeps a keyed hash of it. Every person added leaves an
entry that says by whom. The system's own administrator may act without a name, and each time it does an entry says so,
which is counted and alarmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.principal import Tenant
from filterd.ports import LedgerTxn

Arguments = Mapping[str, Any]
PlainVerb = Callable[[LedgerTxn, Arguments], Any]

ADMIN = "admin"
TENANT_ADMIN, RESELLER, SERVICE = "tenant_admin", "reseller", "service"
# `service` is a program with a token: it may look and never counts as a person.
ROLES = (
    "viewer",
    "reviewer",
    "moderator",
    "approver",
    "appeals_reviewer",
    "policy_editor",
    "auditor",
    ADMIN,
    TENANT_ADMIN,
    RESELLER,
    SERVICE,
)
TOKEN_BYTES = 24
MAX_NAME_CHARS = 80

# Who "added" whom where no person could: the first one, and what the system's own administrator did.
BY_FIRST = "first"
BY_ROOT = "root"
# The role of whoever acts without being anybody.
ROOT = "root"

# Where the guard of a verb says its name to the row that root leaves.
VERB = "verb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Whoever acts. `scope` and `account_id` as in PersonAdded."""

    name: str
    role: str
    scope: str | None = None
    account_id: str | None = None

    @property
    def is_root(self) -> bool:
        return self.role == ROOT


def acting(txn: LedgerTxn, arguments: Arguments) -> Actor:
    """Say whose `token` this is; without one, `as_root` is the system's administrator, who leaves a row.

    Raises RefusedError for nobody. The link takes `as_root` from root and filterd's own user only.
    """
    token = str(arguments.get("token") or "")
    if not token and arguments.get("as_root"):
        note_root(txn, arguments)
        return Actor(name=BY_ROOT, role=ROOT)
    found = txn.person(token)
    if found is None:
        raise RefusedError("this needs a named person: give --token or FILTERD_TOKEN (see `filterd person add`)")
    name, role = found
    added = [x for x in txn.history(SITE).of(r.PersonAdded) if x.person == name]
    if not added:
        return Actor(name=name, role=role)
    return Actor(name=name, role=role, scope=added[-1].scope, account_id=added[-1].account_id)


def acting_person(txn: LedgerTxn, arguments: Arguments) -> tuple[str, str]:
    """Say (name, role) of the person whose `token` this is. Raises RefusedError when it is nobody's."""
    actor = acting(txn, arguments)
    return actor.name, actor.role


def note_root(txn: LedgerTxn, arguments: Arguments) -> None:
    """Put on record that nobody in particular acted; metrics and the service log make an alarm of the row."""
    acted = r.RootActed(
        at=txn.now, verb=str(arguments.get(VERB) or "unknown"), reason=str(arguments.get("reason") or "")
    )
    txn.append(acted, account_id=None, tenant_id=None)


def guarded(name: str, verb: PlainVerb) -> PlainVerb:
    """Have a verb know its own name, for the row that root leaves."""

    def run(txn: LedgerTxn, arguments: Arguments) -> Any:
        return verb(txn, {**arguments, VERB: name} if arguments.get("as_root") else arguments)

    return run


def find_tenant(txn: LedgerTxn, said: str) -> Tenant:
    """Find a tenant by its id, its name or one of its domains. Raises UsageError."""
    found = [t for t in txn.tenants() if said in (t.name, t.tenant_id) or said.lower() in t.domains]
    if len(found) != 1:
        raise UsageError(f"{len(found) or 'no'} tenants have the name, id or domain {said!r}")
    return found[0]
