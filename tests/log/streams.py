"""Streams of the tests' own: events as a worker writes them, and what an operator's rotation does to the files."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from tests.kit.clock import NOON


def line(writer: str, seq: int, event: str = "stopped", at: datetime = NOON, **fields: Any) -> bytes:
    said = {"v": 1, "event": event, "writer": writer, "seq": seq, "at": at, "tx": None} | fields
    return orjson.dumps(said, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def decided(tx: str, **fields: Any) -> dict[str, Any]:
    """A `decided` with what a search looks at; `fields` by short names."""
    codes = fields.get("codes", ())
    findings = [{"code": code, "confidence": 1.0} for code in codes]
    return {
        "event": "decided",
        "tx": tx,
        "direction": fields.get("direction", "outbound"),
        "listener": "smtp",
        "sender": {"domain": fields.get("sender_domain", "corp.example"), "hash": "5" * 32},
        "principal": {"account_id": fields.get("account_id"), "tenant_id": fields.get("tenant_id")},
        "message": {"message_id": fields.get("message_id")},
        "checks": [
            {"check": "clamd", "outcome": "found" if codes else "clean", "reason": None, "findings": findings},
            {"check": "rate", "outcome": "skipped", "reason": "no_account", "findings": []},
        ],
        "decision": {
            "disposition": fields.get("disposition", "accept"),
            "reasons": [{"code": "category.malware"}] if codes else [],
            "incident_id": fields.get("incident_id"),
            "policy_digest": "p" * 64,
        },
    }


def answered(tx: str, event: str = "delivered", queue_id: str | None = None) -> dict[str, Any]:
    code = 250 if event == "delivered" else 550
    return {"event": event, "tx": tx, "reply": {"code": code, "enhanced": None}, "queue_id": queue_id}


def denied(account_id: str) -> dict[str, Any]:
    reply = {"code": 550, "enhanced": "5.7.13"}
    return {"event": "denied", "account_id": account_id, "sender": None, "reply": reply, "listener": "smtp"}


class Writer:
    """One writer's file, and what happens to it."""

    def __init__(self, folder: Path, name: str = "node1.w0", at: datetime = NOON):
        self.folder, self.name, self.at, self.seq, self._moved = folder, name, at, 0, 0
        self.path = folder / f"{name}.jsonl"

    def write(self, *events: Mapping[str, Any], step_s: float = 1) -> None:
        for event in events or ({},):
            self.seq += 1
            self.at += timedelta(seconds=step_s)
            fields = {"event": "stopped"} | dict(event)
            self.append(line(self.name, self.seq, at=self.at, **fields))

    def append(self, octets: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(octets)

    def rotate(self, *, packs: bool = False, removes_before: int = 0) -> None:
        """Rename the file, as logrotate does with `dateext`; perhaps pack it, perhaps remove the oldest."""
        if not self.path.exists():
            return
        self._moved += 1
        moved = self.folder / f"{self.name}.jsonl-{self._moved:04}"
        self.path.rename(moved)
        # An order that no file system's clock is too coarse for.
        os.utime(moved, ns=(self._moved, self._moved))
        if packs:
            packed = Path(f"{moved}.gz")
            packed.write_bytes(gzip.compress(moved.read_bytes()))
            os.utime(packed, ns=(self._moved, self._moved))
            moved.unlink()
        for old in sorted(self.folder.glob(f"{self.name}.jsonl-*"))[:removes_before]:
            old.unlink()
