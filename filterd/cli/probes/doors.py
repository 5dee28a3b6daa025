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


async def beliefs(patient: Patient) -> AsyncIterator[Finding]:
    """Does every SMTP port believe a mail server on this host, or not, as the file has it?  MAIL-PATH 4b."""
    for listener in patient.config.listener:
        is_socket = listener.bind.startswith(_UNIX)
        name = f"listener {listener.name!r}"
        if (listener.port == 0 and not is_socket) or listener.proxy_protocol or listener.tls_required:
            continue
        offered = await _features(listener.bind, listener.port, "LHLO" if listener.protocol == "lmtp" else "EHLO")
        if offered is None:
            # `listeners` says that nobody is there.
            continue
        is_wanted = _is_trusted_here(listener.trusted_peers, is_socket)
        wanted = {"XFORWARD"} if is_wanted else set()
        wanted |= {"XCLIENT"} if is_wanted and listener.attribution == "xclient" else set()
        if offered & {"XFORWARD", "XCLIENT"} == wanted:
            yield ok(f"{name} {'believes' if is_wanted else 'does not believe'} this host")
        else:
            yield broken(
                f"{name} {'does not believe' if is_wanted else 'believes'} this host, and the file says otherwise: "
                "it runs with another configuration",
                "start `filterd serve` again: [[listener]] is read at start only",
            )


async def loop(patient: Patient) -> AsyncIterator[Finding]:
    """Is the next hop somebody else than ourselves?"""
    address = patient.config.next_hop.address
    host, _, port = (address, "", "0") if address.startswith(_UNIX) else address.rpartition(":")
    if not port.isdigit() or not host:
        yield skipped("the built-in sink is nobody's next hop")
        return
    said = await _talk(host.strip("[]"), int(port), None, b"\n")
    if said is None:
        yield skipped(f"{address} does not answer, see next_hop")
        return
    greeted = b"".join(said.split()[1:2]).decode("ascii", "replace").lower()
    own = {listener.hostname.lower(): listener.name for listener in patient.config.listener}
    if greeted in own:
        yield broken(
            f"the next hop {address} greets as {greeted}, the name of listener {own[greeted]!r}: mail would go in a "
            "circle until its Received fields are too many",
            "point next_hop.address at the mail server's own port, or give the listener a hostname of its own",
        )
    else:
        yield ok(f"the next hop {address} is somebody else: {greeted}")


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


async def _features(host: str, port: int, verb: str) -> set[str] | None:
    """Greet an SMTP port, and say the keywords that it offers; None when it does not answer."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            reader, writer = await _connect(host, port)
            try:
                greeting = await reader.readline()
                if not greeting.startswith(b"220 "):
                    return None
                writer.write(f"{verb} doctor.invalid\r\n".encode())
                lines: list[bytes] = []
                while not lines or lines[-1][3:4] == b"-":
                    lines.append(await reader.readuntil(b"\n"))
                writer.write(b"QUIT\r\n")
                return {b"".join(line[4:].split()[:1]).decode("ascii", "replace") for line in lines[1:]}
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
