"""`filterd config`: is the file right, and what is in effect."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.config_lint import Where, doubled, listed, placed, unreadable
from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import printable, result
from filterd.errors import ConfigError
from filterd.model.toml_source import TomlSource

if TYPE_CHECKING:
    from filterd.config import Config, Section

# What stands between the name and the host of an address, and after `password=` of a query.
_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*:)[^/\s]*(?=@)|([?&\s]password=)[^&\s]*")

configs = typer.Typer(help="The configuration: check a file, show what is in effect.")


@configs.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A configuration file.")], as_json: Json = False
) -> None:
    """Read a configuration as start-up would, with its agreements and addresses. Exit 2, naming file, line and key."""
    settings = load_config(file)
    warnings = list(look_closer(settings, file))
    said = {"file": str(file), "warnings": warnings}
    result(said, as_json=as_json, text=lambda: [f"{printable(file)}: right", *(f"warning: {w}" for w in warnings)])


@configs.command("show")
def show(
    context: typer.Context,
    config: ConfigFile = None,
    effective: Annotated[
        bool, typer.Option("--effective", help="Say of each value where it comes from: a default, or file and line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show every value in effect, in the form of a configuration file; what is a default is marked.

    Passwords within addresses are masked.
    """
    settings = load_config(config)
    if not effective:
        result(_marked(settings), as_json=as_json, text=lambda: _toml(settings))
        return
    how = context.get_parameter_source("config")
    by = "the environment, FILTERD_CONFIG" if how is not None and how.name == "ENVIRONMENT" else "the command line"
    whole = f"{config} (from {by})" if config is not None else "no file: the embedded defaults"
    source = TomlSource.read(config) if config is not None else None
    result(
        {"from": whole, **_marked(settings, source)},
        as_json=as_json,
        text=lambda: [f"# {printable(whole)}", *_toml(settings, source)],
    )


def look_closer(config: Config, file: Path | None) -> Iterator[str]:
    """Check what the file's own shape does not say. Raises ConfigError; says what is only worth a look."""
    from filterd.app import Neighbours, build_checks, dns_resolver, load_agreements
    from filterd.clients.clamd import ClamdScanner
    from filterd.clients.clock import SystemClock
    from filterd.clients.relay_connection import Address
    from filterd.errors import ModelError

    try:
        load_agreements(config)
    except ConfigError as err:
        # Of a file of its own it has said enough.
        raise err if err.file is not None else _placed(err, "agreement.default", file) from err
    for key, address, read in (
        ("next_hop.address", config.next_hop.address, Address.parse),
        ("notices.relay", config.notices.relay, Address.parse),
        ("clamd.address", config.clamd.address, lambda a: ClamdScanner(a, timeout_s=1, max_connections=1)),
    ):
        try:
            if address not in (None, "sink", "auto"):
                read(address)
        except ConfigError as err:
            raise _placed(err, key, file) from err
    for fault in (unreadable(config), doubled(config)):
        if fault is not None:
            raise placed(fault[1], fault[0], file)
    try:
        # What is logged of lists being read is no part of the answer.
        with contextlib.redirect_stdout(sys.stderr):
            build_checks(config, Neighbours(scanner=None, clock=SystemClock()))
        dns_resolver(config)
    except ModelError as err:
        raise _placed(ConfigError(str(err)), "spam.model", file) from err
    except ConfigError as err:
        raise err if err.file is not None else _placed(err, err.key or "checks", file) from err
    yield from listed(config, SystemClock().now())
    yield from warnings_about(config)


def warnings_about(config: Config) -> Iterator[str]:
    """Say which values are allowed and worth a second look."""
    outbound = [item for item in config.listener if item.direction != "inbound"]
    for item in outbound:
        if item.attribution == "none":
            yield f"listener {item.name!r}: attribution = 'none': nobody can be held answerable for its mail"
    if config.next_hop.address == "sink":
        yield "next_hop.address = 'sink': accepted mail stays on this machine"
    if config.next_hop.protocol == "lmtp" and config.notices.relay is None:
        yield "next_hop.protocol = 'lmtp' without notices.relay: notices reach the mailboxes of that server only"
    if config.node.clock == "settable":
        yield "node.clock = 'settable': for demonstrations only"
    for key, address in (
        ("notices.appeals_address", config.notices.appeals_address),
        ("notices.sender", config.notices.sender),
    ):
        if address.rstrip(">").endswith((".invalid", ".example")):
            yield f"{key} = {address!r}: no mail can reach it"
    for item in config.listener:
        if item.hostname.endswith(".invalid"):
            yield f"listener {item.name!r}: hostname {item.hostname!r} is a placeholder"


def _placed(err: ConfigError, key: str, file: Path | None) -> ConfigError:
    """Make an error about a value into one about a key of the file."""
    return placed(err.message, key.split("."), file)


def _marked(section: Section, source: TomlSource | None = None, at: Where = ()) -> dict[str, Any]:
    """Say every key with its value and whether that is the default; with a source also where it comes from."""
    out: dict[str, Any] = {}
    for name, value in section:
        here = (*at, name)
        if _is_section(value):
            out[name] = _marked(value, source, here)
        elif isinstance(value, tuple) and value and all(map(_is_section, value)):
            out[name] = [_marked(item, source, (*here, number)) for number, item in enumerate(value)]
        else:
            out[name] = {"value": _plain(value), "default": value == _default(section, name)}
            if source is not None:
                out[name]["from"] = _origin(source, here)
    return out


def _toml(section: Section, source: TomlSource | None = None, at: Where = ()) -> Iterator[str]:
    """Write a section as TOML."""
    nested: list[tuple[str, Any, Where, bool]] = []
    for name, value in section:
        here = (*at, name)
        if _is_section(value):
            nested.append((name, value, here, False))
        elif isinstance(value, tuple) and value and all(map(_is_section, value)):
            nested += [(name, item, (*here, number), True) for number, item in enumerate(value)]
        else:
            mark = "  # default" if value == _default(section, name) else ""
            if source is not None:
                mark = f"  # {printable(_origin(source, here))}"
            # TOML has no null: a key that is not set stands as a comment.
            yield f"# {name} is not set{mark}" if value is None else f"{name} = {_literal(value)}{mark}"
    for _, value, here, is_listed in nested:
        dotted = ".".join(part for part in here if isinstance(part, str))
        yield ""
        yield f"[[{dotted}]]" if is_listed else f"[{dotted}]"
        yield from _toml(value, source, here)


def _origin(source: TomlSource, at: Where) -> str:
    """Say where a value comes from: `default`, or file and line. A variable that holds a secret is only named."""
    found: Any = source.values
    for part in at:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return "default"
    where = f"{source.file}:{source.line_of(at) or 1}"
    if str(at[-1]).endswith("_env"):
        return f"{where}, environment: {found} is {'set' if os.environ.get(str(found)) else 'not set'}"
    return where


def _default(section: Section, name: str) -> Any:
    return type(section).model_fields[name].get_default(call_default_factory=True)


def _is_section(value: object) -> bool:
    from filterd.config import Section

    return isinstance(value, Section)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", value)
    return str(value) if isinstance(value, Path) else value


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_literal(item)}" for key, item in value.items()) + "}"
    # JSON's literals for text, numbers, booleans and lists are TOML's too.
    return json.dumps(_plain(value), ensure_ascii=False)
