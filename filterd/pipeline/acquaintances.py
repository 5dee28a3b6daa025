"""Who wrote to our users first, and what did they send?  STANDING 5.11 (received-first look-back), 5.7-12, 5.7-14.

From mail of strangers that was let in, the keyed hashes of its author and envelope sender are kept for the tenant it
was for, with the day. By tenant and not by mailbox, so that who wrote to sales@ can be answered by anybody there. An
author whose domain disowns the mail (DMARC) has not written; where a domain says nothing of itself, an address can be
forged into the list, and no more follows than that a restricted account may answer it.

Gathered here and written together: what a crash loses makes a correspondent a stranger until the next mail.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime

from filterd.checks.sender_fields import mailboxes
from filterd.errors import LedgerUnavailable
from filterd.mail.names import canonical_domain
from filterd.model.ids import keyed_hash
from filterd.model.message import Message
from filterd.model.session import Envelope
from filterd.model.verdict import Assessment
from filterd.pipeline.received import carried
from filterd.ports import Keys, Ledger

_DISOWNED = "auth.dmarc.fail"
_FLUSH_S = 2.0
_AT_ONCE = 1000
# What was noted today is not noted again; beyond this many, the oldest may be.
_REMEMBERED = 200_000
# Domains of one mail that are looked up.
_DOMAINS_AT_MOST = 20


class Acquaintances:
    """One a process. `on_error` hears what kept hashes from being written; they are tried again."""

    def __init__(self, ledger: Ledger, keys: Keys, on_error: Callable[[BaseException], None]):
        self._ledger, self._keys, self._on_error = ledger, keys, on_error
        # (tenant, hash) to the day it was noted for.
        self._noted: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._waiting: dict[tuple[str, str], str] = {}
        self._flushing: asyncio.Task[None] | None = None

    async def note(
        self, message: Message, envelope: Envelope, assessment: Assessment, at: datetime, text_fp: str = ""
    ) -> None:
        """Remember who wrote this mail and what is in it. A ledger that is away is no reason to keep it waiting."""
        domains = list(dict.fromkeys(f.path.domain for f in envelope.forward_paths if f.path.domain))
        try:
            tenants = {await self._ledger.domain_owner(domain) for domain in domains[:_DOMAINS_AT_MOST]}
        except LedgerUnavailable:
            return
        known = [t for t in tenants if t is not None]
        if not known:
            return
        # Who forges a sender has sent what is in the mail all the same.
        senders = map(self._hash, _senders(message, envelope, assessment))
        self._take(known, {*carried(message, text_fp, self._hash).keys, *senders}, at.date().isoformat())

    def _hash(self, text: str) -> str:
        return keyed_hash(self._keys.pseudonym, text.lower())

    def _take(self, tenants: Iterable[str], hashes: Iterable[str], day: str) -> None:
        for key in ((tenant, who) for tenant in tenants for who in sorted(hashes)):
            if self._noted.get(key) == day:
                continue
            self._noted[key] = self._waiting[key] = day
            self._noted.move_to_end(key)
            if len(self._noted) > _REMEMBERED:
                self._noted.popitem(last=False)
        if self._waiting and self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        await asyncio.sleep(_FLUSH_S)
        self._flushing = None
        await self.flush()

    async def flush(self) -> None:
        """Write what is waiting; what cannot be written waits on."""
        while self._waiting:
            taken = dict(list(self._waiting.items())[:_AT_ONCE])
            rows = [[tenant, who, day] for (tenant, who), day in taken.items()]
            try:
                await self._ledger.call("senders.note", {"rows": rows})
            except LedgerUnavailable as err:
                self._on_error(err)
                while len(self._waiting) > _REMEMBERED:
                    self._waiting.pop(next(iter(self._waiting)))
                return
            for key, day in taken.items():
                if self._waiting.get(key) == day:
                    del self._waiting[key]


def _senders(message: Message, envelope: Envelope, assessment: Assessment) -> tuple[str, ...]:
    """Say whose addresses have written: nobody's where there is no way back, or where the domain disowns the mail."""
    if envelope.reverse_path is None or any(f.code == _DISOWNED for f in assessment.findings):
        return ()
    authors = mailboxes(message, "from")
    if len(authors) != 1 or authors[0].domain is None:
        return (envelope.reverse_path.address,)
    author = f"{authors[0].local_part}@{canonical_domain(authors[0].domain)}"
    return envelope.reverse_path.address, author
