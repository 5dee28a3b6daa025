"""Faults of a Sendmail that asks filterd by milter, in sendmail.mc or sendmail.cf.  cf/README, ops/sendmail. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filterd.cli.probes.wiring.fault import Change, Fault, breaks, warns
from filterd.cli.probes.wiring.places import Place, own_place
from filterd.cli.probes.wiring.text import seconds
from filterd.config import Config
from filterd.doors.milter import PROGRESS_S

SENDMAIL_MILTER = breaks(
    "sendmail-milter", "filterd's milter is not there: mail is put off, or passes unjudged without F="
)
SENDMAIL_FLAG = breaks(
    "sendmail-flag",
    "while filterd is away mail is not put off: it passes unjudged (no F=), or is refused for good (F=R)",
)
SENDMAIL_TIMEOUT = warns(
    "sendmail-timeout", "Sendmail does not wait for filterd's signs of life; mail is put off for nothing"
)
SENDMAIL_NEXT_HOP = breaks("sendmail-next-hop", "Sendmail does not listen there; notices and released mail go nowhere")
SENDMAIL_LOOP = breaks(
    "sendmail-loop", "what filterd hands on is judged again; notices to suspended accounts are refused"
)
KINDS = (SENDMAIL_MILTER, SENDMAIL_FLAG, SENDMAIL_TIMEOUT, SENDMAIL_NEXT_HOP, SENDMAIL_LOOP)

# The .mc's macros, and what m4 makes of them.
_FILTER = re.compile(r"^(?:(?:INPUT_)?MAIL_FILTER\(`([^']+)',\s*`([^']*)'|X([^,\s]+),\s*(.*))")
_DAEMON = re.compile(r"^(?:DAEMON_OPTIONS\(`([^']*)'|O DaemonPortOptions=(.*))")
_LEAST_S = 3 * PROGRESS_S
_USUAL = {"R": "60s", "E": "2m"}
# What Sendmail takes where T= says nothing.
_DEFAULT_S = {"R": 10, "E": 300}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A filter's line, or a daemon's: its name, its equates, and the line as it stands in the file."""

    name: str
    equates: str
    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sendmail:
    """What filterd must know of the file."""

    path: Path
    filters: tuple[Line, ...]
    daemons: tuple[Line, ...]

    def put(self, line: Line, old: str, new: str) -> Change:
        text = line.text.replace(old, new, 1)
        return Change(file=self.path, line=line.number, last=line.number, do="replace", text=text)


def parse(path: Path, text: str) -> Sendmail:
    """Read sendmail.mc, or the sendmail.cf that m4 made of it."""
    filters, daemons = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _FILTER.match(line):
            name, equates = (found[1], found[2]) if found[1] else (found[3], found[4])
            filters.append(Line(name=name, equates=equates, number=number, text=line))
        elif found := _DAEMON.match(line):
            equates = found[1] if found[1] is not None else found[2]
            daemons.append(Line(name=_equate(equates, "Name") or "", equates=equates, number=number, text=line))
    return Sendmail(path=path, filters=tuple(filters), daemons=tuple(daemons))


def faults(config: Config, sendmail: Sendmail) -> Iterator[Fault]:
    """Look for all of them. Nothing is said of a Sendmail without a filter."""
    if not config.milter.enabled or not sendmail.filters:
        return
    milter = own_place(config.milter.bind, config.milter.port)
    ours = next((line for line in sendmail.filters if _is_at(line, milter)), None)
    meant = ours or next((line for line in sendmail.filters if "filterd" in line.text), sendmail.filters[0])
    if ours is None:
        socket, new = _equate(meant.equates, "S") or "", _socket(milter)
        said = f"filter {meant.name!r} asks {socket}, filterd's milter is on {config.milter.address}"
        yield Fault(kind=SENDMAIL_MILTER, said=said, change=sendmail.put(meant, f"S={socket}", f"S={new}"))
    yield from _answers(sendmail, meant)
    yield from _way_back(config, sendmail, meant)


def _answers(sendmail: Sendmail, line: Line) -> Iterator[Fault]:
    flag = _equate(line.equates, "F")
    if flag not in ("T", "4"):
        old, new = (f"F={flag}", "F=T") if flag is not None else (line.equates, f"{line.equates}, F=T")
        said = f"filter {line.name!r} has {'no F=' if flag is None else f'F={flag}'}"
        yield Fault(kind=SENDMAIL_FLAG, said=said, change=sendmail.put(line, old, new))
    times = dict(re.findall(r"([CSRE]):(\w+)", _equate(line.equates, "T") or ""))
    for name, usual in _USUAL.items():
        limit = seconds(times[name]) if name in times else _DEFAULT_S[name]
        if limit is None or limit >= _LEAST_S:
            continue
        if name in times:
            old, new = f"{name}:{times[name]}", f"{name}:{usual}"
        else:
            had = _equate(line.equates, "T")
            old, new = (
                (line.equates, f"{line.equates}, T={name}:{usual}") if had is None else (had, f"{had};{name}:{usual}")
            )
        yield Fault(
            kind=SENDMAIL_TIMEOUT,
            said=f"filter {line.name!r} waits {limit} s ({name}:)",
            change=sendmail.put(line, old, new),
        )


def _way_back(config: Config, sendmail: Sendmail, ours: Line) -> Iterator[Fault]:
    host, sign, port = config.next_hop.address.rpartition(":")
    if not sign or not port.isdigit() or not own_place(host.strip("[]"), int(port)).is_loopback:
        return
    behind = next((line for line in sendmail.daemons if _equate(line.equates, "Port") == port), None)
    if behind is None:
        candidate = next((line for line in sendmail.daemons if "InputMailFilters=" in line.equates), None)
        text = f"DAEMON_OPTIONS(`Name=behind, Family=inet, Addr=127.0.0.1, Port={port}, InputMailFilters=')dnl"
        change = Change(file=sendmail.path, line=ours.number, do="insert", text=text)
        if candidate is not None:
            change = sendmail.put(candidate, f"Port={_equate(candidate.equates, 'Port')}", f"Port={port}")
        yield Fault(kind=SENDMAIL_NEXT_HOP, said=f"no daemon has Port={port}, filterd's next hop", change=change)
        return
    listed = _equate(behind.equates, "InputMailFilters")
    if listed is None:
        change = sendmail.put(behind, behind.equates, f"{behind.equates}, InputMailFilters=")
    elif ours.name in re.split(r"[;,\s]+", listed):
        change = sendmail.put(behind, f"InputMailFilters={listed}", "InputMailFilters=")
    else:
        return
    yield Fault(
        kind=SENDMAIL_LOOP, said=f"daemon {behind.name!r} is filterd's next hop, and asks its milter", change=change
    )


def _is_at(line: Line, milter: Place) -> bool:
    socket = _equate(line.equates, "S") or ""
    kind, _, rest = socket.partition(":")
    if kind in ("unix", "local"):
        return milter == Place(rest, 0)
    port, _, host = rest.partition("@")
    return port.isdigit() and milter.serves(Place(host.strip("[]") or "127.0.0.1", int(port)))


def _socket(milter: Place) -> str:
    return f"local:{milter.host}" if milter.is_socket else f"inet:{milter.port}@{milter.host}"


def _equate(equates: str, name: str) -> str | None:
    """Say the value of `name=`, None where it is not there."""
    found = re.search(rf"(?:^|[,\s]){name}=([^,]*)", equates)
    return None if found is None else found[1].strip()
