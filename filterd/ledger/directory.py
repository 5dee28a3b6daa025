"""The directory: who the subjects are. The only place where a login stands, sealed under its subject's key.

A login is found by its keyed hash and must come in its canonical spelling: two spellings are two accounts here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from filterd.errors import UsageError
from filterd.ledger.codec import canonical, decode, decode_json, encode, escaped
from filterd.ledger.schema import ACCOUNT, TENANT, TENANT_DOMAIN
from filterd.ledger.seal import seal, unseal
from filterd.ledger.subjects import SubjectKeys
from filterd.model.ids import keyed_hash
from filterd.model.principal import Account, Supplement, Tenant
from filterd.ports import AccountRef

# The account's own language, else its tenant's.
_LANGUAGE = func.coalesce(ACCOUNT.c.language, TENANT.c.language).label("language")
_FIND = select(
    ACCOUNT.c.account_id,
    _LANGUAGE,
    TENANT.c.tenant_id,
    TENANT.c.agreement,
    TENANT.c.supplement,
    TENANT.c.domains_declared,
).join(TENANT, TENANT.c.tenant_id == ACCOUNT.c.tenant_id)


class Directory:
    """Accounts and tenants, inside one transaction.

    `has_changed` says that something known before was altered, so that copies elsewhere are stale.
    """

    def __init__(self, connection: Connection, subjects: SubjectKeys, pseudonym_key: bytes):
        self._connection = connection
        self._subjects = subjects
        self._pseudonym_key = pseudonym_key
        self.has_changed = False

    def find_account(self, login: str) -> AccountRef | None:
        """Find an account by its canonical login."""
        row = self._connection.execute(_FIND.where(ACCOUNT.c.login_hash == self._hashed(login))).first()
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
        )

    def account(self, account_id: str) -> Account | None:
        """Say the account, None when it is unknown or erased."""
        by_id = select(ACCOUNT).where(ACCOUNT.c.account_id == account_id)
        return self._account(self._connection.execute(by_id).first())

    def accounts(self, after: str = "", limit: int | None = None) -> tuple[Account, ...]:
        """Say the accounts whose ids come after `after`, by id; erased ones are left out. `limit` None: all."""
        query = select(ACCOUNT).where(ACCOUNT.c.account_id > after, ACCOUNT.c.sealed.is_not(None))
        rows = self._connection.execute(query.order_by(ACCOUNT.c.account_id).limit(limit)).all()
        return tuple(account for row in rows if (account := self._account(row)) is not None)

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
        )

    def tenants(self) -> tuple[Tenant, ...]:
        ids = self._connection.execute(select(TENANT.c.tenant_id).order_by(TENANT.c.tenant_id)).scalars().all()
        return tuple(tenant for tenant_id in ids if (tenant := self.tenant(tenant_id)) is not None)

    def tenant_of_domain(self, domain: str) -> Tenant | None:
        """Find the tenant that a domain (A-labels) belongs to."""
        by_domain = select(TENANT_DOMAIN.c.tenant_id).where(TENANT_DOMAIN.c.domain == domain.lower())
        tenant_id = self._connection.execute(by_domain).scalar()
        return None if tenant_id is None else self.tenant(tenant_id)

    def put_tenant(self, tenant: Tenant) -> bool:
        """Create or update; say whether anything changed. Raises UsageError for a domain of another tenant."""
        tenant = replace(tenant, domains=tuple(dict.fromkeys(domain.lower() for domain in tenant.domains)))
        before = self.tenant(tenant.tenant_id)
        if before == tenant:
            return False
        words = {"name": tenant.name, "contact": tenant.contact, "reseller": tenant.reseller}
        values = {
            "agreement": tenant.agreement,
            "language": tenant.language,
            "seats": tenant.seats,
            "sealed": self._sealed("tenant", tenant.tenant_id, words),
            "supplement": None if tenant.supplement is None else encode(tenant.supplement),
            "domains_declared": tenant.domains_declared,
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

    def put_account(self, account: Account) -> bool:
        """Create or update; say whether anything changed.

        Raises UsageError for a login of another account, an unknown tenant, or an account that was erased.
        """
        account = replace(account, login=escaped(account.login))
        before = self.account(account.account_id)
        if before == account:
            return False
        holder = self.find_account(account.login)
        if holder is not None and holder.account_id != account.account_id:
            raise UsageError(f"{account.account_id}: this login belongs to {holder.account_id}")
        if self.tenant(account.tenant_id) is None:
            raise UsageError(f"{account.account_id}: no tenant {account.tenant_id}")
        sealed = self._sealed("account", account.account_id, {"login": account.login, "contact": account.contact})
        if sealed is None:
            raise UsageError(f"{account.account_id}: was erased; whoever has the address now needs a new account")
        values = {
            "tenant_id": account.tenant_id,
            "login_hash": self._hashed(account.login),
            "language": account.language,
            "sealed": sealed,
        }
        if before is None:
            self._connection.execute(insert(ACCOUNT), {"account_id": account.account_id, **values})
        else:
            self._connection.execute(update(ACCOUNT).where(ACCOUNT.c.account_id == account.account_id).values(**values))
        self.has_changed |= before is not None
        return True

    def forget(self, subject_id: str) -> None:
        """Remove what the directory knows of an erased subject; its id stays."""
        gone = {"login_hash": None, "sealed": None}
        self._connection.execute(update(ACCOUNT).where(ACCOUNT.c.account_id == subject_id).values(**gone))
        self._connection.execute(update(TENANT).where(TENANT.c.tenant_id == subject_id).values(sealed=None))
        self.has_changed = True

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
        )

    def _domains(self, tenant_id: str) -> tuple[str, ...]:
        query = select(TENANT_DOMAIN.c.domain).where(TENANT_DOMAIN.c.tenant_id == tenant_id)
        return tuple(self._connection.execute(query.order_by(TENANT_DOMAIN.c.position)).scalars())

    def _put_domains(self, tenant: Tenant) -> None:
        taken = select(TENANT_DOMAIN.c.domain, TENANT_DOMAIN.c.tenant_id).where(
            TENANT_DOMAIN.c.domain.in_(tenant.domains), TENANT_DOMAIN.c.tenant_id != tenant.tenant_id
        )
        if (other := self._connection.execute(taken).first()) is not None:
            raise UsageError(f"{tenant.tenant_id}: {other.domain} belongs to {other.tenant_id}")
        self._connection.execute(delete(TENANT_DOMAIN).where(TENANT_DOMAIN.c.tenant_id == tenant.tenant_id))
        rows = [{"domain": name, "tenant_id": tenant.tenant_id, "position": i} for i, name in enumerate(tenant.domains)]
        if rows:
            self._connection.execute(insert(TENANT_DOMAIN), rows)

    def _sealed(self, kind: str, subject_id: str, words: dict[str, str | None]) -> bytes | None:
        key = self._subjects.find_or_make(self._connection, subject_id)
        return None if key is None else seal(key, canonical(words), kind, subject_id)

    def _opened(self, kind: str, subject_id: str, sealed: bytes | None) -> dict[str, Any]:
        key = self._subjects.find(self._connection, subject_id) if sealed is not None else None
        return decode_json(unseal(key, sealed, kind, subject_id)) if key is not None and sealed is not None else {}

    def _hashed(self, login: str) -> str:
        return keyed_hash(self._pseudonym_key, "login", escaped(login))


def _supplement(body: bytes | None) -> Supplement | None:
    found: Supplement | None = None if body is None else decode(Supplement, body)
    return found
