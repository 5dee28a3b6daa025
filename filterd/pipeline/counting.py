"""Counting a mail: whose it is, to whom, from where.  STANDING 5.11."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

from filterd.agreement.complaints import complained
from filterd.agreement.disposition import EXTERNAL_DAY, RATES
from filterd.errors import LedgerUnavailable
from filterd.mail.fingerprint import delivery_key, evidence_key
from filterd.model.complaints import Complained
from filterd.model.decision import NO_TEXT, Counts
from filterd.model.ids import keyed_hash
from filterd.model.principal import Strength
from filterd.model.session import Direction
from filterd.pipeline.author import Author
from filterd.pipeline.client import client_id
from filterd.pipeline.facts import FactFinder
from filterd.pipeline.intake import Read
from filterd.ports import Clock, CountRequest, Keys, Ledger


class Counting:
    """Asks the ledger's counters. `on_away` is told the transaction and what was raised when they cannot be asked."""

    def __init__(
        self,
        ledger: Ledger,
        keys: Keys,
        clock: Clock,
        facts: FactFinder,
        on_away: Callable[[str, BaseException], None],
    ):
        self._ledger, self._keys, self._clock, self._facts, self._on_away = ledger, keys, clock, facts, on_away

    async def count(self, item: Read, author: Author, direction: Direction) -> Counts | None:
        """Count one mail; None for a stranger's, and where nobody can count. Raises LedgerUnavailable for an account
        that is kept to a number: its mail waits until it can be counted."""
        account = author.principal.account_id
        if account is None or direction is Direction.INBOUND:
            return None
        paths = tuple(f.path for f in item.transaction.envelope.forward_paths)
        forwards = [path.address for path in paths]
        fp = item.transaction.message_fp
        request = CountRequest(
            account_id=account,
            at=item.transaction.received_at,
            evidence_key=evidence_key(account, direction.value, fp),
            delivery_keys=tuple(delivery_key(fp, address) for address in forwards),
            recipient_hashes=tuple(keyed_hash(self._keys.pseudonym, address.lower()) for address in forwards),
            unknown=item.unknown_recipients,
            tenant_id=author.principal.tenant_id,
            client_id=self._client_id(item, author, direction),
            is_external=self._facts.externals(paths, author.domains),
            keeps_external=author.known is not None and EXTERNAL_DAY in author.known.features_off(self._clock.now()),
            text=veiled(self._keys.pseudonym, account, item.text_fp) if direction is Direction.OUTBOUND else "",
            wrote_since=_wrote_since(author, item.transaction.received_at),
        )
        try:
            return await self._ledger.count(request)
        except LedgerUnavailable as err:
            # Clean mail of an account in good standing goes on without the ledger; the rate check says so.
            self._on_away(item.transaction.id, err)
            if self._has_rates(author):
                raise
            return None

    def _client_id(self, item: Read, author: Author, direction: Direction) -> str | None:
        """Say under which address authenticated mail to the outside is counted."""
        if direction is not Direction.OUTBOUND or author.principal.strength is not Strength.STRONG:
            return None
        return client_id(self._keys.pseudonym, item.transaction.session)

    def _has_rates(self, author: Author) -> bool:
        """Say whether the account is kept to a number an hour or a day."""
        if author.known is None:
            return False
        return not RATES.isdisjoint(author.known.features_off(self._clock.now()))


def _wrote_since(author: Author, at: datetime) -> date | None:
    """Say since when somebody must have written to be answered now, by the account's agreement."""
    if author.known is None:
        return None
    return (at - timedelta(days=author.known.terms.security.wrote_first_days)).date()


def veiled(key: bytes, account: str, text_fp: str) -> str:
    """Say a text's fingerprint so that it names no text and is near to none of another account's; "" for no text.

    Bits are turned over by a secret of the account, which leaves in how many of them two texts of it differ.
    """
    if text_fp in ("", NO_TEXT):
        return ""
    return f"{int(text_fp, 16) ^ int(keyed_hash(key, 'drip', account)[:16], 16):016x}"


def complained_of(author: Author, counts: Counts | None, at: datetime) -> Complained | None:
    """Say what people complained of an account, beside how much it sent; None where nobody of ours answers, or nobody
    could count."""
    if author.known is None or counts is None:
        return None
    return complained(author.known.history, at, counts.recipients_month, author.known.terms)
