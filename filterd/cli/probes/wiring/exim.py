"""Faults of an Exim that gives filterd its mail and takes it back, in exim.conf.  ops/exim (content filter). Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filterd.cli.probes.wiring.fault import Change, Fault, breaks
from filterd.config import Config

EXIM_PORT = breaks("exim-port", "no filterd listens there; all mail waits in Exim's queue")
EXIM_PROTOCOL = breaks("exim-protocol", "one side speaks LMTP and the other SMTP; all mail waits in Exim's queue")
EXIM_LOOP = breaks("exim-loop", "what filterd hands on goes to filterd again, until too many hops bounce it")
EXIM_LOGIN = breaks("exim-login", "filterd believes no login: nobody is answerable, suspended accounts send on")
EXIM_NEXT_HOP = breaks("exim-next-hop", "Exim does not listen there; filterd can hand on nothing, and all mail waits")
KINDS = (EXIM_PORT, EXIM_PROTOCOL, EXIM_LOOP, EXIM_LOGIN, EXIM_NEXT_HOP)

_OPTION = re.compile(r"^\s*([a-z_]+)\s*=\s*(.*?)\s*$")
_STANZA = re.compile(r"^([\w-]+):\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`name = value` of a stanza; the stanza's name is empty above all of them."""

    stanza: str
    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exim:
    path: Path
    lines: tuple[str, ...]
    options: tuple[Option, ...]

    def of(self, stanza: str, name: str) -> Option | None:
        return next((option for option in self.options if (option.stanza, option.name) == (stanza, name)), None)

    def put(self, line: int, text: str) -> Change:
        return Change(file=self.path, line=line, last=line, do="replace", text=text)

    def set(self, option: Option, value: str) -> Change:
        return self.put(option.line, self.lines[option.line - 1].replace(option.value, value, 1))


def parse(path: Path, text: str) -> Exim:
    """Read the lines that are options; what Exim's language can do beyond that is passed over."""
    stanza, options = "", []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#"):
            continue
        if found := _STANZA.match(line):
            stanza = found[1]
        elif found := _OPTION.match(line):
            options.append(Option(stanza=stanza, name=found[1], value=found[2], line=number))
    return Exim(path=path, lines=tuple(text.splitlines()), options=tuple(options))


def faults(config: Config, exim: Exim) -> Iterator[Fault]:
    """Look for all of them where there is a transport to filterd. A filterd in front of Exim is not in its file."""
    listener = next((item for item in config.listener if item.attribution == "header"), None)
    port = exim.of("filterd", "port")
    if listener is None or port is None:
        return
    if port.value != str(listener.port):
        said = f"transport filterd: port = {port.value}, listener {listener.name!r} is on {listener.port}"
        yield Fault(kind=EXIM_PORT, said=said, change=exim.set(port, str(listener.port)))
    protocol = exim.of("filterd", "protocol")
    speaks = protocol.value if protocol is not None else "smtp"
    if speaks != listener.protocol:
        change = exim.put(port.line, f"{exim.lines[port.line - 1]}\n  protocol = {listener.protocol}")
        if protocol is not None:
            change = exim.set(protocol, listener.protocol)
        said = f"transport filterd speaks {speaks}, listener {listener.name!r} {listener.protocol}"
        yield Fault(kind=EXIM_PROTOCOL, said=said, change=change)
    yield from _login(exim, listener.header_name or "")
    yield from _way_back(config, exim)


def _login(exim: Exim, header: str) -> Iterator[Fault]:
    wanted = f":at_start:{header}: $authenticated_id"
    added = [option for option in exim.options if option.name == "add_header"]
    if any(option.value == wanted for option in added):
        return
    near = next((option for option in added if "$authenticated_id" in option.value), None)
    if near is not None:
        said = f"add_header = {near.value}, filterd believes {header} above Exim's own Received"
        yield Fault(kind=EXIM_LOGIN, said=said, change=exim.set(near, wanted))


def _way_back(config: Config, exim: Exim) -> Iterator[Fault]:
    port = config.next_hop.address.rpartition(":")[2]
    interfaces = exim.of("", "local_interfaces")
    if interfaces is not None and not re.search(rf"\b{port}\b", interfaces.value):
        change = exim.set(interfaces, f"{interfaces.value} ; [127.0.0.1]:{port}")
        said = f"local_interfaces has no port {port}, filterd's next hop"
        yield Fault(kind=EXIM_NEXT_HOP, said=said, change=change)
    condition = exim.of("filterd", "condition")
    route = exim.of("filterd", "route_list")
    if condition is not None and not re.search(rf"\b{port}\b", condition.value):
        change = _with_port(exim, condition, port)
        yield Fault(kind=EXIM_LOOP, said=f"router filterd takes what comes back by port {port}, too", change=change)
    elif condition is None and route is not None:
        line = f"  condition = ${{if !inlist{{$received_port}}{{{port}}}}}"
        change = Change(file=exim.path, line=route.line, do="insert", text=line)
        yield Fault(
            kind=EXIM_LOOP, said="router filterd has no condition: it takes what comes back, too", change=change
        )


def _with_port(exim: Exim, condition: Option, port: str) -> Change:
    if re.search(r"\{\$received_port\}\{[\d:]+\}", condition.value):
        value = re.sub(r"(\{\$received_port\}\{[\d:]+)\}", rf"\g<1>:{port}}}", condition.value, count=1)
    else:
        value = f"${{if !inlist{{$received_port}}{{{port}}}}}"
    return exim.set(condition, value)
