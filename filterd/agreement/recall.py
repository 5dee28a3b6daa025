"""A rule, a signature or a version of a model was wrong for a time: what rests on it?  STANDING 5.7-8.

A violation rests on what was wrong when, of the findings behind it, none is left without it. Incidents that rest on
nothing else are annulled; the others keep what is right and are looked at again by a person, for how many signals a
category asked for cannot be told from the record. Pure; the replay is `annul`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from filterd.agreement.signals import split
from filterd.model import records as r
from filterd.model.sanction import Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What was wrong, and when.

    Args:
        rule: a finding code.
        version: the signal behind it (agreement/signals: `signature:…`, `model:…`); None: the rule as a whole.
        since, until: the first instant included, the second not.
    """

    rule: str
    version: str | None
    since: datetime
    until: datetime

    def spoke(self, act: r.ViolationRecorded) -> bool:
        """Say whether it had a part in a message's violations."""
        if not self.since <= act.at < self.until:
            return False
        if not any(self.rule in v.finding_codes for v in act.violations):
            return False
        return self.version is None or any(split(x) == (self.rule, self.version) for x in act.signals)

    def was_all(self, act: r.ViolationRecorded, violation: Violation) -> bool:
        """Say whether nothing of a violation is left without it. With other signals of the same rule something is."""
        if set(violation.finding_codes) != {self.rule}:
            return False
        others = [x for x in act.signals if split(x)[0] == self.rule and split(x)[1] != self.version]
        # A model's version is behind every finding of it; a thing found by the same rule is a finding of its own.
        things = [x for x in others if not (split(x)[1] or "").startswith("model:")]
        return self.version is None or not things


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependents:
    """What of one account rests on it: `whole` incidents on it alone, `part` on other findings, too."""

    account_id: str
    whole: tuple[str, ...] = ()
    part: tuple[str, ...] = ()


def dependents(account_id: str, records: Iterable[r.Record], wrong: Wrong) -> Dependents:
    """Say which incidents of an account rest on what was wrong; those annulled before are left out."""
    known = list(records)
    gone = {x.incident_id for x in known if isinstance(x, (r.StrikeAnnulled, r.StrikeExcused))}
    acts: dict[str, list[r.ViolationRecorded]] = {}
    for record in known:
        if isinstance(record, r.ViolationRecorded) and record.incident_id not in gone:
            acts.setdefault(record.incident_id, []).append(record)
    whole: list[str] = []
    part: list[str] = []
    for incident_id, mine in acts.items():
        if not any(wrong.spoke(act) for act in mine):
            continue
        is_all = all(wrong.spoke(act) and all(wrong.was_all(act, v) for v in act.violations) for act in mine)
        (whole if is_all else part).append(incident_id)
    return Dependents(account_id=account_id, whole=tuple(whole), part=tuple(part))
