"""Octets and session to the nouns the rest of the walk needs.  HOUSE §4 steps 1 and 2."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime

from filterd.mail.fingerprint import message_fp, text_fp
from filterd.mail.parse import parse
from filterd.mail.prose import prose
from filterd.model.ids import random_id
from filterd.model.message import Message
from filterd.model.session import Transaction
from filterd.ports import Intake, Keys

# FAULTS §5: the event loop is never held longer than 50 ms; parsing a megabyte of ordinary
# mail takes about that, and half a second when the header is made for it (80,000 broken encoded words).
IN_PLACE_MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A transaction, its parsed message, and the fingerprint of its text. The others: as in ports.Intake."""

    transaction: Transaction
    message: Message
    text_fp: str
    unknown_recipients: int = 0
    bad_addresses: int = 0
    queue_id: str | None = None


async def read(intake: Intake, at: datetime, keys: Keys) -> Read:
    """Parse and fingerprint; in a thread when the mail is large."""
    if len(intake.raw) > IN_PLACE_MAX_BYTES:
        return await asyncio.to_thread(_read, intake, at, keys)
    return _read(intake, at, keys)


def _read(intake: Intake, at: datetime, keys: Keys) -> Read:
    message = parse(intake.raw)
    transaction = Transaction(
        id=random_id("t", at),
        received_at=at,
        session=intake.session,
        envelope=intake.envelope,
        message_fp=message_fp(message, keys.fingerprint),
        digest=hashlib.sha256(intake.raw).hexdigest(),
        size_bytes=len(intake.raw),
    )
    return Read(
        transaction=transaction,
        message=message,
        text_fp=text_fp(prose(message)),
        unknown_recipients=intake.unknown_recipients,
        bad_addresses=intake.bad_addresses,
        queue_id=intake.queue_id,
    )
