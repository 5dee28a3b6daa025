"""Evidence: what is kept of which transaction's mail, for whom, until when.  The rows, and how a mail becomes one.

What is not to be kept is cut off before anything is sealed. A held mail is kept as evidence of its own, under the id of
the item, so that it stays whole whatever a decision keeps of the same mail.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, insert, select, update

from filterd.errors import UsageError
from filterd.ledger.codec import decode_record
from filterd.ledger.schema import ENTRY, EVIDENCE, QUARANTINE, SUBJECT_KEY, VAULT_OBJECT
from filterd.ledger.vault import address_of, opened
from filterd.mail.excerpt import excerpt, header_block
from filterd.model.evidence import FREEZING, LOCKED_CASE, Evidence, Freeze, Kept, Portion, frozen, kept
from filterd.model.records import KIND_OF

if TYPE_CHECKING:
    from filterd.ledger.txn import Txn

# The address of what has no object: of a mail of which only the digest is kept.
NOWHERE = ""

_IS_ORPHAN = ~select(EVIDENCE.c.address).where(EVIDENCE.c.address == VAULT_OBJECT.c.address).exists()
_FREEZING = tuple(KIND_OF[kind] for kind in FREEZING)
_DESTROYED = select(SUBJECT_KEY.c.subject_id).where(SUBJECT_KEY.c.wrapped.is_(None))


def promote(txn: Txn, transaction_id: str, account_id: str, retention_until: datetime, portion: Portion) -> str | None:
    """Keep a portion of a spooled mail; see Txn.promote_evidence."""
    known = row_of(txn.connection, transaction_id)
    if known is not None:
        extend(txn.connection, transaction_id, retention_until)
        return str(known.digest)
    raw = txn.equipment.spool.read(transaction_id)
    if raw is None:
        return None
    txn.after_commit.append(lambda: txn.equipment.spool.discard(transaction_id))
    if portion.kept is Kept.NONE:
        return None
    return keep(txn, transaction_id, account_id, raw, retention_until, portion)


def keep(
    txn: Txn, kept_as: str, account_id: str, raw: bytes, retention_until: datetime, portion: Portion
) -> str | None:
    """Seal a portion of a mail into the vault and write its row, called `kept_as`; say the mail's SHA-256.

    None for an erased account: nothing is kept of it.
    """
    txn.equipment.freshen(txn.connection, (account_id,))
    key = txn.equipment.subjects.find_or_make(txn.connection, account_id)
    if key is None:
        return None
    address = NOWHERE
    if portion.kept > Kept.HASH:
        content = cut(raw, portion)
        address = address_of(txn.equipment.keys.pseudonym, hashlib.sha256(content).hexdigest(), account_id)
        staged = txn.equipment.vault.put(txn.connection, address, content, key, txn.now)
        if staged is not None:
            txn.staged.append(staged)
    digest = hashlib.sha256(raw).hexdigest()
    note(
        txn.connection,
        transaction_id=kept_as,
        account_id=account_id,
        digest=digest,
        address=address,
        kept=portion.kept,
        now=txn.now,
        retention_until=retention_until,
    )
    return digest


def cut(raw: bytes, portion: Portion) -> bytes:
    """Say what of a mail an object of this class holds."""
    match portion.kept:
        case Kept.FULL:
            return raw
        case Kept.EXCERPT:
            return excerpt(raw, portion.places, portion.around_bytes)
        case Kept.HEADERS:
            return header_block(raw)
        case _:
            raise UsageError(f"{portion.kept.word}: no object holds that")


def read(txn: Txn, kept_as: str) -> bytes | None:
    """Say what is kept under that name; None when nothing is, or the subject is erased. Raises PortError."""
    row = row_of(txn.connection, kept_as)
    if row is None or row.address == NOWHERE:
        return None
    # Another node may have erased it since.
    txn.equipment.freshen(txn.connection, (row.account_id,))
    key = txn.equipment.subjects.find(txn.connection, row.account_id)
    sealed = txn.equipment.vault.sealed(txn.connection, row.address) if key is not None else None
    if key is None or sealed is None:
        return None
    return opened(sealed, row.address, row.account_id, key, txn.equipment.keys.pseudonym)


# --- rows -------------------------------------------------------------------------------------------------------------


def row_of(connection: Connection, transaction_id: str) -> Row[Any] | None:
    """Say the row of a transaction promoted before, or None."""
    return connection.execute(select(EVIDENCE).where(EVIDENCE.c.transaction_id == transaction_id)).first()


def of_account(connection: Connection, account_id: str) -> tuple[Evidence, ...]:
    """Say what is kept of an account's mail, the oldest first; held mail and sealed cases are not among it."""
    is_held = EVIDENCE.c.transaction_id.in_(select(QUARANTINE.c.item_id))
    return _listed(connection, EVIDENCE.c.account_id == account_id, ~is_held, ~_is_locked_case())


def locked_cases(connection: Connection, limit: int | None = None, offset: int = 0) -> tuple[Evidence, ...]:
    """Say the sealed cases of locked categories, of all accounts, the oldest first; so many, behind so many."""
    return _listed(connection, _is_locked_case(), limit=limit, offset=offset)


def locked_case(connection: Connection, case_id: str) -> Evidence | None:
    """Say one sealed case by its id, None where there is none."""
    return next(iter(_listed(connection, EVIDENCE.c.transaction_id == case_id, _is_locked_case())), None)


def count_locked_cases(connection: Connection, account_id: str, since: datetime) -> int:
    """Say how many cases of an account were sealed since then."""
    mine = (_is_locked_case(), EVIDENCE.c.account_id == account_id, EVIDENCE.c.stored_at > since)
    return connection.execute(select(func.count()).select_from(EVIDENCE).where(*mine)).scalar_one()


def _is_locked_case() -> ColumnElement[bool]:
    # "`" comes after "_": all ids with that prefix, by the index.
    name = EVIDENCE.c.transaction_id
    return and_(name >= f"{LOCKED_CASE}_", name < f"{LOCKED_CASE}`")


def _listed(
    connection: Connection, *which: ColumnElement[bool], limit: int | None = None, offset: int = 0
) -> tuple[Evidence, ...]:
    found = select(EVIDENCE).where(*which).order_by(EVIDENCE.c.stored_at, EVIDENCE.c.transaction_id)
    found = found.limit(limit).offset(offset) if limit is not None else found
    return tuple(
        Evidence(
            transaction_id=row.transaction_id,
            account_id=row.account_id,
            digest=row.digest,
            kept=kept(row.kept),
            stored_at=row.stored_at,
            retention_until=row.retention_until,
        )
        for row in connection.execute(found)
    )


def best_address(connection: Connection, account_id: str, digest: str) -> str | None:
    """Say where the most is kept of a mail of this account; None where nothing but its digest is."""
    same = select(EVIDENCE.c.address, EVIDENCE.c.kept).where(
        EVIDENCE.c.account_id == account_id, EVIDENCE.c.digest == digest, EVIDENCE.c.address != NOWHERE
    )
    rows = connection.execute(same).all()
    return max(rows, key=lambda row: kept(row.kept)).address if rows else None


def note(
    connection: Connection,
    *,
    transaction_id: str,
    account_id: str,
    digest: str,
    address: str,
    kept: Kept,
    now: datetime,
    retention_until: datetime,
) -> None:
    """Write down that a transaction's mail is in the vault."""
    values = {
        "transaction_id": transaction_id,
        "account_id": account_id,
        "digest": digest,
        "address": address,
        "kept": kept.word,
        "stored_at": now,
        "retention_until": retention_until,
    }
    connection.execute(insert(EVIDENCE), values)


def extend(connection: Connection, transaction_id: str, retention_until: datetime) -> None:
    """Keep it at least until then; never less long than promised before."""
    row = (EVIDENCE.c.transaction_id == transaction_id) & (EVIDENCE.c.retention_until < retention_until)
    connection.execute(update(EVIDENCE).where(row).values(retention_until=retention_until))


def end(connection: Connection, kept_as: str, at: datetime) -> None:
    """Keep it no longer than until then."""
    connection.execute(update(EVIDENCE).where(EVIDENCE.c.transaction_id == kept_as).values(retention_until=at))


def known_addresses(connection: Connection, addresses: list[str]) -> set[str]:
    """Say which of these files a row speaks of."""
    return set(connection.execute(select(EVIDENCE.c.address).where(EVIDENCE.c.address.in_(addresses))).scalars())


def has_orphans(connection: Connection) -> bool:
    """Say whether the vault's table holds objects that no row speaks of."""
    return connection.execute(select(VAULT_OBJECT.c.address).where(_IS_ORPHAN).limit(1)).first() is not None


def erase_orphans(connection: Connection, limit: int) -> int:
    """Erase some of them; say how many. Only alone: see sweep."""
    chosen = list(connection.execute(select(VAULT_OBJECT.c.address).where(_IS_ORPHAN).limit(limit)).scalars())
    return connection.execute(delete(VAULT_OBJECT).where(VAULT_OBJECT.c.address.in_(chosen))).rowcount


# --- the end of them --------------------------------------------------------------------------------------------------


def accounts_with_old(connection: Connection, at: datetime, after: str, limit: int) -> list[str]:
    """Say which accounts, by id, have evidence kept no longer than before `at`; from behind `after` on."""
    old = select(EVIDENCE.c.account_id).where(EVIDENCE.c.retention_until < at, EVIDENCE.c.account_id > after)
    return list(connection.execute(old.distinct().order_by(EVIDENCE.c.account_id).limit(limit)).scalars())


def expire(connection: Connection, account_id: str, at: datetime, limit: int) -> int:
    """Forget what of an account is kept no longer than before `at`; `sweep` collects the objects. Says how many."""
    old = select(EVIDENCE.c.transaction_id).where(EVIDENCE.c.account_id == account_id, EVIDENCE.c.retention_until < at)
    return _delete(connection, old.limit(limit))


def freeze_of(connection: Connection, account_id: str) -> Freeze:
    """Say what keeps the evidence of an account past its time, from the few rows that can."""
    mine = select(ENTRY.c.kind, ENTRY.c.body).where(ENTRY.c.account_id == account_id, ENTRY.c.kind.in_(_FREEZING))
    ordered = mine.order_by(ENTRY.c.written_at, ENTRY.c.writer, ENTRY.c.seq)
    return frozen(decode_record(kind, body) for kind, body in connection.execute(ordered))


def forget(connection: Connection, account_id: str) -> int:
    """Forget all evidence of an erased account; `sweep` collects the objects. Says how many rows."""
    return connection.execute(delete(EVIDENCE).where(EVIDENCE.c.account_id == account_id)).rowcount


def forget_destroyed(connection: Connection, limit: int) -> int:
    """Forget evidence of subjects whose key is destroyed, which nobody can read. Says how many rows."""
    unreadable = select(EVIDENCE.c.transaction_id).where(EVIDENCE.c.account_id.in_(_DESTROYED))
    return _delete(connection, unreadable.limit(limit))


def _delete(connection: Connection, chosen: Select[tuple[str]]) -> int:
    names = list(connection.execute(chosen).scalars())
    return connection.execute(delete(EVIDENCE).where(EVIDENCE.c.transaction_id.in_(names))).rowcount
