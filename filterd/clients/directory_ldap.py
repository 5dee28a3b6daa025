"""An LDAP server as the operator's directory.  RFC 4511, 4513, 4515; fulfils ports.DirectorySource.

`ldap3` speaks the protocol, blocking, in threads of ours; a connection is bound once and used again. It follows no
referral (that would carry our password to another machine), reads no schema, and alters nothing. The server's
certificate must be good and bear the server's name. Whatever is put into the filter is escaped octet by octet.

Temporary: no server, no answer in time, a wrong password, a certificate that is not good, a search that is refused. Not
temporary: two entries for one login. In `timeout_s` there is an answer or an error: a thread that hangs is cut off by
closing its socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import (
    LDAPCommunicationError,
    LDAPException,
    LDAPNoSuchObjectResult,
    LDAPOperationResult,
    LDAPSizeLimitExceededResult,
    LDAPStartTLSError,
)

from filterd.clients.directory_values import facts_from
from filterd.errors import ConfigError, PortError
from filterd.model.directory import DirectoryFacts

_SCOPES = {"subtree": ldap3.SUBTREE, "one_level": ldap3.LEVEL, "base": ldap3.BASE}
# Octets and no text, whatever they look like.
_BINARY = frozenset({"objectguid", "objectsid"})
_PLAIN = re.compile(rb"[A-Za-z0-9@._-]")


class LdapSettings(Protocol):
    """The keys of `[directory.ldap]` that this client reads; what they mean stands in the configuration."""

    @property
    def url(self) -> str: ...
    @property
    def starttls(self) -> bool: ...
    @property
    def ca_file(self) -> Path | None: ...
    @property
    def bind_dn(self) -> str: ...
    @property
    def base(self) -> str: ...
    @property
    def scope(self) -> Literal["subtree", "one_level", "base"]: ...
    @property
    def filter(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def max_connections(self) -> int: ...


class LdapDirectory:
    """One LDAP server. Safe for any number of tasks of one event loop.

    Args:
        password: says the password each time a connection is made; None binds anonymously.
    """

    name = "ldap"

    def __init__(self, settings: LdapSettings, password: Callable[[], str] | None = None):
        self._settings = settings
        self._password = password
        self._threads = ThreadPoolExecutor(settings.max_connections, thread_name_prefix="ldap")
        self._turns = asyncio.Semaphore(settings.max_connections)
        self._idle: list[_Line] = []

    async def look_up(self, login: str) -> DirectoryFacts | None:
        """Say what the one entry says that the filter finds; None when it finds none. Raises PortError."""
        wanted = self._settings.attributes
        entry = await self._ask(filter_for(self._settings.filter, login), tuple(dict.fromkeys(wanted.values())))
        if entry is None:
            return None
        said = {name.lower(): values for name, values in entry.items()}
        return facts_from(self.name, {fact: _values(name, said) for fact, name in wanted.items()})

    async def ping(self) -> str:
        """Bind, and look whether the base is there; say as whom. Raises PortError."""
        await self._ask("(objectClass=*)", ("objectClass",), scope="base")
        return f"{self._where} answers as {self._settings.bind_dn or 'anonymous'}; {self._settings.base} is there"

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().cut()
        self._threads.shutdown(wait=False)

    @property
    def _where(self) -> str:
        return f"LDAP server {self._settings.url}"

    async def _ask(
        self, filter_: str, attributes: tuple[str, ...], scope: str | None = None
    ) -> dict[str, list[bytes]] | None:
        line: _Line | None = None
        try:
            async with asyncio.timeout(self._settings.timeout_s), self._turns:
                line = self._idle.pop() if self._idle else _Line(self._settings, self._password)
                loop = asyncio.get_running_loop()
                found = await loop.run_in_executor(self._threads, line.search, filter_, attributes, scope)
        except TimeoutError:
            raise PortError(f"{self._where}: no answer within {self._settings.timeout_s:g} s") from None
        except ConfigError as err:
            raise PortError(f"{self._where}: {err}") from err
        except _TwoEntries:
            raise PortError(f"{self._where}: finds more than one entry for one login", temporary=False) from None
        except (LDAPException, OSError, ValueError) as err:
            raise PortError(f"{self._where}: {_why(err)}") from None
        else:
            self._idle.append(line)
            line = None
            return found
        finally:
            # Whatever went wrong: nobody knows what is still to come on this connection.
            if line is not None:
                line.cut()


class _TwoEntries(Exception):
    pass


class _Line:
    """A connection, in at most one thread at a time; `cut` may come from any other."""

    def __init__(self, settings: LdapSettings, password: Callable[[], str] | None):
        self._settings = settings
        self._password = password
        self._connection: ldap3.Connection | None = None
        self._is_cut = False

    def search(self, filter_: str, attributes: tuple[str, ...], scope: str | None) -> dict[str, list[bytes]] | None:
        """Say the one entry, or None. A connection that the server has closed meanwhile is made anew, once."""
        is_used = self._connection is not None
        try:
            return self._search(filter_, attributes, scope)
        except LDAPCommunicationError:
            if not is_used or self._is_cut:
                raise
            self._hang_up()
            return self._search(filter_, attributes, scope)

    def cut(self) -> None:
        """Make whoever reads from this connection stop at once, and close it."""
        self._is_cut = True
        self._hang_up()

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        raw = connection.socket if connection is not None else None
        if raw is not None:
            # Closing alone does not wake a thread that reads.
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                raw.close()

    def _search(self, filter_: str, attributes: tuple[str, ...], scope: str | None) -> dict[str, list[bytes]] | None:
        connection = self._bound()
        try:
            _, result, response, _ = connection.search(
                self._settings.base,
                filter_,
                _SCOPES[scope or self._settings.scope],
                attributes=list(attributes),
                size_limit=2,
                time_limit=max(1, int(self._settings.timeout_s)),
            )
        except LDAPSizeLimitExceededResult:
            raise _TwoEntries from None
        except LDAPNoSuchObjectResult:
            raise ValueError("there is no such base") from None
        # Of a connection cut under it, ldap3 sometimes makes an answer without entries.
        if self._is_cut or result.get("result") != 0:
            raise ValueError(f"search ended with {result.get('description', 'nothing')}")
        entries = [item for item in response or () if item.get("type") == "searchResEntry"]
        if len(entries) > 1:
            raise _TwoEntries
        return dict(entries[0]["raw_attributes"]) if entries else None

    def _bound(self) -> ldap3.Connection:
        if self._connection is not None:
            return self._connection
        settings = self._settings
        # Whole seconds, for setsockopt(SO_RCVTIMEO); what is less is the caller's.
        patience_s = max(1, int(settings.timeout_s))
        tls = ldap3.Tls(
            validate=ssl.CERT_REQUIRED,
            ca_certs_file=str(settings.ca_file) if settings.ca_file is not None else None,
            sni=urlsplit(settings.url).hostname,
        )
        server = ldap3.Server(settings.url, get_info=ldap3.NONE, connect_timeout=patience_s, tls=tls)
        password = self._password() if self._password is not None else None
        self._connection = connection = ldap3.Connection(
            server,
            user=settings.bind_dn or None,
            password=password,
            authentication=ldap3.SIMPLE if password is not None else ldap3.ANONYMOUS,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            raise_exceptions=True,
            read_only=True,
            check_names=False,
            receive_timeout=patience_s,
        )
        try:
            connection.open(read_server_info=False)
            if settings.starttls:
                connection.start_tls(read_server_info=False)
                if not connection.tls_started:
                    raise ValueError("no TLS")
            connection.bind(read_server_info=False)
        except BaseException:
            self._hang_up()
            raise
        return connection


def filter_for(template: str, login: str) -> str:
    """Put a login into a filter.  RFC 4515 §3: any octet may be written as a backslash and two hex digits."""
    local_part, _, domain = login.rpartition("@") if "@" in login else (login, "", "")
    places = {"login": login, "local_part": local_part, "domain": domain}
    return re.sub(r"\{(login|local_part|domain)\}", lambda found: escaped(places[found[1]]), template)


def escaped(text: str) -> str:
    """Write text as the value of a filter: what is not a plain letter, digit or `@._-` as its octets in hex."""
    octets = text.encode("utf-8", "surrogateescape")
    return "".join(chr(octet) if _PLAIN.match(bytes([octet])) else f"\\{octet:02x}" for octet in octets)


def _values(name: str, said: Mapping[str, list[bytes]]) -> list[Any]:
    values = said.get(name.lower(), [])
    return [value.hex() for value in values] if name.lower() in _BINARY else list(values)


def _why(err: Exception) -> str:
    """Say what went wrong, without what a server puts into its messages."""
    match err:
        case LDAPStartTLSError():
            return "TLS failed: is its certificate good, and in its name?"
        case LDAPOperationResult():
            return str(err.description)
        case LDAPCommunicationError() if "ssl" in str(err) or "certificate" in str(err):
            return "TLS failed: is its certificate good, and in its name?"
        case LDAPException():
            return type(err).__name__
        case OSError():
            return err.strerror or type(err).__name__
        case _:
            return str(err)
