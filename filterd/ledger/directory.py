"""The directory: who the subjects are. The only place where a login stands, sealed under its subject's key.

A login is found by its keyed hash and must come in its canonical spelling: two spellings are two accounts here. So are
aliases, and the ids that the operator's own directory has for accounts and tenants. A retired account keeps all its
words; its login and its aliases lead to it no more, the operator's id still does.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Row,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
    update,
)

from filterd.errors import UsageError
from filterd.ledger.codec import canonical, decode, decode_json, encode, escaped
from filterd.ledger.schema import ACCOUNT, ALIAS, TENANT, TENANT_DOMAIN
from filterd.ledger.seal import seal, unseal
from filterd.ledger.subjects import SubjectKeys
from filterd.model.ids import keyed_hash
from filterd.model.principal import Account, Supplement, Tenant
from filterd.ports import AccountRef

# The account's own language, else its tenant's.
_LANGUAGE = func.coalesce(ACCOUNT.c.language, TENANT.c.language).label("language")
_FIND = select(
    ACCOUNT.c.account_id,
    ACCOUNT.c.expires_on,
    ACCOUNT.c.refreshed_at,
    _LANGUAGE,
    TENANT.c.tenant_id,
    TENANT.c.agreement,
    TENANT.c.supplement,
    TENANT.c.domains_declared,
    TENANT.c.seats,
    TENANT.c.plan,
    TENANT.c.expires_on.label("tenant_expires_on"),
).join(TENANT, TENANT.c.tenant_id == ACCOUNT.c.tenant_id)

# Made once: to make a statement costs about what SQLite takes to answer it.
_FIND_BY_LOGIN = _FIND.where(ACCOUNT.c.login_hash == bindparam("hashed"))
_BY_ALIAS = _FIND.join(ALIAS, ALIAS.c.account_id == ACCOUNT.c.account_id)
_FIND_BY_ALIAS = _BY_ALIAS.where(ALIAS.c.address_hash == bindparam("hashed"))
_ACCOUNT_BY_ID = select(ACCOUNT).where(ACCOUNT.c.account_id == bindparam("wanted"))
_ACCOUNT_BY_LOGIN = select(ACCOUNT).where(ACCOUNT.c.login_hash == bindparam("hashed"))
_ACCOUNT_BY_EXTERNAL = select(ACCOUNT).where(ACCOUNT.c.external_hash == bindparam("hashed"))
_IS_TENANT = select(literal(1)).where(TENANT.c.tenant_id == bindparam("wanted"))
_OF_TENANT = select(TENANT_DOMAIN.c.domain).where(TENANT_DOMAIN.c.tenant_id == bindparam("wanted"))
_DOMAINS = _OF_TENANT.order_by(TENANT_DOMAIN.c.position)
_HASHES: BindParameter[Any] = bindparam("hashes", expanding=True)
_HOLDERS = union_all(
    select(ACCOUNT.c.login_hash.label("hashed"), ACCOUNT.c.account_id).where(ACCOUNT.c.login_hash.in_(_HASHES)),
    select(ALIAS.c.address_hash, ALIAS.c.account_id).where(ALIAS.c.address_hash.in_(_HASHES)),
)


class Directory:
    """Accounts and tenants, inside one transaction.

    `has_changed` says that something known before was altered, so that copies elsewhere are stale.
    """

    def __init__(self, connection: Connection, subjects: SubjectKeys, pseudonym_key: bytes):
        self._connection = connection
        self._subjects = subjects
        self._pseudonym_key = pseudonym_key
        self.has_changed = False

    # --- accounts ---------------------------------------------------------------------------------------------------

    def find_account(self, login: str) -> AccountRef | None:
        """Find an account by its canonical login, or by one of its aliases."""
        given = {"hashed": self._hashed(login)}
        row = self._connection.execute(_FIND_BY_LOGIN, given).first()
        if row is None:
            row = self._connection.execute(_FIND_BY_ALIAS, given).first()
        if row is None:
            return None
        return AccountRef(
            account_id=row.account_id,
            tenant_id=row.tenant_id,
            login=login,
            agreement=row.agreement,
            language=row.language,
            tenant_domains=self._domains(row.tenant_id),
            domains_declared=row.domains_declared,
            supplement=_supplement(row.supplement),
            seats=row.seats,
            plan=row.plan,
            expires_on=_day(row.expires_on),
            tenant_expires_on=_day(row.tenant_expires_on),
            refreshed_at=row.refreshed_at,
        )

    def account(self, account_id: str) -> Account | None:
        """Say the account, None when it is unknown or erased."""
        return self._account(self._connection.execute(_ACCOUNT_BY_ID, {"wanted": account_id}).first())

    def account_with_login(self, login: str) -> Account | None:
        """Find an account by its login alone."""
        return self._account(self._connection.execute(_ACCOUNT_BY_LOGIN, {"hashed": self._hashed(login)}).first())

    def account_by_external(self, external_id: str) -> Account | None:
        """Find an account by the operator's id for it, retired or not."""
        given = {"hashed": self._external_hash("account", external_id)}
        return self._account(self._connection.execute(_ACCOUNT_BY_EXTERNAL, given).first())

    def accounts(self, after: str = "", limit: int | None = None) -> tuple[Account, ...]:
        """Say the accounts whose ids come after `after`, by id; erased ones are left out. `limit` None: all."""
        query = select(ACCOUNT).where(ACCOUNT.c.account_id > after, ACCOUNT.c.sealed.is_not(None))
        rows = self._connection.execute(query.order_by(ACCOUNT.c.account_id).limit(limit)).all()
        return tuple(account for row in rows if (account := self._account(row)) is not None)

    def put_account(self, account: Account) -> bool:
        """Create or update; say whether anything changed.

        Raises UsageError for a login, an alias or an external id of another account, an unknown tenant, or an account
        that was erased.
        """
        login = escaped(account.login)
        aliases = tuple(sorted({escaped(alias) for alias in account.aliases} - {login}))
        send_as = tuple(sorted({escaped(address) for address in account.send_as} - {login, *aliases}))
        account = replace(account, login=login, aliases=aliases, send_as=send_as)
        before = self.account(account.account_id)
        if before == account:
            return False
        if account.retired_at is None and _addresses(before) != _addresses(account):
            self._check_addresses(account)
        external_hash = self._external_hash("account", account.external_id)
        if before is None or before.external_id != account.external_id:
            self._check_external(ACCOUNT.c.account_id, ACCOUNT.c.external_hash, external_hash, account.account_id)
        if self._connection.execute(_IS_TENANT, {"wanted": account.tenant_id}).first() is None:
            raise UsageError(f"{account.account_id}: no tenant {account.tenant_id}")
        words = {
            "login": login,
            "contact": account.contact,
            "aliases": list(aliases),
            "external_id": account.external_id,
        }
        if send_as:
            words["send_as"] = list(send_as)
        sealed = self._sealed("account", account.account_id, words)
        if sealed is None:
            raise UsageError(f"{account.account_id}: was erased; whoever has the address now needs a new account")
        values = {
            "tenant_id": account.tenant_id,
            "login_hash": self._hashed(login) if account.retired_at is None else None,
            "language": account.language,
            "sealed": sealed,
            "expires_on": _day_text(account.expires_on),
            "external_hash": external_hash,
            "retired_at": account.retired_at,
        }
        if before is None:
            self._connection.execute(insert(ACCOUNT), {"account_id": account.account_id, **values})
        else:
            self._connection.execute(update(ACCOUNT).where(ACCOUNT.c.account_id == account.account_id).values(**values))
        if aliases or (before is not None and before.aliases):
            self._put_aliases(account)
        # An alias changes whose a login is, also where the account is new.
        self.has_changed |= before is not None or bool(aliases)
        return True

    def note_refreshed(self, account_id: str, at: datetime) -> None:
        """Remember when the operator's directory last told of an account and its tenant. Copies elsewhere stay good."""
        of_account = ACCOUNT.c.account_id == account_id
        self._connection.execute(update(ACCOUNT).where(of_account).values(refreshed_at=at))
        its_tenant = select(ACCOUNT.c.tenant_id).where(of_account).scalar_subquery()
        self._connection.execute(update(TENANT).where(TENANT.c.tenant_id == its_tenant).values(refreshed_at=at))

    def forget(self, subject_id: str, *, is_last: bool = False) -> None:
        """Remove what the directory knows of an erased subject; its id stays.

        The domains of a tenant stay its own, so that a service that has ended does not begin again with the next mail,
        until another tenant is given them. `is_last`: nobody gets mail here any more, so they go, too (TX-8.2.8).
        """
        self._connection.execute(delete(ALIAS).where(ALIAS.c.account_id == subject_id))
        gone = {"login_hash": None, "sealed": None, "external_hash": None}
        self._connection.execute(update(ACCOUNT).where(ACCOUNT.c.account_id == subject_id).values(**gone))
        gone = {"sealed": None, "external_hash": None}
        self._connection.execute(update(TENANT).where(TENANT.c.tenant_id == subject_id).values(**gone))
        if is_last:
            self._connection.execute(delete(TENANT_DOMAIN).where(TENANT_DOMAIN.c.tenant_id == subject_id))
        self.has_changed = True

    def _check_addresses(self, account: Account) -> None:
        """Refuse a login or an alias that leads to another account already. Raises UsageError."""
        login = self._hashed(account.login)
        hashes = [login, *(self._hashed(alias) for alias in account.aliases)]
        for held in self._connection.execute(_HOLDERS, {"hashes": hashes}):
            if held.account_id != account.account_id:
                what = "login" if held.hashed == login else "alias"
                raise UsageError(f"{account.account_id}: this {what} belongs to {held.account_id}")

    def _put_aliases(self, account: Account) -> None:
        self._connection.execute(delete(ALIAS).where(ALIAS.c.account_id == account.account_id))
        wanted = account.aliases if account.retired_at is None else ()
        rows = [{"address_hash": self._hashed(alias), "account_id": account.account_id} for alias in wanted]
        if rows:
            self._connection.execute(insert(ALIAS), rows)

    def _account(self, row: Row[Any] | None) -> Account | None:
        if row is None or row.sealed is None:
            return None
        words = self._opened("account", row.account_id, row.sealed)
        if "login" not in words:
            return None
        return Account(
            account_id=row.account_id,
            tenant_id=row.tenant_id,
            login=words["login"],
            language=row.language,
            contact=words["contact"],
            # Accounts written down before there were any lack these.
            aliases=tuple(words.get("aliases", ())),
            send_as=tuple(words.get("send_as", ())),
            external_id=words.get("external_id"),
            expires_on=_day(row.expires_on),
            retired_at=row.retired_at,
        )

    # --- tenants ----------------------------------------------------------------------------------------------------

    def tenant(self, tenant_id: str) -> Tenant | None:
        """Say the tenant; the name of an erased one is empty."""
        row = self._connection.execute(select(TENANT).where(TENANT.c.tenant_id == tenant_id)).first()
        if row is None:
            return None
        words = self._opened("tenant", tenant_id, row.sealed)
        return Tenant(
            tenant_id=tenant_id,
            name=words.get("name", ""),
            agreement=row.agreement,
            domains=self._domains(tenant_id),
            language=row.language,
            contact=words.get("contact"),
            seats=row.seats,
            supplement=_supplement(row.supplement),
            domains_declared=row.domains_declared,
            reseller=words.get("reseller"),
            plan=row.plan,
            expires_on=_day(row.expires_on),
            external_id=words.get("external_id"),
            second_contact=words.get("second_contact"),
            channel=words.get("channel"),
            starts_on=_day(words.get("starts_on")),
            term_months=words.get("term_months"),
        )

    def tenants(self) -> tuple[Tenant, ...]:
        ids = self._connection.execute(select(TENANT.c.tenant_id).order_by(TENANT.c.tenant_id)).scalars().all()
        return tuple(tenant for tenant_id in ids if (tenant := self.tenant(tenant_id)) is not None)

    def tenant_of_domain(self, domain: str) -> Tenant | None:
        """Find the tenant that a domain (A-labels) belongs to."""
        by_domain = select(TENANT_DOMAIN.c.tenant_id).where(TENANT_DOMAIN.c.domain == domain.lower())
        tenant_id = self._connection.execute(by_domain).scalar()
        return None if tenant_id is None else self.tenant(tenant_id)

    def tenant_by_external(self, external_id: str) -> Tenant | None:
        """Find a tenant by the operator's id for it."""
        by_id = select(TENANT.c.tenant_id).where(TENANT.c.external_hash == self._external_hash("tenant", external_id))
        tenant_id = self._connection.execute(by_id).scalar()
        return None if tenant_id is None else self.tenant(tenant_id)

    def put_tenant(self, tenant: Tenant) -> bool:
        """Create or update; say whether anything changed.

        A domain of an erased tenant is free. Raises UsageError for a domain or an external id of another one.
        """
        tenant = replace(tenant, domains=tuple(dict.fromkeys(domain.lower() for domain in tenant.domains)))
        before = self.tenant(tenant.tenant_id)
        if before == tenant:
            return False
        external_hash = self._external_hash("tenant", tenant.external_id)
        if before is None or before.external_id != tenant.external_id:
            self._check_external(TENANT.c.tenant_id, TENANT.c.external_hash, external_hash, tenant.tenant_id)
        words = {
            "name": tenant.name,
            "contact": tenant.contact,
            "reseller": tenant.reseller,
            "external_id": tenant.external_id,
            "second_contact": tenant.second_contact,
            "channel": tenant.channel,
            "starts_on": _day_text(tenant.starts_on),
            "term_months": tenant.term_months,
        }
        values = {
            "agreement": tenant.agreement,
            "language": tenant.language,
            "seats": tenant.seats,
            "sealed": self._sealed("tenant", tenant.tenant_id, words),
            "supplement": None if tenant.supplement is None else encode(tenant.supplement),
            "domains_declared": tenant.domains_declared,
            "plan": tenant.plan,
            "expires_on": _day_text(tenant.expires_on),
            "external_hash": external_hash,
        }
        if before is None:
            self._connection.execute(insert(TENANT), {"tenant_id": tenant.tenant_id, **values})
        else:
            self._connection.execute(update(TENANT).where(TENANT.c.tenant_id == tenant.tenant_id).values(**values))
        if before is None or before.domains != tenant.domains:
            self._put_domains(tenant)
        # A new tenant changes whose a domain is.
        self.has_changed = True
        return True

    def _domains(self, tenant_id: str) -> tuple[str, ...]:
        found = self._connection.execute(_DOMAINS, {"wanted": tenant_id})
        return tuple(found.scalars())

    def _put_domains(self, tenant: Tenant) -> None:
        erased = select(TENANT.c.tenant_id).where(TENANT.c.sealed.is_(None), TENANT.c.tenant_id != tenant.tenant_id)
        self._connection.execute(
            delete(TENANT_DOMAIN).where(
                TENANT_DOMAIN.c.domain.in_(tenant.domains), TENANT_DOMAIN.c.tenant_id.in_(erased)
            )
        )
        taken = select(TENANT_DOMAIN.c.domain, TENANT_DOMAIN.c.tenant_id).where(
            TENANT_DOMAIN.c.domain.in_(tenant.domains), TENANT_DOMAIN.c.tenant_id != tenant.tenant_id
        )
        if (other := self._connection.execute(taken).first()) is not None:
            raise UsageError(f"{tenant.tenant_id}: {other.domain} belongs to {other.tenant_id}")
        self._connection.execute(delete(TENANT_DOMAIN).where(TENANT_DOMAIN.c.tenant_id == tenant.tenant_id))
        rows = [{"domain": name, "tenant_id": tenant.tenant_id, "position": i} for i, name in enumerate(tenant.domains)]
        if rows:
            self._connection.execute(insert(TENANT_DOMAIN), rows)

    # --- both -------------------------------------------------------------------------------------------------------

    def _check_external(self, its_id: Any, its_hash: Any, hashed: str | None, subject_id: str) -> None:
        """Refuse an external id that leads to somebody else already. Raises UsageError."""
        if hashed is None:
            return
        other = self._connection.execute(select(its_id).where(its_hash == hashed)).scalar()
        if other is not None and other != subject_id:
            raise UsageError(f"{subject_id}: this external id belongs to {other}")

    def _sealed(self, kind: str, subject_id: str, words: dict[str, Any]) -> bytes | None:
        key = self._subjects.find_or_make(self._connection, subject_id)
        return None if key is None else seal(key, canonical(words), kind, subject_id)

    def _opened(self, kind: str, subject_id: str, sealed: bytes | None) -> dict[str, Any]:
        key = self._subjects.find(self._connection, subject_id) if sealed is not None else None
        return decode_json(unseal(key, sealed, kind, subject_id)) if key is not None and sealed is not None else {}

    def _hashed(self, login: str) -> str:
        return keyed_hash(self._pseudonym_key, "login", escaped(login))

    def _external_hash(self, kind: str, external_id: str | None) -> str | None:
        return None if external_id is None else keyed_hash(self._pseudonym_key, "external", kind, escaped(external_id))


def _addresses(account: Account | None) -> frozenset[str] | None:
    """Say what leads to an account; None: nothing, for it is retired, or there is none."""
    if account is None or account.retired_at is not None:
        return None
    return frozenset({account.login, *account.aliases})


def _supplement(body: bytes | None) -> Supplement | None:
    found: Supplement | None = None if body is None else decode(Supplement, body)
    return found


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
