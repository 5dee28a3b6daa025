"""What the connections of one SMTP listener share."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

from aiosmtpd.smtp import SMTP

from filterd.doors.serving import OnError, Open
from filterd.doors.smtp_client import Peers
from filterd.doors.smtp_data import MemoryBudget
from filterd.doors.smtp_settings import Bounds, ListenerSettings
from filterd.doors.xforward import XCLIENT_NAMES, XFORWARD_NAMES
from filterd.ports import Gate, Relay


class SmtpDoor:
    """One listener.

    Args:
        via: how a 250 names the next hop.
    """

    def __init__(
        self, listener: ListenerSettings, gate: Gate, relay: Relay, *, on_error: OnError, bounds: Bounds, via: str
    ) -> None:
        self.listener = listener
        self.gate = gate
        self.relay = relay
        self.bounds = bounds
        self.via = via
        self.report = on_error
        self.opened = Open()
        self.budget = MemoryBudget(bounds.memory_bytes)
        self.client_of = Peers(tuple(ipaddress.ip_network(item) for item in listener.trusted_peers)).client
        self.takes_xclient = listener.attribution == "xclient"
        self.aiosmtpd_state = _aiosmtpd_state(listener.hostname)
        self.greeting = f"220 {listener.hostname} ESMTP filterd\r\n".encode("ascii")
        self._ehlo = {is_trusted: self._ehlo_lines(is_trusted) for is_trusted in (False, True)}

    def ehlo(self, *, is_trusted: bool) -> bytes:
        """Say the whole reply to EHLO. CHUNKING and BINARYMIME are not offered: there is no BDAT here."""
        return self._ehlo[is_trusted]

    def _ehlo_lines(self, is_trusted: bool) -> bytes:
        rows = [
            self.listener.hostname,
            "PIPELINING",
            f"SIZE {self.listener.max_message_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ]
        if is_trusted:
            rows.append(f"XFORWARD {' '.join(XFORWARD_NAMES)}")
        if is_trusted and self.takes_xclient:
            rows.append(f"XCLIENT {' '.join(XCLIENT_NAMES)}")
        lines = [f"250-{row}" for row in rows[:-1]] + [f"250 {rows[-1]}"]
        return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _aiosmtpd_state(hostname: str) -> dict[str, Any]:
    """Run aiosmtpd's initialiser once and keep what it found; smtp_connection says why."""
    made = SMTP(object(), hostname=hostname, enable_SMTPUTF8=True, loop=asyncio.get_running_loop())
    return dict(vars(made))
