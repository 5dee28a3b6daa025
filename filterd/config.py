"""TOML to a frozen Config. Every key has a default and its meaning beside it; errors name file, line and key.

Read by `cli` and `app` only. An unknown key is an error: a typo must not switch a protection off.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from filterd.model.toml_source import TomlSource, validate


class Section(BaseModel):
    """A table of the file: frozen, and closed against unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Seconds = Annotated[float, Field(gt=0, le=86400)]
Port = Annotated[int, Field(ge=0, le=65535)]


class NodeConfig(Section):
    """`[node]`: this machine."""

    name: str = Field("node1", pattern=r"^[a-z0-9-]{1,32}$", description="Part of every writer's name in the streams.")
    state_dir: Path = Field(
        Path("filterd-state"), description="Ledger, keys, vault, spool, events and socket live here."
    )
    clock: Literal["system", "settable"] = Field(
        "system", description="`settable` is for demonstrations and only loads with next_hop.address = 'sink'."
    )


class ListenerConfig(Section):
    """`[[listener]]`: one SMTP port with exactly one attribution source (HOUSE rule 7)."""

    name: str = Field("smtp", pattern=r"^[a-z0-9-]{1,32}$")
    bind: str = Field("127.0.0.1", description="Address to listen on; loopback unless you mean it.")
    port: Port = 10025
    hostname: str = Field("filterd.invalid", description="What the greeting and our header fields call this host.")
    direction: Literal["auto", "outbound", "inbound"] = Field(
        "auto", description="`auto`: outbound when an account answers for the mail, else inbound."
    )
    trusted_peers: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"), description="Who may send XFORWARD and XCLIENT and is believed about logins."
    )
    attribution: Literal["none", "xclient", "received", "header"] = "none"
    received_by: str | None = Field(None, description="For `received`: the `by` host the trusted peer writes.")
    header_name: str | None = Field(None, description="For `header`: the field with the login; removed on exit.")
    login_domain: str | None = Field(None, description="Domain added to logins that have none.")
    after_queue: bool = Field(
        False,
        description="Behind the queue (content_filter). A refusal there would be a bounce, so what has a durable "
        "record is discarded with that record and the rest waits with 451.",
    )
    selective_rcpt: bool = Field(True, description="False behind speed_adjust: all recipients stand or fall together.")
    max_message_bytes: int = Field(52_428_800, ge=65_536, description="Announced as SIZE; larger mail gets 552 5.3.4.")
    max_recipients: int = Field(1000, ge=100, description="More RCPT in one transaction get 452 4.5.3.")
    max_connections: int = Field(500, ge=1, description="More get 421 4.3.2.")
    command_timeout_s: Seconds = 300
    data_timeout_s: Seconds = Field(180, description="Longest pause inside DATA.")

    @field_validator("trusted_peers")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            ipaddress.ip_network(item)
        return value

    @model_validator(mode="after")
    def _source_is_whole(self) -> ListenerConfig:
        if self.attribution == "received" and not self.received_by:
            raise ValueError("attribution = 'received' needs received_by, the host name the trusted peer writes")
        if self.attribution == "header" and not self.header_name:
            raise ValueError("attribution = 'header' needs header_name")
        return self


class PolicyConfig(Section):
    """`[policy_service]`: the door for Postfix check_policy_service; knows the login before DATA."""

    bind: str = "127.0.0.1"
    port: Port = 10027
    enabled: bool = True
    login_domain: str | None = Field(None, description="Domain added to logins that have none.")


class NextHopConfig(Section):
    """`[next_hop]`: where accepted mail goes."""

    address: str = Field("sink", description="`host:port`, `unix:/path`, or `sink` (a built-in loopback sink).")
    helo: str = "filterd.invalid"
    max_connections: int = Field(20, ge=1)
    connect_timeout_s: Seconds = 10
    command_timeout_s: Seconds = 60
    data_timeout_s: Seconds = Field(85, description="Below the 100 s Postfix waits for a before-queue filter.")
    idle_s: Seconds = Field(30, description="A kept connection older than this is closed.")


class ClamdConfig(Section):
    """`[clamd]`: the virus check."""

    enabled: bool = True
    address: str = Field("auto", description="`unix:/path`, `tcp:host:port`, or `auto`: Debian's socket.")
    fail_mode: Literal["defer", "accept"] = "defer"
    timeout_s: Seconds = 25
    max_bytes: int = Field(
        26_214_400, ge=1024, description="Larger mail is unscannable; keep at clamd's StreamMaxLength."
    )
    max_connections: int = Field(8, ge=1)


class SpamConfig(Section):
    """`[spam]`: the trained text model."""

    enabled: bool = True
    model: str = Field("default", description="A name under models/, or a path.")
    fail_mode: Literal["defer", "accept"] = "accept"
    timeout_s: Seconds = 10


class RateConfig(Section):
    """`[rate]`: behaviour of accounts over time (STANDING 5.11, running burst)."""

    enabled: bool = True
    burst_recipients_10min: int = Field(100, ge=2)
    burst_times_baseline: float = Field(10, gt=1)
    volume_recipients_hour: int = Field(60, ge=2, description="Floor of `rate.recipients.high`.")
    volume_messages_hour: int = Field(60, ge=2, description="Floor of `rate.messages.high`.")
    volume_times_baseline: float = Field(5, gt=1)
    unknown_recipients_hour: int = Field(20, ge=2)
    timeout_s: Seconds = 5


class AgreementConfig(Section):
    """`[agreement]`: which terms bind an account that nobody imported, and how much is automatic."""

    directory: Path | None = Field(None, description="Folder of agreement files; None: those that come with filterd.")
    default: str = Field("tencent-exmail", description="`default_agreement` of accounts created by first mail.")
    preset: Literal["attended", "supervised", "standing_order"] = "supervised"


class AccountsConfig(Section):
    """`[accounts]`: automatic creation on first authenticated mail."""

    auto_create: bool = True
    max_auto_created_per_day: int = Field(
        500, ge=0, description="Beyond this, mail passes unattributed and it is logged."
    )


class InboundConfig(Section):
    """`[inbound]`: protection of your own users from strangers' mail; never points (CLAUSES 0.13)."""

    virus: Literal["reject", "tag", "accept"] = "reject"
    spam: Literal["reject", "tag", "accept"] = "tag"


class NoticesConfig(Section):
    """`[notices]`: statements of reasons by mail."""

    sender: str = Field(
        "Mail policy <policy@filterd.invalid>", description="The From field, in the enforcing party's name."
    )
    appeals_address: str = Field("appeals@filterd.invalid", description="Where objections go; always reachable.")
    object_url: str | None = Field(None, description="Prefix of the page with the case; the case id is put behind it.")
    merge_s: float = Field(60, ge=0, description="How long a notice waits for more of the same incident to join it.")
    relay: str | None = Field(None, description="`host:port` that takes notices; None: the next hop.")
    copy_to_tenant: bool = True


class ReachConfig(Section):
    """`[always_reachable]`: recipients a suspended account can still write to."""

    addresses: tuple[str, ...] = Field((), description="Whole addresses, besides the appeals address.")
    local_parts: tuple[str, ...] = Field(("postmaster", "abuse"), description="At the tenant's own domains.")


class HttpConfig(Section):
    """`[http]`: /metrics and /healthz."""

    bind: str = "127.0.0.1"
    port: Port = 10080
    enabled: bool = True


class Config(Section):
    """The whole file."""

    node: NodeConfig = NodeConfig()
    listener: tuple[ListenerConfig, ...] = (ListenerConfig(),)
    policy_service: PolicyConfig = PolicyConfig()
    next_hop: NextHopConfig = NextHopConfig()
    clamd: ClamdConfig = ClamdConfig()
    spam: SpamConfig = SpamConfig()
    rate: RateConfig = RateConfig()
    agreement: AgreementConfig = AgreementConfig()
    accounts: AccountsConfig = AccountsConfig()
    inbound: InboundConfig = InboundConfig()
    notices: NoticesConfig = NoticesConfig()
    always_reachable: ReachConfig = ReachConfig()
    http: HttpConfig = HttpConfig()

    @model_validator(mode="after")
    def _clock_only_with_sink(self) -> Config:
        if self.node.clock == "settable" and self.next_hop.address != "sink":
            raise ValueError("node.clock = 'settable' needs next_hop.address = 'sink': real mail keeps real time")
        names = [item.name for item in self.listener]
        if len(set(names)) != len(names):
            raise ValueError("two listeners bear the same name")
        return self


def load(file: Path | None) -> Config:
    """Read a configuration file, or the embedded defaults for None. Raises ConfigError with file, line and key."""
    if file is None:
        return Config()
    return validate(Config, TomlSource.read(file))
