"""Which mail of ours is a complaint about, by our own record?  STANDING 5.7-13.

A report names a mail by its Message-ID, or by the id that we put into its header; whether there was such a mail, whose
it was and to whom it went is read from the search index or the event stream. Only mail counts that an account of ours
sent and that was let go. Addresses leave here as keyed hashes, words as a digest.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from filterd.cli.finding import find
from filterd.cli.keys import keys_of
from filterd.cli.log_index import index_of
from filterd.cli.mails import mails
from filterd.cli.places import events_of
from filterd.log import message_id_hashes, pseudonym
from filterd.log.read import events_about, stream_files
from filterd.log.search import searched
from filterd.mail.complaint import NOT_SPAM, Reported, read_complaint
from filterd.model.found import FoundMail, JudgedMail, MailQuery
from filterd.model.ids import derived_id, keyed_hash
from filterd.pipeline.bounces import read_bounces
from filterd.pipeline.headers import TRACE

if TYPE_CHECKING:
    from filterd.config import Config

# A report with the mail it is about; a larger one is no report.
MAX_BYTES = 8 << 20
# Reports that are looked for together: one search reads the files once, where there is no index.
_AT_ONCE = 500
_MOST_FOUND = 5_000
# Mails that the ledger is told of for one report: a Message-ID may have been used before.
_MOST_SAID = 20

Found = dict[str, Any]


def hashed(config: Config, address: str) -> str:
    """Say by which keyed hash the record knows a recipient."""
    return pseudonym(keys_of(config).pseudonym, address.strip().lower())


def by_reference(
    config: Config,
    *,
    message_id: str | None,
    transaction: str | None,
    queue_id: str | None,
    complainant: str | None = None,
) -> list[Found]:
    """Say what our record has of a mail that somebody quotes; empty where it has none. `complainant`: keyed hash."""
    people = [complainant] if complainant else []
    if transaction is not None:
        return _rows(_by_transaction(config, transaction), people)
    if message_id is None and queue_id is None:
        return []
    hashes = None if message_id is None else message_id_hashes(keys_of(config).pseudonym, message_id)
    query = MailQuery(message_ids=hashes, queue_id=queue_id, limit=_MOST_FOUND)
    return _rows((x.judged for x in _search(config, query)), people)


def reports(
    config: Config, paths: Iterable[str], *, is_feedback_loop: bool, now: datetime | None = None
) -> Iterator[tuple[str, dict[str, Any] | str]]:
    """Say of every mail under the paths what `complaint.import` takes, or `bounce.import` for a delivery report (which
    has the key `failed`), or why it could not be read."""
    day, key = (now or datetime.now(UTC)).date().isoformat(), keys_of(config).pseudonym
    batch: list[tuple[str, Reported]] = []
    for mail in mails(paths, max_bytes=MAX_BYTES):
        where = mail.path if mail.member is None else f"{mail.path}:{mail.member}"
        if mail.error is not None:
            yield where, mail.error
            continue
        if (bounced := read_bounces(mail.raw, key)) is not None:
            yield where, {"found": _bounced(config, bounced), "failed": bounced["failed"]}
            continue
        batch.append((where, read_complaint(mail.raw, TRACE)))
        if len(batch) == _AT_ONCE:
            yield from _looked_up(config, batch, day, is_feedback_loop=is_feedback_loop)
            batch = []
    yield from _looked_up(config, batch, day, is_feedback_loop=is_feedback_loop)


def _bounced(config: Config, said: dict[str, Any]) -> list[Found]:
    """Say the mails of our record that a delivery report may be about, one it names by our own id first."""
    if not said["failed"]:
        return []
    named = {who for people in said["failed"] for who in people}
    mails = [x for tx in said["transactions"] for x in _by_transaction(config, tx)]
    if said["message_ids"]:
        mails += _by_message_ids(config, said["message_ids"])
    mine = (x for x in mails if x.was_sent and not named.isdisjoint(x.recipients))
    return [x.as_sent() for x in itertools.islice(mine, _MOST_SAID)]


def _looked_up(
    config: Config, batch: list[tuple[str, Reported]], day: str, *, is_feedback_loop: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    key = keys_of(config).pseudonym
    wanted = {i: message_id_hashes(key, i) for _, reported in batch for i in reported.message_ids}
    hashes = frozenset(x for each in wanted.values() for x in each)
    known: dict[str, list[JudgedMail]] = {}
    if hashes:
        for item in _by_message_ids(config, sorted(hashes)):
            known.setdefault(item.message_id or "", []).append(item)
    for where, reported in batch:
        found = [x for i in reported.message_ids for h in sorted(wanted[i]) for x in known.get(h, ())]
        named = frozenset(h for i in reported.message_ids for h in wanted[i])
        found = _settled(config, key, reported, named, found)
        yield where, _request(key, reported, found, day, is_feedback_loop=is_feedback_loop)


def _settled(
    config: Config, key: bytes, reported: Reported, hashes: frozenset[str], found: list[JudgedMail]
) -> list[JudgedMail]:
    """Say which mail it is by our own id, where the report still has it.

    A Message-ID is the sender's to choose, and may stand in all their mails. But anybody can write an id of ours into a
    report: the Message-ID (`hashes`) or a recipient must say the same.
    """
    if not reported.transactions or (len(found) == 1 and found[0].tx != reported.transactions[0]):
        return found
    wanted = reported.transactions[0]
    exact = [x for x in found if x.tx == wanted]
    if not exact:
        people = {pseudonym(key, x) for x in _people(reported)}
        mails = _by_transaction(config, wanted)
        exact = [x for x in mails if x.message_id in hashes or not people.isdisjoint(x.recipients)]
    return exact or found


def _by_message_ids(config: Config, hashes: list[str]) -> list[JudgedMail]:
    """Look for many at once; where one of them stands in so many mails that the others may be left out, for fewer."""
    found = [x.judged for x in _search(config, MailQuery(message_ids=frozenset(hashes), limit=_MOST_FOUND))]
    if len(found) < _MOST_FOUND or len(hashes) == 1:
        return found
    half = len(hashes) // 2
    return _by_message_ids(config, hashes[:half]) + _by_message_ids(config, hashes[half:])


def _people(reported: Reported) -> tuple[str, ...]:
    """Say who may have complained. Who wrote a feedback report is a provider; who forwards or answers a mail is its
    recipient."""
    return reported.recipients if reported.is_arf else tuple(x for x in (reported.author,) if x)


def _request(
    key: bytes, reported: Reported, found: list[JudgedMail], day: str, *, is_feedback_loop: bool
) -> dict[str, Any]:
    """Say the arguments of `complaint.import`: no address, no words."""
    people = [pseudonym(key, x) for x in _people(reported)]
    # Not by where they say they are from: that costs nothing to change.
    together = keyed_hash(key, "complaint-words", day, reported.words)
    return {
        "channel": "arf" if reported.is_arf else "plain",
        "found": _rows(found, people),
        "complainants": people,
        "reporter": pseudonym(key, reported.author) if reported.author else None,
        "group": "" if is_feedback_loop or not reported.words else derived_id("cg", together),
        "is_withdrawn": reported.feedback == NOT_SPAM or None,
    }


def _rows(found: Iterable[JudgedMail], people: Iterable[str] = ()) -> list[Found]:
    """Say what the record has of the mails that count: those that one of these people got, where there are such."""
    sent = [x for x in found if x.was_sent]
    wanted = set(people)
    mine = [x for x in sent if not wanted.isdisjoint(x.recipients)] or sent
    # The first ones, and one of anybody else's: whose it is must stay open where two have sent it.
    other = next((x for x in mine[_MOST_SAID:] if x.account_id != mine[0].account_id), None)
    return [x.as_sent() for x in [*mine[:_MOST_SAID], *([other] if other is not None else [])]]


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
