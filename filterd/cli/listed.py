"""What the operator's lists say of a mail, in words: of one that came, and of one that might.  EXCEPTIONS.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filterd.cli.say import printable
from filterd.errors import PeerError, UsageError

if TYPE_CHECKING:
    from filterd.config import Config
    from filterd.model.exception import MailTraits

_METHODS = ("spf", "dkim", "dmarc")


def about(directory: Path, ident: str) -> list[dict[str, Any]]:
    """Say the decisions and refusals at RCPT of a transaction or a session, out of the event stream."""
    from filterd.cli.events import everything_about

    if not directory.is_dir():
        return []
    return [x for x in everything_about(directory, ident) if x["event"] in ("decided", "denied")]


def lines_of(event: Mapping[str, Any]) -> Iterator[str]:
    """Say the entries that were about a mail: which was followed, and which lost to it."""
    for one in event.get("exceptions") or event.get("decision", {}).get("exceptions", ()):
        yield printable(line_of(one))


def line_of(one: Mapping[str, Any]) -> str:
    """Say one entry: `listed deny: followed net (reject), lists/deny.toml:12`."""
    word = "followed" if one["is_followed"] else "lost:"
    return f"listed {one['topic']}: {word} {one['id']} ({one['choice']}), {one['file']}:{one['line']}"


def asked(
    config: Config,
    *,
    at: datetime,
    recipient: str | None,
    sender: str | None,
    client: str | None,
    account: str | None,
    tenant: Iterable[str],
    from_domain: str | None,
    passed: Iterable[str],
) -> list[dict[str, Any]]:
    """Say what the lists in the files would make of a mail, topic by topic, the followed entry first.

    Raises:
        ConfigError: a list is faulty.
        UsageError: what was asked is no address, domain or method.
    """
    from filterd.agreement.exceptions import ExceptionTable, applied, settle
    from filterd.clients.exception_files import load_exceptions
    from filterd.log.facts import exception_facts

    try:
        mail = _traits(at, recipient, sender, client, account, tenant, from_domain, passed)
    except (PeerError, ValueError) as err:
        raise UsageError(str(err)) from err
    table = ExceptionTable(load_exceptions(config.exceptions.files))
    return [exception_facts(entry) for entry in applied(settle(table.matching(mail)))]


def _traits(
    at: datetime,
    recipient: str | None,
    sender: str | None,
    client: str | None,
    account: str | None,
    tenant: Iterable[str],
    from_domain: str | None,
    passed: Iterable[str],
) -> MailTraits:
    import ipaddress

    from filterd.mail.names import canonical_domain, canonical_login
    from filterd.model.exception import NULL_SENDER, MailTraits

    proofs = set()
    for said in passed:
        method, sign, domain = said.partition("=")
        if method not in _METHODS or not sign:
            raise UsageError(f"--passed {said}: METHOD=DOMAIN, with one of {', '.join(_METHODS)}")
        proofs.add((method, canonical_domain(domain)))
    return MailTraits(
        at=at,
        is_outbound=account is not None,
        recipient=_address(recipient) if recipient else "",
        client=ipaddress.ip_address(client) if client else None,
        sender=_address(sender) if sender and sender != NULL_SENDER else NULL_SENDER,
        account=canonical_login(account) if account else None,
        tenants=tuple(name.lower() for name in tenant),
        from_domain=canonical_domain(from_domain) if from_domain else None,
        proofs=frozenset(proofs),
    )


def _address(text: str) -> str:
    from filterd.mail.names import canonical_domain

    local, sign, domain = text.rpartition("@")
    if not sign or not local:
        raise UsageError(f"{text!r} is no address")
    return f"{local.lower()}@{canonical_domain(domain)}"
