"""Who acts?  Named persons by their token, and how somebody becomes one.  STANDING 5.5, HOUSE rule 13.

A token is said once, in the answer that made it; the ledger keeps a keyed hash of it. Every person added leaves an
entry that says by whom. The system's own administrator may act without a name, and each time it does an entry says so,
which is counted and alarmed.
"""

from __future__ import annotations

import secrets
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


def person_add(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Add somebody under `name` with `role`, or give them another role and token; the answer has the token.

    By a person with role admin; by nobody while there is none yet; `as_root` by whoever may use the socket. `tenant` or
    `dealer` is what a tenant's or a reseller's person is limited to; for others `tenant` is where they belong
    themselves, and `account` their own mailbox: about these they decide nothing.
    """
    name, role = str(arguments.get("name") or "").strip(), str(arguments.get("role") or "")
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise RefusedError(f"a name has 1 to {MAX_NAME_CHARS} printable characters")
    if name in (BY_FIRST, BY_ROOT):
        raise RefusedError(f"nobody can be called {name!r}: entries use it where no person acted")
    if role not in ROLES:
        raise RefusedError(f"role is one of {', '.join(ROLES)}")
    scope, account_id = _scope(txn, arguments, role), _own_account(txn, arguments)
    by = _added_by(txn, arguments)
    known = dict(txn.people())
    if name in known and by != BY_ROOT:
        raise RefusedError(f"there is a {name}; only the system's administrator replaces a token (--as-root)")
    # With a prefix, so that none begins with a dash and people know one when they see it.
    token = f"ft_{secrets.token_urlsafe(TOKEN_BYTES)}"
    txn.put_person(name, role, token)
    added = r.PersonAdded(at=txn.now, person=name, role=role, by=by, scope=scope, account_id=account_id)
    txn.append(added, account_id=None, tenant_id=None)
    said = {"name": name, "role": role, "by": by, "token": token, "replaced_role": known.get(name)}
    return said | ({"scope": scope} if scope is not None else {})


def find_tenant(txn: LedgerTxn, said: str) -> Tenant:
    """Find a tenant by its id, its name or one of its domains. Raises UsageError."""
    found = [t for t in txn.tenants() if said in (t.name, t.tenant_id) or said.lower() in t.domains]
    if len(found) != 1:
        raise UsageError(f"{len(found) or 'no'} tenants have the name, id or domain {said!r}")
    return found[0]


def _scope(txn: LedgerTxn, arguments: Arguments, role: str) -> str | None:
    tenant, dealer = str(arguments.get("tenant") or ""), str(arguments.get("dealer") or "")
    if dealer and (role != RESELLER or tenant):
        raise RefusedError(f"--dealer is for role {RESELLER}, and instead of --tenant")
    if dealer:
        return f"dealer:{txn.pseudonym(' '.join(dealer.split()))}"
    if tenant:
        return f"tenant:{find_tenant(txn, tenant).tenant_id}"
    if role in (TENANT_ADMIN, RESELLER):
        raise RefusedError(f"role {role} needs to know whose: --tenant{' or --dealer' if role == RESELLER else ''}")
    return None


def _own_account(txn: LedgerTxn, arguments: Arguments) -> str | None:
    said = str(arguments.get("account") or "")
    if not said:
        return None
    found = txn.account(said) if said.startswith("a_") else txn.find_account(said)
    if found is None:
        raise UsageError(f"no account {said}")
    return found.account_id


def _added_by(txn: LedgerTxn, arguments: Arguments) -> str:
    if arguments.get("as_root"):
        note_root(txn, {**arguments, VERB: "person.add"})
        return BY_ROOT
    if not arguments.get("token") and not txn.people():
        return BY_FIRST
    name, role = acting_person(txn, arguments)
    if role != ADMIN:
        raise RefusedError(f"{name} has role {role}; people are added by role {ADMIN}, or with --as-root")
    return name


def person_list(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say everybody who may act."""
    scopes = {x.person: x.scope for x in txn.history(SITE).of(r.PersonAdded)}
    rows = ({"name": name, "role": role, "scope": scopes.get(name)} for name, role in txn.people())
    return [{key: value for key, value in row.items() if value is not None} for row in rows]
