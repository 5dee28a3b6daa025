"""What a milter connection knows of the client: macros by their stage, and the Session made of them (MAIL-PATH 4d).

Postfix and Sendmail call some things differently, leave out what they do not know, and send a macro again at each later
stage: what was said last, at the latest stage, counts. `i` is not there before the first RCPT, so nothing leans on it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from filterd.doors.milter_wire import Connect
from filterd.doors.smtp_client import new_session_id
from filterd.mail.names import canonical_login
from filterd.model.session import Door, Session

# What we want to be told where the MTA lets us say so (SETSYMLIST), by the letter of the command.
WANTED: Mapping[str, tuple[str, ...]] = {
    "C": ("j", "daemon_name", "daemon_addr", "v", "_", "client_addr", "client_port", "client_name"),
    "H": ("tls_version", "cipher"),
    "M": ("i", "auth_type", "auth_authen", "auth_author", "mail_addr", "mail_host", "mail_mailer"),
    "R": ("i", "rcpt_addr", "rcpt_host", "rcpt_mailer"),
    "E": ("i",),
}
# From the latest stage to the first.
_STAGES = "ENTRMHC"
_OF_A_MESSAGE = "ENTRM"


@dataclass(slots=True)
class MacroTable:
    """Macros of one connection. A stage's new ones replace its old ones; those of a message go with it."""

    _stages: dict[str, Mapping[str, bytes]] = field(default_factory=dict)

    def put(self, stage: str, values: Mapping[str, bytes]) -> None:
        self._stages[stage] = values

    def get(self, name: str) -> str | None:
        """Say the macro's value as text, None when it is missing or empty."""
        for stage in _STAGES:
            value = self._stages.get(stage, {}).get(name)
            if value:
                return value.decode("utf-8", "backslashreplace")
        return None

    def octets(self, name: str) -> bytes:
        for stage in _STAGES:
            if value := self._stages.get(stage, {}).get(name):
                return value
        return b""

    def end_message(self) -> None:
        for stage in _OF_A_MESSAGE:
            self._stages.pop(stage, None)

    def end_recipient(self) -> None:
        self._stages.pop("R", None)

    def end_session(self) -> None:
        self._stages.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The MTA at the other end of the socket, and the client it speaks for.

    Args:
        is_local: mail that came by sendmail(1) or a local programme, not by SMTP (Postfix non_smtpd_milters): Postfix
            then says that localhost has connected from port 0.
    """

    address: str
    connect: Connect | None = None
    helo: str | None = None

    @property
    def is_local(self) -> bool:
        made = self.connect
        return made is not None and made.port == 0 and made.family in "46" and client_address(made) in _LOOPBACK


_LOOPBACK = frozenset({"127.0.0.1", "::1"})


def client_address(made: Connect) -> str | None:
    """Say the client's address as one writes it, None where the MTA does not know one."""
    if made.family not in "46":
        return None
    text = made.address.decode("ascii", "replace")
    # Sendmail writes the prefix of RFC 5321 address literals, Postfix does not.
    text = text[5:] if text[:5].lower() == "ipv6:" else text
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def session_of(peer: Peer, macros: MacroTable, *, listener: str, login_domain: str | None) -> Session:
    """Make the noun, freshly for each transaction. Raises PeerError for a login that cannot be one."""
    made = peer.connect
    login = macros.octets("auth_authen")
    return Session(
        id=new_session_id(),
        door=Door.MILTER,
        listener=listener,
        peer_address=peer.address,
        is_trusted_peer=True,
        client_address=client_address(made) if made is not None else None,
        client_port=(made.port or None) if made is not None else None,
        client_name=_name(made) if made is not None else None,
        helo=peer.helo,
        login=canonical_login(login, login_domain) if login else None,
        login_source="sasl" if login else None,
    )


def _name(made: Connect) -> str | None:
    """Say the client's name; for one without a name Postfix says `unknown`, Sendmail the address in brackets."""
    text = made.hostname.decode("ascii", "replace")
    return None if not text or text.lower() == "unknown" or text.startswith("[") else text
