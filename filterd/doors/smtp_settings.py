"""What the SMTP door is told: the listener's keys, and bounds that are the same for every listener."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ListenerSettings(Protocol):
    """The keys of `[[listener]]` that this door reads; what they mean stands in the configuration."""

    @property
    def name(self) -> str: ...
    @property
    def bind(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def socket_mode(self) -> str: ...
    @property
    def protocol(self) -> str: ...
    @property
    def hostname(self) -> str: ...
    @property
    def trusted_peers(self) -> tuple[str, ...]: ...
    @property
    def proxy_protocol(self) -> tuple[str, ...]: ...
    @property
    def attribution(self) -> str: ...
    @property
    def login_domain(self) -> str | None: ...
    @property
    def selective_rcpt(self) -> bool: ...
    @property
    def max_message_bytes(self) -> int: ...
    @property
    def max_recipients(self) -> int: ...
    @property
    def max_connections(self) -> int: ...
    @property
    def command_timeout_s(self) -> float: ...
    @property
    def data_timeout_s(self) -> float: ...
    @property
    def session_timeout_s(self) -> float: ...
    @property
    def answer_timeout_s(self) -> float: ...
    @property
    def tls_certificate(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...
    @property
    def tls_required(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What no honest client reaches (FAULTS 23-27).

    Args:
        envelope_s: from an accepted MAIL to DATA; each holds a connection to the next hop.
        data_total_s: the longest DATA; RFC 5321 §4.5.3.2.5 has 3 minutes for a block, ours is for the whole.
        data_grace_s, data_octets_per_s: what has not come with this speed on the average once the grace is over is cut;
            the speed is Postfix's smtpd_min_data_rate.
        junk_commands: NOOP, RSET, HELO and the like between two messages; Postfix has 100.
        bad_commands: syntax and sequence errors between two messages; Postfix hangs up at 20.
        memory_bytes: raw octets of all messages being read or walked through the house; each costs three to four times
            its size at its peak. Beyond it 452 4.3.1.
        handshakes: of TLS at once; each is work for the processor. Beyond it 454 4.7.0.
        part_s: how long a client may take for the last words of a session that is over.
        hops: Received fields before a mail is taken for a loop (RFC 5321 §6.3: at least 100).
    """

    envelope_s: float = 300
    data_total_s: float = 900
    data_grace_s: float = 120
    data_octets_per_s: float = 500
    junk_commands: int = 100
    bad_commands: int = 20
    memory_bytes: int = 268_435_456
    handshakes: int = 50
    part_s: float = 10
    hops: int = 100


DEFAULT_BOUNDS = Bounds()
