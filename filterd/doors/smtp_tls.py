"""The certificate of a listener, and the change from clear text to TLS (RFC 3207; TLS 1.2 and later, RFC 8996).

A certificate that was changed on disk is used from the next handshake on. One that cannot be read stops a start; later
the last good one stays in use, because mail in clear text, or none, is worse than a certificate about to end.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from filterd.errors import ConfigError

# How often, at most, the files are looked at.
LOOK_EVERY_S = 1.0
# A handshake is two round trips; the default of asyncio, 60 s, holds a slot for nothing.
HANDSHAKE_S = 20.0
# What the peer's close_notify is waited for.
GOODBYE_S = 2.0

_Stamp = tuple[tuple[int, int, int] | None, ...]


class Certificate:
    """A certificate chain and its key.

    Args:
        key: None: it stands in the same file.
        on_error: gets what is wrong with changed files, once a change.
    Raises ConfigError, naming the file, when they cannot be used now.
    """

    def __init__(self, chain: Path, key: Path | None, *, on_error: Callable[[ConfigError], None]) -> None:
        self._chain, self._key, self._on_error = chain, key, on_error
        self._stamp = self._look()
        self._looked_at = time.monotonic()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Give the context for the next handshake."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_EVERY_S:
            self._looked_at = now
            self._renew()
        return self._context

    def _renew(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        # Kept before reading: what is written meanwhile is seen at the next look.
        self._stamp = stamp
        try:
            self._context = self._load()
        except ConfigError as err:
            self._on_error(err)

    def _look(self) -> _Stamp:
        return tuple(_seen(file) for file in (self._chain, self._key or self._chain))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # RFC 7525 §3.5: a client could have us compute handshakes for ever.
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
        try:
            # Without a password of ours OpenSSL would ask for one on the terminal.
            context.load_cert_chain(self._chain, self._key, password=_no_password)
        except (ssl.SSLError, ValueError) as err:
            text = "not a PEM certificate with the key that belongs to it, or the key is encrypted"
            raise ConfigError(text, file=self._chain, key="tls_certificate") from err
        except OSError as err:
            file = self._chain if _seen(self._chain) is None else self._key or self._chain
            raise ConfigError(f"cannot be read: {err.strerror}", file=file, key="tls_certificate") from err
        return context


def _seen(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _no_password() -> str:
    raise ValueError("the key is encrypted")


async def secured(
    plain: asyncio.Transport, protocol: asyncio.Protocol, context: ssl.SSLContext
) -> asyncio.Transport | None:
    """Do the server's half of the handshake on a connection; None when it came to nothing and the connection is closed.

    Up to its first wait this reads nothing, so that a reply written just before it is the last octet in clear text.
    """
    try:
        return await asyncio.get_running_loop().start_tls(
            plain,
            protocol,
            context,
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_S,
            ssl_shutdown_timeout=GOODBYE_S,
        )
    except (OSError, ssl.SSLError, ssl.CertificateError):
        # Scanners, clients of old, and whoever does not like our certificate: nothing of ours is wrong.
        return None
