"""TOML to a frozen Config. Every key has a default and its meaning beside it; errors name file, line and key.

Read by `cli` and `app` only. An unknown key is an error: a typo must not switch a protection off.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from filterd.config.checks import (
    AttachmentsConfig,
    AuthenticationConfig,
    ClamdConfig,
    ContentConfig,
    DnsConfig,
    LinksConfig,
    OwnDomainsConfig,
    PiiConfig,
    ProtectedNameConfig,
    RateConfig,
    SenderConfig,
    SpamConfig,
    TermsConfig,
)
from filterd.config.directory import DirectoryConfig
from filterd.config.doors import (
    HttpConfig,
    ListenerConfig,
    MilterConfig,
    NextHopConfig,
    PolicyConfig,
    SocketmapConfig,
)
from filterd.config.effectors import EffectorsConfig
from filterd.config.evidence import EvidenceConfig
from filterd.config.exceptions import ExceptionsConfig
from filterd.config.index import IndexConfig
from filterd.config.keys import KeysConfig
from filterd.config.ledger import LedgerConfig
from filterd.config.notices import NoticesConfig, WebhookConfig
from filterd.config.paging import PagingConfig
from filterd.config.section import Section
from filterd.config.signing import SigningConfig
from filterd.config.staffing import StaffingConfig
from filterd.model.toml_source import TomlSource, validate

__all__ = [
    "AccountsConfig",
    "AgreementConfig",
    "AttachmentsConfig",
    "AuthenticationConfig",
    "ClamdConfig",
    "Config",
    "ContentConfig",
    "DirectoryConfig",
    "DnsConfig",
    "EffectorsConfig",
    "EvidenceConfig",
    "ExceptionsConfig",
    "HttpConfig",
    "InboundConfig",
    "IndexConfig",
    "KeysConfig",
    "LedgerConfig",
    "LinksConfig",
    "ListenerConfig",
    "MilterConfig",
    "NextHopConfig",
    "NodeConfig",
    "NoticesConfig",
    "OwnDomainsConfig",
    "PagingConfig",
    "PiiConfig",
    "PolicyConfig",
    "ProtectedNameConfig",
    "RateConfig",
    "ReachConfig",
    "Section",
    "SenderConfig",
    "SigningConfig",
    "SocketmapConfig",
    "SpamConfig",
    "StaffingConfig",
    "TermsConfig",
    "WebhookConfig",
    "load",
]


class NodeConfig(Section):
    """`[node]`: this machine."""

    name: str = Field("node1", pattern=r"^[a-z0-9-]{1,32}$", description="Part of every writer's name in the streams.")
    state_dir: Path = Field(
        Path("filterd-state"), description="Ledger, keys, vault, spool, events and socket live here."
    )
    clock: Literal["system", "settable"] = Field(
        "system", description="`settable` is for demonstrations and only loads with next_hop.address = 'sink'."
    )


class AgreementConfig(Section):
    """`[agreement]`: which terms bind an account that nobody imported, and how much is automatic."""

    directory: Path | None = Field(None, description="Folder of agreement files; None: those that come with filterd.")
    default: str = Field("tencent-exmail", description="`default_agreement` of accounts created by first mail.")
    preset: Literal["attended", "supervised", "standing_order"] = "supervised"
    hold_outbound: Literal["hold", "reject"] | None = Field(
        None,
        description="Whether your accounts' mail may be held for a person to look at; `reject` refuses it instead. "
        "None: `hold`, and `reject` with preset `standing_order`.",
    )


class AccountsConfig(Section):
    """`[accounts]`: automatic creation on first authenticated mail."""

    auto_create: bool = True
    max_auto_created_per_day: int = Field(
        500, ge=0, description="Beyond this, mail passes unattributed and it is logged."
    )


class InboundConfig(Section):
    """`[inbound]`: protection of your own users from strangers' mail; never points (CLAUSES 0.13).

    `quarantine` holds it for the recipient (ops/docs/EVIDENCE.md); where a recipient is no account that the ledger
    knows, the group's default is done instead.
    """

    virus: Literal["reject", "quarantine", "tag", "accept"] = "reject"
    spam: Literal["reject", "quarantine", "tag", "accept"] = "tag"
    phishing: Literal["reject", "quarantine", "tag", "accept"] = "tag"
    attachments: Literal["reject", "quarantine", "tag", "accept"] = Field(
        "reject", description="Programs and other active content, and what is dressed as something harmless."
    )
    impersonation: Literal["reject", "quarantine", "tag", "accept"] = "tag"
    dmarc: Literal["reject", "quarantine", "tag", "accept"] = Field(
        "tag", description="Mail whose From domain asks receivers to reject or quarantine it."
    )


class ReachConfig(Section):
    """`[always_reachable]`: recipients a suspended account can still write to."""

    addresses: tuple[str, ...] = Field((), description="Whole addresses, besides the appeals address.")
    local_parts: tuple[str, ...] = Field(("postmaster", "abuse"), description="At the tenant's own domains.")


class Config(Section):
    """The whole file."""

    node: NodeConfig = NodeConfig()
    keys: KeysConfig = KeysConfig()
    ledger: LedgerConfig = LedgerConfig()
    listener: tuple[ListenerConfig, ...] = (ListenerConfig(),)
    policy_service: PolicyConfig = PolicyConfig()
    milter: MilterConfig = MilterConfig()
    socketmap: SocketmapConfig = SocketmapConfig()
    next_hop: NextHopConfig = NextHopConfig()
    clamd: ClamdConfig = ClamdConfig()
    spam: SpamConfig = SpamConfig()
    content: ContentConfig = ContentConfig()
    dns: DnsConfig = DnsConfig()
    authentication: AuthenticationConfig = AuthenticationConfig()
    own_domains: OwnDomainsConfig = OwnDomainsConfig()
    attachments: AttachmentsConfig = AttachmentsConfig()
    links: LinksConfig = LinksConfig()
    pii: PiiConfig = PiiConfig()
    terms: TermsConfig = TermsConfig()
    sender: SenderConfig = SenderConfig()
    signing: SigningConfig = SigningConfig()
    rate: RateConfig = RateConfig()
    agreement: AgreementConfig = AgreementConfig()
    staffing: StaffingConfig = StaffingConfig()
    accounts: AccountsConfig = AccountsConfig()
    directory: DirectoryConfig = DirectoryConfig()
    inbound: InboundConfig = InboundConfig()
    exceptions: ExceptionsConfig = ExceptionsConfig()
    notices: NoticesConfig = NoticesConfig()
    webhook: tuple[WebhookConfig, ...] = ()
    always_reachable: ReachConfig = ReachConfig()
    http: HttpConfig = HttpConfig()
    evidence: EvidenceConfig = EvidenceConfig()
    effectors: EffectorsConfig = EffectorsConfig()
    paging: PagingConfig = PagingConfig()
    index: IndexConfig = IndexConfig()

    @model_validator(mode="after")
    def _clock_only_with_sink(self) -> Config:
        if self.node.clock == "settable" and self.next_hop.address != "sink":
            raise ValueError("node.clock = 'settable' needs next_hop.address = 'sink': real mail keeps real time")
        if self.milter.hold_by == "mta" and not self.effectors.mta_queue.enabled:
            raise ValueError(
                "milter.hold_by = 'mta' needs effectors.mta_queue: a milter cannot release what the mail server holds"
            )
        names = [item.name for item in self.listener]
        if len(set(names)) != len(names):
            raise ValueError("two listeners bear the same name")
        if len({item.name for item in self.webhook}) != len(self.webhook):
            raise ValueError("two webhooks bear the same name")
        for item in self.listener:
            if self.next_hop.protocol == "lmtp" and item.protocol == "smtp" and not item.selective_rcpt:
                raise ValueError(
                    f"listener {item.name!r}: selective_rcpt = false needs protocol = 'lmtp' with "
                    "next_hop.protocol = 'lmtp': in SMTP a second recipient must wait, so all would be refused"
                )
        places: dict[tuple[str, int], str] = {}
        for item in self.listener:
            place = (item.bind, 0 if item.bind.startswith("unix:") else item.port)
            if place in places and (item.port or item.bind.startswith("unix:")):
                where = f"{item.bind}:{item.port}"
                raise ValueError(f"listener {item.name!r} is where {places[place]!r} is already: {where}")
            places[place] = item.name
        return self


def load(file: Path | None) -> Config:
    """Read a configuration file, or the embedded defaults for None. Raises ConfigError with file, line and key."""
    if file is None:
        return Config()
    return validate(Config, TomlSource.read(file))
