"""Postfix's configuration: values as postconf(1) has them, lines as the files have them. Pure."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from filterd.cli.probes.wiring.fault import Change
from filterd.cli.probes.wiring.text import logical_lines, tokens

_NAME = re.compile(r"\$(?:\{(\w+)\}|\((\w+)\)|(\w+))")
# Deeper than any configuration refers; a circle ends here.
_MOST_DEPTH = 10
_COLUMNS = 8
_CHROOT = 4
_PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}
# Read by programs that start a mail, which are no services of master.cf's own options.
ON, OFF = "yes", "no"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value as written; `line` is None where it could not be found in the file."""

    value: str
    line: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One entry of master.cf."""

    name: str
    type: str
    chroot: str
    program: str
    options: Mapping[str, Setting]
    line: int
    last: int

    @property
    def is_smtpd(self) -> bool:
        return self.program == "smtpd" and self.type in ("inet", "pass")

    @property
    def place(self) -> tuple[str, int] | None:
        """Host and port it listens on; the host is empty for all. None for what is no port."""
        host, _, port = self.name.rpartition(":")
        if self.type != "inet":
            return None
        if not port.isdigit():
            known = _PORTS.get(port)
            try:
                return host.strip("[]"), known or socket.getservbyname(port, "tcp")
            except OSError:
                return None
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """A whole configuration.

    Args:
        main: what main.cf sets, not expanded.
        effective: every parameter with its value, defaults too, expanded; `postconf -x`.
        main_lines, master_lines: the files' own lines.
    """

    folder: Path
    main: Mapping[str, Setting]
    services: tuple[Service, ...]
    effective: Mapping[str, str]
    main_lines: tuple[str, ...]
    master_lines: tuple[str, ...]

    def raw(self, name: str, service: Service | None = None) -> Setting | None:
        """Say what the service, else main.cf, sets. None: it is a default."""
        own = service.options.get(name) if service is not None else None
        return own or self.main.get(name)

    def value(self, name: str, service: Service | None = None) -> str:
        """Say the value in effect, expanded."""
        found = self.raw(name, service)
        return self.expand(found.value, service) if found is not None else self.effective.get(name, "")

    def expand(self, text: str, service: Service | None = None, depth: int = 0) -> str:
        """Put values for names. Conditional expressions stay as they are."""
        if depth >= _MOST_DEPTH or "$" not in text:
            return text

        def value_of(match: re.Match[str]) -> str:
            name = match[1] or match[2] or match[3]
            found = self.raw(name, service)
            value = found.value if found is not None else self.effective.get(name, "")
            return self.expand(value, service, depth + 1)

        return _NAME.sub(value_of, text)

    def is_on(self, name: str, service: Service) -> bool:
        return self.value(name, service) == ON

    def is_chrooted(self, service: Service) -> bool:
        """Say whether it runs in the queue directory. master(5): `-` means yes before compatibility level 1."""
        return service.chroot == "y" or (service.chroot == "-" and self.effective.get("compatibility_level") == "0")

    # --- edits --------------------------------------------------------------------------------------------------------

    def set_option(self, service: Service, name: str, value: str) -> Change:
        """Say the edit of master.cf: its own line where there is one, else one more below; the last one wins."""
        setting = service.options.get(name)
        if setting is not None and setting.line is not None and " " not in value:
            line = self.master_lines[setting.line - 1]
            old = re.compile(rf"(?<=\s){re.escape(name)}={re.escape(setting.value)}(?=\s|$)")
            if len(old.findall(line)) == 1:
                text = old.sub(lambda _: f"{name}={value}", line)
                return self._master(setting.line, text)
        text = f"  -o {{ {name} = {value} }}" if " " in value else f"  -o {name}={value}"
        return replace(self._master(service.last, text), do="insert")

    def set_main(self, name: str, value: str) -> Change:
        """Say the edit of main.cf; at its end where the parameter is not set."""
        setting = self.main.get(name)
        file, text = self.folder / "main.cf", f"{name} = {value}"
        if setting is None or setting.line is None:
            return Change(file=file, line=len(self.main_lines), do="insert", text=text)
        return Change(file=file, line=setting.line, last=setting.last, do="replace", text=text)

    def set_where_set(self, service: Service, name: str, value: str) -> Change:
        """Edit master.cf where the service sets it itself, main.cf where it does not."""
        is_own = name in service.options
        return self.set_option(service, name, value) if is_own else self.set_main(name, value)

    def holder(self, service: Service | None, name: str, words: str) -> str | None:
        """Say the parameter of main.cf that a value has these words from. None: the service says them itself."""
        if service is not None and name in service.options and words in service.options[name].value:
            return None
        return next((own for own in self._taken_from(service, name) if words in self.main[own].value), None)

    def set_words(self, service: Service | None, name: str, old: str, new: str) -> Change:
        """Put other words into a parameter, or into the one of main.cf that it takes them from."""
        if service is not None and name in service.options and old in service.options[name].value:
            return self.set_option(service, name, service.options[name].value.replace(old, new))
        holder = self.holder(service, name, old)
        if holder is not None:
            return self.set_main(holder, self.main[holder].value.replace(old, new))
        value = self.value(name, service).replace(old, new)
        return self.set_main(name, value) if service is None else self.set_option(service, name, value)

    def set_chroot(self, service: Service, flag: str) -> Change:
        line = self.master_lines[service.line - 1]
        fields = list(re.finditer(r"\S+", line))
        if len(fields) <= _CHROOT:
            # The columns go on below: the line is named, and left to be read.
            return self._master(service.line, line)
        field = fields[_CHROOT]
        return self._master(service.line, line[: field.start()] + flag + line[field.end() :])

    def set_name(self, service: Service, name: str) -> Change:
        line = self.master_lines[service.line - 1]
        return self._master(service.line, name + " " + line.removeprefix(service.name).lstrip())

    def _master(self, line: int, text: str) -> Change:
        return Change(file=self.folder / "master.cf", line=line, last=line, do="replace", text=text)

    def _taken_from(self, service: Service | None, name: str) -> list[str]:
        """Say which parameters of main.cf make up a value, itself first."""
        found: list[str] = []
        waiting = [name]
        while waiting:
            here = waiting.pop(0)
            setting = self.raw(here, service)
            if setting is None or here in found:
                continue
            if here in self.main:
                found.append(here)
            waiting += [a or b or c for a, b, c in _NAME.findall(setting.value)]
        return found


def parse(
    folder: Path,
    main_cf: str,
    master_cf: str,
    effective: Mapping[str, str],
    *,
    values: Mapping[str, str] | None = None,
    options: Mapping[tuple[str, str], Mapping[str, str]] | None = None,
) -> Postfix:
    """Read the two files.

    Args:
        effective: `postconf -x`.
        values: main.cf as postconf has it, where it was asked; it is right where the reading here is not.
        options: those of a service, by name and type, likewise.
    """
    main = {**parse_main(main_cf)}
    for name, value in (values or {}).items():
        main[name] = replace(main.get(name, Setting(value=value)), value=value)
    services = []
    for service in parse_master(master_cf):
        own = dict(service.options)
        for name, value in (options or {}).get((service.name, service.type), {}).items():
            own[name] = replace(own.get(name, Setting(value=value)), value=value)
        services.append(replace(service, options=own))
    return Postfix(
        folder=folder,
        main=main,
        services=tuple(services),
        effective=effective,
        main_lines=tuple(main_cf.splitlines()),
        master_lines=tuple(master_cf.splitlines()),
    )


def parse_main(text: str) -> dict[str, Setting]:
    """Read main.cf, or what postconf prints; the last one wins."""
    found = {}
    for logical in logical_lines(text):
        name, sign, value = logical.text.partition("=")
        if sign:
            found[name.strip()] = Setting(value=value.strip(), line=logical.first, last=logical.last)
    return found


def parse_master(text: str) -> list[Service]:
    """Read master.cf."""
    services = []
    for logical in logical_lines(text):
        words = tokens(logical.pieces)
        if len(words) < _COLUMNS:
            continue
        options: dict[str, Setting] = {}
        for before, word in zip(words[_COLUMNS - 1 :], words[_COLUMNS:], strict=False):
            name, sign, value = word.text.strip("{} ").partition("=")
            if before.text == "-o" and sign:
                options[name.strip()] = Setting(value=value.strip(), line=word.line, last=word.line)
        services.append(
            Service(
                name=words[0].text,
                type=words[1].text,
                chroot=words[_CHROOT].text,
                program=words[_COLUMNS - 1].text.rpartition("/")[2],
                options=options,
                line=logical.first,
                last=logical.last,
            )
        )
    return services


def parse_options(text: str) -> dict[tuple[str, str], dict[str, str]]:
    """Read what `postconf -P` prints: `service/type/name = value`."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in text.splitlines():
        path, sign, value = line.partition(" =")
        name, kind, parameter = [*path.rsplit("/", 2), "", ""][:3]
        if sign and parameter:
            found.setdefault((name, kind), {})[parameter] = value.strip()
    return found
