"""`filterd dkim`: private keys that sign, and the records their public halves need in DNS.  RFC 6376 §3.6.1, §5.1."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import result, table

if TYPE_CHECKING:
    from filterd.checks.dkim.sign import SigningKey
    from filterd.config import Config

dkim = typer.Typer(help="Keys that sign your tenants' mail, and what has to stand in DNS for them.")

# A character string of a TXT record has at most 255 octets (RFC 1035 §3.3.14).
_STRING = 255


class Kind(StrEnum):
    """What `new` makes. Every verifier knows RSA; Ed25519 is short, and signs beside it."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dkim.command("new")
def new(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="Whose mail it will sign: d=.")],
    selector: Annotated[str, typer.Argument(metavar="SELECTOR", help="A name never used there before: s=.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private key goes; must not exist.")],
    kind: Annotated[Kind, typer.Option("--kind", help="rsa (2048 bits) or ed25519.")] = Kind.RSA,
    as_json: Json = False,
) -> None:
    """Make a private key, readable by its owner alone, and say the record that has to stand in DNS before it signs."""
    from filterd.checks.dkim.sign import SigningKey
    from filterd.clients.signing_keys import load_private_key, make_private_key

    name, chosen = _domain(domain), _domain(selector)
    octets = make_private_key(kind.value)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(octets)
    _show([SigningKey(domain=name, selector=chosen, private=load_private_key(file))], as_json=as_json)


@dkim.command("show")
def show(config: ConfigFile = None, as_json: Json = False) -> None:
    """Say the record of every key in the configuration, in the form of a zone file."""
    _show(_keys(load_config(config)), as_json=as_json)


@dkim.command("check")
def check(config: ConfigFile = None, as_json: Json = False) -> None:
    """Ask DNS for the record of every key in the configuration. Exit 1 where one is not there, or is another key's."""
    import asyncio

    settings = load_config(config)
    found = asyncio.run(_looked_up(settings, _keys(settings)))
    result(found, as_json=as_json, text=lambda: table(("record", "state"), [(x["name"], x["state"]) for x in found]))
    raise typer.Exit(0 if all(x["state"] == "published" for x in found) else 1)


def _keys(config: Config) -> list[SigningKey]:
    from filterd.app.parts import make_signer

    return list(make_signer(config.signing).all_keys())


def _show(keys: Iterable[SigningKey], *, as_json: bool) -> None:
    from filterd.clients.signing_keys import public_record

    said = [{"name": key.record_name, "record": public_record(key.private)} for key in keys]
    result(said, as_json=as_json, text=lambda: [_zone_line(x["name"], x["record"]) for x in said] or ["(no keys)"])


def _zone_line(name: str, text: str) -> str:
    strings = " ".join(f'"{text[at : at + _STRING]}"' for at in range(0, len(text), _STRING))
    return f"{name}. IN TXT ( {strings} )"


async def _looked_up(config: Config, keys: Iterable[SigningKey]) -> list[dict[str, Any]]:
    from filterd.app import dns_resolver
    from filterd.checks.dkim.fate import Fate
    from filterd.checks.dkim.fetch import fetch
    from filterd.checks.dkim.keys import Key, parse
    from filterd.errors import UsageError

    resolver = dns_resolver(config)
    if resolver is None:
        raise UsageError("there is no resolver: [authentication] is off, and so is DNS")
    said = []
    try:
        for key in keys:
            answer = (await fetch(resolver.for_message(), [key.record_name]))[key.record_name]
            published = [x.public for record in answer.records if isinstance(x := parse(record), Key)]
            if answer.fate in (Fate.DNS, Fate.DNS_BUDGET):
                state = "no answer"
            elif key.private.public_key() in published:
                state = "published"
            else:
                state = "another key" if published else "missing"
            said.append({"name": key.record_name, "state": state})
    finally:
        await resolver.close()
    return said


def _domain(text: str) -> str:
    from filterd.checks.dkim.signature import domain_name
    from filterd.errors import UsageError

    name = domain_name(text.encode())
    if name is None:
        raise UsageError(f"{text!r} cannot stand in DNS")
    return name
