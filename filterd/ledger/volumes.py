"""Rows of the counters: volume a day, and whom an account wrote to first when. Written in batches, not one by one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from filterd.ledger import references
from filterd.ledger.schema import CORRESPONDENT, VOLUME_DAY
from filterd.ledger.windows import BASELINE_DAYS, Day, Window, day_of

# The newest of them; an account that wrote to more people meets its oldest ones as strangers again.
_CORRESPONDENTS_AT_MOST = 20_000

_DROP_DAY = delete(VOLUME_DAY).where(
    VOLUME_DAY.c.account_id == bindparam("the_account"), VOLUME_DAY.c.day == bindparam("the_day")
)
_DROP_CORRESPONDENT = delete(CORRESPONDENT).where(
    CORRESPONDENT.c.account_id == bindparam("the_account"), CORRESPONDENT.c.recipient_hash == bindparam("the_recipient")
)


def load(connection: Connection, account_id: str, at: datetime) -> Window:
    """Say what the store knows of an account: its age, its volume of the last 30 days, its correspondents."""
    window = Window(opened_day=_opened_day(connection, account_id))
    since = date.fromordinal(day_of(at) - BASELINE_DAYS).isoformat()
    volumes = select(VOLUME_DAY.c.day, VOLUME_DAY.c.messages, VOLUME_DAY.c.recipients).where(
        VOLUME_DAY.c.account_id == account_id, VOLUME_DAY.c.day >= since
    )
    for day, messages, recipients in connection.execute(volumes):
        window.days[date.fromisoformat(day).toordinal()] = Day(messages=messages, recipients=recipients)
    met = select(CORRESPONDENT.c.recipient_hash, CORRESPONDENT.c.first_day)
    newest = met.where(CORRESPONDENT.c.account_id == account_id).order_by(CORRESPONDENT.c.first_day.desc())
    # Oldest first, because the window forgets from the front.
    for recipient_hash, first_day in reversed(connection.execute(newest.limit(_CORRESPONDENTS_AT_MOST)).all()):
        window.correspondents[hash(recipient_hash)] = date.fromisoformat(first_day).toordinal()
    return window


def forget(connection: Connection, account_id: str) -> None:
    """Remove what is known of an erased account."""
    connection.execute(delete(VOLUME_DAY).where(VOLUME_DAY.c.account_id == account_id))
    connection.execute(delete(CORRESPONDENT).where(CORRESPONDENT.c.account_id == account_id))


def _opened_day(connection: Connection, account_id: str) -> int | None:
    """Say when it was opened, or first sent mail where no entry says so."""
    opened_at = references.opened_at(connection, account_id)
    if opened_at is not None:
        return day_of(opened_at)
    first = connection.execute(select(func.min(VOLUME_DAY.c.day)).where(VOLUME_DAY.c.account_id == account_id)).scalar()
    return None if first is None else date.fromisoformat(first).toordinal()


def save(connection: Connection, days: Mapping[tuple[str, int], Day], met: Mapping[tuple[str, str], int]) -> None:
    """Write absolute volumes by (account, day), and days of first contact by (account, recipient hash)."""
    if days:
        keys = [(account, date.fromordinal(day).isoformat()) for account, day in days]
        connection.execute(_DROP_DAY, [{"the_account": account, "the_day": day} for account, day in keys])
        rows = [
            {"account_id": account, "day": day, "messages": volume.messages, "recipients": volume.recipients}
            for (account, day), volume in zip(keys, days.values(), strict=True)
        ]
        connection.execute(insert(VOLUME_DAY), rows)
    if met:
        connection.execute(_DROP_CORRESPONDENT, [{"the_account": a, "the_recipient": r} for a, r in met])
        contacts = [
            {"account_id": account, "recipient_hash": recipient, "first_day": date.fromordinal(day).isoformat()}
            for (account, recipient), day in met.items()
        ]
        connection.execute(insert(CORRESPONDENT), contacts)
