"""What may the event stream say of a mail?  HOUSE rules 11 and 15, STANDING 5.8.

Ids, codes, numbers, digests. Addresses of people appear as keyed hashes (the RFC 6590 idea), the sender's domain in
clear; of the mail itself nothing but size and fingerprints. Hits of locked categories (C1) are left out without trace,
for even "something is missing here" would tell of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import orjson

from filterd.errors import FilterdError
from filterd.model.decision import Case, Counts, Decision
from filterd.model.entry import Entry
from filterd.model.exception import Applied
from filterd.model.held import FOR_PERSON
from filterd.model.ids import keyed_hash
from filterd.model.principal import Principal
from filterd.model.reply import Reply
from filterd.model.sanction import Mode, Violation
from filterd.model.session import Envelope, Path, Session, Transaction
from filterd.model.verdict import Assessment, AuthResult, Finding, Outcome, Verdict

# The default limit of recipients a transaction; `count` is always of all.
HASHES_MAX = 1000

HELD_KINDS = ("mail.held", "mail.moved")

# How next hops name their queue file: Postfix and OpenSMTPD; Exim; Sendmail and qmail.
_QUEUE_ID = (
    re.compile(r"queued as ([A-Za-z0-9._-]{1,64})"),
    re.compile(r"\bid=([A-Za-z0-9._-]{1,64})"),
    re.compile(r"(?:^|\s)([A-Za-z0-9]{6,64}) Message accepted for delivery"),
    re.compile(r"\bqp ([0-9]{1,20})"),
)

# What may be a mailbox, if there is an `@` within.
_WORD = re.compile(r"[^\s<>\"',;:]{3,}")


def decided_facts(
    key: bytes, transaction: Transaction, case: Case, decision: Decision, message_id: str | None
) -> dict[str, Any]:
    """Say everything a decision rests on, and the decision."""
    return {
        "received_at": transaction.received_at,
        "decided_at": case.at,
        "door": transaction.session.door,
        "listener": transaction.session.listener,
        "direction": case.direction,
        "client": client_facts(transaction.session),
        "sender": sender_facts(key, transaction.envelope.reverse_path),
        "recipients": recipient_facts(key, transaction.envelope, case.facts.external_recipients),
        "principal": principal_facts(case.principal),
        "message": {
            "size_bytes": transaction.size_bytes,
            "fp": transaction.message_fp,
            "digest": transaction.digest,
            "text_fp": case.text_fp,
            "message_id": message_id_hash(key, message_id),
            "has_attachments": case.facts.has_attachments,
            "has_links": case.facts.has_links,
            "stream_keys": case.facts.stream_keys,
        },
        "counts": {name: getattr(case.facts.counts, name) for name in Counts.__slots__},
        "checks": check_facts(case.assessment, locked_codes(decision)),
        "is_complete": case.assessment.is_complete,
        "fail_modes": dict(case.assessment.fail_modes),
        "evidence": {"key": case.evidence_key, "digest": case.evidence_digest},
        "asked_policy_digest": case.policy_digest,
        "decision": decision_facts(decision),
    }


def message_id_hash(key: bytes, message_id: str | None) -> str | None:
    """Say the keyed hash of a Message-ID, None when there is none."""
    return None if message_id is None else keyed_hash(key, "message-id", _octets(message_id))


def message_id_hashes(key: bytes, text: str) -> frozenset[str]:
    """Say under which hashes a Message-ID may stand: people copy it with and without its brackets."""
    bare = text.strip().removeprefix("<").removesuffix(">")
    return frozenset(keyed_hash(key, "message-id", _octets(written)) for written in (bare, f"<{bare}>", text))


def pseudonym(key: bytes, address: str) -> str:
    """Say the keyed hash of an address, 32 hex digits: the same in every event, to be recomputed with the key only."""
    return keyed_hash(key, _octets(address.lower()))


def _octets(text: str) -> bytes:
    """Surrogates that stand for octets become those again; others must not fail a record either."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def queue_id(text: str) -> str | None:
    """Find the next hop's queue id in its reply, or None. The rest of the text may name addresses and stays out."""
    return next((found[1] for pattern in _QUEUE_ID if (found := pattern.search(text))), None)


def reply_facts(reply: Reply | None) -> dict[str, Any] | None:
    return None if reply is None else {"code": reply.code, "enhanced": reply.enhanced}


def client_facts(session: Session) -> dict[str, Any]:
    return {
        "address": session.client_address or session.peer_address,
        "name": session.client_name,
        "helo": session.helo,
        "protocol": session.protocol,
        "tls": session.tls_version,
    }


def sender_facts(key: bytes, path: Path | None) -> dict[str, Any] | None:
    """None for the null sender."""
    return None if path is None else {"domain": path.domain, "hash": pseudonym(key, path.address)}


def recipient_facts(key: bytes, envelope: Envelope, external: int) -> dict[str, Any]:
    hashes = [pseudonym(key, forward.path.address) for forward in envelope.forward_paths[:HASHES_MAX]]
    return {"count": len(envelope.forward_paths), "external": external, "hashes": hashes}


def principal_facts(who: Principal) -> dict[str, Any]:
    return {
        "account_id": who.account_id,
        "tenant_id": who.tenant_id,
        "basis": who.basis,
        "strength": who.strength,
        "agreement": who.agreement,
    }


def locked_codes(decision: Decision) -> frozenset[str]:
    """Say which finding codes lie under a locked category."""
    return frozenset(code for v in decision.violations if v.mode is Mode.C1 for code in v.finding_codes)


def check_facts(assessment: Assessment, locked: frozenset[str]) -> list[dict[str, Any]]:
    return [_verdict(verdict, locked) for verdict in assessment.verdicts]


def _verdict(verdict: Verdict, locked: frozenset[str]) -> dict[str, Any]:
    findings = verdict.findings
    if findings and locked:
        findings = tuple(finding for finding in findings if finding.code not in locked)
    outcome = Outcome.CLEAN if verdict.findings and not findings else verdict.outcome
    return {
        "check": verdict.check,
        "version": verdict.version,
        "outcome": outcome,
        "reason": verdict.reason,
        "elapsed_ms": verdict.elapsed_ms,
        "scores": dict(verdict.scores),
        "results": [_result(result) for result in verdict.results] if verdict.results else [],
        "findings": [_finding(finding) for finding in findings] if findings else [],
    }


def _result(result: AuthResult) -> dict[str, Any]:
    said = {name: _domain_only(value) for name, value in result.properties}
    return {"method": result.method, "result": result.result, "properties": said}


def _domain_only(value: str) -> str:
    """Say a property without the local part of a mailbox, which `header.i` of a signature may name."""
    _, at, domain = value.rpartition("@")
    return at + domain


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "confidence": finding.confidence,
        "where": finding.where,
        "signal": finding.signal,
        "why": dict(finding.why),
    }


def decision_facts(decision: Decision) -> dict[str, Any]:
    return {
        "id": decision.decision_id,
        "disposition": decision.disposition,
        "reasons": [{"code": r.code, "disposition": r.disposition, "ids": r.ids} for r in decision.reasons],
        "violations": [_violation(v) for v in decision.violations if v.mode is not Mode.C1],
        "advisory": decision.advisory,
        "incident_id": decision.incident_id,
        "clauses": decision.clauses,
        "ends_at": decision.ends_at,
        "policy_digest": decision.policy_digest,
        "policy_digest_act": decision.policy_digest_act,
        "policy_digest_decision": decision.policy_digest_decision,
        "rung_before": decision.rung_before.word,
        "rung_after": decision.rung_after.word,
        "is_retry": decision.is_retry,
        "exceptions": [exception_facts(entry) for entry in decision.exceptions],
    }


def exception_facts(entry: Applied) -> dict[str, Any]:
    """Say an entry of the operator's lists: about what, where it stands, and whether it was followed."""
    return {
        "topic": entry.topic,
        "id": entry.entry_id,
        "choice": entry.choice,
        "file": entry.file,
        "line": entry.line,
        "is_followed": entry.is_followed,
    }


def _violation(violation: Violation) -> dict[str, Any]:
    return {
        "category": violation.category,
        "family": violation.family,
        "mode": violation.mode,
        "severity": violation.severity,
        "ground": {"kind": violation.ground.kind, "ids": violation.ground.ids},
        "finding_codes": violation.finding_codes,
        "is_burst": violation.is_burst,
    }


def is_for_person(kind: str, body: Mapping[str, Any]) -> bool:
    """Say whether a row is about mail that a locked list holds for a person: it names the mail and its account."""
    return kind in HELD_KINDS and body.get("reason") == FOR_PERSON


def entry_facts(entry: Entry) -> dict[str, Any]:
    """Say a ledger row: the body without violations of locked categories, of the sealed part only that there is one.

    Of a mail that a locked list holds only that there is a row, with an empty body.
    """
    body = orjson.loads(entry.body)
    if is_for_person(entry.kind, body):
        body = {}
    if "violations" in body:
        body["violations"] = [v for v in body["violations"] if v.get("mode") != Mode.C1.value]
    return {
        "ledger": {
            "writer": entry.writer,
            "seq": entry.seq,
            "written_at": entry.written_at,
            "schema": entry.schema,
            "row_hash": entry.row_hash.hex(),
        },
        "kind": entry.kind,
        "account_id": entry.account_id,
        "tenant_id": entry.tenant_id,
        "is_sealed": entry.sealed is not None,
        # With it the row's hash can be proven without the sealed octets (ledger.traces).
        "sealed_digest": None if entry.sealed is None else hashlib.sha256(entry.sealed).hexdigest(),
        "body": body,
    }


def error_facts(error: BaseException) -> dict[str, Any]:
    """Say what was raised and where (`ValueError`, `features.py:81`); `text` is None unless the error is filterd's."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return {
        "kind": type(error).__name__,
        "place": None if frame is None else f"{PurePath(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}",
        "text": without_addresses(str(error)) if isinstance(error, FilterdError) else None,
    }


def without_addresses(text: str) -> str:
    """Take mailboxes out of text that may quote what a peer said. Linear in its length."""
    return _WORD.sub(lambda word: "…@…" if "@" in word[0][1:-1] else word[0], text) if "@" in text else text
