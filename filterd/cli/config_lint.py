"""What a configuration contradicts outside its own shape: places taken twice, files nobody can read, lists that say
nothing.  For `filterd config check`; `look_closer` in settings.py calls these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filterd.errors import ConfigError

if TYPE_CHECKING:
    from datetime import datetime

    from filterd.config import Config, Section
    from filterd.model.exception import ExceptionEntry

Where = tuple[str | int, ...]

_EVERYWHERE = frozenset({"", "0.0.0.0", "::", "*"})  # noqa: S104
# A network that takes more than this lets in is no partner of anybody's: /8 of IPv4, /24 of IPv6.
_WIDE = {4: 8, 6: 24}
# Each takes some ten microseconds at each RCPT.
_TRIED_AT_EACH_RECIPIENT = 1000
# RFC 2142 §4, RFC 5321 §4.5.1.
_OPEN = ("postmaster@", "abuse@")


def files_in(section: Section, at: Where = ()) -> Iterator[tuple[Where, Path]]:
    """Say every file that a configuration names to be read, with its key. Folders and what is written are left out."""
    for where, value in keys_in(section, at):
        name = str(where[-1])
        if isinstance(value, Path) and (name == "file" or name.endswith("_file") or name.startswith("tls_")):
            yield where, value


def keys_in(section: Section, at: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Say every key of a configuration with its value, tables within tables too."""
    from filterd.config import Section

    for name, value in section:
        items = tuple(value) if isinstance(value, tuple) else ()
        if isinstance(value, Section):
            yield from keys_in(value, (*at, name))
        elif items and all(isinstance(item, Section) for item in items):
            for number, item in enumerate(items):
                yield from keys_in(item, (*at, name, number))
        else:
            yield (*at, name), value


def unreadable(config: Config) -> tuple[Where, str] | None:
    """Say the first file that cannot be read, by its key, and why; None when all can."""
    for where, file in files_in(config):
        try:
            with file.open("rb"):
                pass
        except FileNotFoundError:
            return where, f"{file}: there is no such file"
        except OSError as err:
            return where, f"{file}: cannot be read: {err.strerror}"
    return None


def doubled(config: Config) -> tuple[Where, str] | None:
    """Say the first door that is where another is already, by its key; None when each has a place of its own."""
    taken: list[tuple[str, str, int]] = []
    for where, name, bind, port in _doors(config):
        for other, there, number in taken:
            if number == port and (bind == there or (port and not _EVERYWHERE.isdisjoint((bind, there)))):
                return where, f"{name} is where {other} is already: {bind}{f':{port}' if port else ''}"
        if port or bind.startswith("unix:"):
            taken.append((name, bind, port))
    if config.next_hop.address in {bind if bind.startswith("unix:") else f"{bind}:{port}" for _, bind, port in taken}:
        return ("next_hop", "address"), f"{config.next_hop.address} is a door of ours: mail would go round"
    return None


def _doors(config: Config) -> Iterator[tuple[Where, str, str, int]]:
    if config.milter.enabled:
        yield ("milter", "address"), "milter", config.milter.bind, config.milter.port
    for name, door in (
        ("policy_service", config.policy_service),
        ("socketmap", config.socketmap),
        ("http", config.http),
    ):
        if door.enabled:
            is_path = door.bind.startswith("unix:")
            yield (name, "bind" if is_path else "port"), name, door.bind, 0 if is_path else door.port
    for number, item in enumerate(config.listener):
        is_path = item.bind.startswith("unix:")
        key = "bind" if is_path else "port"
        yield ("listener", number, key), f"listener {item.name!r}", item.bind, 0 if is_path else item.port


def listed(config: Config, now: datetime) -> Iterator[str]:
    """Say what is worth a look in the lists of exceptions. Raises ConfigError, naming file, line and key."""
    from filterd.agreement.exceptions import ExceptionTable
    from filterd.clients.exception_files import load_exceptions

    entries = load_exceptions(config.exceptions.files)
    for entry in entries:
        yield from (f"{entry.file}:{entry.line}: {entry.id}: {word}" for word in _doubts(entry, config, now))
    if (count := ExceptionTable(entries).tried_at_each_recipient) > _TRIED_AT_EACH_RECIPIENT:
        yield (
            f"exceptions.files: {count} entries wait for the From field and are tried one by one at each RCPT; "
            "one entry may name many domains in from_domain and is tried once"
        )


def _doubts(entry: ExceptionEntry, config: Config, now: datetime) -> Iterator[str]:
    from filterd.model.exception import DENY, SPAM_AT, Kind

    if entry.until is not None and now >= entry.until:
        yield f"ended on {entry.until.date()}"
    if entry.authenticated and not config.authentication.enabled:
        yield "authentication.enabled = false: nothing is ever proven, and the entry never applies"
    if any(topic == SPAM_AT for topic, _ in entry.choices) and not config.spam.enabled:
        yield "spam.enabled = false: there is no probability to compare"
    if entry.kind is not Kind.DENY:
        yield from (f"{n} takes mail of very many" for n in entry.client if n.prefixlen < _WIDE[n.version])
    elif any(name.startswith(_OPEN) for name in entry.recipient):
        yield "closes an address that everybody must be able to reach (RFC 2142)"
    if entry.kind is Kind.ACCEPT and any(topic == DENY for topic, _ in entry.choices) and not entry.recipient:
        yield "takes its mail whatever else refuses it, for every recipient"


def placed(message: str, where: Sequence[str | int], file: Path | None) -> ConfigError:
    """Make the error for a key of the file."""
    from filterd.model.toml_source import TomlSource

    if file is None:
        return ConfigError(message, key=".".join(map(str, where)))
    return TomlSource.read(file).error(message, where)
