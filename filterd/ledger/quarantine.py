"""The quarantine: mail that we have taken and not delivered, whole and sealed, each with the envelope it came in.

HOUSE rule 1: once a function that held a mail is committed, its 250 may be given, with the item's id. The octets are
evidence under the item's own id; the row has the envelope, sealed under the subject's key. What becomes of an item goes
by model.held.NEXT, one row of the ledger a step, and each step only from the state that whoever takes it has seen.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from filterd.errors import PortError, RefusedError, UsageError
from filterd.ledger import evidence
from filterd.ledger.codec import canonical, decode_json
from filterd.ledger.schema import QUARANTINE
from filterd.ledger.seal import seal, unseal
from filterd.model import records as r
from filterd.model.evidence import WHOLE, Kept, kept
from filterd.model.held import (
    ENDS,
    FOR_PERSON,
    NEXT,
    NO_FACTS,
    WAITING,
    HeldMail,
    HeldState,
    HoldFacts,
    HoldRequest,
    QueueCopy,
)
from filterd.model.ids import derived_id
from filterd.model.session import Direction, Envelope, ForwardPath, Path

if TYPE_CHECKING:
    from filterd.ledger.txn import Txn

RELEASE_TOPIC = "release"
# The MTA deletes its copies of what goes back to its sender or nowhere.
DROP_TOPIC = "drop"
BY_ERASURE = "erasure"
# As long as it is held.
_NO_END = datetime(9999, 12, 31, tzinfo=UTC)
_ERASED = b""
# What no locked list holds.
_is_other = QUARANTINE.c.reason != FOR_PERSON


def hold(
    txn: Txn,
    *,
    transaction_id: str,
    account_id: str,
    tenant_id: str | None,
    reason: str,
    envelope: Envelope,
    due_at: datetime,
    facts: HoldFacts = NO_FACTS,
    request: HoldRequest | None = None,
    part: int = 0,
) -> str:
    """Take a spooled mail into quarantine; see Txn.hold_mail."""
    name = f"{transaction_id}.{part}" if part else transaction_id
    item_id = derived_id("q", name)
    if _row(txn.connection, item_id) is not None:
        return item_id
    raw = _octets(txn, transaction_id)
    digest = evidence.keep(txn, item_id, account_id, raw, _NO_END, WHOLE)
    key = txn.equipment.subjects.find(txn.connection, account_id)
    if digest is None or key is None:
        raise UsageError(f"{account_id} is erased: nothing can be held for it")
    values = {
        "item_id": item_id,
        "transaction_id": name,
        "account_id": account_id,
        "tenant_id": tenant_id,
        "reason": reason,
        "state": HeldState.HELD.value,
        "held_at": txn.now,
        "due_at": due_at,
        "digest": digest,
        "sealed": seal(key, _written(envelope, request), "quarantine", item_id),
        "direction": facts.direction.value,
        "campaign": facts.campaign,
        "incident_id": facts.incident_id,
        "message_key": facts.message_key,
        "is_harmful": facts.is_harmful,
    }
    txn.connection.execute(insert(QUARANTINE), values)
    record = r.MailHeld(
        at=txn.now,
        item_id=item_id,
        transaction_id=transaction_id,
        account_id=account_id,
        reason=reason,
        digest=digest,
        size_bytes=len(raw),
        recipients=len(envelope.forward_paths),
        due_at=due_at,
        direction=facts.direction.value,
        incident_id=facts.incident_id if reason != FOR_PERSON else "",
    )
    _append(txn, record, account_id, tenant_id, is_for_person=reason == FOR_PERSON)
    txn.after_commit.append(lambda: txn.equipment.spool.discard(transaction_id))
    return item_id


def move(txn: Txn, item_id: str, before: HeldState, after: HeldState, *, by: str, reason: str) -> HeldMail:
    """Take one step; see Txn.move_held."""
    if after not in NEXT[before]:
        raise UsageError(f"a mail that is {before} cannot be {after}")
    row = QUARANTINE.c.item_id == item_id
    new: dict[str, Any] = {"state": after.value}
    if after.is_end:
        new["settled_at"] = txn.now
    is_mine = txn.connection.execute(update(QUARANTINE).where(row, QUARANTINE.c.state == before.value).values(**new))
    held = find(txn.connection, item_id)
    if held is None:
        raise UsageError(f"no held mail {item_id}")
    if not is_mine.rowcount:
        raise RefusedError(f"{item_id} is {held.state} by now; it was to be {before}")
    if after.is_end:
        evidence.end(txn.connection, item_id, txn.now)
    if after is HeldState.RELEASED:
        payload = {name: getattr(held, name) for name in ("item_id", "transaction_id", "account_id", "tenant_id")}
        txn.post(RELEASE_TOPIC, payload, due_at=txn.now)
    if after in (HeldState.RETURNING, HeldState.DELETED):
        _drop(txn, held)
    _tell(txn, held, after, by, reason)
    return held


def read(txn: Txn, item_id: str) -> tuple[Envelope, bytes] | None:
    """Say envelope and octets, None when the item is gone or its subject erased. Raises PortError when altered."""
    request, raw = read_request(txn, item_id), evidence.read(txn, item_id)
    return None if request is None or raw is None else (request.envelope, raw)


def read_request(txn: Txn, item_id: str) -> HoldRequest | None:
    """Say how an item came, None when it is gone or its subject erased. Raises PortError when altered."""
    row = _row(txn.connection, item_id)
    if row is None or row.sealed == _ERASED:
        return None
    txn.equipment.freshen(txn.connection, (row.account_id,))
    key = txn.equipment.subjects.find(txn.connection, row.account_id)
    if key is None:
        return None
    return _read(unseal(key, row.sealed, "quarantine", item_id))


def note_copies(txn: Txn, item_id: str, copies: tuple[QueueCopy, ...], *, is_letting_go: bool) -> None:
    """Say anew which copies the MTA has; see Txn.note_copies."""
    request, row = read_request(txn, item_id), _row(txn.connection, item_id)
    key = txn.equipment.subjects.find(txn.connection, row.account_id) if row is not None else None
    if request is None or row is None or key is None:
        return
    changed = replace(request, copies=copies, is_letting_go=is_letting_go)
    sealed = seal(key, _written(changed.envelope, changed), "quarantine", item_id)
    txn.connection.execute(update(QUARANTINE).where(QUARANTINE.c.item_id == item_id).values(sealed=sealed))


def find(connection: Connection, item_id: str) -> HeldMail | None:
    row = _row(connection, item_id)
    return None if row is None else _held(row)


def items(
    connection: Connection,
    states: Collection[HeldState],
    *,
    due_before: datetime | None = None,
    account_id: str | None = None,
    limit: int | None = None,
    is_for_person: bool | None = False,
) -> tuple[HeldMail, ...]:
    """Say the items in these states, the first due first.

    Args:
        due_before: only what is due then or earlier.
        is_for_person: only those that locked lists hold; False: only the others; None: both.
    """
    query = select(QUARANTINE).where(QUARANTINE.c.state.in_([state.value for state in states]))
    if is_for_person is not None:
        query = query.where(~_is_other if is_for_person else _is_other)
    if due_before is not None:
        query = query.where(QUARANTINE.c.due_at <= due_before)
    if account_id is not None:
        query = query.where(QUARANTINE.c.account_id == account_id)
    ordered = query.order_by(QUARANTINE.c.due_at, QUARANTINE.c.item_id).limit(limit)
    return tuple(_held(row) for row in connection.execute(ordered))


def alike(
    connection: Connection, account_id: str, wanted: Mapping[str, str], *, is_for_person: bool
) -> tuple[HeldMail, ...]:
    """Say an account's items of the same mail, the same campaign or the same incident, the oldest first; "" is none."""
    either = [QUARANTINE.c[name] == value for name, value in wanted.items() if value]
    if not either:
        return ()
    whose = QUARANTINE.c.account_id == account_id
    query = select(QUARANTINE).where(whose, ~_is_other if is_for_person else _is_other, or_(*either))
    ordered = query.order_by(QUARANTINE.c.held_at, QUARANTINE.c.item_id)
    return tuple(_held(row) for row in connection.execute(ordered))


def holders(connection: Connection, after: str, limit: int) -> tuple[str, ...]:
    """Say the accounts, by id and after `after`, that have something held."""
    mine = select(QUARANTINE.c.account_id).where(
        QUARANTINE.c.state == HeldState.HELD.value, QUARANTINE.c.account_id > after, _is_other
    )
    return tuple(connection.execute(mine.distinct().order_by(QUARANTINE.c.account_id).limit(limit)).scalars())


def oldest(connection: Connection) -> datetime | None:
    """Say since when the oldest item waits that nobody has decided about, None where there is none."""
    waiting = select(QUARANTINE.c.held_at).where(QUARANTINE.c.state == HeldState.HELD.value, _is_other)
    found: datetime | None = connection.execute(waiting.order_by(QUARANTINE.c.held_at).limit(1)).scalar()
    return found


def counts(connection: Connection) -> dict[HeldState, int]:
    """Say how many items are in each state."""
    query = select(QUARANTINE.c.state, func.count()).where(_is_other).group_by(QUARANTINE.c.state)
    found = {HeldState(state): number for state, number in connection.execute(query)}
    return {state: found.get(state, 0) for state in HeldState}


def close_all(txn: Txn, account_id: str) -> int:
    """The account is being erased: what it has held is gone, and the record says so. Says how many items."""
    waiting = items(txn.connection, WAITING, account_id=account_id, is_for_person=None)
    for held in waiting:
        move(txn, held.item_id, held.state, HeldState.DELETED, by=BY_ERASURE, reason="subject.erased")
    return len(waiting)


def forget(connection: Connection, account_id: str) -> None:
    """Forget the envelopes of an erased account's mail."""
    connection.execute(update(QUARANTINE).where(QUARANTINE.c.account_id == account_id).values(sealed=_ERASED))


# --- the end of them --------------------------------------------------------------------------------------------------


def accounts_with_settled(connection: Connection, before: datetime, after: str, limit: int) -> list[str]:
    """Say which accounts, by id, have items settled before then; from behind `after` on."""
    old = select(QUARANTINE.c.account_id).where(_is_settled(before), QUARANTINE.c.account_id > after)
    return list(connection.execute(old.distinct().order_by(QUARANTINE.c.account_id).limit(limit)).scalars())


def prune(connection: Connection, account_id: str, before: datetime, limit: int) -> int:
    """Forget an account's items settled before then; say how many. Their rows in the ledger stay."""
    old = select(QUARANTINE.c.item_id).where(QUARANTINE.c.account_id == account_id, _is_settled(before)).limit(limit)
    names = list(connection.execute(old).scalars())
    return connection.execute(delete(QUARANTINE).where(QUARANTINE.c.item_id.in_(names))).rowcount


def _is_settled(before: datetime) -> Any:
    return QUARANTINE.c.state.in_([state.value for state in ENDS]) & (QUARANTINE.c.settled_at < before)


# --- inside -----------------------------------------------------------------------------------------------------------


def _octets(txn: Txn, transaction_id: str) -> bytes:
    raw = txn.equipment.spool.read(transaction_id)
    if raw is not None:
        return raw
    # An earlier decision about the same mail may have kept all of it.
    row = evidence.row_of(txn.connection, transaction_id)
    if row is not None and kept(row.kept) is Kept.FULL and (whole := evidence.read(txn, transaction_id)) is not None:
        return whole
    raise PortError(f"{transaction_id}: its mail is in no spool, so that it cannot be held", temporary=True)


def _drop(txn: Txn, held: HeldMail) -> None:
    try:
        request = read_request(txn, held.item_id)
    except PortError:
        # Altered: where its copies are cannot be read any more, and it goes all the same.
        return
    if request is not None and request.copies:
        payload = {"item_id": held.item_id, "account_id": held.account_id, "copies": _copies(request)}
        txn.post(DROP_TOPIC, payload, due_at=txn.now)


def _copies(request: HoldRequest) -> list[list[str]]:
    return [[x.queue_id, x.since.isoformat()] for x in request.copies]


def _tell(txn: Txn, held: HeldMail, state: HeldState, by: str, reason: str) -> None:
    record = r.HeldMailMoved(
        at=txn.now,
        item_id=held.item_id,
        transaction_id=held.transaction_id,
        account_id=held.account_id,
        state=state.value,
        by=by,
        reason=reason if held.reason != FOR_PERSON else FOR_PERSON,
    )
    _append(txn, record, held.account_id, held.tenant_id, is_for_person=held.reason == FOR_PERSON)


def _append(
    txn: Txn, record: r.MailHeld | r.HeldMailMoved, account_id: str, tenant_id: str | None, *, is_for_person: bool
) -> None:
    """Add a row about an item. One that locked lists hold is the site's: an account's rows are read by its tenant."""
    txn.append(record, account_id=None if is_for_person else account_id, tenant_id=None if is_for_person else tenant_id)


def _row(connection: Connection, item_id: str) -> Row[Any] | None:
    return connection.execute(select(QUARANTINE).where(QUARANTINE.c.item_id == item_id)).first()


def _held(row: Row[Any]) -> HeldMail:
    return HeldMail(
        item_id=row.item_id,
        transaction_id=row.transaction_id,
        account_id=row.account_id,
        tenant_id=row.tenant_id,
        reason=row.reason,
        state=HeldState(row.state),
        held_at=row.held_at,
        due_at=row.due_at,
        settled_at=row.settled_at,
        digest=row.digest,
        facts=HoldFacts(
            direction=Direction(row.direction),
            campaign=row.campaign,
            incident_id=row.incident_id,
            message_key=row.message_key,
            is_harmful=row.is_harmful,
        ),
    )


# An envelope is written octet by octet: the codec of entries escapes lone surrogates, and what is delivered one day
# must be what came.
def _written(envelope: Envelope, request: HoldRequest | None) -> bytes:
    tree: dict[str, Any] = {
        "reverse": None if envelope.reverse_path is None else _path(envelope.reverse_path),
        "parameters": [_text(item) for item in envelope.parameters],
        "forward": [[_path(to.path), [_text(item) for item in to.parameters]] for to in envelope.forward_paths],
    }
    if request is not None:
        names = ("listener", "message_fp", "remove", "authserv_id", "is_after_queue", "author", "is_author_verified")
        tree |= {name: getattr(request, name) for name in (*names, "fields", "is_letting_go")}
        tree["copies"] = _copies(request)
    return canonical(tree)


def _read(octets: bytes) -> HoldRequest:
    tree = decode_json(octets)
    return HoldRequest(
        envelope=_envelope(tree),
        listener=tree.get("listener", ""),
        message_fp=tree.get("message_fp", ""),
        remove=tuple(tree.get("remove", ())),
        authserv_id=tree.get("authserv_id"),
        is_after_queue=tree.get("is_after_queue", False),
        author=tree.get("author", ""),
        is_author_verified=tree.get("is_author_verified", False),
        fields=tuple((name, value) for name, value in tree.get("fields", ())),
        copies=tuple(QueueCopy(queue_id=x, since=datetime.fromisoformat(at)) for x, at in tree.get("copies", ())),
        is_letting_go=tree.get("is_letting_go", False),
    )


def _envelope(tree: dict[str, Any]) -> Envelope:
    return Envelope(
        reverse_path=None if tree["reverse"] is None else _read_path(tree["reverse"]),
        parameters=tuple(_octet(item) for item in tree["parameters"]),
        forward_paths=tuple(
            ForwardPath(path=_read_path(path), parameters=tuple(_octet(item) for item in parameters))
            for path, parameters in tree["forward"]
        ),
    )


def _path(path: Path) -> list[str]:
    names = (path.local_part, path.domain)
    return [_text(path.raw), *(_text(name.encode("utf-8", "surrogatepass")) for name in names)]


def _read_path(written: list[str]) -> Path:
    raw, local_part, domain = (_octet(item) for item in written)
    return Path(
        raw=raw, local_part=local_part.decode("utf-8", "surrogatepass"), domain=domain.decode("utf-8", "surrogatepass")
    )


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")


def _octet(text: str) -> bytes:
    return base64.b64decode(text)
