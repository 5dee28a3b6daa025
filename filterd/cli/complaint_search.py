"""Which mail of ours is a complaint about, by our own record?  STANDING 5.7-13.

A report names a mail by its Message-ID, or by the id that we put into its header; whether there was such a mail, whose
it was and to whom it went is read from the search index or the event stream. Only mail counts that an account of ours
sent and that was let go. Addresses leave here as keyed hashes, words as a digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filterd.cli.finding import find, message_id_hashes
from filterd.cli.keys import keys_of
from filterd.cli.log_index import index_of
from filterd.cli.mails import mails
from filterd.cli.places import events_of
from filterd.log.facts import pseudonym
from filterd.log.read import events_about, stream_files
from filterd.log.search import searched
from filterd.mail.complaint import NOT_SPAM, Reported, read_complaint
from filterd.model.found import FoundMail, JudgedMail, MailQuery
from filterd.model.ids import derived_id, keyed_hash
from filterd.pipeline.headers import TRACE

if TYPE_CHECKING:
    from filterd.config import Config

# A report with the mail it is about; a larger one is no report.
MAX_BYTES = 8 << 20
# Reports that are looked for together: one search reads the files once, where there is no index.
_AT_ONCE = 500
_MOST_FOUND = 5_000
# What has left us at once; other mail never reached anybody who could complain, or somebody has looked at it.
_LET_GO = frozenset({"accept", "tag"})
_OUR_WAY = frozenset({"outbound", "internal"})

Found = dict[str, Any]


def hashed(config: Config, address: str) -> str:
    """Say by which keyed hash the record knows a recipient."""
    return pseudonym(keys_of(config).pseudonym, address.strip().lower())


def by_reference(
    config: Config, *, message_id: str | None, transaction: str | None, queue_id: str | None
) -> list[Found]:
    """Say what our record has of a mail that somebody quotes; empty where it has none."""
    if transaction is not None:
        return _rows(_by_transaction(config, transaction))
    if message_id is None and queue_id is None:
        return []
    hashes = None if message_id is None else message_id_hashes(keys_of(config).pseudonym, message_id)
    return _rows(x.judged for x in _search(config, MailQuery(message_ids=hashes, queue_id=queue_id)))


def reports(
    config: Config, paths: Iterable[str], *, is_feedback_loop: bool, now: datetime | None = None
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Say of every mail under the paths what `complaint.import` takes, or why it could not be read."""
    day = (now or datetime.now(UTC)).date().isoformat()
    batch: list[tuple[str, Reported]] = []
    for mail in mails(paths, max_bytes=MAX_BYTES):
        where = mail.path if mail.member is None else f"{mail.path}:{mail.member}"
        if mail.error is not None:
            yield where, mail.error
            continue
        batch.append((where, read_complaint(mail.raw, TRACE)))
        if len(batch) == _AT_ONCE:
            yield from _looked_up(config, batch, day, is_feedback_loop=is_feedback_loop)
            batch = []
    yield from _looked_up(config, batch, day, is_feedback_loop=is_feedback_loop)


def _looked_up(
    config: Config, batch: list[tuple[str, Reported]], day: str, *, is_feedback_loop: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    key = keys_of(config).pseudonym
    wanted = {i: message_id_hashes(key, i) for _, reported in batch for i in reported.message_ids}
    hashes = frozenset(x for each in wanted.values() for x in each)
    known: dict[str, list[JudgedMail]] = {}
    if hashes:
        for item in _search(config, MailQuery(message_ids=hashes, limit=_MOST_FOUND)):
            known.setdefault(item.judged.message_id or "", []).append(item.judged)
    for where, reported in batch:
        found = [x for i in reported.message_ids for h in sorted(wanted[i]) for x in known.get(h, ())]
        # Ours is the better name of a mail, where the report still has it.
        for transaction in reported.transactions[:1] if not found else ():
            found = _by_transaction(config, transaction)
        yield where, _request(key, reported, found, day, is_feedback_loop=is_feedback_loop)


def _request(
    key: bytes, reported: Reported, found: list[JudgedMail], day: str, *, is_feedback_loop: bool
) -> dict[str, Any]:
    """Say the arguments of `complaint.import`: no address, no words."""
    author = reported.author or ""
    # Who wrote a feedback report is a provider; who forwards or answers a mail is its recipient.
    people = reported.recipients if reported.is_arf else (author,)
    network = keyed_hash(key, "complaint-network", author.rpartition("@")[2])
    together = keyed_hash(key, "complaint-words", day, network, reported.words)
    return {
        "channel": "arf" if reported.is_arf else "plain",
        "found": _rows(found),
        "complainants": [pseudonym(key, x) for x in people if x],
        "source": network,
        "group": "" if is_feedback_loop or not reported.words else derived_id("cg", together),
        "is_withdrawn": reported.feedback == NOT_SPAM or None,
    }


def _rows(found: Iterable[JudgedMail]) -> list[Found]:
    return [
        {
            "transaction_id": x.tx,
            "account_id": x.account_id,
            "recipients": list(x.recipients),
            "streams": list(x.streams),
        }
        for x in found
        if x.tx and x.account_id and x.disposition in _LET_GO and x.direction in _OUR_WAY
    ]


def _search(config: Config, query: MailQuery) -> list[FoundMail]:
    index = index_of(config)
    try:
        return find(events_of(config), index, query).mails
    finally:
        if index is not None:
            index.close()


def _by_transaction(config: Config, transaction: str) -> list[JudgedMail]:
    rows = (searched(event) for event in events_about(stream_files(events_of(config)), transaction))
    return [x for x in rows if isinstance(x, JudgedMail) and x.tx == transaction]
