"""What has to be written so that the ledger's directory says what the operator's says of one login?

Only looks. Who somebody is follows `identity`. A domain is taken from another tenant only where the operator's
directory has an id for both, or first mail made that tenant; an alias never takes somebody's login. What cannot be done
is left as it was and named in `odd`; mail does not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from filterd.agreement.supplement import misbound
from filterd.errors import PeerError
from filterd.mail.address import parse_forward_path
from filterd.model.about import About, about
from filterd.model.directory import DirectoryFacts
from filterd.model.ids import random_id
from filterd.model.principal import Account, Tenant
from filterd.pipeline.identity import REUSED, Leaving, Person, find_person, retired
from filterd.pipeline.notices import LANGUAGES
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn

# As the store has it.
MAX_PLAN_CHARS = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryPlan:
    """What is to be written, in this order, and whose matters that is.

    Args:
        tenants: before (None: new) and after; those that lose a domain first.
        accounts: likewise; those that lose an alias first, whose login it is last.
        odd: codes of what cannot be done.
        renamed_from: the login that the account has until now, where it gets another.
    """

    tenants: tuple[tuple[Tenant | None, Tenant], ...]
    leaving: tuple[Leaving, ...]
    accounts: tuple[tuple[Account | None, Account], ...]
    about: About
    odd: tuple[str, ...]
    renamed_from: str | None = None


def plan_facts(txn: LedgerTxn, rules: DeskRules, asked: str, facts: DirectoryFacts) -> DirectoryPlan:
    """Say what facts about a login come to.

    Args:
        asked: the login that the directory was asked about; the account's own, or an alias.
    """
    return _Planning(txn, rules, asked, facts).plan()


class _Planning:
    """One plan in the making."""

    def __init__(self, txn: LedgerTxn, rules: DeskRules, asked: str, facts: DirectoryFacts):
        self._txn, self._rules, self._asked, self._facts = txn, rules, asked, facts
        self._login = facts.login or asked
        self._domain = self._login.rpartition("@")[2] if "@" in self._login else ""
        self._odd: list[str] = []
        self._losing_domains: dict[str, Tenant] = {}
        self._losing_aliases: dict[str, Account] = {}

    def plan(self) -> DirectoryPlan:
        tenant, person = self._who()
        tenant_after = self._tenant(tenant)
        leaving = {item.before.account_id: item for item in person.leaving}
        after = self._account(person.account, tenant_after, leaving)
        losing = [(self._was(t), t) for t in self._losing_domains.values()]
        without = [(self._txn.account(a.account_id), a) for a in self._losing_aliases.values()]
        before = person.account
        is_renamed = before is not None and before.login != after.login and before.retired_at is None
        return DirectoryPlan(
            tenants=(*losing, (tenant, tenant_after)),
            leaving=tuple(leaving.values()),
            accounts=(*without, (before, after)),
            about=self._about(tenant, tenant_after, before, after, leaving),
            odd=tuple(dict.fromkeys(self._odd)),
            renamed_from=before.login if is_renamed and before is not None else None,
        )

    # --- who --------------------------------------------------------------------------------------------------------

    def _who(self) -> tuple[Tenant | None, Person]:
        """Say the tenant and the person as they are known; None: new."""
        txn, facts = self._txn, self._facts
        owner = txn.tenant_of_domain(self._domain) if self._domain else None
        external = facts.tenant_external_id
        tenant = owner if external is None else txn.tenant_by_external(external)
        present = self._present_tenant()
        if tenant is None and external is not None:
            # Not told apart until now.
            tenant = next((t for t in (owner, present) if t is not None and t.external_id is None), None)
        definite = tenant.tenant_id if tenant is not None else ("" if external is not None else None)
        person = self._person(definite)
        if tenant is None and external is None:
            # A domain that nobody has yet is the person's own tenant's.
            tenant = present
        return tenant, person

    def _person(self, tenant_id: str | None) -> Person:
        facts = self._facts
        person = find_person(
            self._txn, login=self._login, external_id=facts.external_id, tenant_id=tenant_id, now=self._txn.now
        )
        if self._asked == self._login:
            return person
        # Known under the alias alone, from a time when nobody had told that it is one.
        other = self._txn.account_with_login(self._asked)
        if other is None or (person.account is not None and other.account_id == person.account.account_id):
            return person
        if person.account is None and other.external_id in (None, facts.external_id):
            return replace(person, account=other)
        if other.external_id is not None and facts.external_id is not None:
            return replace(person, leaving=(*person.leaving, retired(other, self._txn.now, REUSED)))
        return person

    def _present_tenant(self) -> Tenant | None:
        txn, external = self._txn, self._facts.external_id
        found = txn.account_by_external(external) if external is not None else None
        found = found or txn.account_with_login(self._login)
        return txn.tenant(found.tenant_id) if found is not None else None

    # --- the tenant -------------------------------------------------------------------------------------------------

    def _tenant(self, before: Tenant | None) -> Tenant:
        facts, says = self._facts, self._facts.says
        tenant = before or Tenant(
            tenant_id=random_id("n", self._txn.now),
            name=facts.tenant_name or self._domain or self._login,
            agreement=self._rules.default_agreement,
        )
        external_id = facts.tenant_external_id or tenant.external_id
        tenant = replace(tenant, domains=self._domains(tenant), external_id=external_id)
        if "domains" in says and facts.domains:
            tenant = replace(tenant, domains_declared=True)
        if facts.tenant_name is not None:
            tenant = replace(tenant, name=facts.tenant_name)
        if facts.agreement is not None:
            tenant = replace(tenant, agreement=self._agreement(tenant))
        if "tenant_language" in says:
            tenant = replace(tenant, language=self._language(facts.tenant_language))
        if "tenant_contact" in says:
            tenant = replace(tenant, contact=self._contact(facts.tenant_contact))
        if "seats" in says:
            tenant = replace(tenant, seats=facts.seats)
        if "plan" in says:
            tenant = replace(tenant, plan=facts.plan[:MAX_PLAN_CHARS] if facts.plan else None)
        if "dealer" in says:
            tenant = replace(tenant, reseller=facts.dealer)
        if "tenant_expires_on" in says:
            tenant = replace(tenant, expires_on=facts.tenant_expires_on)
        return tenant

    def _domains(self, tenant: Tenant) -> tuple[str, ...]:
        """Say the tenant's domains: those said, or those known and, where nobody has it, the login's."""
        if "domains" not in self._facts.says or not self._facts.domains:
            more = (self._domain,) if self._domain else ()
            return tuple(d for d in dict.fromkeys((*tenant.domains, *more)) if self._is_free(tenant, d))
        found = []
        for domain in self._facts.domains:
            owner = self._owner(domain)
            if owner is None or owner.tenant_id == tenant.tenant_id:
                found.append(domain)
            elif (owner.external_id and self._facts.tenant_external_id) or _is_made_by_mail(owner, domain):
                rest = tuple(d for d in owner.domains if d != domain)
                self._losing_domains[owner.tenant_id] = replace(owner, domains=rest)
                found.append(domain)
            else:
                self._odd.append("domain_of_another")
        return tuple(found)

    def _is_free(self, tenant: Tenant, domain: str) -> bool:
        owner = self._txn.tenant_of_domain(domain)
        return owner is None or owner.tenant_id == tenant.tenant_id

    def _owner(self, domain: str) -> Tenant | None:
        owner = self._txn.tenant_of_domain(domain)
        return self._losing_domains.get(owner.tenant_id, owner) if owner is not None else None

    def _was(self, tenant: Tenant) -> Tenant | None:
        return self._txn.tenant(tenant.tenant_id)

    def _agreement(self, tenant: Tenant) -> str:
        said = self._facts.agreement
        if said is None or misbound(self._rules.terms, said, tenant.supplement) is not None:
            self._odd.append("agreement")
            return tenant.agreement
        return said

    # --- the account ------------------------------------------------------------------------------------------------

    def _account(self, before: Account | None, tenant: Tenant, leaving: dict[str, Leaving]) -> Account:
        facts, says = self._facts, self._facts.says
        account = before or Account(
            account_id=random_id("a", self._txn.now), tenant_id=tenant.tenant_id, login=self._login
        )
        account = replace(account, tenant_id=tenant.tenant_id, login=self._login, retired_at=None)
        if facts.external_id is not None:
            account = replace(account, external_id=facts.external_id)
        if "contact" in says:
            account = replace(account, contact=self._contact(facts.contact))
        if "language" in says:
            account = replace(account, language=self._language(facts.language))
        if "expires_on" in says:
            account = replace(account, expires_on=facts.expires_on)
        if "send_as" in says:
            account = replace(account, send_as=facts.send_as)
        wanted = facts.aliases if "aliases" in says else account.aliases
        return replace(account, aliases=self._aliases(account, wanted, leaving))

    def _aliases(self, account: Account, wanted: tuple[str, ...], leaving: dict[str, Leaving]) -> tuple[str, ...]:
        found = set()
        for alias in {*wanted, self._asked} - {account.login}:
            holder = self._txn.account_with_login(alias)
            if holder is not None and holder.account_id not in (account.account_id, *leaving):
                self._odd.append("alias_is_a_login")
            else:
                found.add(alias)
        for address in (*found, account.login):
            self._take_alias(address, {account.account_id, *leaving})
        return tuple(sorted(found))

    def _take_alias(self, address: str, but: set[str]) -> None:
        """Whoever else has an address as an alias has it no more."""
        ref = self._txn.find_account(address)
        if ref is None or ref.account_id in but:
            return
        other = self._losing_aliases.get(ref.account_id) or self._txn.account(ref.account_id)
        if other is not None and address in other.aliases:
            rest = tuple(alias for alias in other.aliases if alias != address)
            self._losing_aliases[other.account_id] = replace(other, aliases=rest)

    # --- both -------------------------------------------------------------------------------------------------------

    def _language(self, said: str | None) -> str | None:
        """Say the language of ours that comes nearest: `zh-CN` is zh-Hans, `en-GB` en."""
        if said is None:
            return None
        begins = said.replace("_", "-").split(",")[0].split(";")[0].split("-")[0].strip().lower()
        found = next((ours for ours in LANGUAGES if ours.split("-")[0] == begins), None)
        if found is None:
            self._odd.append("language")
        return found

    def _contact(self, said: str | None) -> str | None:
        if said is None:
            return None
        try:
            if not parse_forward_path(b"<" + said.encode("utf-8", "replace") + b">", smtputf8=True).domain:
                raise PeerError("address has no domain")
        except PeerError:
            self._odd.append("contact")
            return None
        return said

    def _about(
        self,
        tenant: Tenant | None,
        tenant_after: Tenant,
        before: Account | None,
        after: Account,
        leaving: dict[str, Leaving],
    ) -> About:
        """Say whose matters this is. What is new has a name that nobody else can know."""
        facts = self._facts
        known = [before, *(item.before for item in leaving.values()), *self._losing_aliases.values()]
        accounts = [account for account in known if account is not None]
        externals = [x for x in (facts.external_id, facts.tenant_external_id) if x is not None]
        return about(
            domains={*tenant_after.domains, *facts.domains, *([self._domain] if self._domain else ())},
            tenants={tenant.tenant_id if tenant else None, *self._losing_domains, *(a.tenant_id for a in accounts)},
            accounts={account.account_id for account in accounts},
            logins={self._asked, after.login, *after.aliases, *(account.login for account in accounts)},
            others={f"external:{external}" for external in externals},
        )


def _is_made_by_mail(tenant: Tenant, domain: str) -> bool:
    """Say whether first mail made this tenant, and nobody has named it yet."""
    return tenant.external_id is None and not tenant.domains_declared and tenant.name == domain
