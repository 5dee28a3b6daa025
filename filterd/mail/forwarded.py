"""Was this mail made or sent on by a rule, with nobody writing it?  RFC 3834 §5, RFC 5322 §3.6.6, RFC 2156 §5.3.

For the restriction `auto_forward` alone: what a mail says of itself may take something away from it, and never exempts
it from anything (STANDING 5.7-12). A rule can be known only by what it leaves in the header:

- `Auto-Submitted` with any keyword but `no`: vacation replies, notifications (RFC 3834, RFC 5230 §4.6, RFC 5436);
- `Autoforwarded` with any value but `false` or `no` (RFC 2156);
- what redirecting programs add: `X-Sieve-Redirected-From` (the `redirect` of Dovecot's Pigeonhole), `X-Forwarded-To`
  and `X-Forwarded-For` (webmail), `X-MS-Exchange-Inbox-Rules-Loop` and `X-MS-Exchange-ForwardingLoop` (Exchange);
- `Delivered-To`: it lay in a mailbox before (Postfix local(8), virtual(8), Dovecot's delivery) and leaves as it came;
- any `Resent-*` field: it was brought in again as it came. A person's "redirect" leaves the same fields as a rule's,
  and counts as one; forwarding in one's own mail, quoted or attached, leaves none on top and is not meant.

Not asked: `List-*`, `Precedence` and a null reverse-path, which a person's own mail can bear as well. A rule that
leaves no trace is not found.
"""

from __future__ import annotations

from filterd.model.message import Message

_MARKS = frozenset(
    {
        "delivered-to",
        "x-forwarded-for",
        "x-forwarded-to",
        "x-ms-exchange-forwardingloop",
        "x-ms-exchange-inbox-rules-loop",
        "x-sieve-redirected-from",
    }
)
_RESENT = "resent-"
# Field to what it says when no rule was at work.
_SAYS_NO = {"auto-submitted": ("no",), "autoforwarded": ("no", "false")}


def is_by_rule(message: Message) -> bool:
    """Say whether the header bears a trace of a forwarding rule or an automatic answer."""
    for field in message.fields:
        key = field.key
        if key in _MARKS or key.startswith(_RESENT):
            return True
        if key in _SAYS_NO and _keyword(field.value) not in _SAYS_NO[key]:
            return True
    return False


def _keyword(value: str) -> str:
    """Say the keyword in front of parameters and comments (RFC 3834 §5: `no`, `auto-replied; owner-email=…`)."""
    return value.partition(";")[0].partition("(")[0].strip().lower()
