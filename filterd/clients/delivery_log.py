"""Who got a mail, from the mail server's own log by a program of the operator's.  STANDING 5.7-14.

The program gets queue ids on standard input, one a line, and writes a line `QUEUEID ADDRESS` for each delivery it finds
(ops/postfix/delivered-to). Whoever asks believes only addresses that the event stream has the keyed hash of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from filterd.clients.programs import run

# As log/facts finds them in replies.
_QUEUE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# RFC 5321 §4.5.3.1.3: a path has at most 256 octets.
_MAX_ADDRESS = 256


class CommandDeliveryLog:
    """Fulfils ports.DeliveryLog."""

    def __init__(self, command: Sequence[str], *, timeout_s: float):
        self._command, self._timeout_s = tuple(command), timeout_s

    async def recipients(self, queue_ids: Collection[str]) -> Mapping[str, frozenset[str]]:
        wanted = {queue_id for queue_id in queue_ids if _QUEUE_ID.fullmatch(queue_id)}
        if not wanted:
            return {}
        given = "".join(f"{queue_id}\n" for queue_id in sorted(wanted)).encode("ascii")
        said = await run(self._command, given, timeout_s=self._timeout_s)
        found: dict[str, set[str]] = {}
        for line in said.decode("utf-8", "replace").splitlines():
            queue_id, _, address = line.strip().partition(" ")
            if queue_id in wanted and 0 < len(address) <= _MAX_ADDRESS and "@" in address and address.isprintable():
                found.setdefault(queue_id, set()).add(address)
        return {queue_id: frozenset(addresses) for queue_id, addresses in found.items()}
