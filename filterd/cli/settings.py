"""`filterd config`: is the file right, and what is in effect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from filterd.cli.options import ConfigFile, Json
from filterd.cli.places import load_config
from filterd.cli.say import printable, result
from filterd.errors import ConfigError

if TYPE_CHECKING:
    from filterd.config import Config, Section

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
def show(config: ConfigFile = None, as_json: Json = False) -> None:
    """Show every value in effect, in the form of a configuration file; what is a default is marked."""
    settings = load_config(config)
    result(_marked(settings), as_json=as_json, text=lambda: _toml(settings))


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
    for listener in config.listener:
        for key, found in (("tls_certificate", listener.tls_certificate), ("tls_key", listener.tls_key)):
            if found is not None and not found.is_file():
                raise _placed(ConfigError(f"{found}: there is no such file"), key, file)
    try:
        build_checks(config, Neighbours(scanner=None, clock=SystemClock()))
        dns_resolver(config)
    except ModelError as err:
        raise _placed(ConfigError(str(err)), "spam.model", file) from err
    except ConfigError as err:
        raise err if err.file is not None else _placed(err, err.key or "checks", file) from err
    yield from warnings_about(config)


def warnings_about(config: Config) -> Iterator[str]:
    """Say which values are allowed and worth a second look."""
    outbound = [item for item in config.listener if item.direction != "inbound"]
    for item in outbound:
        if item.attribution == "none":
            yield f"listener {item.name!r}: attribution = 'none': nobody can be held answerable for its mail"
    if config.next_hop.address == "sink":
        yield "next_hop.address = 'sink': accepted mail stays on this machine"
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
    from filterd.model.toml_source import TomlSource

    if file is None:
        return ConfigError(err.message, key=key)
    return TomlSource.read(file).error(err.message, key.split("."))


def _marked(section: Section) -> dict[str, Any]:
    """Say every key with its value and whether that is the default."""
    out: dict[str, Any] = {}
    for name, value in section:
        if _is_section(value):
            out[name] = _marked(value)
        elif isinstance(value, tuple) and value and all(map(_is_section, value)):
            out[name] = [_marked(item) for item in value]
        else:
            out[name] = {"value": _plain(value), "default": value == _default(section, name)}
    return out


def _toml(section: Section, prefix: str = "") -> Iterator[str]:
    """Write a section as TOML."""
    nested: list[tuple[str, Any, bool]] = []
    for name, value in section:
        if _is_section(value):
            nested.append((f"{prefix}{name}", value, False))
        elif isinstance(value, tuple) and value and all(map(_is_section, value)):
            nested += [(f"{prefix}{name}", item, True) for item in value]
        else:
            is_default = value == _default(section, name)
            mark = "  # default" if is_default else ""
            # TOML has no null: a key that is not set stands as a comment.
            yield f"# {name} is not set{mark}" if value is None else f"{name} = {_literal(value)}{mark}"
    for name, value, is_listed in nested:
        yield ""
        yield f"[[{name}]]" if is_listed else f"[{name}]"
        yield from _toml(value, f"{name}.")


def _default(section: Section, name: str) -> Any:
    return type(section).model_fields[name].get_default(call_default_factory=True)


def _is_section(value: object) -> bool:
    from filterd.config import Section

    return isinstance(value, Section)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_literal(item)}" for key, item in value.items()) + "}"
    # JSON's literals for text, numbers, booleans and lists are TOML's too.
    return json.dumps(_plain(value), ensure_ascii=False)
