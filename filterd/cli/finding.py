"""Which mails of the event stream have this Message-ID, this queue id, this account?  Offline: reads files only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filterd.cli.say import printable
from filterd.log.read import read_events, stream_files
from filterd.model.ids import keyed_hash

_ANSWERS = ("delivered", "refused", "relay_failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMail:
    """A mail: how it was judged, and what was answered, None while nothing is known of that."""

    decided: dict[str, Any]
    answer: dict[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """Say it as an object: the ids to go on with, the disposition, the reasons, and the answer."""
        decision = self.decided.get("decision", {})
        answer = self.answer or {}
        return {
            "tx": self.decided["tx"],
            "at": self.decided["at"],
            "direction": self.decided.get("direction"),
            "account_id": self.decided.get("principal", {}).get("account_id"),
            "disposition": decision.get("disposition", "bypassed"),
            "reasons": [reason["code"] for reason in decision.get("reasons", ())],
            "incident_id": decision.get("incident_id"),
            "skipped": {c["check"]: c["reason"] for c in self.decided.get("checks", ()) if c["outcome"] == "skipped"},
            "outcome": answer.get("event"),
            "by": answer.get("by"),
            "reply": answer.get("reply"),
            "queue_id": answer.get("queue_id"),
        }

    def line(self) -> str:
        """Say it on one line."""
        said = self.as_json()
        reply = said["reply"]
        code = f"{reply['code']} {reply['enhanced'] or ''}".strip() if reply else ""
        words = (
            f"{said['at'][:19].replace('T', ' ')}Z",
            said["tx"],
            said["direction"] or "unjudged",
            said["account_id"] or ("nobody of ours" if said["direction"] else "login not read"),
            said["disposition"],
            ",".join(said["reasons"]),
            said["outcome"] or "no answer on record",
            code,
            f"queued as {said['queue_id']}" if said["queue_id"] else "",
            f"incident {said['incident_id']}" if said["incident_id"] else "",
        )
        return printable("  ".join(word for word in words if word))


def message_id_hashes(key: bytes, text: str) -> frozenset[str]:
    """Say under which hashes a Message-ID may stand: people copy it with and without its brackets."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    written = (bare, f"<{bare}>", text)
    return frozenset(keyed_hash(key, "message-id", t.encode("utf-8", "surrogateescape")) for t in written)


def find(
    directory: Path, *, message_ids: Collection[str] | None, queue_id: str | None, account_id: str | None
) -> list[FoundMail]:
    """Say the mails that answer to everything asked for, in the order they came.

    Args:
        message_ids: keyed hashes; None does not ask.
    """
    decided: dict[str, dict[str, Any]] = {}
    answers: dict[str, dict[str, Any]] = {}
    for event in read_events(stream_files(directory)):
        tx, kind = event.get("tx"), event["event"]
        if not isinstance(tx, str):
            continue
        if kind in ("decided", "bypassed") and _is_meant(event, message_ids, account_id):
            decided[tx] = event
        elif kind in _ANSWERS and (queue_id is None or event.get("queue_id") == queue_id):
            answers[tx] = event
    if queue_id is not None:
        decided = {tx: event for tx, event in decided.items() if tx in answers}
    found = (FoundMail(decided=event, answer=answers.get(tx)) for tx, event in decided.items())
    return sorted(found, key=lambda mail: (mail.decided["at"], mail.decided["tx"]))


def _is_meant(event: dict[str, Any], message_ids: Collection[str] | None, account_id: str | None) -> bool:
    if message_ids is not None and event.get("message", {}).get("message_id") not in message_ids:
        return False
    return account_id is None or event.get("principal", {}).get("account_id") == account_id
