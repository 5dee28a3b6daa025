"""What people decide about held mail: let it go, send it back, confirm that it was a breach, read it.  STANDING 5.7-23.

Each act is one transaction: the step of every item, what the decision means for the sender's standing, and the promise
that carries it out (workers/releasing). Whose mailbox it is, and who belongs to its tenant, does not decide.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.held import HeldMail, HeldState
from filterd.pipeline.desk import Desk, reason_in
from filterd.pipeline.evidence import CHUNK_BYTES
from filterd.pipeline.held import close_task
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.quarantine import find, row
from filterd.ports import LedgerTxn

RETURN_TOPIC = "return"


class QuarantineVerbs:
    """One instance a ledger process. `verbs`: the acts on sanctions, by name."""

    def __init__(self, desk: Desk, verbs: dict[str, PlainVerb]):
        self._desk, self._verbs = desk, verbs

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "quarantine.read": self.quarantine_read,
            "quarantine.release": self.quarantine_release,
            "quarantine.return": self.quarantine_return,
            "quarantine.confirm": self.quarantine_confirm,
        }

    def quarantine_read(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Hand out octets of a held mail, from `offset` on; a row says who read it. As evidence.read."""
        held, by = self._acting(txn, arguments, "quarantine.read")
        offset = int(arguments.get("offset") or 0)
        found = txn.read_held(held.item_id)
        if found is None:
            raise UsageError(f"of {held.item_id} nothing is kept any more")
        viewed = r.EvidenceViewed(
            at=txn.now,
            account_id=held.account_id,
            transaction_ids=(held.transaction_id,),
            digests=(held.digest,),
            by=by,
            reason=reason_in(arguments),
            has_content=True,
        )
        txn.append(viewed, account_id=held.account_id, tenant_id=held.tenant_id)
        content, end = found[1], offset + CHUNK_BYTES
        return {
            "item_id": held.item_id,
            "size_bytes": len(content),
            "octets": base64.b64encode(content[max(offset, 0) : end]).decode("ascii"),
            "next": end if end < len(content) else None,
        }

    def quarantine_release(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Let a held mail go to the next hop; with `copies`, all that is held of the same text.

        With `annul` it was no breach: its incident is annulled, as `sanction.annul` does, in the same transaction.
        """
        held, by = self._acting(txn, arguments, "quarantine.release")
        reason = reason_in(arguments)
        items = _same_text(txn, held) if arguments.get("copies") else (held,)
        for item in items:
            txn.move_held(item.item_id, HeldState.HELD, HeldState.RELEASED, by=by, reason=reason)
        close_task(txn, held, by, reason)
        said = self._said(txn, items)
        return said | (self._about_incident(txn, held, arguments, "annul") if arguments.get("annul") else {})

    def quarantine_return(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Send a held mail back to who sent it; with `copies`, all of its campaign, as one report."""
        held, by = self._acting(txn, arguments, "quarantine.return")
        items = _copies(txn, held) if arguments.get("copies") else (held,)
        send_back(txn, items, by=by, reason=reason_in(arguments))
        return self._said(txn, items)

    def quarantine_confirm(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """It is a breach: confirm what followed from it, as `sanction.confirm` does, and send the mail back."""
        held, by = self._acting(txn, arguments, "quarantine.confirm")
        if not held.facts.incident_id:
            raise RefusedError("nothing followed from this mail that could be confirmed; return or delete it")
        items = _copies(txn, held) if arguments.get("copies") else (held,)
        send_back(txn, items, by=by, reason=reason_in(arguments))
        return self._said(txn, items) | self._about_incident(txn, held, arguments, "confirm")

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _acting(self, txn: LedgerTxn, arguments: Arguments, verb: str) -> tuple[HeldMail, str]:
        """Say the item, and who acts. Raises RefusedError for who may not."""
        held = find(txn, str(arguments.get("item") or ""))
        account = txn.account(held.account_id)
        if account is None:
            raise UsageError(f"{held.item_id} is of an account that is gone")
        return held, self._desk.permit(txn, arguments, verb, account).name

    def _about_incident(self, txn: LedgerTxn, held: HeldMail, arguments: Arguments, act: str) -> dict[str, Any]:
        if not held.facts.incident_id:
            raise RefusedError("nothing followed from this mail: there is nothing to annul")
        said: dict[str, Any] = self._verbs[f"sanction.{act}"](txn, {**arguments, "sanction": held.facts.incident_id})
        return {"standing": said}

    def _said(self, txn: LedgerTxn, items: Iterable[HeldMail]) -> dict[str, Any]:
        rows = [row(txn, find(txn, item.item_id)) for item in items]
        return {**rows[0], "copies": rows}


def send_back(txn: LedgerTxn, items: Iterable[HeldMail], *, by: str, reason: str) -> None:
    """Put mails of one account on their way back, as one report. Raises RefusedError for a stranger's mail: whoever
    its envelope names may never have sent it."""
    mine = tuple(items)
    for item in mine:
        if item.is_inbound:
            raise RefusedError("a stranger's mail is not sent back; release or delete it")
        txn.move_held(item.item_id, HeldState.HELD, HeldState.RETURNING, by=by, reason=reason)
    if not mine:
        return
    promise_return(txn, mine, because="decided")
    close_task(txn, mine[0], by, reason)


def promise_return(
    txn: LedgerTxn,
    items: tuple[HeldMail, ...],
    *,
    because: str,
    status: str = "5.7.1",
    places: tuple[int, ...] = (),
) -> None:
    """Promise one report about these mails, which are on their way back already.

    Args:
        because: what the report says of it: decided, nobody_decided or refused.
        status: the enhanced code it gives (RFC 3463).
        places: of one mail, the recipients it is about; none: all of each.
    """
    txn.post(
        RETURN_TOPIC,
        {
            "account_id": items[0].account_id,
            "tenant_id": items[0].tenant_id,
            "item_ids": [item.item_id for item in items],
            "because": because,
            "status": status,
            "places": list(places),
        },
        due_at=txn.now,
    )


def campaigns(items: Iterable[HeldMail]) -> tuple[tuple[HeldMail, ...], ...]:
    """Part what an account has held into campaigns: the same text or the same act; anything else is by itself."""
    groups: dict[str, list[HeldMail]] = {}
    for item in items:
        key = item.facts.incident_id or item.facts.campaign or item.item_id
        groups.setdefault(key, []).append(item)
    return tuple(tuple(group) for group in groups.values())


def _same_text(txn: LedgerTxn, held: HeldMail) -> tuple[HeldMail, ...]:
    """Say what is held of the same text, for the same reason; the item first. Nobody lets go what nobody has read."""
    alike = (
        x
        for x in _copies(txn, held)[1:]
        if held.facts.campaign and x.facts.campaign == held.facts.campaign and x.reason == held.reason
    )
    return (held, *alike)


def _copies(txn: LedgerTxn, held: HeldMail) -> tuple[HeldMail, ...]:
    """Say what is held of the same campaign as an item, itself first."""
    mine = txn.held_mails((HeldState.HELD,), account_id=held.account_id)
    group = next((x for x in campaigns(mine) if any(y.item_id == held.item_id for y in x)), (held,))
    return (held, *(x for x in group if x.item_id != held.item_id))
