"""A dump of the ledger: one JSON line a row, to keep or to verify elsewhere. Sealed fields stay sealed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

from filterd.ledger.chain import Row
from filterd.ledger.codec import Undecodable, canonical, decode_json

_OCTETS = ("body", "sealed", "prev_hash", "row_hash")
_COLUMNS = frozenset(Row.__slots__)


def write_dump(rows: Iterable[Row]) -> Iterator[bytes]:
    """Write rows as lines, each with its line end."""
    for row in rows:
        yield canonical({name: _written(getattr(row, name)) for name in Row.__slots__}) + b"\n"


def read_dump(lines: Iterable[bytes]) -> Iterator[Row]:
    """Read what `write_dump` wrote. Raises Undecodable, naming the line."""
    for number, line in enumerate(lines, start=1):
        try:
            tree = decode_json(line)
            if not isinstance(tree, dict) or tree.keys() != _COLUMNS:
                raise Undecodable("other columns than a row has")
            row = Row(**{name: _read(value) if name in _OCTETS else value for name, value in tree.items()})
        except (Undecodable, TypeError, ValueError) as err:
            raise Undecodable(f"line {number} cannot be read: {err}") from err
        yield row


def _written(value: Any) -> Any:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _read(value: Any) -> bytes | None:
    return None if value is None else base64.b64decode(value, validate=True)
