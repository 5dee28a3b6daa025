"""`filterd scan`: what would become of these mails?  No ledger, no next hop, nothing is changed."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json, StateDir
from filterd.cli.places import load_config
from filterd.cli.say import Progress, dumps, printable
from filterd.errors import ConfigError, PeerError, UsageError

if TYPE_CHECKING:
    from filterd.cli.mails import Mail
    from filterd.cli.scan_then import Then
    from filterd.config import Config
    from filterd.pipeline.scan import ScanOptions


def scan(
    paths: Annotated[list[str], typer.Argument(metavar="PATH…|-", help="Mails: files, folders, mbox, .tar.gz, or -.")],
    mail_from: Annotated[
        str | None, typer.Option("--mail-from", metavar="ADDRESS", help="Envelope sender; default: the null sender.")
    ] = None,
    rcpt_to: Annotated[
        list[str] | None, typer.Option("--rcpt-to", metavar="ADDRESS", help="Envelope recipient; may be repeated.")
    ] = None,
    client_ip: Annotated[
        str | None, typer.Option("--client-ip", metavar="IP", help="Where the mail came from.")
    ] = None,
    helo: Annotated[str | None, typer.Option("--helo", metavar="NAME", help="What the client said in EHLO.")] = None,
    auth_user: Annotated[
        str | None,
        typer.Option(
            "--auth-user",
            metavar="LOGIN",
            help="Make it outbound mail of this login: a fresh account in good standing under the default agreement. "
            "Without it the mail is inbound, from a stranger.",
        ),
    ] = None,
    dns: Annotated[
        str | None,
        typer.Option(
            "--dns", metavar="HOST:PORT", help="Name server for SPF, DKIM, DMARC and ARC; without it, none is asked."
        ),
    ] = None,
    dns_of: Annotated[
        str | None,
        typer.Option(
            "--dns-of",
            metavar="TX",
            help="Replay the decision about this transaction: time, client and DNS answers are those of its event. "
            "Give mail and --mail-from as they were.",
        ),
    ] = None,
    no_clamd: Annotated[bool, typer.Option("--no-clamd", help="Leave the virus check out.")] = False,
    config: ConfigFile = None,
    state_dir: StateDir = None,
    as_json: Json = False,
) -> None:
    """Judge mails as in service, without a ledger.

    Says disposition, reply, scores and verdicts; with --json one object a line. Folders are read with everything below,
    sorted; of folders and archives only what looks like mail is taken. What cannot be read gives a line, or an object,
    with the error. Exit 0 when all mails were scanned.

    There are no counters, so rates are not judged. DNS is asked when --dns or the configuration names a server; with
    --dns-of it never is. Without clamd the virus check ends in temperror, as in service.
    """
    import asyncio

    settings = load_config(config, state_dir)
    if no_clamd:
        settings = settings.model_copy(update={"clamd": settings.clamd.model_copy(update={"enabled": False})})
    past = None
    if dns_of is not None:
        from filterd.cli.scan_then import then

        if dns is not None:
            raise ConfigError("one of --dns and --dns-of", key="--dns-of")
        past = then(settings, dns_of)
        client_ip, helo = client_ip or past.client_address, helo or past.helo
    options = _options(mail_from, rcpt_to or [], client_ip, helo, auth_user, dns)
    if dns is not None:
        settings = settings.model_copy(update={"dns": settings.dns.model_copy(update={"nameservers": (dns,)})})
    failures = asyncio.run(_run(settings, options, paths, past, as_json=as_json))
    if past is not None and past.lookups.missing:
        names = ", ".join(f"{name} {rdtype}" for name, rdtype in dict.fromkeys(past.lookups.missing))
        print(f"not, or not whole, in the event: {printable(names)}", file=sys.stderr)
    if failures:
        raise typer.Exit(1)


async def _run(config: Config, options: ScanOptions, paths: list[str], past: Then | None, *, as_json: bool) -> int:
    """Scan and print everything; says how many mails could not be scanned."""
    from filterd.cli.mails import mails

    limit = max(listener.max_message_bytes for listener in config.listener)
    progress, done, failures = Progress("scanned"), 0, 0
    async for said in _scanned(config, options, mails(paths, max_bytes=limit), past):
        done += 1
        failures += "error" in said
        progress.end()
        print(dumps(said) if as_json else _line(said))
        progress.step(done)
    progress.end()
    if not done:
        raise UsageError(f"{', '.join(paths)}: no mail there")
    return failures


async def _scanned(
    config: Config, options: ScanOptions, found: Iterator[Mail], past: Then | None
) -> AsyncIterator[dict[str, Any]]:
    """Scan mails, a few at once, and say what came of them in their order."""
    import asyncio

    from filterd import app
    from filterd.clients.clock import SystemClock
    from filterd.clients.keys import derive
    from filterd.pipeline.kept_dns import KeptResolver
    from filterd.pipeline.scan import scan as scan_one

    terms = app.load_agreements(config)[config.agreement.default]
    scanner = await app.make_scanner(config)
    checks = app.build_checks(config, app.Neighbours(scanner=scanner, clock=SystemClock()))
    live = app.dns_resolver(config) if config.dns.nameservers and past is None else None
    resolver = live if past is None else KeptResolver(past.lookups)
    # While clamd works on one mail we can on the next; without it the work is all ours, and a queue gains nothing.
    at_once = config.clamd.max_connections if scanner is not None else 1
    rules, clock = app.gate_rules(config), past or SystemClock()
    # Nothing that a key goes into is printed, and the same mail should give the same result everywhere.
    keys = derive(bytes(32))

    async def one(mail: Mail) -> dict[str, Any]:
        where: dict[str, Any] = {"path": mail.path}
        if mail.member is not None:
            where["member"] = mail.member
        if mail.error is not None:
            return {**where, "error": mail.error}
        try:
            result = await scan_one(
                mail.raw, options, checks, terms, rules=rules, clock=clock, keys=keys, resolver=resolver
            )
        # In service the door would answer 451 and the next mail would come; here it is the next mail's turn too.
        except Exception as err:
            return {**where, "error": f"internal: {type(err).__name__}"}
        return {**where, **result.as_json()}

    window: list[asyncio.Task[dict[str, Any]]] = []
    try:
        for mail in found:
            window.append(asyncio.create_task(one(mail)))
            if len(window) >= at_once:
                yield await window.pop(0)
        for task in window:
            yield await task
    finally:
        if live is not None:
            await live.close()


def _options(
    mail_from: str | None,
    rcpt_to: list[str],
    client_ip: str | None,
    helo: str | None,
    auth_user: str | None,
    dns: str | None,
) -> ScanOptions:
    """Read the envelope and session. Raises ConfigError naming the option."""
    import ipaddress

    from filterd.mail.address import parse_forward_path, parse_reverse_path
    from filterd.mail.names import canonical_login
    from filterd.pipeline.scan import ScanOptions

    key = "--mail-from"
    try:
        reverse_path = parse_reverse_path(_bracketed(mail_from or ""), smtputf8=True)
        key = "--rcpt-to"
        forward_paths = tuple(parse_forward_path(_bracketed(item), smtputf8=True) for item in rcpt_to)
        key = "--auth-user"
        login = None if auth_user is None else canonical_login(auth_user)
        key = "--client-ip"
        if client_ip is not None:
            client_ip = str(ipaddress.ip_address(client_ip))
        key = "--dns"
        if dns is not None:
            _check_dns(dns)
    except (PeerError, ValueError) as err:
        raise ConfigError(str(err), key=key) from err
    return ScanOptions(
        reverse_path=reverse_path,
        forward_paths=forward_paths,
        client_address=client_ip,
        helo=helo,
        login=login,
    )


def _bracketed(address: str) -> bytes:
    return b"<" + address.strip().removeprefix("<").removesuffix(">").encode("utf-8", "surrogateescape") + b">"


def _check_dns(text: str) -> None:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")


def _line(said: dict[str, Any]) -> str:
    """Say a result for people: what happens, how sure the models are, what was found, which mail."""
    if "error" in said:
        return f"{'error':8} {printable(said['path'])}: {printable(said['error'])}"
    scores = " ".join(f"{label}={score:.3f}" for label, score in said["scores"].items())
    codes = [finding["code"] for verdict in said["verdicts"] for finding in verdict["findings"]]
    errors = [f"{v['check']}:{v['outcome']}" for v in said["verdicts"] if v["outcome"] in ("temperror", "permerror")]
    clauses = [f"clause {', '.join(said['clauses'])}"] if said["clauses"] else []
    reply = [f"{said['reply']['code']} {said['reply']['enhanced']}"] if said["reply"] else []
    words = [scores, *reply, *codes, *errors, *clauses]
    return f"{said['disposition']:8} {printable(said['path'])}  {'  '.join(word for word in words if word)}".rstrip()
