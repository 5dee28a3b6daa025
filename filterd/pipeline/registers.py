"""Entries of registers that one person answers for: declared streams, migration windows; and looking at them all.

CLAUSES §2.2 (declared stream), AL-2.1 (migration window). What takes two people is in register_acts.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from filterd.errors import PeerError, RefusedError
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.ids import derived_id
from filterd.model.principal import Tenant
from filterd.pipeline.desk import Desk, plain, reason_in
from filterd.pipeline.people import Actor, Arguments, PlainVerb, find_tenant
from filterd.pipeline.register_acts import read_until, required
from filterd.pipeline.roles import is_tenants_side, permitted, reaches, refuse_unless_reached
from filterd.pipeline.streams import FROM, LIST_ID, stream_key
from filterd.ports import LedgerTxn

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
CONSENTS = ("signup", "contract", "members", "employees", "public_duty")

_ENTRIES = (
    r.AuthorisationGiven,
    r.StreamDeclared,
    r.SenderProtected,
    r.MigrationOpened,
    r.StandingOrderSigned,
    r.NoticeDelayed,
    r.LegalRequestFiled,
    r.ListingNoted,
    r.TermListAdopted,
    r.CategoryRaised,
    r.LockedListsEnabled,
    r.LockedListAdopted,
    r.NotifierMuted,
)
# What the tenant's side does not learn of: that somebody may not be told, and what was handed out about them.
SECRET = (r.NoticeDelayed, r.LegalRequestFiled)


class RegisterVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "register.list": self.entries,
            "register.declare": self.declare,
            "register.migrate": self.migrate,
            "register.listing": self.listing,
            "register.end": self.end,
        }

    def entries(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the entries in force, or `all` of them, of everybody in reach."""
        actor = permitted(txn, arguments, "look") if arguments.get("token") else None
        rows = []
        for subject_id, tenant in self._subjects(txn):
            if actor is not None and not reaches(txn, actor, tenant):
                continue
            hidden = self._hidden_from(txn, actor, tenant)
            history = txn.history(subject_id)
            ended = {x.entry_id: x for x in history.of(r.EntryEnded)}
            for record in history.further:
                if not isinstance(record, _ENTRIES) or isinstance(record, hidden):
                    continue
                until = getattr(record, "until", None)
                is_over = record.entry_id in ended or (until is not None and until <= txn.now)
                if arguments.get("all") or not is_over:
                    rows.append({"register": r.KIND_OF[type(record)], **plain(record), "is_over": is_over})
        return rows

    def declare(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Declare bulk mail of an account: its tenant attests where the recipients agreed and that opting out works."""
        actor = permitted(txn, arguments, "register.declare")
        account = self._desk.account(txn, required(arguments, "account"))
        terms, tenant = self._desk.terms(txn, account), txn.tenant(account.tenant_id)
        refuse_unless_reached(
            txn, actor, "register.declare", tenant, account, enforcing_party=terms.enforcing_party
        )
        if terms.registers is None or not terms.registers.streams:
            raise RefusedError(f"{terms.id} knows no declared streams")
        consent = required(arguments, "consent")
        if consent not in CONSENTS:
            raise RefusedError(f"consent is one of {', '.join(CONSENTS)}")
        if not arguments.get("opt_out_works"):
            raise RefusedError("attest that opting out works: --opt-out-works")
        kind, text = (LIST_ID, arguments["list_id"]) if arguments.get("list_id") else (FROM, arguments.get("from"))
        if not text:
            raise RefusedError("say what its mails have in common: --list-id, or --from")
        try:
            key = stream_key(kind, str(text), txn.pseudonym)
        except PeerError as err:
            raise RefusedError(str(err)) from err
        entry = r.StreamDeclared(
            at=txn.now,
            entry_id=derived_id("g", account.account_id, key, txn.now.isoformat()),
            tenant_id=account.tenant_id,
            account_id=account.account_id,
            key=key,
            key_kind=kind,
            consent=consent,
            by=actor.name,
        )
        txn.append(entry, account_id=None, tenant_id=account.tenant_id)
        return {"entry_id": entry.entry_id, "account_id": account.account_id, "key_kind": kind}

    def migrate(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Open a window in which a tenant's old mail is brought in."""
        actor = permitted(txn, arguments, "register.migrate")
        tenant = find_tenant(txn, required(arguments, "tenant"))
        terms = self._desk.rules.terms_for(tenant, txn.now)
        refuse_unless_reached(txn, actor, "register.migrate", tenant, enforcing_party=terms.enforcing_party)
        if terms.registers is None:
            raise RefusedError(f"{terms.id} knows no registers")
        entry = r.MigrationOpened(
            at=txn.now,
            entry_id=derived_id("g", tenant.tenant_id, "migration", txn.now.isoformat()),
            tenant_id=tenant.tenant_id,
            since=txn.now,
            until=read_until(txn, arguments, terms.registers.migration_days),
            by=actor.name,
        )
        txn.append(entry, account_id=None, tenant_id=tenant.tenant_id)
        return {"entry_id": entry.entry_id, "until": plain(entry.until)}

    def listing(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Note that an `address` of ours stands on a `blocklist`, of which `pool` it is, and to where its mail moved
        (`moved_to`). It is about the provider's own servers: nobody's standing hears of it."""
        actor = permitted(txn, arguments, "register.listing")
        try:
            address = str(ipaddress.ip_address(required(arguments, "address")))
        except ValueError:
            raise RefusedError("address is an IP address of ours, such as 192.0.2.7") from None
        names = {key: str(arguments.get(key) or "") for key in ("blocklist", "pool", "moved_to")}
        if not names["blocklist"] or any(name and not _NAME.fullmatch(name) for name in names.values()):
            raise RefusedError("blocklist, pool and moved_to are names of letters, digits and _.:- of 80 at most")
        if any(
            (x["register"], x["address"], x["blocklist"]) == ("listing.noted", address, names["blocklist"])
            and x["moved_to"] == names["moved_to"]
            for x in self.entries(txn, {})
            if x["register"] == "listing.noted"
        ):
            raise RefusedError(f"{address} on {names['blocklist']} is noted already")
        entry = r.ListingNoted(
            at=txn.now,
            entry_id=derived_id("g", SITE, address, names["blocklist"], names["moved_to"], txn.now.isoformat()),
            address=address,
            by=actor.name,
            **names,
        )
        txn.append(entry, account_id=None, tenant_id=None)
        return {"entry_id": entry.entry_id, "address": address, **names}

    def end(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End an entry, any of them, with a reason."""
        actor = permitted(txn, arguments, "register.end")
        entry_id = required(arguments, "entry")
        for subject_id, tenant in self._subjects(txn):
            history = txn.history(subject_id)
            found = [x for x in history.further if isinstance(x, _ENTRIES) and x.entry_id == entry_id]
            if not found or isinstance(found[0], self._hidden_from(txn, actor, tenant)):
                continue
            if any(x.entry_id == entry_id for x in history.of(r.EntryEnded)):
                raise RefusedError(f"{entry_id} has ended already")
            party = self._desk.rules.terms_for(tenant, txn.now).enforcing_party
            refuse_unless_reached(txn, actor, "register.end", tenant, enforcing_party=party)
            is_account = subject_id not in (SITE, tenant.tenant_id if tenant is not None else None)
            txn.append(
                r.EntryEnded(at=txn.now, entry_id=entry_id, by=actor.name, reason=reason_in(arguments)),
                account_id=subject_id if is_account else None,
                tenant_id=tenant.tenant_id if tenant is not None else None,
            )
            return {"entry_id": entry_id, "register": r.KIND_OF[type(found[0])]}
        raise RefusedError(f"no entry {entry_id}")

    def _hidden_from(self, txn: LedgerTxn, actor: Actor | None, tenant: Tenant | None) -> tuple[type[r.Record], ...]:
        party = self._desk.rules.terms_for(tenant, txn.now).enforcing_party
        return SECRET if actor is not None and is_tenants_side(actor, party) else ()

    def _subjects(self, txn: LedgerTxn) -> Any:
        tenants = {tenant.tenant_id: tenant for tenant in txn.tenants()}
        accounts = ((a.account_id, tenants.get(a.tenant_id)) for a in txn.accounts())
        return ((SITE, None), *tenants.items(), *accounts)
