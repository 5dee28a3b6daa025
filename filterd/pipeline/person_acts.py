"""How somebody becomes a person who may act, and when they are somebody's second.  STANDING 5.5, HOUSE rule 13.

An administrator alone could add two people and be both. So whoever they add with a role that can be the second of two
acts alone from the first hour, and is nobody's second person until one of those who decide has vouched for them; where
nobody could, for a day. The row says it, an alarm sounds, and `person list` and the doctor show it to everybody else.
Root adds without that, under an alarm of its own.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.pipeline.desk import iso, reason_in
from filterd.pipeline.people import (
    ADMIN,
    BY_FIRST,
    BY_ROOT,
    MAX_NAME_CHARS,
    RESELLER,
    ROLES,
    TENANT_ADMIN,
    TOKEN_BYTES,
    VERB,
    Arguments,
    PlainVerb,
    acting_person,
    find_tenant,
    note_root,
)
from filterd.pipeline.roles import LOOK, SECONDING, deciders, is_scoped, is_second, permitted
from filterd.ports import LedgerTxn

# STANDING 5.5: as long as whoever is alone waits before a second look.
COOLING_OFF = timedelta(hours=24)


def table() -> dict[str, PlainVerb]:
    """Say every verb by name."""
    return {"person.add": person_add, "person.list": person_list, "person.vouch": person_vouch}


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
    needs_second, second_from = _waits(txn, name, role, by)
    added = r.PersonAdded(
        at=txn.now,
        person=name,
        role=role,
        by=by,
        scope=scope,
        account_id=account_id,
        needs_second=needs_second,
        second_from=second_from,
    )
    txn.append(added, account_id=None, tenant_id=None)
    said: dict[str, Any] = {"name": name, "role": role, "by": by, "token": token, "replaced_role": known.get(name)}
    said |= {"needs_second": needs_second, "second_from": iso(second_from)}
    return said | ({"scope": scope} if scope is not None else {})


def person_vouch(txn: LedgerTxn, arguments: Arguments) -> Any:
    """Say that somebody an administrator added is a person of their own; from now on they are somebody's second."""
    actor = permitted(txn, arguments, "person.vouch")
    name = str(arguments.get("name") or "").strip()
    if name not in dict(txn.people()):
        raise UsageError(f"there is no {name}")
    if is_scoped(actor) or name == actor.name:
        raise RefusedError("nobody vouches for themselves, and a tenant's people for nobody")
    if is_second(txn, name):
        raise RefusedError(f"{name} waits for nobody")
    vouched = r.PersonVouched(at=txn.now, person=name, by=actor.name, reason=reason_in(arguments))
    txn.append(vouched, account_id=None, tenant_id=None)
    return {"name": name, "by": actor.name}


def _waits(txn: LedgerTxn, name: str, role: str, by: str) -> tuple[bool, datetime | None]:
    """Say whether somebody waits to be a second person, and until when; None: until somebody vouches."""
    if role not in SECONDING or by in (BY_FIRST, BY_ROOT):
        return False, None
    can_vouch = [other for other in deciders(txn) if other != name]
    return True, None if can_vouch else txn.now + COOLING_OFF


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
    """Say everybody who may act; a tenant's or a reseller's person sees those of their own scope."""
    actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
    added = {x.person: x for x in txn.history(SITE).of(r.PersonAdded)}
    rows = []
    for name, role in txn.people():
        row = added.get(name)
        scope = row.scope if row is not None else None
        if actor is not None and is_scoped(actor) and scope != actor.scope:
            continue
        waits = row is not None and not is_second(txn, name)
        shown = {
            "name": name,
            "role": role,
            "scope": scope,
            "waits_until": (iso(row.second_from) or "vouched") if waits and row is not None else None,
            "added_by": row.by if waits and row is not None else None,
        }
        rows.append({key: value for key, value in shown.items() if value is not None})
    return rows
