"""`[signing]`: DKIM signatures on your tenants' mail, and ARC seals on what comes in."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from filterd.config.section import Section

_LABELS = r"^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$"
DomainName = Annotated[str, Field(pattern=_LABELS, max_length=253)]


class SigningKeyConfig(Section):
    """`[[signing.key]]`: one private key; of several for a domain and kind, the one with the latest `since` signs."""

    domain: DomainName = Field(description="d=, lower-case A-labels; signs for From addresses in it and below it.")
    selector: DomainName = Field(description="s=: the public half stands at SELECTOR._domainkey.DOMAIN.")
    file: Path = Field(description="Private key, PEM: RSA of at least 1024 bits, or Ed25519; not readable by others.")
    since: date | None = Field(None, description="First day (UTC) on which it signs; None: it always has.")


class SealConfig(Section):
    """`[signing.seal]`: the key that seals mail from strangers, for whoever it is forwarded to."""

    domain: DomainName = Field(description="d= of the seals, lower-case A-labels.")
    selector: DomainName = Field(description="s= of the seals.")
    file: Path = Field(description="Private key, as for `[[signing.key]]`.")


class SigningConfig(Section):
    """`[signing]`: off without keys. A mail is signed for its author's domain when that is its tenant's own."""

    key: tuple[SigningKeyConfig, ...] = ()
    seal: SealConfig | None = Field(None, description="ARC (RFC 8617): None: nothing is sealed.")
