"""Every fault of wiring that the doctor knows, and who looks for it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring import asking, both, exim, logins, milters, sendmail, way_back, way_in
from filterd.cli.probes.wiring.case import Case
from filterd.cli.probes.wiring.fault import Fault, Kind

_ROOMS = (way_in, way_back, logins, asking, milters, both)
KINDS: tuple[Kind, ...] = tuple(kind for room in (*_ROOMS, sendmail, exim) for kind in room.KINDS)


def faults(case: Case) -> Iterator[Fault]:
    """Look for those of a Postfix. The same line is named once, however many services come by it."""
    seen = set()
    for room in _ROOMS:
        for judge in room.JUDGES:
            for fault in judge(case):
                if (fault.kind, fault.change) not in seen:
                    seen.add((fault.kind, fault.change))
                    yield fault
