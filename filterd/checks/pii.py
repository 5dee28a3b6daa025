"""Does this mail hold personal numbers of many people?  CLAUSES tail-g (`privacy.pii`), mode C2: advice, never points.

Counts distinct values in the subject, the texts and small attached tables (checks/pii_numbers); needs no other verdict.
Finds: pii.resident_id.bulk, pii.card.bulk, pii.iban.bulk, pii.phone.bulk, pii.ssn.bulk, each from a number of distinct
values on that the operator sets. A kind with check digits is only found when at least half of what has its shape passes
them: of order numbers that happen to begin like cards, one in ten does.
Never temporary. Inbound mail is skipped: strangers' mail breaches nothing, and counting it serves no purpose. No value,
and nothing one could be made of, is in the verdict: counts only.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Protocol

from filterd.checks.pii_numbers import Kind, Tally, count
from filterd.checks.spec import Builtin, Check, Code, Context, in_place, skipped
from filterd.mail import charset
from filterd.model.message import Message, Part
from filterd.model.session import Direction
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

NAME = "pii"
VERSION = "1"
SIGNAL = "pii"

_LABELS = {
    Kind.RESIDENT_ID: "The mail holds Chinese resident identity numbers of many people.",
    Kind.CARD: "The mail holds many payment card numbers.",
    Kind.IBAN: "The mail holds many international bank account numbers.",
    Kind.PHONE: "The mail holds many personal phone numbers.",
    Kind.SSN: "The mail holds US social security numbers of many people.",
}
CODES = tuple(Code(code=f"pii.{kind}.bulk", label=label, signal=SIGNAL) for kind, label in _LABELS.items())

# With check digits, sure; ranges or a shape alone, less so.
_CONFIDENCE = {Kind.RESIDENT_ID: 1.0, Kind.CARD: 0.95, Kind.IBAN: 1.0, Kind.PHONE: 0.7, Kind.SSN: 0.7}
# Of a table that leaves the house more than this is not needed to know what it is.
_MAX_TABLE_BYTES = 1 << 20
_MAX_TABLES = 20
_TABLE_TYPES = frozenset({"application/csv", "application/x-csv", "application/json", "application/xml"})
_TABLE_NAMES = (".csv", ".tsv", ".txt", ".json", ".xml")


class Limits(Protocol):
    """From how many distinct values on a kind is bulk; the `[pii]` table has these keys."""

    @property
    def resident_ids(self) -> int: ...
    @property
    def cards(self) -> int: ...
    @property
    def ibans(self) -> int: ...
    @property
    def phones(self) -> int: ...
    @property
    def ssns(self) -> int: ...


def judge(message: Message, limits: Limits, today: datetime.date) -> Verdict:
    """Say of which kinds the mail holds many.

    Returns:
        `found` with a finding a kind, its count and limit in `why`; else `clean`. `scores` has the counts that are not
        zero, `pii.address` for mail addresses too: numbers of things, not probabilities.
    """
    tallies, addresses = count(_texts(message), today)
    floors = {
        Kind.RESIDENT_ID: limits.resident_ids, Kind.CARD: limits.cards, Kind.IBAN: limits.ibans,
        Kind.PHONE: limits.phones, Kind.SSN: limits.ssns,
    }  # fmt: skip
    findings = tuple(
        Finding(
            code=f"pii.{kind}.bulk",
            confidence=_CONFIDENCE[kind],
            where="text",
            why=(("count", str(tally.valid)), ("floor", str(floors[kind]))),
            signal=SIGNAL,
        )
        for kind, tally in tallies.items()
        if tally.valid >= floors[kind] and _is_no_chance(tally)
    )
    scores = [(f"pii.{kind}", float(tally.valid)) for kind, tally in tallies.items() if tally.valid]
    if addresses:
        scores.append(("pii.address", float(addresses)))
    outcome = Outcome.FOUND if findings else Outcome.CLEAN
    return Verdict(check=NAME, version=VERSION, outcome=outcome, findings=findings, scores=tuple(scores))


def make(limits: Limits, *, timeout_s: float, fail_mode: FailMode = FailMode.ACCEPT) -> Check:
    """Make the check."""
    # Some tables are made at the first count, which is to be this one.
    count(("+1",), datetime.date.min)

    def run(context: Context) -> Verdict:
        if context.direction is Direction.INBOUND:
            return skipped(NAME, VERSION, "inbound")
        # A birth date is a local one, and the day may have begun there.
        today = context.transaction.received_at.date() + datetime.timedelta(days=1)
        return judge(context.message, limits, today)

    return Check(
        name=NAME, version=VERSION, codes=CODES, run=in_place(run), deadline_s=timeout_s, fail_mode=fail_mode
    )


def _is_no_chance(tally: Tally) -> bool:
    return 2 * tally.valid >= tally.shaped


def _texts(message: Message) -> Iterator[str]:
    yield message.subject
    yield from message.texts
    # Texts of text parts, attached ones too, are among `texts` already.
    tables = [part for part in message.parts if _is_table(part)]
    for part in tables[:_MAX_TABLES]:
        yield charset.decode(part.content[:_MAX_TABLE_BYTES], part.charset)


def _is_table(part: Part) -> bool:
    if part.content_type.startswith("text/"):
        return False
    is_named = (part.filename or "").lower().endswith(_TABLE_NAMES)
    return (part.content_type in _TABLE_TYPES or is_named) and b"\0" not in part.content[:_MAX_TABLE_BYTES]


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
