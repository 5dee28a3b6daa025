"""The operator's own directory: who has which mailbox, asked for by login. ops/docs/DIRECTORY.md."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from filterd.config.section import Seconds, Section
from filterd.model.directory import FACTS

# What is between braces in a filter.
PLACES = frozenset({"login", "local_part", "domain"})


def known_facts(value: dict[str, str]) -> dict[str, str]:
    """Refuse a fact that there is not. Raises ValueError."""
    if unknown := sorted(set(value) - set(FACTS)):
        raise ValueError(f"{', '.join(unknown)}: known are {', '.join(FACTS)}")
    return value


def _is_here(host: str | None) -> bool:
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LdapConfig(Section):
    """`[directory.ldap]`: an LDAP server, Active Directory included."""

    enabled: bool = Field(False, description="Whether this source is asked at all.")
    url: str = Field(
        "ldap://127.0.0.1", description="`ldaps://host:port`, `ldap://host:port`, or `ldapi://%2Frun%2Fslapd%2Fldapi`."
    )
    starttls: bool = Field(False, description="TLS on an `ldap://` address before anything else is said.")
    ca_file: Path | None = Field(
        None, description="PEM of the authority that vouches for the server; None: those of the system."
    )
    bind_dn: str = Field("", description="As whom to ask; empty: anonymously.")
    password_file: Path | None = Field(None, description="File with the password; not readable by everybody.")
    password_env: str | None = Field(None, description="Environment variable with the password.")
    base: str = Field("", description="Where the search begins: `ou=people,dc=example,dc=com`.")
    scope: Literal["subtree", "one_level", "base"] = "subtree"
    filter: str = Field(
        "(mail={login})",
        description="RFC 4515, with {login}, {local_part} and {domain}; what is put in there is escaped.",
    )
    attributes: dict[str, str] = Field(
        {"external_id": "entryUUID"}, description="Attribute for each fact that the directory has."
    )
    timeout_s: Seconds = Field(3, description="For one look-up as a whole, waiting for a turn included.")
    max_connections: int = Field(4, ge=1, le=64)

    @field_validator("attributes")
    @classmethod
    def _facts(cls, value: dict[str, str]) -> dict[str, str]:
        return known_facts(value)

    @field_validator("filter")
    @classmethod
    def _filter(cls, value: str) -> str:
        named = set(re.findall(r"\{([^{}]*)\}", value))
        if named - PLACES or not named & {"login", "local_part"}:
            raise ValueError("wants {login}, or {local_part} and {domain}, and no other braces")
        if "{local_part}" in value and "{login}" not in value and "{domain}" not in value:
            # One name at two domains is two people.
            raise ValueError("{local_part} alone is the same for two domains; add {domain}")
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> LdapConfig:
        parts = urlsplit(self.url)
        if parts.scheme not in ("ldap", "ldaps", "ldapi"):
            raise ValueError("url begins with ldaps://, ldap:// or ldapi://")
        if parts.username or parts.password or parts.path not in ("", "/") or parts.query:
            raise ValueError("url has a host and a port and nothing else; the rest are keys of their own")
        if self.starttls and parts.scheme != "ldap":
            raise ValueError("starttls goes with ldap://")
        if parts.scheme == "ldap" and not self.starttls and not _is_here(parts.hostname):
            raise ValueError("ldap:// to another machine sends the password in clear: ldaps://, or starttls = true")
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("password_file or password_env, not both")
        if bool(self.bind_dn) != (self.password_file is not None or self.password_env is not None):
            # RFC 4513 §5.1.2: a name without a password is an anonymous bind that looks like success.
            raise ValueError("bind_dn and a password go together")
        if self.enabled and not self.base:
            raise ValueError("base is missing")
        return self


class SqlConfig(Section):
    """`[directory.sql]`: a table of any database that SQLAlchemy can reach."""

    enabled: bool = Field(False, description="Whether this source is asked at all.")
    url: str = Field(
        "sqlite:///mailboxes.db",
        description="`postgresql+psycopg://user@host/database`, `sqlite:////path`; other drivers are yours to install.",
    )
    password_file: Path | None = Field(None, description="File with the password; not readable by everybody.")
    password_env: str | None = Field(None, description="Environment variable with the password.")
    query: str = Field(
        "",
        description="One SELECT with :login (or :local_part and :domain); its columns are named after the facts.",
    )
    columns: dict[str, str] = Field({}, description="Column for a fact, where it has another name.")
    timeout_s: Seconds = Field(3, description="For one look-up as a whole, waiting for a turn included.")
    max_connections: int = Field(4, ge=1, le=64)

    @field_validator("columns")
    @classmethod
    def _facts(cls, value: dict[str, str]) -> dict[str, str]:
        return known_facts(value)

    @model_validator(mode="after")
    def _is_whole(self) -> SqlConfig:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("password_file or password_env, not both")
        if not self.enabled:
            return self
        if not re.match(r"\s*(?:SELECT|WITH)\b", self.query, re.IGNORECASE):
            raise ValueError("query is one SELECT")
        if not re.search(r"(?<![:\w]):(?:login|local_part)\b", self.query):
            raise ValueError("query wants :login, or :local_part and :domain")
        return self


class DirectoryConfig(Section):
    """`[directory]`: who has which mailbox, by the operator's own directory; switched on by one of its parts."""

    refresh_s: Seconds = Field(900, description="An account known longer is asked about again when it sends.")
    unknown_s: Seconds = Field(60, description="How long it is remembered that a login is not there.")
    pause_s: Seconds = Field(5, description="After a failure nobody is asked about for so long.")
    when_away: Literal["defer", "first_mail"] = Field(
        "defer",
        description="A login not known here while the directory is away: 451, or an account as `[accounts]` says.",
    )
    unknown: Literal["first_mail", "nobody", "defer"] = Field(
        "first_mail",
        description="A login the directory does not have: an account as `[accounts]` says, nobody's mail, or 451.",
    )
    ldap: LdapConfig = LdapConfig()
    sql: SqlConfig = SqlConfig()
