"""All outside mail through the whole house: what did each check say, how often, and how long did it take?

Every mail is walked twice, as mail of one of our accounts and as a stranger's. DNS is a zone that knows nobody: keys,
SPF and DMARC records of other people's domains are gone, so that a signature of theirs has no key. What comes out is
counts and codes, never a word of a mail.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from filterd.checks.spec import Check
from filterd.demo.zone import Zone
from filterd.mail.defects import FAILED
from filterd.mail.lines import canonical
from filterd.model.verdict import Outcome
from tests.bench.house import House, Letter
from tests.bench.mails import DevMail
from tests.bench.meter import Meter
from tests.kit.waiting import PATIENCE_S

DIRECTIONS = ("outbound", "inbound")
ERRORS = (Outcome.TEMPERROR, Outcome.PERMERROR)


@dataclass(slots=True)
class Survey:
    """What was seen, by direction.

    Args:
        mails: by (pack, label).
        outcomes: by (direction, check): `clean`, `found`, `skipped no_text` and so on.
        found: mails with a code, by (direction, code): by (pack, label).
        dispositions: by (direction, label).
        spent_ms: CPU time of each mail, by check; where it was skipped too.
        troubles: what was raised, by (check, kind of error), and errors of checks by (check, reason).
        unread: fixtures and mails the reader gave up on.
    """

    mails: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    found: defaultdict[tuple[str, str], Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    dispositions: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    spent_ms: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    troubles: Counter[tuple[str, str]] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    checks: tuple[str, ...] = ()


async def survey(
    mails: Iterable[DevMail], folder: Path, around: Callable[[Check], Check] = lambda check: check
) -> Survey:
    """Walk all mails both ways.

    Args:
        folder: for what the house writes while it runs.
        around: wraps each check, below the meter.
    """
    meter = Meter()
    house = House(folder, Zone({}), around=lambda check: meter.around(around(patient(check))))
    seen = Survey(checks=tuple(check.name for check in house.checks))
    for mail in mails:
        seen.mails[mail.pack, mail.label] += 1
        for direction in DIRECTIONS:
            meter.spent_s.clear()
            await _walk(house, mail, direction, seen)
            for check in seen.checks:
                seen.spent_ms[check].append(meter.spent_s[check] * 1000)
    return seen


def patient(check: Check) -> Check:
    """Give the check all the time of a machine that stalls: what is slow here is not the check."""
    return replace(check, deadline_s=PATIENCE_S)


async def _walk(house: House, mail: DevMail, direction: str, seen: Survey) -> None:
    domain = None if direction == "outbound" else "stranger.example"
    house.recorder.forget()
    await house.walk(Letter(raw=mail.raw, domain=domain))
    for check, kind in house.recorder.troubles:
        seen.troubles[check, kind] += 1
    if house.recorder.heard is None:
        seen.troubles["gate", "no decision"] += 1
        return
    item, case, decision = house.recorder.heard
    if FAILED in item.message.defects:
        seen.unread.append(mail.pack)
    seen.dispositions[direction, mail.label][decision.disposition.value] += 1
    codes: set[str] = set()
    for verdict in case.assessment.verdicts:
        says = f"{verdict.outcome.value} {verdict.reason}" if verdict.reason else verdict.outcome.value
        seen.outcomes[direction, verdict.check][says] += 1
        seen.versions[verdict.check] = verdict.version
        codes |= {finding.code for finding in verdict.findings}
        if verdict.outcome in ERRORS:
            seen.troubles[verdict.check, verdict.reason or verdict.outcome.value] += 1
    for code in codes:
        seen.found[direction, code][mail.pack, mail.label] += 1


def as_mails(fixtures: Iterable[tuple[str, bytes]]) -> Iterable[DevMail]:
    """Give fixtures as mail of a pack and a label of their own."""
    return (DevMail("fixtures", "fixture", canonical(raw)[0]) for _, raw in fixtures)
