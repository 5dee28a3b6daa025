"""What the connections of one SMTP listener share."""

from __future__ import annotations

import asyncio
from typing import Any

from aiosmtpd.smtp import SMTP

from filterd.doors.serving import OnError, Open
from filterd.doors.smtp_client import Peers
from filterd.doors.smtp_data import MemoryBudget
from filterd.doors.smtp_settings import Bounds, ListenerSettings
from filterd.doors.smtp_tls import Certificate
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
        self.handshakes = 0
        self.certificate = (
            Certificate(listener.tls_certificate, listener.tls_key, on_error=lambda err: on_error(listener.name, err))
            if listener.tls_certificate is not None
            else None
        )
        self.budget = MemoryBudget(bounds.memory_bytes)
        self.peers = Peers(listener.trusted_peers)
        self.client_of = self.peers.client
        self.takes_xclient = listener.attribution == "xclient"
        self.aiosmtpd_state = _aiosmtpd_state(listener.hostname)
        protocol = "LMTP" if listener.protocol == "lmtp" else "ESMTP"
        self.greeting = f"220 {listener.hostname} {protocol} filterd\r\n".encode("ascii")
        both = (False, True)
        self._ehlo = {(trusted, tls): self._ehlo_lines(trusted, tls) for trusted in both for tls in both}

    def ehlo(self, *, is_trusted: bool, is_tls: bool) -> bytes:
        """Say the whole reply to EHLO. CHUNKING and BINARYMIME are not offered: there is no BDAT here."""
        return self._ehlo[is_trusted, is_tls]

    def _ehlo_lines(self, is_trusted: bool, is_tls: bool) -> bytes:
        rows = [
            self.listener.hostname,
            "PIPELINING",
            f"SIZE {self.listener.max_message_bytes}",
            "8BITMIME",
            "SMTPUTF8",
            "DSN",
            "ENHANCEDSTATUSCODES",
        ]
        # RFC 3207 §4.2: not offered a second time.
        if self.certificate is not None and not is_tls:
            rows.append("STARTTLS")
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
