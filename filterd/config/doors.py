"""Where mail comes in and where it goes: listeners, policy service, next hop, monitoring."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from filterd.config.section import Port, Seconds, Section

# The other doors, by the names that their mail, ports and sockets go by; a listener of that name would get their rules.
_OTHER_DOORS = frozenset({"milter", "milter-local", "policy", "socketmap"})
_AUTHSERV_ID = r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"


def _peers(value: tuple[str, ...]) -> tuple[str, ...]:
    for item in value:
        if item != "unix":
            ipaddress.ip_network(item)
    return value


def _socket_path(value: str) -> str:
    # unix(7): sun_path holds 108 octets with the NUL behind it.
    if not (value.startswith("unix:/") and len(value.encode()) <= len("unix:") + 107):
        raise ValueError("a UNIX socket wants an absolute path of at most 107 octets")
    return value


class ListenerConfig(Section):
    """`[[listener]]`: one SMTP or LMTP port with exactly one attribution source (HOUSE rule 7)."""

    name: str = Field("smtp", pattern=r"^[a-z0-9-]{1,32}$")
    bind: str = Field("127.0.0.1", description="Address to listen on (loopback unless you mean it), or `unix:/path`.")
    port: Port = Field(10025, description="Plays no part with `unix:/path`.")
    socket_mode: str = Field(
        "0660", pattern=r"^0?[0-7]{3}$", description="Permissions of a UNIX socket; its group is its folder's (setgid)."
    )
    protocol: Literal["smtp", "lmtp"] = Field(
        "smtp", description="`lmtp`: LHLO, and one reply a recipient after the message (RFC 2033)."
    )
    hostname: str = Field("filterd.invalid", description="What the greeting and our header fields call this host.")
    direction: Literal["auto", "outbound", "inbound"] = Field(
        "auto", description="`auto`: outbound when an account answers for the mail, else inbound."
    )
    trusted_peers: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Who may send XFORWARD and XCLIENT and is believed about logins. `unix`: whoever can open the "
        "UNIX socket.",
    )
    proxy_protocol: tuple[str, ...] = Field(
        (),
        description="Load balancers (networks) in front of this port: each connection must come from one of them and "
        "begin with a PROXY header, version 1 or 2. Empty: nobody stands in front.",
    )
    attribution: Literal["none", "xclient", "received", "header"] = "none"
    received_by: str | None = Field(None, description="For `received`: the `by` host the trusted peer writes.")
    header_name: str | None = Field(None, description="For `header`: the field with the login; removed on exit.")
    login_domain: str | None = Field(None, description="Domain added to logins that have none.")
    after_queue: bool = Field(
        False,
        description="Behind the queue (content_filter). A refusal there would be a bounce, so the mail is held for a "
        "person; where it cannot be, what has a durable record is discarded with it and the rest waits with 451.",
    )
    selective_rcpt: bool = Field(True, description="False behind speed_adjust: all recipients stand or fall together.")
    max_message_bytes: int = Field(52_428_800, ge=65_536, description="Announced as SIZE; larger mail gets 552 5.3.4.")
    max_recipients: int = Field(1000, ge=100, description="More RCPT in one transaction get 452 4.5.3.")
    max_connections: int = Field(500, ge=1, description="More get 421 4.3.2.")
    command_timeout_s: Seconds = 300
    data_timeout_s: Seconds = Field(180, description="Longest pause inside DATA.")
    session_timeout_s: Seconds = Field(
        900, description="A session in which no message begins or ends for so long is closed with 421."
    )
    answer_timeout_s: Seconds = Field(
        90,
        description="From the end of a message to our answer, the next hop's included: below the 100 s Postfix waits "
        "for a before-queue filter. What the checks have not seen through in two thirds of it gets 451 4.3.2 and goes "
        "nowhere; the rest is the next hop's.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM, the certificate first, then its chain: STARTTLS is offered. Read again when it changes."
    )
    tls_key: Path | None = Field(None, description="PEM, not encrypted; None: the key is in `tls_certificate`, too.")
    tls_required: bool = Field(False, description="No mail before STARTTLS: 530 5.7.0, also for loopback.")
    authserv_id: str | None = Field(
        None,
        pattern=_AUTHSERV_ID,
        description="Our name in Authentication-Results; copies that claim it are taken out. None: `hostname`.",
    )

    @field_validator("name")
    @classmethod
    def _is_its_own(cls, value: str) -> str:
        if value in _OTHER_DOORS:
            raise ValueError(f"{value} is the name of another door")
        return value

    @field_validator("trusted_peers", "proxy_protocol")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _peers(value)

    @field_validator("bind")
    @classmethod
    def _path(cls, value: str) -> str:
        return _socket_path(value) if value.startswith("unix:") else value

    @model_validator(mode="after")
    def _source_is_whole(self) -> ListenerConfig:
        if self.attribution == "received" and not self.received_by:
            raise ValueError("attribution = 'received' needs received_by, the host name the trusted peer writes")
        if self.attribution == "header" and not self.header_name:
            raise ValueError("attribution = 'header' needs header_name")
        if self.protocol == "lmtp" and self.port == 25 and not self.bind.startswith("unix:"):
            # RFC 2033 §5
            raise ValueError("LMTP must not be spoken on port 25")
        if self.tls_certificate is None and (self.tls_required or self.tls_key is not None):
            raise ValueError("tls_required and tls_key need tls_certificate")
        return self


class PolicyConfig(Section):
    """`[policy_service]`: the door for Postfix check_policy_service; knows the login before DATA."""

    bind: str = "127.0.0.1"
    port: Port = 10027
    enabled: bool = True
    login_domain: str | None = Field(None, description="Domain added to logins that have none.")


class SocketmapConfig(Section):
    """`[socketmap]`: account state as a table that Postfix looks up (socketmap_table(5))."""

    enabled: bool = Field(False, description="Whether this door is open.")
    bind: str = Field("127.0.0.1", description="Address to listen on, or `unix:/path`.")
    port: Port = Field(10029, description="Plays no part with `unix:/path`.")
    socket_mode: str = Field("0660", pattern=r"^0?[0-7]{3}$", description="Permissions of a UNIX socket.")
    login_domain: str | None = Field(None, description="Domain added to logins that have none.")

    @field_validator("bind")
    @classmethod
    def _path(cls, value: str) -> str:
        return _socket_path(value) if value.startswith("unix:") else value


class MilterConfig(Section):
    """`[milter]`: the door for smtpd_milters and INPUT_MAIL_FILTER; the MTA keeps the mail and knows the login."""

    enabled: bool = Field(False, description="Whether this door is open.")
    address: str = Field(
        "inet:127.0.0.1:10028",
        description="As Postfix writes it (`inet:host:port`, `unix:/path`) or Sendmail (`inet:port@host`, "
        "`local:/path`).",
    )
    socket_mode: str = Field(
        "0660", pattern=r"^0?[0-7]{3}$", description="Permissions of a UNIX socket; its group is its folder's (setgid)."
    )
    hostname: str = Field("filterd.invalid", description="What our header fields call this host.")
    authserv_id: str | None = Field(
        None,
        pattern=_AUTHSERV_ID,
        description="Our name in Authentication-Results; copies that claim it are taken out. None: `hostname`.",
    )
    direction: Literal["auto", "outbound", "inbound"] = Field(
        "auto", description="`auto`: outbound when a login came with the mail, else inbound."
    )
    trusted_peers: tuple[str, ...] = Field(
        ("127.0.0.0/8", "::1/128", "unix"),
        description="Which MTAs may connect; they are believed about logins. `unix`: whoever can open the UNIX socket.",
    )
    login_domain: str | None = Field(None, description="Domain added to logins that have none.")
    local_senders: dict[str, str] = Field(
        {},
        description="Whose the mail of sendmail(1) and local programmes is: a sender address, or `@domain`, to the "
        "login of an account, `=` for the address itself. Its standing counts, and it gets no points, for any "
        "programme can write any sender.",
    )
    max_message_bytes: int = Field(52_428_800, ge=65_536, description="Larger mail gets 552 5.3.4.")
    max_recipients: int = Field(
        1000,
        ge=100,
        description="More RCPT in one transaction get 452 4.5.3. Mail of local programmes knows no such bound: nothing "
        "is refused there at RCPT.",
    )
    hold_by: Literal["filterd", "mta"] = Field(
        "filterd",
        description="Who keeps mail of your accounts that is held: we do, or Postfix in its hold queue, where `filterd "
        "quarantine` reaches it (needs `effectors.mta_queue`). Strangers' mail, an item a recipient, is kept by us.",
    )
    max_connections: int = Field(500, ge=1, description="An MTA has one for each client; more are closed at once.")
    answer_timeout_s: Seconds = Field(
        60,
        description="From the end of a message to our answer; what the checks have not seen through by then gets 451 "
        "4.3.2. Below what the MTA waits: content_timeout in Postfix, E: in Sendmail.",
    )

    @field_validator("address")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        _milter_address(value)
        return value

    @field_validator("trusted_peers")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _peers(value)

    @field_validator("local_senders")
    @classmethod
    def _senders(cls, value: dict[str, str]) -> dict[str, str]:
        """Domains as the mail path compares them."""
        senders = {}
        for address, login in value.items():
            name, at, domain = address.rpartition("@")
            if not at or not domain or not login:
                raise ValueError(f"{address!r}: write user@domain or @domain, and a login or `=`")
            senders[f"{name}@{domain.lower()}"] = login
        return senders

    @property
    def bind(self) -> str:
        """Where to listen: a host, or `unix:/path`."""
        return _milter_address(self.address)[0]

    @property
    def port(self) -> int:
        return _milter_address(self.address)[1]


def _milter_address(value: str) -> tuple[str, int]:
    kind, _, rest = value.partition(":")
    if kind in ("unix", "local"):
        return _socket_path(f"unix:{rest}"), 0
    # `port@host` is libmilter's way, `host:port` Postfix's, with [ ] around an IPv6 address.
    first, at, last = rest.rpartition("@") if "@" in rest else rest.rpartition(":")
    host, port = (last, first) if at == "@" else (first, last)
    host = host.removeprefix("[").removesuffix("]")
    if kind not in ("inet", "inet6") or not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise ValueError("write inet:host:port, inet:port@host, unix:/path or local:/path")
    return host, int(port)


class NextHopConfig(Section):
    """`[next_hop]`: where accepted mail goes."""

    address: str = Field("sink", description="`host:port`, `unix:/path`, or `sink` (a built-in loopback sink).")
    protocol: Literal["smtp", "lmtp"] = Field(
        "smtp",
        description="`lmtp`: a server that delivers and answers for each recipient (RFC 2033). A listener that speaks "
        "SMTP then takes one recipient a transaction, more get 452 4.5.3; one that speaks LMTP hands each answer on.",
    )
    helo: str = "filterd.invalid"
    tls: Literal["none", "may", "encrypt", "verify"] = Field(
        "none",
        description="STARTTLS (RFC 3207). `may`: where it is offered and works. `encrypt`: or no mail goes out (451). "
        "`verify`: and the certificate must be of `tls_name` and hang on `tls_ca_file`.",
    )
    tls_ca_file: Path | None = Field(
        None, description="PEM, who may vouch for the next hop. None: those this system knows."
    )
    tls_name: str | None = Field(
        None, description="Whom the certificate must be for. None: the host of `address`, a name or an IP address."
    )
    tls_certificate: Path | None = Field(
        None, description="PEM, shown to a next hop that asks for one. Read again when it changes, as is `tls_ca_file`."
    )
    tls_key: Path | None = Field(None, description="PEM, not encrypted; None: the key is in `tls_certificate`, too.")
    xclient: bool = Field(
        False,
        description="The next hop is told the client by XCLIENT and applies its own rules to it; where it refuses or "
        "does not offer XCLIENT, no client's mail goes out (451). Else: XFORWARD.",
    )
    max_connections: int = Field(20, ge=1)
    connect_timeout_s: Seconds = 10
    command_timeout_s: Seconds = 60
    data_timeout_s: Seconds = Field(
        85,
        description="Longest wait for the answer to a message, DATA included, and, from the wait for a connection on, "
        "to a MAIL: below the 100 s Postfix waits for a before-queue filter.",
    )
    idle_s: Seconds = Field(30, description="A kept connection older than this is closed.")

    @model_validator(mode="after")
    def _fits_together(self) -> NextHopConfig:
        if self.address == "sink" and (self.protocol == "lmtp" or self.tls in ("encrypt", "verify")):
            raise ValueError("the built-in sink speaks SMTP in clear text")
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("tls_key needs tls_certificate")
        if self.tls == "none" and (self.tls_ca_file or self.tls_name or self.tls_certificate):
            raise ValueError("tls_ca_file, tls_name and tls_certificate need tls")
        if self.tls != "verify" and self.tls_ca_file is not None:
            raise ValueError("tls_ca_file needs tls = 'verify': otherwise nobody looks at the certificate")
        if self.tls == "verify" and self.address.startswith("unix:") and self.tls_name is None:
            raise ValueError("tls = 'verify' on a UNIX socket needs tls_name")
        if self.protocol == "lmtp" and self.address.rpartition(":")[2] == "25":
            # RFC 2033 §5
            raise ValueError("LMTP must not be spoken on port 25")
        return self


class HttpConfig(Section):
    """`[http]`: /metrics and /healthz."""

    bind: str = "127.0.0.1"
    port: Port = 10080
    enabled: bool = True
