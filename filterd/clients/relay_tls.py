"""TLS towards the next hop: what is asked of it, and the contexts for it (RFC 3207, RFC 8689; TLS 1.2 and later)."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

from filterd.errors import ConfigError

Level = Literal["none", "may", "encrypt", "verify"]

_Stamp = tuple[tuple[int, int, int] | None, ...]


class TlsSettings(Protocol):
    """The keys of `[next_hop]` about TLS; what they mean stands in the configuration."""

    @property
    def tls(self) -> Level: ...
    @property
    def tls_ca_file(self) -> Path | None: ...
    @property
    def tls_name(self) -> str | None: ...
    @property
    def tls_certificate(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...


class HopTls:
    """TLS with one server.

    Args:
        host: of the address; its certificate must be for it, unless `tls_name` says another name.
    Raises ConfigError, naming the file, when a file cannot be used now. Changed files are used from the next connection
    on; when they cannot be, the last good ones stay in use.
    """

    def __init__(self, settings: TlsSettings, host: str) -> None:
        self._settings = settings
        self._name = settings.tls_name or host
        self._stamp = self._look()
        self._context = self._load()

    @property
    def is_required(self) -> bool:
        """Without TLS there is no mail."""
        return self._settings.tls != "may"

    @property
    def is_verified(self) -> bool:
        """Whoever gets through the handshake is whom the configuration names."""
        return self._settings.tls == "verify"

    @property
    def name(self) -> str | None:
        """Whom to ask for, and whom the certificate must be of; None: a UNIX socket has no name."""
        return self._name or None

    def context(self) -> ssl.SSLContext:
        """Give the context for the next handshake."""
        stamp = self._look()
        if stamp != self._stamp:
            # Kept before reading: what is written meanwhile is seen at the next look.
            self._stamp = stamp
            try:
                self._context = self._load()
            except ConfigError:
                # A pair half written. Who presents what has run out is told so by the next hop.
                return self._context
        return self._context

    def _look(self) -> _Stamp:
        found = self._settings
        return tuple(_seen(file) for file in (found.tls_ca_file, found.tls_certificate, found.tls_key))

    def _load(self) -> ssl.SSLContext:
        found = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION
        if not self.is_verified:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif found.tls_ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            _read(lambda: context.load_verify_locations(found.tls_ca_file), found.tls_ca_file, "tls_ca_file")
        if found.tls_certificate is not None:
            chain, key = found.tls_certificate, found.tls_key
            # Without a password of ours OpenSSL would ask for one on the terminal.
            _read(lambda: context.load_cert_chain(chain, key, password=_no_password), chain, "tls_certificate")
        return context


def _read(load: Callable[[], None], file: Path, key: str) -> None:
    try:
        load()
    except (ssl.SSLError, ValueError) as err:
        text = "no PEM certificates" if key == "tls_ca_file" else "not a PEM certificate with its key, not encrypted"
        raise ConfigError(text, file=file, key=f"next_hop.{key}") from err
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file, key=f"next_hop.{key}") from err


def _seen(file: Path | None) -> tuple[int, int, int] | None:
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None


def _no_password() -> str:
    raise ValueError("the key is encrypted")
