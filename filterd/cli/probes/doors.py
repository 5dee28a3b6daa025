"""Do filterd's own doors answer?  A dialogue with each, as its client would begin one; no mail is sent."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.doors import milter_wire, socketmap_wire
from filterd.doors.smtp_client import UNIX, Peers

_WITHIN_S = 5.0
# Longer than any answer to a negotiation.
_MOST_BYTES = 65_536
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
    if not settings.enabled and patient.config.milter.enabled and not patient.config.listener:
        yield skipped("the policy service is switched off; the milter refuses a suspended account as early")
        return
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


async def milter(patient: Patient) -> AsyncIterator[Finding]:
    """Does the milter negotiate, as with an MTA?"""
    settings = patient.config.milter
    name = f"milter on {settings.address}"
    if not settings.enabled:
        yield skipped("the milter is switched off")
        return
    is_socket = settings.bind.startswith(_UNIX)
    if settings.port == 0 and not is_socket:
        yield skipped(f"{name}: the port is chosen at start")
        return
    said = await _negotiate(settings.bind, settings.port)
    if said is None:
        yield broken(f"{name} does not answer", _NOT_LISTENING)
    elif said == b"" and not _is_trusted_here(settings.trusted_peers, is_socket):
        yield warning(
            f"{name} hangs up on this host, which is not in milter.trusted_peers",
            'add "unix" there, if your mail server runs here' if is_socket
            else 'add "127.0.0.0/8" there, if your mail server runs here',
        )  # fmt: skip
    elif said == b"":
        yield broken(f"{name} hangs up without a word", "look into the service log; find out who has the port")
    elif said[:1] == b"O" and len(said) >= 13:
        yield ok(f"{name} negotiates version {int.from_bytes(said[1:5], 'big')}")
    else:
        yield broken(f"{name}: something else answers there, no milter", "find out who has the port")


async def socketmap(patient: Patient) -> AsyncIterator[Finding]:
    """Does the socketmap say that it does not know a stranger?"""
    settings = patient.config.socketmap
    is_socket = settings.bind.startswith(_UNIX)
    name = f"socketmap on {settings.bind}" + ("" if is_socket else f":{settings.port}")
    if not settings.enabled:
        yield skipped("the socketmap is switched off")
        return
    if settings.port == 0 and not is_socket:
        yield skipped(f"{name}: the port is chosen at start")
        return
    said = await _talk(settings.bind, settings.port, socketmap_wire.reply(b"state nobody@doctor.invalid"), b",")
    if said is None:
        yield broken(f"{name} does not answer", _NOT_LISTENING)
    elif said == socketmap_wire.reply(socketmap_wire.NOT_FOUND):
        yield ok(f"{name} answers NOTFOUND")
    elif b":TEMP " in said:
        yield broken(f"{name} cannot say how an account stands", "is the ledger there? `filterd doctor` says so, too")
    else:
        yield broken(f"{name} answers something else than NOTFOUND for nobody's login", "find out who has the port")


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
            reader, writer = await _connect(host, port)
            try:
                if question is not None:
                    writer.write(question)
                return await (reader.read(65_536) if until is None else reader.readuntil(until))
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


async def _negotiate(host: str, port: int) -> bytes | None:
    """Offer all a milter can ask for, and say the packet that comes back, without its length; then take leave.

    Empty: it hangs up instead. None: nobody is there, or nothing comes. What is no packet is said as it is.
    """
    offer = struct.pack(">III", milter_wire.VERSION, sum(milter_wire.Action), sum(milter_wire.Step))
    try:
        async with asyncio.timeout(_WITHIN_S):
            reader, writer = await _connect(host, port)
            try:
                writer.write(_milter_packet(b"O", offer))
                return await _read_packet(reader)
            finally:
                writer.write(_milter_packet(b"Q"))
                writer.close()
    except (ConnectionResetError, BrokenPipeError):
        return b""
    except (OSError, TimeoutError):
        return None


async def _read_packet(reader: asyncio.StreamReader) -> bytes:
    try:
        length = await reader.readexactly(4)
        octets = int.from_bytes(length, "big")
        return length if octets > _MOST_BYTES else await reader.readexactly(octets)
    except asyncio.IncompleteReadError as err:
        return err.partial


def _milter_packet(letter: bytes, octets: bytes = b"") -> bytes:
    return struct.pack(">I", len(octets) + 1) + letter + octets


def _is_trusted_here(trusted_peers: tuple[str, ...], is_socket: bool) -> bool:
    return Peers(trusted_peers).client(UNIX if is_socket else ("127.0.0.1", 0)).is_trusted


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if host.startswith(_UNIX):
        return await asyncio.open_unix_connection(host.removeprefix(_UNIX))
    return await asyncio.open_connection(_ANYWHERE.get(host, host), port)
