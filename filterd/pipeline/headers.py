"""Which fields do we put on top of a mail, and which do we take out?  MAIL-PATH §4f, HOUSE rules 2 and 10.

Our trace field names the transaction and the fingerprint, so that a copy delivered twice after a crash can be told from
two mails. Only fields that claim to be ours are taken out; the body is never touched.
"""

from __future__ import annotations

from filterd.mail.edit import prepend_fields, remove_fields
from filterd.model.decision import Disposition
from filterd.model.session import Direction

TRACE = "X-Filterd-Id"
# Names Sieve scripts act on. Inbound copies would let a stranger switch off or forge our mark.
MARKS = ("X-Spam-Flag", "X-Spam-Status", "X-Spam-Score", "X-Spam-Level", "X-Spam")


def edited(
    raw: bytes,
    *,
    transaction_id: str,
    message_fp: str,
    direction: Direction,
    disposition: Disposition,
    spam_score: float | None,
    remove: tuple[str, ...] = (),
    is_complete: bool = True,
) -> bytes:
    """Make the octets for the next hop: canonical mail with our fields on top.

    Args:
        remove: further names to take out, such as the attribution field of the listener.
        is_complete: False marks a mail that passed although a check could not do its work.
    """
    names: tuple[str, ...] = (TRACE, *remove)
    fields: list[tuple[str, str]] = [
        (TRACE, f"{transaction_id} fp={message_fp}" + ("" if is_complete else " unchecked"))
    ]
    if direction is Direction.INBOUND:
        names += MARKS
        if disposition is Disposition.TAG:
            fields.append(("X-Spam-Flag", "YES"))
            if spam_score is not None:
                fields.append(("X-Spam-Score", f"{spam_score:.3f}"))
    return prepend_fields(remove_fields(raw, names), fields)
