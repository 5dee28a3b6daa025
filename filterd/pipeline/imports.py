"""The operator's own lists come into the ledger: tenants, accounts, people.  STANDING 5.5, FAULTS 65.

Every verb takes a JSON-safe dictionary and gives a JSON-safe answer. A list is taken whole or not at all: all rows are
looked at first; while one of them is wrong nothing is written, and the answer names each wrong row with line and key.
Taking the same list twice changes nothing the second time. `dry_run` says what would change.

    rows        a dictionary for each row, with `line` and the columns the file has; a column left out keeps what is
                known, None takes it away
    answer      {dry_run, created, changed, unchanged, changes: [{line, what, name, fields: {key: {from, to}}}],
                errors: [{line, key, message}]}
"""

from __future__ import annotations

from typing import Any

from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.pipeline.import_accounts import plan_accounts
from filterd.pipeline.import_rows import rows_of
from filterd.pipeline.import_tenants import every_tenant, plan_tenants
from filterd.pipeline.people import Arguments, PlainVerb, acting_person, person_add, person_list
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn


class ImportVerbs:
    """The verbs that fill the directory. One instance a ledger process."""

    def __init__(self, rules: DeskRules):
        self._rules = rules

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "tenant.import": self.tenant_import,
            "account.import": self.account_import,
            "tenant.list": self.tenant_list,
            "person.add": person_add,
            "person.list": person_list,
        }

    def tenant_import(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Create and change tenants as `rows` say, by the person of `token`."""
        person = _importer(txn, arguments)
        is_dry = bool(arguments.get("dry_run"))
        plan = plan_tenants(rows_of(arguments), every_tenant(txn), self._rules, txn.now)
        for item in () if plan.errors or is_dry else plan.items:
            tenant = item.after
            if item.what != "unchanged":
                txn.put_tenant(tenant)
            if item.what == "create":
                opened = r.TenantOpened(
                    at=txn.now, tenant_id=tenant.tenant_id, agreement=tenant.agreement, source=_source(person)
                )
                txn.append(opened, account_id=None, tenant_id=tenant.tenant_id)
        return plan.answer(lambda t: t.name, is_dry=is_dry)

    def account_import(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Create and change accounts as `rows` say, by the person of `token`."""
        person = _importer(txn, arguments)
        is_dry = bool(arguments.get("dry_run"))
        plan = plan_accounts(rows_of(arguments), txn, every_tenant(txn))
        for item in () if plan.errors or is_dry else plan.items:
            account = item.after
            if item.what != "unchanged":
                txn.put_account(account)
            if item.what == "create":
                opened = r.AccountOpened(
                    at=txn.now, account_id=account.account_id, tenant_id=account.tenant_id, source=_source(person)
                )
                subjects = {"account_id": account.account_id, "tenant_id": account.tenant_id}
                txn.append(opened, **subjects, personal={"login": account.login})
        return plan.answer(lambda a: a.login, is_dry=is_dry)

    def tenant_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say every tenant with the number of its accounts."""
        counts: dict[str, int] = {}
        for account in txn.accounts():
            counts[account.tenant_id] = counts.get(account.tenant_id, 0) + 1
        return [
            {
                "tenant_id": t.tenant_id,
                "name": t.name,
                "agreement": t.agreement,
                "domains": list(t.domains),
                "language": t.language,
                "contact": t.contact,
                "seats": t.seats,
                "accounts": counts.get(t.tenant_id, 0),
            }
            for t in every_tenant(txn)
        ]


# Roles that may bring lists in: what they hold decides who is answerable, and under which terms.
IMPORTING = ("admin", "moderator")


def _importer(txn: LedgerTxn, arguments: Arguments) -> str:
    person, role = acting_person(txn, arguments)
    if role not in IMPORTING:
        raise RefusedError(f"{person} has role {role}; lists are imported by {' or '.join(IMPORTING)}")
    return person


def _source(person: str) -> str:
    """What an entry says of how a subject came in; `first_mail` is the other way."""
    return f"import:{person}"
