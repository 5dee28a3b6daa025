"""`[notices]` and `[[webhook]]`: what users, their administrators and other systems are told."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from filterd.config.section import Seconds, Section

_BARE_ADDRESS = r"^[^@\s<>]+@[^@\s<>]+$"
# RFC 5321 §4.5.3.1.1: 64 octets; `+`, the id of a notice (42) and a letter for the reader (2) come behind it.
_REPORT_LOCAL_CHARS = 64 - 45
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NoticesConfig(Section):
    """`[notices]`: statements of reasons by mail."""

    sender: str = Field(
        "Mail policy <policy@filterd.invalid>", description="The From field, in the enforcing party's name."
    )
    appeals_address: str = Field(
        "appeals@filterd.invalid",
        pattern=_BARE_ADDRESS,
        description="Where objections go; always reachable. A bare address, its domain in A-labels.",
    )
    object_url: str | None = Field(None, description="Prefix of the page with the case; the case id is put behind it.")
    why_url: str | None = Field(None, description="Public prefix of the pages /why/; the short code follows.")
    merge_s: float = Field(60, ge=0, description="How long a notice waits for more of the same incident to join it.")
    relay: str | None = Field(
        None,
        description="`host:port` that takes notices by SMTP, with `next_hop.tls` unless it is on this machine; None: "
        "the next hop.",
    )
    copy_to_tenant: bool = True
    notice_from: dict[str, str] = Field(
        {},
        description="From fields of resellers that have one of their own, by the name that their tenants' records have."
        " DKIM must cover them. For the others it is `on behalf of`.",
    )
    desk_address: str | None = Field(
        None, pattern=_BARE_ADDRESS, description="Where the operator's people read what waits for a person."
    )
    reseller_desks: dict[str, str] = Field(
        {}, description="The same of resellers and dealers, by name: a reseller enforces its own agreement, and a"
        " dealer is told what its customer's contacts could not be."
    )
    report_address: str | None = Field(
        None,
        pattern=_BARE_ADDRESS,
        description="Delivery reports come back to it, with `+` and the notice's id behind the local part; its mail"
        " passes through filterd, or is given to `filterd notice bounce`. None: notices have the null reverse-path.",
    )

    @field_validator("report_address")
    @classmethod
    def _has_room(cls, value: str | None) -> str | None:
        if value is not None and len(value.rpartition("@")[0].encode()) > _REPORT_LOCAL_CHARS:
            raise ValueError(f"its local part has more than {_REPORT_LOCAL_CHARS} octets; a notice's id comes behind")
        return value


class WebhookConfig(Section):
    """`[[webhook]]`: another system that is told, signed, what became of each notice. None by default."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,32}$", description="What entries and errors call it.")
    url: str = Field(description="Where to; https, or http to this machine. No redirect is followed.")
    secret_file: Path = Field(
        description="Secrets, one a line, the newest first: `whsec_` and base64 of 24 to 64 octets. Not open to others."
    )
    timeout_s: Seconds = Field(10, description="How long an answer may take.")
    counts_as_notice: bool = Field(
        False, description="It hands on what it is told to the tenant: what it accepts counts as received (TX-6.1)."
    )

    @field_validator("url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or is_local):
            raise ValueError("an https address, or http to this machine")
        if parts.username is not None or parts.fragment or not value.isascii() or not value.isprintable():
            raise ValueError("a plain address, without a password or a fragment")
        return value
