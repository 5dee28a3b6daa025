"""Rows of the counters: what each node counted in which minute and day, and whom an account wrote to first when.

Every node writes rows of its own, with absolute numbers, so that writing or reading one again changes nothing. Writers
hold one lock until their commit, and no stamp (`changed_at`) is before one that is stored already, whatever the clocks
say: rows become visible in the order of their stamps, and whoever has seen a stamp has missed nothing before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Table, and_, bindparam, delete, func, not_, select
from sqlalchemy.dialects import postgresql, sqlite

from filterd.ledger import drips, references
from filterd.ledger.habits import CLIENT_PREFIX, CLIENTS_AT_MOST, Clients
from filterd.ledger.schema import CORRESPONDENT, COUNT_DAY, COUNT_MINUTE
from filterd.ledger.seen import CORRESPONDENTS_AT_MOST, Seen
from filterd.ledger.sliding import Numbers
from filterd.ledger.windows import BASELINE_DAYS, DAY_MINUTES, Volume, Window, day_of, minute_of

# Before the id of an account or tenant: what is counted of its recipients outside alone.
OUTSIDE = "x_"
# An hour more than a window reaches, a day more than a baseline: clocks of nodes differ.
_MINUTES_KEPT = 25 * 60
_DAYS_KEPT = BASELINE_DAYS + 1
# Rows looked through for old ones at a time; subjects read at a time are a few more.
_PRUNED_AT_ONCE = 1000
_READ_AT_ONCE = 2000
_TICK = timedelta(microseconds=1)

_NUMBER_NAMES = ("messages", "recipients", "unknown", "strangers")
_NUMBERS = tuple(COUNT_MINUTE.c[name] for name in _NUMBER_NAMES)
_THE_SUBJECT: BindParameter[str] = bindparam("the_subject")
_DAYS_OF = select(COUNT_DAY.c.day, COUNT_DAY.c.node, COUNT_DAY.c.messages, COUNT_DAY.c.recipients).where(
    COUNT_DAY.c.subject_id == _THE_SUBJECT, COUNT_DAY.c.day >= bindparam("since")
)
_FIRST_DAY_OF = select(func.min(COUNT_DAY.c.day)).where(COUNT_DAY.c.subject_id == _THE_SUBJECT)
_MINUTES_OF = select(COUNT_MINUTE.c.minute, COUNT_MINUTE.c.node, *_NUMBERS).where(
    COUNT_MINUTE.c.subject_id == _THE_SUBJECT,
    COUNT_MINUTE.c.minute > bindparam("since"),
    COUNT_MINUTE.c.minute <= bindparam("until"),
)
# Networks stand among them under names that no hash has.
_IS_CLIENT = and_(CORRESPONDENT.c.recipient_hash >= CLIENT_PREFIX, CORRESPONDENT.c.recipient_hash < "c`")
_CLIENTS_OF = (
    select(CORRESPONDENT.c.recipient_hash, CORRESPONDENT.c.first_day)
    .where(CORRESPONDENT.c.account_id == _THE_SUBJECT, _IS_CLIENT)
    .order_by(CORRESPONDENT.c.first_day)
    .limit(CLIENTS_AT_MOST)
)
_CORRESPONDENTS_OF = (
    select(CORRESPONDENT.c.recipient_hash, CORRESPONDENT.c.first_day)
    .where(CORRESPONDENT.c.account_id == _THE_SUBJECT, not_(_IS_CLIENT))
    .order_by(CORRESPONDENT.c.first_day.desc())
    .limit(CORRESPONDENTS_AT_MOST)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What one node has to write: absolute numbers by (subject, minute) and (subject, day), and days of first contact
    by (account, recipient hash)."""

    minutes: Mapping[tuple[str, int], Numbers] = field(default_factory=dict)
    days: Mapping[tuple[str, int], Volume] = field(default_factory=dict)
    met: Mapping[tuple[str, str], int] = field(default_factory=dict)


def outside(subject_id: str) -> str:
    """Say under which name recipients outside the organisation are counted."""
    return f"{OUTSIDE}{subject_id}"


# --- one subject ------------------------------------------------------------------------------------------------------


def load(connection: Connection, subject_id: str, now: int, node: str, *, is_account: bool) -> Window:
    """Say what the store knows of a subject at a minute: its age, its volume of 30 days and of the last day's minutes;
    of an account its correspondents, too."""
    window = Window(opened_day=_opened_day(connection, subject_id, is_account=is_account))
    if is_account:
        clients = Clients(since=_clients(connection, subject_id))
        window.seen = Seen(
            correspondents=_correspondents(connection, subject_id),
            clients=clients,
            drips=drips.load(connection, subject_id, day_of(now), node),
        )
    since = _day_text(day_of(now) - BASELINE_DAYS)
    # The days first: minutes written in between are heard again, and days are written with them.
    for day, whose, *volume in connection.execute(_DAYS_OF, {"the_subject": subject_id, "since": since}):
        window.put_days(date.fromisoformat(day).toordinal(), (volume[0], volume[1]), is_ours=whose == node)
    reach = {"the_subject": subject_id, "since": now - DAY_MINUTES, "until": now + DAY_MINUTES}
    for minute, whose, *numbers in connection.execute(_MINUTES_OF, reach):
        window.put_minute(minute, _numbers(numbers), node=None if whose == node else whose)
    window.resume(now)
    return window


def _correspondents(connection: Connection, account_id: str) -> dict[int, int]:
    # An account that wrote to more people meets its oldest ones as strangers again.
    rows = connection.execute(_CORRESPONDENTS_OF, {"the_subject": account_id}).all()
    # Oldest first, because they are forgotten from the front.
    return {hash(who): date.fromisoformat(day).toordinal() for who, day in reversed(rows)}


def _clients(connection: Connection, account_id: str) -> dict[int, int]:
    rows = connection.execute(_CLIENTS_OF, {"the_subject": account_id}).all()
    return {hash(who): date.fromisoformat(day).toordinal() for who, day in rows}


def client_since(connection: Connection, account_id: str, client_id: str) -> int | None:
    """Say since which day an account has used a network, on whichever node; None: nobody has written it down."""
    mine = (CORRESPONDENT.c.account_id == account_id, CORRESPONDENT.c.recipient_hash == client_id)
    found = connection.execute(select(CORRESPONDENT.c.first_day).where(*mine)).scalar()
    return None if found is None else date.fromisoformat(found).toordinal()


def _opened_day(connection: Connection, subject_id: str, *, is_account: bool) -> int | None:
    """Say when it was opened, or first sent mail (of the last month) where no entry says so."""
    opened_at = references.opened_at(connection, subject_id) if is_account else None
    if opened_at is not None:
        return day_of(minute_of(opened_at))
    first = connection.execute(_FIRST_DAY_OF, {"the_subject": subject_id}).scalar()
    return None if first is None else date.fromisoformat(first).toordinal()


def forget(connection: Connection, subject_id: str) -> None:
    """Remove what is known of an erased subject."""
    for table in (COUNT_DAY, COUNT_MINUTE):
        connection.execute(delete(table).where(table.c.subject_id.in_((subject_id, outside(subject_id)))))
    drips.forget(connection, subject_id)
    connection.execute(delete(CORRESPONDENT).where(CORRESPONDENT.c.account_id == subject_id))


# --- what changed -----------------------------------------------------------------------------------------------------


def save(connection: Connection, node: str, now: datetime, rows: Rows) -> None:
    """Write a node's rows over what it wrote before. Needs the lock of the counters where nodes share a store."""
    stamp = last_stamp(connection)
    stamp = now if stamp is None else max(now, stamp + _TICK)
    _put(
        connection,
        COUNT_MINUTE,
        [
            {"subject_id": subject, "minute": minute, "node": node, "changed_at": stamp}
            | dict(zip(_NUMBER_NAMES, numbers, strict=True))
            for (subject, minute), numbers in sorted(rows.minutes.items())
        ],
    )
    _put(
        connection,
        COUNT_DAY,
        [
            {"subject_id": subject, "day": _day_text(day), "node": node, "messages": volume[0], "recipients": volume[1]}
            for (subject, day), volume in sorted(rows.days.items())
        ],
    )
    _put(
        connection,
        CORRESPONDENT,
        [
            {"account_id": account, "recipient_hash": recipient, "first_day": _day_text(day)}
            for (account, recipient), day in sorted(rows.met.items())
        ],
    )


def last_stamp(connection: Connection) -> datetime | None:
    """Say the latest stamp, None when there is none."""
    found: datetime | None = connection.execute(select(func.max(COUNT_MINUTE.c.changed_at))).scalar()
    return found


Heard = tuple[str, str, int, Numbers]


def changed(connection: Connection, node: str, seen: datetime) -> tuple[datetime, Sequence[Heard], bool]:
    """Say what other nodes wrote after the stamp `seen`: (subject, node, minute, numbers); up to which stamp; whether
    there may be more."""
    until = last_stamp(connection)
    if until is None or until <= seen:
        return seen, (), False
    stamps = select(COUNT_MINUTE.c.changed_at).where(COUNT_MINUTE.c.changed_at > seen)
    page = connection.execute(stamps.order_by(COUNT_MINUTE.c.changed_at).offset(_READ_AT_ONCE).limit(1)).scalar()
    if page is not None:
        until = page
    rows = select(COUNT_MINUTE.c.subject_id, COUNT_MINUTE.c.node, COUNT_MINUTE.c.minute, *_NUMBERS).where(
        COUNT_MINUTE.c.changed_at > seen, COUNT_MINUTE.c.changed_at <= until, COUNT_MINUTE.c.node != node
    )
    found = [(subject, whose, minute, _numbers(rest)) for subject, whose, minute, *rest in connection.execute(rows)]
    return until, found, page is not None


def daily_recipients(connection: Connection, subject_id: str, now: datetime, days: int) -> tuple[int, ...]:
    """Say the recipients of each of so many days before today, as far as they were written down; none before the first
    of them, and 0 for a day without any since."""
    today = day_of(minute_of(now))
    found: dict[int, int] = {}
    given = {"the_subject": subject_id, "since": _day_text(today - days)}
    for day, _, _, recipients in connection.execute(_DAYS_OF, given):
        then = date.fromisoformat(day).toordinal()
        if then < today:
            found[then] = found.get(then, 0) + recipients
    return tuple(found.get(day, 0) for day in range(min(found, default=today), today))


# --- what is old ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """Up to which subjects old rows have been looked for on this round through the tables."""

    minutes: str = ""
    days: str = ""


def prune(connection: Connection, now: datetime, done: Pruned) -> Pruned:
    """Remove old rows among the next thousand of each table; a walk by key, so that nothing depends on stamps."""
    minutes_end = _prune(connection, COUNT_MINUTE, done.minutes, COUNT_MINUTE.c.minute < minute_of(now) - _MINUTES_KEPT)
    oldest = _day_text(day_of(minute_of(now)) - _DAYS_KEPT)
    return Pruned(minutes=minutes_end, days=_prune(connection, COUNT_DAY, done.days, COUNT_DAY.c.day < oldest))


def _prune(connection: Connection, table: Table, after: str, is_old: ColumnElement[bool]) -> str:
    subject = table.c.subject_id
    page = select(subject).where(subject > after).order_by(subject).offset(_PRUNED_AT_ONCE).limit(1)
    end: str | None = connection.execute(page).scalar()
    old = delete(table).where(subject > after, is_old)
    connection.execute(old if end is None else old.where(subject <= end))
    return end or ""


def _numbers(row: Sequence[int]) -> Numbers:
    return (row[0], row[1], row[2], row[3])


def _day_text(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _put(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows, over those with the same key."""
    values = list(rows)
    if not values:
        return
    # One statement for both: only they have ON CONFLICT.
    insert = (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(table)
    key = [column.name for column in table.primary_key]
    written = {column.name: insert.excluded[column.name] for column in table.c if column.name not in key}
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=written), values)
