"""Who acts?  Named persons by their token, and how somebody becomes one.  STANDING 5.5, HOUSE rule 13.

A token is said once, in the answer that made it; the ledger keeps a keyed hash of it. Every person added leaves an
entry that says by whom.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.ports import LedgerTxn

Arguments = Mapping[str, Any]
PlainVerb = Callable[[LedgerTxn, Arguments], Any]

ADMIN = "admin"
ROLES = (
    "viewer",
    "reviewer",
    "moderator",
    "approver",
    "appeals_reviewer",
    "policy_editor",
    "auditor",
    ADMIN,
)
TOKEN_BYTES = 24
MAX_NAME_CHARS = 80

# Who "added" whom where no person could: the first one, and what the system's own administrator did.
BY_FIRST = "first"
BY_ROOT = "root"


def acting_person(txn: LedgerTxn, arguments: Arguments) -> tuple[str, str]:
    """Say (name, role) of the person whose `token` this is. Raises RefusedError when it is nobody's."""
    found = txn.person(str(arguments.get("token") or ""))
    if found is None:
        raise RefusedError("this needs a named person: give --token or FILTERD_TOKEN (see `filterd person add`)")
    return found


def person_add(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Add somebody under `name` with `role`, or give them another role and token; the answer has the token.

    By a person with role admin; by nobody while there is none yet; `as_root` by whoever may use the socket.
    """
    name, role = str(arguments.get("name") or "").strip(), str(arguments.get("role") or "")
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise RefusedError(f"a name has 1 to {MAX_NAME_CHARS} printable characters")
    if name in (BY_FIRST, BY_ROOT):
        raise RefusedError(f"nobody can be called {name!r}: entries use it where no person acted")
    if role not in ROLES:
        raise RefusedError(f"role is one of {', '.join(ROLES)}")
    by = _added_by(txn, arguments)
    known = dict(txn.people())
    if name in known and by != BY_ROOT:
        raise RefusedError(f"there is a {name}; only the system's administrator replaces a token (--as-root)")
    # With a prefix, so that none begins with a dash and people know one when they see it.
    token = f"ft_{secrets.token_urlsafe(TOKEN_BYTES)}"
    txn.put_person(name, role, token)
    txn.append(r.PersonAdded(at=txn.now, person=name, role=role, by=by), account_id=None, tenant_id=None)
    return {"name": name, "role": role, "by": by, "token": token, "replaced_role": known.get(name)}


def _added_by(txn: LedgerTxn, arguments: Arguments) -> str:
    if arguments.get("as_root"):
        return BY_ROOT
    if not arguments.get("token") and not txn.people():
        return BY_FIRST
    name, role = acting_person(txn, arguments)
    if role != ADMIN:
        raise RefusedError(f"{name} has role {role}; people are added by role {ADMIN}, or with --as-root")
    return name


def person_list(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say everybody who may act."""
    return [{"name": name, "role": role} for name, role in txn.people()]
