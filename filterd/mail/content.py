"""The Content- fields of one entity: what it says it is.  RFC 2045 §5, §6; RFC 2183.

Keeps every different value of each field, because readers differ in which of two they believe.
"""

from __future__ import annotations

from typing import NamedTuple

from filterd.mail import params, transfer
from filterd.mail.fields import Block, unfold
from filterd.mail.params import Value

PLAIN = Value("text/plain", ())
ATTACHED = Value("message/rfc822", ())


class Content(NamedTuple):
    """What an entity says of its content.

    `types` is never empty; `is_typed` is False when the type was missing or broken. `encodings` are names in lower
    case, `dispositions` parsed values; both may be empty.
    """

    types: list[Value]
    is_typed: bool
    encodings: list[str]
    dispositions: list[Value]
    defects: list[str]


def read(block: Block, default: Value) -> Content:
    """Read the Content- fields of a header; `default` is the type of an entity that names none."""
    types: list[bytes] = []
    encodings: list[bytes] = []
    dispositions: list[bytes] = []
    defects: list[str] = []
    wanted = {
        b"content-type": types, b"content-transfer-encoding": encodings, b"content-disposition": dispositions,
    }  # fmt: skip
    for whole, name, blanks, folded in block.fields:
        values = wanted.get(name.lower())
        if values is None:
            continue
        if blanks or b"\0" in whole:
            defects.append("mime.field.odd")
        value = unfold(folded)
        if value not in values:
            values.append(value)
    parsed = [_type(value, default, defects) for value in types] or [default]
    if len(parsed) > 1:
        defects.append("mime.type.duplicate")
    return Content(
        types=parsed,
        is_typed=bool(types) and "mime.type.broken" not in defects,
        encodings=_encodings(encodings, defects),
        dispositions=[_parsed(value, defects) for value in dispositions],
        defects=defects,
    )


def _type(written: bytes, default: Value, defects: list[str]) -> Value:
    if not written:
        return default
    value = _parsed(written, defects)
    if value.is_type:
        return value
    defects.append("mime.type.broken")
    return Value("text/plain", value.items)


def _parsed(written: bytes, defects: list[str]) -> Value:
    value = params.parse(written)
    if value.is_odd:
        defects.append("mime.parameter.odd")
    return value


def _encodings(written: list[bytes], defects: list[str]) -> list[str]:
    names: list[str] = []
    for value in written:
        name, is_odd = transfer.name(value.decode("latin-1"))
        if is_odd:
            defects.append("mime.encoding.odd")
        if name not in names:
            names.append(name)
    if len(names) > 1:
        defects.append("mime.encoding.duplicate")
    return names
