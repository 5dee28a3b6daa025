"""Every finding code an agreement may have to name, written down here and not taken from the checks.

A code that a check gives and this list lacks, or the other way round, fails `test_crosswalk`.
"""

from __future__ import annotations

from functools import cache

from filterd.agreement.load import load
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.share import path

LABELS = (
    "spam",
    "advertising",
    "phishing",
    "fraud",
    "sexual",
    "gambling",
    "harassment",
    "hate",
    "violence",
    "terror",
    "insult",
    "drugs",
    "weapons",
)
_OTHERS = """
auth.spf.fail auth.spf.softfail auth.spf.error auth.dkim.fail auth.dkim.partial auth.dkim.replayed auth.dkim.weak
auth.dmarc.fail auth.dmarc.ambiguous auth.arc.fail dns.budget.spent
sender.from.other_tenant sender.from.protected sender.from.foreign sender.envelope.foreign sender.from.other_account
sender.from.lookalike sender.name.protected sender.reply_to.mismatch
attachment.type.blocked attachment.type.disguised attachment.archive.encrypted attachment.archive.unscannable
attachment.macro.present
link.feed.match link.text.mismatch link.host.lookalike link.host.address link.userinfo.present link.redirect.open
pii.resident_id.bulk pii.card.bulk pii.iban.bulk pii.phone.bulk pii.ssn.bulk
rate.burst.running rate.recipients.high rate.messages.high rate.unknown.high rate.strangers.high rate.message.bulk
rate.tenant.burst rate.client.high rate.client.new rate.client.automated rate.clients.many
rate.strangers.unlike rate.drip.slow
complaint.rate.high complaint.stop.ignored
virus.signature.match virus.heuristic.match virus.unscannable.limits virus.unscannable.size
"""
CONTENT = tuple(f"content.{label}.{state}" for label in LABELS for state in ("model", "advisory", "terms"))
CODES = frozenset((*CONTENT, *_OTHERS.split()))


@cache
def shipped() -> Agreement:
    """The agreement that comes with filterd, whatever checks are registered."""
    file = path("policies/agreements/tencent-exmail.toml")
    return load(file.read_bytes(), str(file), ALL_CODES | CODES)
