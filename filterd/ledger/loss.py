"""A store that holds less than was there: noticed at the start, and never gone on with in silence.

Two signs: anchors that have seen rows which the store has not, and a mark that a restore left in `meta`. Either refuses
the start until a person accepts the loss, which is the row `ledger.restored` (ledger.restore). Its number leaves a gap,
which `verify` takes for no fault, for that row itself says so.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from filterd.errors import ModelError
from filterd.ledger.chain import Row
from filterd.ledger.codec import Undecodable, decode_json
from filterd.ledger.schema import META

# The key in `meta`, and its values. `OPEN` is followed by how many rows can be recovered, and by `UNKNOWN` where
# nothing was given that reaches beyond the backup.
MARK = "restore"
# The key under which stands when the backup was taken that this store was made of.
TAKEN_AT = "restored_from"
UNFINISHED = "unfinished"
OPEN = "open "
UNKNOWN = "unknown"

KIND = "ledger.restored"
_PAGE = "ops/docs/BACKUP.md"
_ACCEPT = f"`filterd restore --accept-loss --by PERSON --reason WHY` ({_PAGE})"


class LedgerLost(ModelError):
    """Rows are missing that are known to have been there. The text says what to do; nothing was written."""


def check(connection: Connection, place: str, writer: str, head_seq: int, anchored_seq: int) -> None:
    """Raise LedgerLost for a store that must not be gone on with."""
    with connection.begin():
        said = mark_of(connection)
    if said == UNFINISHED:
        raise LedgerLost(f"{place}: a restore did not come to its end; empty it and restore again ({_PAGE})")
    if said is not None:
        raise LedgerLost(f"{place}: was restored, and not all that came after the backup is there: {_ACCEPT}")
    if anchored_seq > head_seq:
        raise LedgerLost(
            f"{place}: {writer} ends at row {head_seq}, and its anchors have seen row {anchored_seq}: an old state was"
            f" put back, or rows were cut off. Keep it as it is; then {_ACCEPT}"
        )


def mark_of(connection: Connection) -> str | None:
    """Say the mark that a restore left, None when there is none."""
    return connection.execute(select(META.c.value).where(META.c.key == MARK)).scalar()


def set_mark(connection: Connection, value: str | None) -> None:
    """Put the mark, or take it away."""
    connection.execute(delete(META).where(META.c.key == MARK))
    if value is not None:
        connection.execute(insert(META), {"key": MARK, "value": value})


def bridges(row: Row, after_seq: int) -> bool:
    """Say whether a row accounts for the numbers that are missing before it. Its hash is still to be proven."""
    if row.kind != KIND or not isinstance(row.body, bytes) or not isinstance(row.seq, int) or row.seq <= after_seq:
        return False
    try:
        said = decode_json(row.body)
    except Undecodable:
        return False
    return isinstance(said, dict) and said.get("after_seq") == after_seq


def lost_before(row: Row, after_seq: int) -> int:
    """Say how many rows are missing by the word of a row that bridges.

    Numbers that it leaves out for safety, and those of rows that it writes again, are none. Where nobody knew how many
    there were, it is those of which something was known.
    """
    said = decode_json(row.body if isinstance(row.body, bytes) else b"{}")
    if "missing" not in said or not isinstance(row.seq, int):
        return int(str(row.seq)) - after_seq - 1
    mine = [item for item in said["missing"] if item["writer"] == row.writer and item["last"] is not None]
    return sum(item["last"] - item["first"] + 1 for item in mine)
