"""What the checks are told; a table a check, or one a family."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyAddress

from filterd.config.section import Seconds, Section


class ClamdConfig(Section):
    """`[clamd]`: the virus check."""

    enabled: bool = True
    address: str = Field("auto", description="`unix:/path`, `tcp:host:port`, or `auto`: Debian's socket.")
    fail_mode: Literal["defer", "quarantine", "accept"] = "defer"
    timeout_s: Seconds = 25
    max_bytes: int = Field(
        26_214_400, ge=1024, description="Larger mail is unscannable; keep at clamd's StreamMaxLength."
    )
    max_connections: int = Field(8, ge=1)


class SpamConfig(Section):
    """`[spam]`: the trained text model."""

    enabled: bool = True
    model: str = Field("default", description="A name under models/, or a path.")
    fail_mode: Literal["defer", "quarantine", "accept"] = "accept"
    timeout_s: Seconds = 10


class ContentConfig(Section):
    """`[content]`: one check for each label of prohibited content, by the model of `[spam]`."""

    enabled: bool = True
    fail_mode: Literal["defer", "quarantine", "accept"] = "accept"
    timeout_s: Seconds = 10


class DnsConfig(Section):
    """`[dns]`: the one resolver of a process."""

    nameservers: tuple[str, ...] = Field(
        (), description="`host`, `host:port` or `[host]:port`, numeric; none: those of /etc/resolv.conf."
    )
    deadline_s: Seconds = Field(5, description="All DNS questions of a message together.")
    budget: int = Field(40, ge=1, le=1000, description="DNS questions a message may ask; then it is temperror.")
    patience_s: Seconds = Field(1.5, description="How long one try at one server waits.")


class AuthenticationConfig(Section):
    """`[authentication]`: SPF, DKIM, DMARC and ARC of mail that comes in; never a strike (TX-3.1.4)."""

    enabled: bool = True
    check_helo: bool = Field(True, description="SPF of the HELO name beside that of the sender.")
    spf_local_part: bool = Field(
        True,
        description="Whether an SPF record may put the sender's local part into a DNS question, as RFC 7208 §7 has it; "
        "false: a record that wants to is neutral.",
    )
    rfc7489: bool = Field(False, description="DMARC by the Public Suffix List (RFC 7489), not by RFC 9989's tree walk.")
    replay_recipients: int = Field(
        100, ge=2, le=1000, description="From so many recipients a day on, one DKIM signature is replayed, if it came"
    )
    replay_networks: int = Field(
        5, ge=2, le=100, description="from so many networks that its signer's SPF does not vouch for."
    )


class OwnDomainsConfig(Section):
    """`[own_domains]`: once a day, the DNS records of tenants' declared domains are looked at; advice, never a strike
    (TX-3.1.4)."""

    look: bool = Field(True, description="Whether; it asks DNS for SPF, DKIM and DMARC of these domains.")
    sending_addresses: tuple[IPvAnyAddress, ...] = Field(
        (), description="From which your tenants' mail reaches the world: their SPF is to allow these; none: not asked."
    )
    dkim_selectors: tuple[Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$")], ...] = Field(
        (), description="Under which their mail is signed: each is to have a key; none: not looked at."
    )


class AttachmentsConfig(Section):
    """`[attachments]`: real types of attached files."""

    enabled: bool = True
    block_extensions: tuple[str, ...] = Field((), description="Blocked besides the built-in table, without the dot.")
    allow_extensions: tuple[str, ...] = Field((), description="Taken out of the built-in table.")
    max_unpacked_bytes: int = Field(16_777_216, ge=65_536, description="Read out of archives, a mail.")
    max_entries: int = Field(2_000, ge=1, description="Entries of archives looked at, a mail.")
    max_depth: int = Field(4, ge=1, le=20, description="Archives in archives.")
    timeout_s: Seconds = 5


class LinksConfig(Section):
    """`[links]`: addresses of pages."""

    enabled: bool = True
    feed: Path | None = Field(
        None, description="File of known bad hosts, URLs or `sha256:` digests, one a line; read again when it changes."
    )
    protected_domains: tuple[str, ...] = Field(
        (),
        description="Domains whose look-alikes are to be found, besides the tenant's own; `name.*`: the name under any "
        "public suffix but those listed.",
    )
    timeout_s: Seconds = 5


class PiiConfig(Section):
    """`[pii]`: from how many different ones on personal data counts as bulk."""

    enabled: bool = True
    resident_ids: int = Field(10, ge=2)
    cards: int = Field(10, ge=2)
    ibans: int = Field(10, ge=2)
    phones: int = Field(50, ge=2)
    ssns: int = Field(10, ge=2)
    timeout_s: Seconds = 5


class TermsConfig(Section):
    """`[terms]`: your own term lists (ops/docs/TERM-LISTS.md); filterd ships none."""

    folder: Path | None = Field(
        None, description="Folder of lists, one TOML file each; none: no lists. Each acts once two people approve it."
    )
    locked_folder: Path | None = Field(
        None,
        description="Folder of your lists of locked categories, apart from the others; none: there are none. They run"
        " once two people let such lists run and two approve each.",
    )
    timeout_s: Seconds = 5


class ProtectedNameConfig(Section):
    """`[[sender.protected_name]]`: a display name only some domains may use."""

    name: str = Field(min_length=2)
    domains: tuple[str, ...] = Field((), description="Who may use it; `own`: a tenant's own domains too.")


class SenderConfig(Section):
    """`[sender]`: whose name a mail bears."""

    protected_domains: tuple[str, ...] = Field(
        (),
        description="Domains whose look-alikes are to be found, in From and in display names; `name.*`: the name under "
        "any public suffix but those listed.",
    )
    reserved_domains: tuple[str, ...] = Field(
        (),
        description="Domains that only the tenant that has them writes from, or from below them, of all customers.",
    )
    protected_name: tuple[ProtectedNameConfig, ...] = ()
    delegated: dict[str, tuple[str, ...]] = Field(
        {}, description="Further domains a tenant may send from, by one of its own domains; `*`: every tenant."
    )
    timeout_s: Seconds = 5


class RateConfig(Section):
    """`[rate]`: behaviour of accounts over time (STANDING 5.11, running burst)."""

    enabled: bool = True
    burst_recipients_10min: int = Field(100, ge=2)
    burst_times_baseline: float = Field(10, gt=1)
    volume_recipients_hour: int = Field(60, ge=2, description="Floor of `rate.recipients.high`.")
    volume_messages_hour: int = Field(60, ge=2, description="Floor of `rate.messages.high`.")
    volume_times_baseline: float = Field(5, gt=1)
    unknown_recipients_hour: int = Field(20, ge=2)
    tenant_recipients_10min: int = Field(300, ge=2, description="Floor of `rate.tenant.burst`: all accounts together.")
    client_recipients_hour: int = Field(
        500, ge=2, description="Floor of `rate.client.high`: from one address (IPv6: one /64)."
    )
    clients_hour: int = Field(5, ge=2, description="So many networks within an hour: `rate.clients.many`.")
    unlike_strangers_hour: int = Field(20, ge=2, description="Floor of `rate.strangers.unlike`.")
    drip_strangers_month: int = Field(
        300, ge=10, description="`rate.drip.slow`: so many strangers got the same text in 30 days."
    )
    bulk_recipients_message: int = Field(50, ge=2, description="One message to so many outside recipients is bulk.")
    timeout_s: Seconds = 5
