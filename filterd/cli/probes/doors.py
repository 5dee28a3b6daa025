"""Do filterd's own doors answer?  A dialogue with each, as its client would begin one; no mail is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning

_WITHIN_S = 5.0
_UNIX = "unix:"
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104
_NOT_LISTENING = "start `filterd serve`, or look into its log for why it does not listen"


async def listeners(patient: Patient) -> AsyncIterator[Finding]:
    """Does every SMTP port greet?"""
    for listener in patient.config.listener:
        is_socket = listener.bind.startswith(_UNIX)
        place = listener.bind if is_socket else f"{listener.bind}:{listener.port}"
        name = f"listener {listener.name!r} on {place}"
        if listener.port == 0 and not is_socket:
            yield skipped(f"{name}: the port is chosen at start")
            continue
        said = await _talk(listener.bind, listener.port, None, b"\n")
        if said is None:
            yield broken(f"{name} does not answer", _NOT_LISTENING)
        elif said.startswith(b"220 ") and said.split()[1:2] == [listener.hostname.encode()]:
            yield ok(f"{name} greets as {listener.hostname}")
        elif said.startswith(b"220"):
            yield broken(f"{name}: something else greets there, not {listener.hostname}", "find out who has the port")
        else:
            yield warning(f"{name} greets with {said[:3].decode('ascii', 'replace')}", "look into the service log")


async def policy_service(patient: Patient) -> AsyncIterator[Finding]:
    """Does the policy service say DUNNO to a stranger?"""
    settings = patient.config.policy_service
    name = f"policy service on {settings.bind}:{settings.port}"
    if not settings.enabled:
        yield warning(
            "the policy service is switched off: a suspended account is refused only after its mail was sent",
            "policy_service.enabled = true, and check_policy_service in the mail server",
        )
        return
    if settings.port == 0:
        yield skipped(f"{name}: the port is chosen at start")
        return
    question = b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=postmaster@example.org\n\n"
    said = await _talk(settings.bind, settings.port, question, b"\n\n")
    if said is None:
        yield broken(f"{name} does not answer", _NOT_LISTENING)
    elif said == b"action=DUNNO\n\n":
        yield ok(f"{name} answers DUNNO")
    else:
        yield broken(f"{name} answers something else than DUNNO to mail without a login", "find out who has the port")


async def http(patient: Patient) -> AsyncIterator[Finding]:
    """Does the monitor's port say that filterd is ready?"""
    settings = patient.config.http
    name = f"metrics on {settings.bind}:{settings.port}"
    if not settings.enabled:
        yield skipped("the metrics port is switched off")
        return
    if settings.port == 0:
        yield skipped(f"{name}: the port is chosen at start")
        return
    said = await _talk(settings.bind, settings.port, b"GET /readyz HTTP/1.1\r\nHost: doctor\r\n\r\n", None)
    status = b"" if said is None else said.split(b" ", 2)[1:2] and said.split(b" ", 2)[1]
    if said is None:
        yield broken(f"{name} does not answer", _NOT_LISTENING)
    elif status == b"200":
        yield ok(f"{name}: ready")
    elif status == b"503":
        parts = said.rpartition(b"\r\n\r\n")[2].decode("utf-8", "replace").strip()
        yield broken(f"{name}: not ready: {parts}", "look into the service log")
    else:
        yield broken(f"{name}: something else answers there", "find out who has the port")


async def _talk(host: str, port: int, question: bytes | None, until: bytes | None) -> bytes | None:
    """Connect, ask, and say the answer up to `until` (None: all of it); None when there is none in time."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            if host.startswith(_UNIX):
                reader, writer = await asyncio.open_unix_connection(host.removeprefix(_UNIX))
            else:
                reader, writer = await asyncio.open_connection(_ANYWHERE.get(host, host), port)
            try:
                if question is not None:
                    writer.write(question)
                return await (reader.read(65_536) if until is None else reader.readuntil(until))
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
