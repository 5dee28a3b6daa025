"""Which domains does a mail claim to come from?  RFC 5322 §3.6.2, FAULTS 35.

Reads every From field there is, because receivers differ in which one they show. Where a field has addresses in angle
brackets only those count, so that an address quoted in a display name is not taken for the author.
"""

from __future__ import annotations

import re

from filterd.model.message import Message

_ANGLE = re.compile(r"<[^<>@]*@([^<>@\s]+)>")
_BARE = re.compile(r"@([^\s<>@,;()\"]+)")
# A From field longer than this is not written by people; the rest is not read.
_MAX_CHARACTERS = 4096


def from_domains(message: Message) -> tuple[str, ...]:
    """Say the domains of the From addresses, as written, in order, without duplicates."""
    found: list[str] = []
    for field in message.all("from"):
        value = field.value[:_MAX_CHARACTERS]
        found += _ANGLE.findall(value) or _BARE.findall(value)
    return tuple(dict.fromkeys(domain.strip(".") for domain in found))
