"""Nouns to canonical bytes and back: one JSON form for entries, for their hashes and for the link.

Sorted keys, no spaces, UTF-8; instants as RFC 3339 UTC with six decimals and `Z`; days as YYYY-MM-DD; enums by value (a
rung by its number); sets sorted; octets as URL-safe base64; a float that JSON does not know as
"NaN", "Infinity" or "-Infinity".
Lone surrogates are escaped (`\\xNN` for an octet that was not UTF-8), so that no content can fail a write (FAULTS F15).
"""

from __future__ import annotations

import base64
import dataclasses
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from functools import cache
from typing import Any, cast

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError

from filterd.errors import UsageError
from filterd.model.records import KIND_OF, KINDS, Record
from filterd.model.standing import History

_SURROGATE = re.compile("[\ud800-\udfff]")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


class Undecodable(ValueError):
    """Bytes do not hold what they should. The text names places and reasons and quotes no content."""


def instant_text(at: datetime) -> str:
    """Write an aware instant. Raises UsageError for a naive one."""
    if at.tzinfo is None:
        raise UsageError(f"an instant without a zone: {at.isoformat()}")
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def instant(text: str) -> datetime:
    """Read what `instant_text` wrote, and nothing else. Raises Undecodable."""
    try:
        if _INSTANT.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        pass
    raise Undecodable("not an instant of the form YYYY-MM-DDThh:mm:ss.ffffffZ")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def escaped(text: str) -> str:
    """Replace lone surrogates by their escapes."""
    return _SURROGATE.sub(_escape, text)


def storable(text: str) -> str:
    """Make text that every database column takes: no surrogates, no NUL."""
    if text.isascii() and "\x00" not in text:
        return text
    return escaped(text).replace("\x00", "\\x00")


def plain(value: Any) -> Any:
    """Turn nouns into dicts, lists, text, numbers, booleans and None. Raises UsageError for what JSON cannot hold."""
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(kind):
        tree = {name: plain(getattr(value, name)) for name in _field_names(kind)}
        if kind is History:
            # Records do not say what they are: many kinds have the same fields.
            tree["further"] = [[KIND_OF[type(record)], plain(record)] for record in value.further]
        return tree
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=canonical)
    if isinstance(value, (bytes, bytearray)):
        return base64.urlsafe_b64encode(value).decode("ascii")
    if isinstance(value, (str, int)):
        return plain(str(value) if isinstance(value, str) else int(value))
    raise UsageError(f"{kind.__name__} has no JSON form")


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def canonical(tree: Any) -> bytes:
    """Write a plain tree as canonical JSON. Raises UsageError for numbers beyond 64 bits."""
    try:
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        pass
    try:
        return orjson.dumps(_without_surrogates(tree), option=orjson.OPT_SORT_KEYS)
    except TypeError as err:
        raise UsageError(f"has no JSON form: {err}") from err


def _without_surrogates(tree: Any) -> Any:
    match tree:
        case str():
            return escaped(tree)
        case dict():
            return {escaped(key): _without_surrogates(item) for key, item in tree.items()}
        case list():
            return [_without_surrogates(item) for item in tree]
        case _:
            return tree


def encode(value: Any) -> bytes:
    """Write any noun, or a plain tree, as canonical JSON."""
    return canonical(plain(value))


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Wrapped in a tuple because pydantic takes no configuration for a bare dataclass.
    return TypeAdapter(tuple[kind], config=ConfigDict(val_json_bytes="base64"))


def decode(kind: Any, body: bytes) -> Any:
    """Read a noun of type `kind` from JSON; unknown keys are passed over. Raises Undecodable."""
    if kind is History:
        return _history(body)
    return _decode(kind, body)


def _history(body: bytes) -> History:
    tree = decode_json(body)
    further = tree.pop("further", []) if isinstance(tree, dict) else []
    history: History = _decode(History, orjson.dumps(tree))
    try:
        # A kind that a newer program knows is passed over, as a newer field is.
        known = tuple(decode_record(name, orjson.dumps(item)) for name, item in further if name in KINDS)
    except (TypeError, ValueError) as err:
        raise Undecodable("not a History: further") from err
    return dataclasses.replace(history, further=known)


def _decode(kind: Any, body: bytes) -> Any:
    try:
        return _adapter(kind).validate_json(b"[" + body + b"]")[0]
    except ValidationError as err:
        faults = err.errors(include_input=False, include_context=False, include_url=False)
        where = "; ".join(f"{'.'.join(map(str, item['loc'][1:])) or 'body'}: {item['type']}" for item in faults[:3])
        raise Undecodable(f"not a {getattr(kind, '__name__', kind)}: {where}") from err


def decode_json(body: bytes) -> Any:
    """Read a plain tree. Raises Undecodable."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as err:
        raise Undecodable("not JSON") from err


def encode_record(record: Record) -> tuple[str, bytes, Record]:
    """Say the kind and canonical body of a record, and the record as it will be read again.

    The third differs from the argument only when text had to be escaped.
    """
    kind = KIND_OF.get(type(record))
    if kind is None:
        raise UsageError(f"{type(record).__name__} is not a kind of ledger entry")
    tree = plain(record)
    body = canonical(tree)
    return kind, body, record if orjson.loads(body) == tree else decode_record(kind, body)


def decode_record(kind: str, body: bytes) -> Record:
    """Read the record of an entry. Raises Undecodable for an unknown kind or a body that does not fit it."""
    if kind not in KINDS:
        raise Undecodable(f"unknown kind {kind!r}")
    return cast(Record, decode(KINDS[kind], body))
