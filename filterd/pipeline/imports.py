"""The operator's own lists come into the ledger: tenants, accounts, people.  STANDING 5.5, FAULTS 65.

Every verb takes a JSON-safe dictionary and gives a JSON-safe answer. A list is taken whole or not at all: all rows are
looked at first; while one of them is wrong nothing is written, and the answer names each wrong row with line and key.
Taking the same list twice changes nothing the second time. `dry_run` says what would change.

    rows        a dictionary for each row, with `line` and the columns the file has; a column left out keeps what is
                known, None takes it away
    answer      {dry_run, created, changed, retired, unchanged,
                changes: [{line, what, name, fields: {key: {from, to}}}],
                errors: [{line, key, message}], notes: [{line, key, message}]}; of tenants also, where there are any,
                held: [{line, name, kinds}], whose registration a person has to look at (TX-8.2.4)
"""

from __future__ import annotations

from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model.principal import Tenant
from filterd.pipeline.directory_rows import write_account, write_leaving, write_tenant
from filterd.pipeline.import_accounts import plan_accounts
from filterd.pipeline.import_rows import rows_of
from filterd.pipeline.import_sale import recorded_on, sale_facts
from filterd.pipeline.import_supplement import supplement_facts
from filterd.pipeline.import_tenants import every_tenant, plan_tenants, registration_of
from filterd.pipeline.people import ROOT, Arguments, PlainVerb, acting_person
from filterd.pipeline.registration import Screening, has_come, note_keys
from filterd.pipeline.roles import LOOK, permitted, reaches
from filterd.pipeline.tenancy_view import tenancy_facts
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
            "tenant.show": self.tenant_show,
        }

    def tenant_import(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Create and change tenants as `rows` say, by the person of `token`."""
        person = _importer(txn, arguments)
        is_dry = bool(arguments.get("dry_run"))
        rows = rows_of(arguments)
        plan = plan_tenants(
            rows, every_tenant(txn), self._rules, txn.now, lambda x: recorded_on(txn, x, self._rules)
        )
        said = {} if plan.errors else {row.line: registration_of(row) for row in rows}
        screening, held = Screening(txn, self._rules), []
        for item in () if plan.errors or is_dry else plan.items:
            write_tenant(txn, item.before, item.after, by=person, source=_source(person))
            if note_keys(txn, item.after, said[item.line], by=person) or has_come(item.before, item.after):
                matched = screening.screen(item.after)
                held += [{"line": item.line, "name": item.after.name, "kinds": list(matched.kinds)}] if matched else []
        return plan.answer(lambda t: t.name, is_dry=is_dry) | ({"held": held} if held else {})

    def account_import(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Create, change and retire accounts as `rows` say, by the person of `token`."""
        person = _importer(txn, arguments)
        is_dry = bool(arguments.get("dry_run"))
        plan = plan_accounts(rows_of(arguments), txn, every_tenant(txn))
        for item in () if plan.errors or is_dry else plan.items:
            if item.leaving is not None:
                write_leaving(txn, item.leaving, by=person)
            else:
                write_account(txn, item.before, item.after, by=person, source=_source(person))
        return plan.answer(lambda a: a.login, is_dry=is_dry)

    def tenant_list(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say every tenant with the number of its accounts; somebody with a `token` sees those they may."""
        actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
        counts: dict[str, int] = {}
        for account in txn.accounts():
            if account.retired_at is None:
                counts[account.tenant_id] = counts.get(account.tenant_id, 0) + 1
        seen = [x for x in every_tenant(txn) if actor is None or reaches(txn, actor, x)]
        return [self._facts(txn, tenant, counts.get(tenant.tenant_id, 0)) for tenant in seen]

    def tenant_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say all that is known of one `tenant`: by its name, its id, or one of its domains."""
        said = str(arguments.get("tenant") or "")
        found = [t for t in every_tenant(txn) if said in (t.name, t.tenant_id) or said.lower() in t.domains]
        if not found:
            raise UsageError(f"no tenant has the name, id or domain {said!r}")
        if len(found) > 1:
            raise UsageError(f"several tenants are called {said!r}; give the id")
        if arguments.get("token") and not reaches(txn, permitted(txn, arguments, LOOK), found[0]):
            raise RefusedError(f"{found[0].tenant_id} is not yours to look at")
        number = sum(a.tenant_id == found[0].tenant_id and a.retired_at is None for a in txn.accounts())
        facts = self._facts(txn, found[0], number)
        if found[0].agreement not in self._rules.terms:
            return facts
        return facts | tenancy_facts(txn, found[0], self._rules.terms_for(found[0], txn.now))

    def _facts(self, txn: LedgerTxn, tenant: Tenant, accounts: int) -> dict[str, Any]:
        known = tenant.agreement in self._rules.terms
        return {
            "tenant_id": tenant.tenant_id,
            "name": tenant.name,
            "agreement": tenant.agreement,
            "domains": list(tenant.domains),
            "domains_declared": tenant.domains_declared,
            "language": tenant.language,
            "contact": tenant.contact,
            "seats": tenant.seats,
            "reseller": tenant.reseller,
            **sale_facts(txn, tenant, self._rules),
            "plan": tenant.plan,
            "expires_on": tenant.expires_on.isoformat() if tenant.expires_on is not None else None,
            "external_id": tenant.external_id,
            "supplement": supplement_facts(tenant, self._rules.terms, txn.now),
            "terms": self._rules.terms_for(tenant, txn.now).id if known else None,
            "accounts": accounts,
        }


# Roles that may bring lists in: what they hold decides who is answerable, and under which terms.
IMPORTING = ("admin", "moderator")


def _importer(txn: LedgerTxn, arguments: Arguments) -> str:
    person, role = acting_person(txn, arguments)
    if role not in (*IMPORTING, ROOT):
        raise RefusedError(f"{person} has role {role}; lists are imported by {' or '.join(IMPORTING)}")
    return person


def _source(person: str) -> str:
    """What an entry says of how a subject came in; `first_mail` is the other way."""
    return f"import:{person}"
