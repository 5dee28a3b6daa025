"""What the SMTP door is told: the listener's keys, and bounds that are the same for every listener."""

from __future__ import annotations

from dataclasses import dataclass
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
    def hostname(self) -> str: ...
    @property
    def trusted_peers(self) -> tuple[str, ...]: ...
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What no honest client reaches (FAULTS 23-27).

    Args:
        session_s: a session in which no message begins or ends for so long is closed (NOOP for an hour).
        data_total_s: the longest DATA; RFC 5321 §4.5.3.2.5 has 3 minutes for a block, ours is for the whole.
        junk_commands: NOOP, RSET, HELO and the like between two messages; Postfix has 100.
        bad_commands: syntax and sequence errors between two messages; Postfix hangs up at 20.
        memory_bytes: raw octets of all messages being read or walked through the house; each costs three to four times
            its size at its peak. Beyond it 452 4.3.1.
        hops: Received fields before a mail is taken for a loop (RFC 5321 §6.3: at least 100).
    """

    session_s: float = 900
    data_total_s: float = 900
    junk_commands: int = 100
    bad_commands: int = 20
    memory_bytes: int = 268_435_456
    hops: int = 100


DEFAULT_BOUNDS = Bounds()
