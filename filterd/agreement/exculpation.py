"""What was once decided to be no breach gives no points again.  STANDING 5.7-5.

A granted appeal writes two kinds: `evidence` (the same text or mail again) and, for bulk, `pattern` (the same
recipients, or a declared stream). Each covers rules: a finding code, with the signature, link or list behind it where
there is one. So another virus in the same newsletter is new evidence and counts. Only points are spared: what happens
to the message itself follows from the findings, as before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from filterd.agreement.signals import split, things
from filterd.agreement.terms import Agreement
from filterd.model import records as r
from filterd.model.decision import NO_TEXT, Case
from filterd.model.ids import derived_id
from filterd.model.standing import History
from filterd.model.verdict import Finding

EVIDENCE, PATTERN = "evidence", "pattern"
# A declared stream among the fingerprints of a pattern, by its key.
STREAM = "stream:"
# Recipients of a pattern, those with the smallest hashes; larger lists are known again as declared streams.
MAX_RECIPIENTS = 8192
# So much of a keyed hash tells a recipient from some thousand others.
HASH_CHARS = 12


def recipient_marks(hashes: Iterable[str], limit: int) -> tuple[str, ...]:
    """Shorten keyed hashes of recipients to what a pattern keeps of them: sorted, at most `limit`, the smallest."""
    return tuple(sorted({text[:HASH_CHARS] for text in hashes})[:limit])


def spared_by(finding: Finding, case: Case, history: History, terms: Agreement) -> r.ExculpationGranted | None:
    """Say what keeps a finding about this mail from giving points: that the like was once found to be no breach."""
    return next(
        (
            given
            for given in history.of(r.ExculpationGranted)
            if given.at <= case.at < given.until and _covers(given, finding) and _is_alike(given, case, terms)
        ),
        None,
    )


def _covers(given: r.ExculpationGranted, finding: Finding) -> bool:
    named = things(finding)
    if not named:
        return finding.code in given.rules
    return all(f"{finding.code}={thing}" in given.rules for thing in named)


def _is_alike(given: r.ExculpationGranted, case: Case, terms: Agreement) -> bool:
    known = frozenset(given.fingerprints)
    if given.kind == EVIDENCE:
        return not (known - {NO_TEXT}).isdisjoint((case.evidence_key, case.text_fp))
    if any(STREAM + key in known for key in case.facts.stream_keys):
        return True
    ours = recipient_marks(case.facts.recipient_hashes, MAX_RECIPIENTS)
    marks = frozenset(x for x in known if not x.startswith(STREAM))
    if len(marks) >= MAX_RECIPIENTS:
        # Only the smallest were kept: only what could be among them can be compared.
        ours = tuple(x for x in ours if x <= max(marks))
    same = sum(x in marks for x in ours)
    return bool(ours) and same * 100 >= terms.appeal.similarity_percent * len(ours)


def exculpations(
    records: Iterable[r.Record],
    incident_id: str,
    terms: Agreement,
    at: datetime,
    *,
    account_id: str,
    stream_keys: Collection[str] = (),
) -> tuple[r.ExculpationGranted, ...]:
    """Say what a grant about an incident writes down: its evidence, and for bulk its recipients or the streams named.

    None where the incident rests on no mail, as one that a person opened.
    """
    acts = [x for x in records if isinstance(x, r.ViolationRecorded) and x.incident_id == incident_id]
    rules = _rules(acts)
    if not rules:
        return ()
    until = at + timedelta(days=terms.appeal.exculpation_days)
    prints = (x for act in acts for x in (act.evidence_key, act.text_fp))
    evidence = tuple(dict.fromkeys(x for x in prints if x not in ("", NO_TEXT)))
    given = [_granted(EVIDENCE, evidence, rules, incident_id, account_id, at, until)]
    marks = recipient_marks((x for act in acts for x in act.recipient_marks), MAX_RECIPIENTS)
    pattern = marks if len(marks) >= terms.appeal.pattern_recipients else ()
    pattern += tuple(STREAM + key for key in stream_keys)
    if pattern:
        given.append(_granted(PATTERN, pattern, rules, incident_id, account_id, at, until))
    return tuple(given)


def _rules(acts: list[r.ViolationRecorded]) -> tuple[str, ...]:
    """The codes behind the violations; with what they found, where the rows say so."""
    codes = dict.fromkeys(code for act in acts for v in act.violations for code in v.finding_codes)
    named = dict.fromkeys(x for act in acts for x in act.signals if not (split(x)[1] or "").startswith("model:"))
    with_names = {split(x)[0] for x in named}
    return (*(code for code in codes if code not in with_names), *named)


def _granted(
    kind: str,
    fingerprints: tuple[str, ...],
    rules: tuple[str, ...],
    incident_id: str,
    account_id: str,
    at: datetime,
    until: datetime,
) -> r.ExculpationGranted:
    return r.ExculpationGranted(
        at=at,
        exculpation_id=derived_id("x", incident_id, kind, at.isoformat()),
        account_id=account_id,
        incident_id=incident_id,
        kind=kind,
        rules=rules,
        fingerprints=fingerprints,
        until=until,
    )
