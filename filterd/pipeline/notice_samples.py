"""Made-up facts for every general notice, to look at how it reads.  `filterd notice preview`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.terms import Agreement
from filterd.model.ids import derived_id
from filterd.pipeline.notice_events import Fact
from filterd.pipeline.notice_table import EVENTS

# By the name of the fact; the first that fits the event counts.
_CODES: Mapping[str, Mapping[str, str]] = {
    "because": {
        "message_refused": "link",
        "quarantine_digest": "virus",
        "sanction_lifted": "clemency",
        "termination_withdrawn": "vetoed",
        "security_hold": "compromise",
        "protection_ended": "attested",
        "tenant_termination_withdrawn": "vetoed",
        "tenant_reinstated": "reinstated",
        "tenant_step_ended": "expired",
        "service_ended": "mx",
        "deletion_imminent": "expired",
    },
    "kind": {"recipient_warning": "phishing"},
    "code": {"advice": "dns.spf"},
    "from_rung": {"stepped_down": "suspend"},
    "to_rung": {"stepped_down": "restrict"},
    "outcome": {"appeal_decided": "partially_granted", "complaint_closed": "reviewed"},
    "condition": {"stream_on_notice": "complaints", "stream_undeclared": "opt_outs"},
    "step": {"co_user": "quota", "tenant_step_ended": "quota"},
    "rung": dict.fromkeys(EVENTS, "suspend"),
    "what": {"desk_task": "review", "service_change": "price"},
    "document": {"service_change": "news-2026-04"},
    "right": {"rights_incomplete": "ip"},
    "agreement": {"terms_change": "tencent-exmail"},
    "version": {"terms_change": "2027-01"},
}
_LISTS: Mapping[str, tuple[str, ...]] = {
    "missing": ("measures",),
    "reasons": ("domain", "dkim_key"),
    "features": ("bulk", "messages_per_hour:20"),
    "watch_features": ("recipients_per_day:50",),
    "except_ids": (),
}
_NUMBERS = {
    "score_milli": 3600,
    "next_milli": 5000,
    "half_points": 8,
    "quota": 200,
    "attestations": 2,
    "delivered": 41_000,
}
_NUMBER = 3
# Who a mail in a digest says has written it, and whether that is verified: no fact of the notice, for it is sealed.
SAMPLE_AUTHOR = ("Bob <bob@customer.example>", False)
# Later facts come later, in the order of the register.
_STEP = timedelta(hours=30)


def sample_facts(event: str, now: datetime, terms: Agreement) -> dict[str, Fact]:
    """Make facts for an event. The clauses are of these terms, so that a preview cites what there is."""
    facts: dict[str, Fact] = {}
    for number, (name, kind) in enumerate(EVENTS[event].facts.items()):
        facts[name] = _sample(event, name, kind.rstrip("?"), now + number * _STEP, terms)
    return facts


def _sample(event: str, name: str, kind: str, at: datetime, terms: Agreement) -> Any:
    match kind:
        case "instant":
            return at
        case "date":
            return (at + timedelta(days=7)).date()
        case "flag":
            return False
        case "number":
            return _NUMBERS.get(name, _NUMBER)
        case "id":
            return derived_id(name[:1], event, name)
        case "clauses":
            return terms.sanction_ground
        case "code":
            return _CODES[name][event]
    return _LISTS[name]
