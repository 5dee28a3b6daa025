"""Mail of declared streams that comes back because there is no such address.  CLAUSES §2.2, STANDING 5.11, RFC 3464.

A delivery report proves nothing by itself. What counts is bounded by our own record: the mail is one of ours, of a
stream its tenant has declared, it was let go, and the recipient stands in it; an address counts once within the days
that count, whatever is reported, of however many mails: one reader can be one bounce. A report that comes by mail is
believed about mail of the tenant that got it, and promised to a worker (workers/bounces), for the record is searched
beside the mail path. What the next hop refuses at RCPT of a mail that others get is counted by the gate. Only addresses
that do not exist count (X.1.x, 5.2.1).

Two halves. `Bounces` is the worker's of the mail path; the verbs are the ledger's. Addresses are keyed hashes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from filterd.agreement.registers import in_force
from filterd.errors import FilterdError, PortError
from filterd.log import message_id_hashes, pseudonym
from filterd.mail.complaint import read_complaint
from filterd.mail.report import has_no_address, read_report
from filterd.model import records as r
from filterd.model.decision import Case
from filterd.model.ids import derived_id
from filterd.model.principal import Account, Strength
from filterd.model.session import Direction
from filterd.pipeline.author import Author
from filterd.pipeline.desk import Desk
from filterd.pipeline.headers import TRACE
from filterd.pipeline.intake import IN_PLACE_MAX_BYTES, Read
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.roles import permitted
from filterd.ports import Keys, Ledger, LedgerTxn

NOTE, REFUSED, IMPORT = "bounce.note", "bounce.refused", "bounce.import"
TOPIC = "bounce"
# The search index is behind the event stream by a second or two.
_LOOK_AFTER = timedelta(minutes=1)
# Of one account within the days that count: a stream of which so much came back is on notice.
MOST_COUNTED = 5_000
_COUNTED_FOR = timedelta(days=30)
# Reports of one tenant that wait to be looked at: beyond, whoever sends them only means to fill the outbox.
MOST_WAITING = 300


def read_bounces(raw: bytes, key: bytes) -> dict[str, Any] | None:
    """Say what a delivery report says of addresses that do not exist, None for a mail that is no such report.

    Returns:
        By what our record of the mail may be found (`transactions`, and keyed hashes: `message_ids`), and in `failed`,
        for each recipient, the keyed hashes of the addresses it is named by.
    """
    report = read_report(raw)
    if report is None:
        return None
    failed = (x for x in report.outcomes if x.action == "failed" and has_no_address(x.status) and x.recipients)
    reported = read_complaint(raw, TRACE)
    return {
        "transactions": list(reported.transactions),
        "message_ids": sorted(h for x in reported.message_ids for h in message_id_hashes(key, x)),
        "failed": [[pseudonym(key, address) for address in x.recipients] for x in failed],
    }


class Bounces:
    """One a gate. `on_error` hears what kept a row from being written: the mail goes its way all the same."""

    def __init__(self, ledger: Ledger, keys: Keys, on_error: Callable[[BaseException], None]):
        self._ledger, self._keys, self._on_error = ledger, keys, on_error

    async def reported(self, item: Read) -> None:
        """Look at a stranger's mail: is it a report about mail of a stream of ours?"""
        envelope = item.transaction.envelope
        kind = (item.message.first("content-type") or "").partition(";")[0].strip().lower()
        if envelope.reverse_path is not None or kind != "multipart/report":
            return
        raw = item.message.raw
        try:
            is_large = len(raw) > IN_PLACE_MAX_BYTES
            key = self._keys.pseudonym
            said = await asyncio.to_thread(read_bounces, raw, key) if is_large else read_bounces(raw, key)
            if said is None or not said["failed"] or not (said["transactions"] or said["message_ids"]):
                return
            domains = sorted({f.path.domain for f in envelope.forward_paths if f.path.domain})
            if await self._ledger.call(NOTE, {**said, "domains": domains}):
                self._on_error(PortError("too many delivery reports wait: this one is not counted", temporary=True))
        except FilterdError as err:
            self._on_error(err)

    async def refused(self, item: Read, case: Case, author: Author) -> None:
        """Count what the next hop had no such address for, of a mail of a declared stream that others get."""
        known, keys = author.known, case.facts.stream_keys
        if not item.bad_addresses or not keys or known is None or case.direction is Direction.INBOUND:
            return
        if author.principal.strength is not Strength.STRONG:
            return
        given = {
            "account_id": known.account.account_id,
            "transaction_id": case.transaction_id,
            "mail": case.evidence_key,
            "streams": list(keys),
            "recipients": item.bad_addresses,
        }
        try:
            await self._ledger.call(REFUSED, given)
        except FilterdError as err:
            self._on_error(err)


# --- the ledger's side ------------------------------------------------------------------------------------------------


class BounceVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {NOTE: note, REFUSED: refused, IMPORT: self.take_in}

    def take_in(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Count a report that a person has read in, by the mails `found` for it; say how many recipients are new."""
        permitted(txn, arguments, "complaint.import")
        return {"counted": count(txn, arguments.get("found") or (), arguments.get("failed") or ())}


def note(txn: LedgerTxn, arguments: Arguments) -> bool:
    """Promise to look for the mail that a report is about, for each tenant with a stream that got the report; one that
    says the same is the same. Say whether the report is dropped for one of them, since too many wait."""
    tenants = {x.tenant_id for d in arguments["domains"] if (x := txn.tenant_of_domain(str(d))) is not None}
    said = {name: arguments[name] for name in ("transactions", "message_ids", "failed")}
    content = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    is_dropped = False
    for tenant_id in sorted(x for x in tenants if in_force(txn.history(x), r.StreamDeclared, txn.now)):
        if txn.count_posted(TOPIC, f"{tenant_id}:") >= MOST_WAITING:
            is_dropped = True
            continue
        key = f"{tenant_id}:{content}"
        txn.post(TOPIC, {**said, "tenants": [tenant_id]}, due_at=txn.now + _LOOK_AFTER, merge_key=key)
    return is_dropped


def refused(txn: LedgerTxn, arguments: Arguments) -> bool:
    """Count recipients of one mail that the next hop has refused, once for all its tries."""
    account = txn.account(str(arguments["account_id"]))
    declared = _declared(txn, account, arguments["streams"]) if account is not None else {}
    if account is None or not declared:
        return False
    row = r.BounceCounted(
        at=txn.now,
        account_id=account.account_id,
        transaction_id=str(arguments["transaction_id"]),
        unit=derived_id("bu", account.account_id, str(arguments["mail"])),
        stream=tuple(declared),
        recipients=int(arguments["recipients"]),
        is_refused=True,
    )
    return _append(txn, account, row, since=datetime.min.replace(tzinfo=UTC))


def count(
    txn: LedgerTxn,
    found: Iterable[Mapping[str, Any]],
    failed: Iterable[Sequence[str]],
    tenants: Iterable[str] | None = None,
) -> int:
    """Count the recipients that a report names and our record has; say how many are new.

    One whom our next hop takes mail for afterwards stays counted: it takes mail for addresses of others unseen.

    Args:
        found: the mails of our record: transaction_id, account_id, recipients, streams.
        failed: for each recipient, the keyed hashes it may be known by.
        tenants: mail of others does not count; None: of anybody.
    """
    mails, counted = list(found), 0
    allowed = set(tenants) if tenants is not None else None
    for people in failed:
        mine = [(x, who) for x in mails for who in people if who in x["recipients"]]
        account = txn.account(mine[0][0]["account_id"]) if len({x["account_id"] for x, _ in mine}) == 1 else None
        if account is None or (allowed is not None and account.tenant_id not in allowed):
            continue
        mail, who = mine[0]
        declared = _declared(txn, account, mail["streams"])
        if not declared:
            continue
        row = r.BounceCounted(
            at=txn.now,
            account_id=account.account_id,
            transaction_id=str(mail["transaction_id"]),
            unit=derived_id("bu", account.account_id, who),
            stream=tuple(declared),
        )
        # A declaration made anew begins at nothing.
        since = max(*declared.values(), txn.now - _COUNTED_FOR)
        counted += _append(txn, account, row, since=since)
    return counted


def _declared(txn: LedgerTxn, account: Account, streams: Iterable[str]) -> dict[str, datetime]:
    """Say by which of these keys the account's mail is of a stream in force, and since when it is declared."""
    declared = in_force(txn.history(account.tenant_id), r.StreamDeclared, txn.now)
    keys = {x.key: x.at for x in declared if x.account_id == account.account_id}
    return {x: keys[x] for x in map(str, streams) if x in keys}


def _append(txn: LedgerTxn, account: Account, row: r.BounceCounted, *, since: datetime) -> bool:
    """Append a row, unless one since then has it already, or there are enough; say whether."""
    rows = txn.history(account.account_id).of(r.BounceCounted)
    same = (x for x in rows if x.unit == row.unit and x.at >= since)
    if any(x.recipients >= row.recipients and set(row.stream) <= set(x.stream) for x in same):
        return False
    if sum(x.at >= txn.now - _COUNTED_FOR for x in rows) >= MOST_COUNTED:
        return False
    txn.append(row, account_id=account.account_id, tenant_id=account.tenant_id)
    return True
