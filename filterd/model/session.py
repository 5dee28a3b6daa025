"""Who is talking to us, and what they said the mail is: Session, Envelope, Transaction (RFC 5321 §3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Door(StrEnum):
    """The front door a transaction came through."""

    SMTP = "smtp"
    POLICY = "policy"
    MILTER = "milter"
    SCAN = "scan"


class Direction(StrEnum):
    """Outbound: from an account of ours. Inbound: from a stranger. Internal: from and to the same tenant only."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection, as the outside client (XFORWARD or XCLIENT, if its peer is trusted) or the socket peer shows it.

    `login` is what the configured attribution source of the listener says before DATA, None when it says nothing.
    `peer_*` is the socket peer; `client_*` the client it speaks for. Unknown values are None, never "unknown".
    `tls_*` is what we agreed on with the socket peer ("TLSv1.3", "TLS_AES_256_GCM_SHA384"), None in clear text.
    """

    id: str
    door: Door
    listener: str
    peer_address: str
    is_trusted_peer: bool = False
    client_address: str | None = None
    client_port: int | None = None
    client_name: str | None = None
    helo: str | None = None
    protocol: str | None = None
    login: str | None = None
    login_source: str | None = None
    tls_version: str | None = None
    tls_cipher: str | None = None

    @property
    def known_client(self) -> str | None:
        """The address that a mail comes from; None: nobody says. This is the one place that decides it.

        A trusted peer is a server of ours, and its own address is everybody's behind it: whether it names itself, says
        [UNAVAILABLE] or says nothing, the client is unknown. SPF does not judge by it, no list names it, nothing is
        counted on it.
        """
        if self.is_trusted_peer:
            return None if self.client_address == self.peer_address else self.client_address
        return self.client_address or self.peer_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A reverse- or forward-path: the octets between `<` and `>` verbatim, and the one identity made of them.

    `address` keeps the local part's case, has the domain in lower case, and is text for logs, ledger and look-ups.
    Octets that are not UTF-8 appear as `\\xNN`. It is the same string in every room (FAULTS F14, F15).
    """

    raw: bytes
    local_part: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local_part}@{self.domain}" if self.domain else self.local_part


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPath:
    """One accepted or proposed RCPT with its ESMTP parameters verbatim (NOTIFY=, ORCPT=)."""

    path: Path
    parameters: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """RFC 5321 §3.3. `reverse_path` is None for the null sender. Parameters are octets as the client sent them."""

    reverse_path: Path | None
    parameters: tuple[bytes, ...] = ()
    forward_paths: tuple[ForwardPath, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One mail object on its way through the house.

    Args:
        message_fp: keyed fingerprint of the message (HOUSE rule 6), 32 hex digits.
        digest: SHA-256 of the canonical bytes, hex.
        size_bytes: of the canonical bytes.
    """

    id: str
    received_at: datetime
    session: Session
    envelope: Envelope
    message_fp: str
    digest: str
    size_bytes: int
