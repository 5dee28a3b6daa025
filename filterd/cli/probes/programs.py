"""Do the programs filterd leans on work: virus scanner, model, next hop?  MAIL-PATH §4a-4c, FAULTS 7-10."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from filterd.app.processes import notice_hop
from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.clients.clamd import DEBIAN_SOCKETS, ClamdScanner, locate
from filterd.clients.clamd_private import EICAR
from filterd.clients.relay import NextHopRelay
from filterd.errors import ConfigError, FilterdError, PeerError, PortError
from filterd.mail.address import parse_forward_path
from filterd.model.session import ForwardPath
from filterd.share import path

_WITHIN_S = 10.0

# What a next hop has to offer so that mail leaves as it came, and what happens where it does not.
_WANTED = (
    ("8BITMIME", "8-bit mail is sent on as it is, which a strict server may refuse", True),
    ("SMTPUTF8", "mail with addresses outside ASCII is refused", True),
    ("DSN", "requests for delivery reports are lost or refused", True),
    ("SIZE", "too large a mail is refused only after it was sent", False),
    ("PIPELINING", "every command costs a round trip", False),
    ("ENHANCEDSTATUSCODES", "its refusals carry no enhanced codes", False),
)


async def clamd(patient: Patient) -> AsyncIterator[Finding]:
    """Is there a virus scanner that answers and finds a virus?"""
    settings = patient.config.clamd
    if not settings.enabled:
        yield warning("the virus check is switched off", "clamd.enabled = true")
        return
    address: str | None = settings.address
    if address == "auto":
        address = await locate()
        if address is None:
            yield broken(
                f"no clamd answers PING at {' or '.join(DEBIAN_SOCKETS)}",
                "start clamd (Debian: package clamav-daemon), let filterd's user into its group, or set clamd.address",
            )
            return
    try:
        scanner = ClamdScanner(str(address), timeout_s=min(settings.timeout_s, _WITHIN_S), max_connections=1)
        version = await scanner.ping()
    except (PortError, ConfigError) as err:
        yield broken(str(err), "start clamd, or mend clamd.address")
        return
    yield ok(f"{version} answers at {address}")
    try:
        answer = await scanner.scan(b"Subject: test\r\n\r\n" + EICAR + b"\r\n")
    except PortError as err:
        yield broken(f"a scan fails: {err}", "look into clamd's log")
        return
    if answer.signature is None:
        yield broken(
            "clamd finds nothing in the EICAR test file: it has no signatures", "run freshclam and look into its log"
        )
    else:
        yield ok(f"finds the EICAR test file ({answer.signature})")
    if settings.fail_mode == "accept":
        yield warning("clamd.fail_mode = 'accept': while clamd is away, mail passes unscanned", "fail_mode = 'defer'")


async def model(patient: Patient) -> AsyncIterator[Finding]:
    """Is the spam model there and whole?"""
    settings = patient.config.spam
    if not settings.enabled:
        yield warning("the spam check is switched off", "spam.enabled = true")
        return
    try:
        folder = _read_model(settings.model)
    except FilterdError as err:
        yield broken(str(err), "install the model that came with this release, or train one (`filterd train`)")
        return
    yield ok(f"{folder} is whole")


async def next_hop(patient: Patient) -> AsyncIterator[Finding]:
    """Does the next hop take our mail as it is?"""
    config = patient.config
    if config.next_hop.address == "sink":
        yield warning("the next hop is the built-in sink: mail stays on this machine", "set next_hop.address")
        return
    if loops := _is_us(patient):
        yield broken(
            f"the next hop {config.next_hop.address} is our own listener {loops!r}", "point it at the mail server"
        )
        return
    greeting = "LHLO" if config.next_hop.protocol == "lmtp" else "EHLO"
    hop = config.next_hop.model_copy(update={"connect_timeout_s": _WITHIN_S, "command_timeout_s": _WITHIN_S})
    try:
        relay = NextHopRelay(hop)
        session = await relay.lease()
    except (PortError, ConfigError) as err:
        yield broken(str(err), "start the mail server's second port, or mend next_hop.address")
        return
    offered = session.extensions
    await session.close()
    await relay.close()
    yield ok(f"{relay.name} answers {greeting}: {', '.join(offered) or 'no extensions'}")
    if config.next_hop.tls == "may" and not session.is_secured:
        fix = "offer STARTTLS there, or next_hop.tls = 'none'"
        yield warning("mail goes there in clear text: there is no TLS that works", fix)
    if config.next_hop.xclient and "XCLIENT" not in offered:
        yield warning(
            "it does not offer XCLIENT: it takes filterd for the client of all mail, with filterd's rights",
            "Postfix: smtpd_authorized_xclient_hosts = 127.0.0.0/8 on that port",
        )
    for keyword, effect, is_needed in _WANTED:
        if keyword not in offered:
            fix = f"offer {keyword} there, and discard it at the front (smtpd_discard_ehlo_keywords) until then"
            yield warning(f"it does not offer {keyword}: {effect}", fix) if is_needed else ok(f"no {keyword}: {effect}")
    if "XFORWARD" in offered:
        yield ok(f"it takes XFORWARD {offered['XFORWARD']}")
    elif config.next_hop.protocol == "smtp":
        yield warning(
            "it does not offer XFORWARD: its log shows filterd as the client of all mail",
            "Postfix: smtpd_authorized_xforward_hosts = 127.0.0.0/8 on that port",
        )


async def appeals(patient: Patient) -> AsyncIterator[Finding]:
    """Would the mail server take mail to the appeals address?"""
    config = patient.config
    address = config.notices.appeals_address
    where = config.notices.relay or config.next_hop.address
    if where == "sink":
        yield skipped("the built-in sink takes every address")
        return
    update = {"connect_timeout_s": _WITHIN_S, "command_timeout_s": _WITHIN_S}
    try:
        forward = parse_forward_path(b"<" + address.encode("utf-8") + b">", smtputf8=True)
        relay = NextHopRelay(notice_hop(config, config.next_hop).model_copy(update=update))
        session = await relay.lease()
        try:
            reply = await session.mail(None, ())
            if reply.is_positive:
                # Asked and taken back: no mail is sent.
                reply = await session.rcpt(ForwardPath(path=forward))
        finally:
            await session.close()
            await relay.close()
    except PeerError as err:
        yield broken(f"the appeals address {address}: {err}", "mend notices.appeals_address")
        return
    except (PortError, ConfigError) as err:
        yield skipped(f"the mail server cannot be asked: {err}")
        return
    if reply.is_positive:
        yield ok(f"the mail server takes mail to {address}")
    else:
        yield broken(
            f"the mail server refuses mail to {address}: {reply.code} {reply.enhanced or ''}".rstrip(),
            "make the mailbox, or mend notices.appeals_address: nobody can object by mail",
        )


def _read_model(name: str) -> Path:
    from filterd.clients.modelstore import load_model

    folder = Path(name)
    folder = folder if folder.is_dir() else path(f"models/{name}")
    load_model(folder)
    return folder


def _is_us(patient: Patient) -> str | None:
    """Say which of our listeners the next hop is, or None."""
    host, _, port = patient.config.next_hop.address.rpartition(":")
    own = {"127.0.0.1", "localhost", "[::1]", "::1"}
    return next(
        (
            listener.name
            for listener in patient.config.listener
            if str(listener.port) == port and (host == listener.bind or {host, listener.bind} <= own)
        ),
        None,
    )
