"""Can the MTA at the other end keep a mail on hold, so that it can be let go again?  MAIL-PATH 4d."""

from __future__ import annotations

import re

from filterd.doors.milter_wire import Action

# What is given to postsuper one day: no other word of its (clients/mta_queue).
_QUEUE_ID = re.compile(r"[0-9A-Za-z]{6,20}")
# Sendmail says its bare number as `v`, Postfix its name before it (milter_macro_v). The queue of a Sendmail is another.
_NUMBER = re.compile(r"[0-9]")


def why_not_held(agreed: Action, version: str | None, queue_id: str | None) -> str | None:
    """Say why it cannot, None where it can.

    Args:
        agreed: what the MTA lets us do.
        version: its macro `v`.
        queue_id: its macro `i` at the end of the message.
    """
    if Action.QUARANTINE not in agreed:
        return "the mail server does not let a milter hold mail (SMFIF_QUARANTINE)"
    if version is not None and _NUMBER.match(version):
        return "only what Postfix holds can be released from here, and the mail server is another"
    if queue_id is None or not _QUEUE_ID.fullmatch(queue_id):
        return "the mail server says no queue id at the end of the message (macro i)"
    return None
