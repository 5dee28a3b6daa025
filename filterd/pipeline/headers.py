"""Which fields do we put on top of a mail, and which do we take out?  MAIL-PATH §4f, RFC 8601 §5, HOUSE rules 2 and 10.

Our trace field names the transaction and the fingerprint, so that a copy delivered twice after a crash can be told from
two mails. Strangers' mail also gets what we found out, in the fields that Sieve scripts and mail programs know
(ops/docs/SIEVE.md); whatever claims to be one of these, or an Authentication-Results of ours, is taken out first. Mail
on its way out tells nobody how it was judged. The body is never touched.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from filterd.errors import UsageError
from filterd.mail import authres
from filterd.mail import fields as fields_of_mail
from filterd.mail.edit import prepend_fields, remove_where, render_field
from filterd.mail.limits import Limits
from filterd.model.decision import Disposition
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Outcome
from filterd.ports import HeaderEdits

TRACE = "X-Filterd-Id"
# Names Sieve scripts act on. Inbound copies would let a stranger switch off or forge our mark.
MARKS = ("X-Spam-Flag", "X-Spam-Status", "X-Spam-Score", "X-Spam-Level", "X-Spam", "X-Virus-Scanned")
# rspamd's names for the same: a script written for it believes them, whoever wrote them.
FOREIGN_PREFIXES = ("x-spamd-", "x-rspamd-")

# The scale of SpamAssassin, which readers know: marked from 5.0 on.
REQUIRED = 5.0
# A hair below, for what the threshold of its language and length has let pass.
JUST_BELOW = 4.9
# Beyond one in a million the model knows nothing.
_LEAST_DOUBT = 1e-6
# Codes in X-Spam-Status; more say no more.
MAX_CODES = 40

_CODE = re.compile(r"[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40}){2}")
_AUTHRES = authres.FIELD.lower().encode("ascii")
_UNSCANNED = "virus.unscannable."

Fields = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marking:
    """What we do to the header of a mail that goes on.

    Args:
        spam_score: the model's probability; None: there is none.
        remove: further names to take out, such as the attribution field of the listener.
        is_complete: False marks a mail that passed although a check could not do its work.
        assessment: what the fields on a stranger's mail tell; None: the bare mark.
        authserv_id: our name in Authentication-Results; copies that claim it go, whichever way the mail is going.
            None: nothing is known about such fields.
        signed: fields that sign the mail as it came (pipeline/signing), for the very top.
        held_id: the item of the quarantine that the mail is, where the MTA holds it.
    """

    transaction_id: str
    message_fp: str
    direction: Direction
    disposition: Disposition
    spam_score: float | None = None
    remove: tuple[str, ...] = ()
    is_complete: bool = True
    assessment: Assessment | None = None
    authserv_id: str | None = None
    signed: tuple[tuple[str, str], ...] = ()
    held_id: str | None = None

    @property
    def results(self) -> str | None:
        """Say the value of our Authentication-Results; None: there is none on this mail."""
        if not self._is_inbound or self.assessment is None or self.authserv_id is None:
            return None
        return _results(self.authserv_id, self.assessment)

    def applied(self, raw: bytes) -> bytes:
        """Make the octets for the next hop: canonical mail with our fields on top."""
        names = (TRACE, *self.remove)
        return prepend_fields(without_claims(raw, names, self.authserv_id, is_inbound=self._is_inbound), self._fields())

    def edits(self, raw: bytes) -> HeaderEdits:
        """Say the same for a door whose MTA keeps the mail."""
        names = (TRACE, *self.remove)
        return edits(raw, self._fields(), names, self.authserv_id, is_inbound=self._is_inbound)

    @property
    def _is_inbound(self) -> bool:
        return self.direction is Direction.INBOUND

    def findings(self) -> tuple[Fields, Fields]:
        """Say the fields that tell what we found out, those above our trace field and those below it; on mail on its
        way out there are none."""
        if not self._is_inbound:
            return [], []
        results = self.results
        above: Fields = [(authres.FIELD, results)] if results is not None else []
        below = _marks(self.disposition is Disposition.TAG, self.spam_score, _codes(self.assessment))
        return above, below + _virus_scanned(self.assessment, self.authserv_id)

    def _fields(self) -> Fields:
        trace = f"{self.transaction_id} fp={self.message_fp}" + ("" if self.is_complete else " unchecked")
        trace += f" held={self.held_id}" if self.held_id is not None else ""
        above, below = self.findings()
        return [*self.signed, *above, (TRACE, trace), *below]


def points(probability: float) -> float:
    """Put a probability on the scale on which readers expect 5.0 to be the limit: one point for each e-fold of odds.

    0.5 is 5.0, 0.9 is 7.2, 0.99 is 9.6, 0.1 is 2.8, 0.01 is 0.4. Never below zero: the numeric comparator of Sieve
    takes what begins with a minus for larger than any number (RFC 4790 §9.1.1).
    """
    certain = min(max(probability, _LEAST_DOUBT), 1 - _LEAST_DOUBT)
    return max(0.0, REQUIRED + math.log(certain / (1 - certain)))


def _marks(is_spam: bool, probability: float | None, codes: tuple[str, ...]) -> Fields:
    """The fields of SpamAssassin. Whether it is spam was decided elsewhere, by thresholds that differ by language and
    length; so the number is kept on the side of 5.0 on which the decision is, and a script may read either."""
    number = points(probability) if probability is not None else 0.0
    score = max(number, REQUIRED) if is_spam else min(number, JUST_BELOW)
    word = "Yes" if is_spam else "No"
    fields = [("X-Spam-Status", f"{word}, score={score:.1f} required={REQUIRED:.1f} tests=[{', '.join(codes)}]")]
    fields.append(("X-Spam-Score", f"{score:.1f}"))
    # Rounded first, so that the three agree.
    if stars := int(round(score, 1)):
        fields.append(("X-Spam-Level", "*" * stars))
    if is_spam:
        fields += [("X-Spam-Flag", "YES"), ("X-Spam", "Yes")]
    return fields


def _codes(assessment: Assessment | None) -> tuple[str, ...]:
    found = dict.fromkeys(finding.code for finding in assessment.findings) if assessment is not None else {}
    # A check from elsewhere may say anything.
    return tuple(code for code in found if _CODE.fullmatch(code))[:MAX_CODES]


def _virus_scanned(assessment: Assessment | None, authserv_id: str | None) -> Fields:
    """Say that a scanner has looked into the whole mail; where it has not, or not wholly, nothing is said."""
    for verdict in assessment.verdicts if assessment is not None else ():
        has_answered = verdict.check == "clamd" and verdict.outcome in (Outcome.CLEAN, Outcome.FOUND)
        if has_answered and not any(finding.code.startswith(_UNSCANNED) for finding in verdict.findings):
            return [("X-Virus-Scanned", "filterd with clamd" + (f" at {authserv_id}" if authserv_id else ""))]
    return []


def _results(authserv_id: str, assessment: Assessment) -> str | None:
    try:
        value = authres.value_of(authserv_id, authres.results_of(assessment))
        render_field(authres.FIELD, value)
    except UsageError:
        # Without the field readers behind us trust nothing; with 451 the mail would never arrive.
        return None
    return value


def without_claims(raw: bytes, names: tuple[str, ...], authserv_id: str | None, *, is_inbound: bool) -> bytes:
    is_doomed = _claims(names, authserv_id, is_inbound=is_inbound)
    block = fields_of_mail.split(raw, limits=None)
    closed = _closed(raw, block, is_doomed)
    return remove_where(closed, is_doomed, block if closed is raw else None)


def edits(
    raw: bytes, fields: Fields, names: tuple[str, ...], authserv_id: str | None, *, is_inbound: bool
) -> HeaderEdits:
    """Say what puts `fields` on top and takes out what `without_claims` does."""
    is_doomed = _claims(names, authserv_id, is_inbound=is_inbound)
    seen: Counter[bytes] = Counter()
    removed = []
    for whole, name, _, _ in fields_of_mail.split(raw, limits=None).fields:
        seen[name.lower()] += 1
        if is_doomed(name.lower(), whole):
            removed.append((name, seen[name.lower()]))
    return HeaderEdits(added=tuple(render_field(name, value) for name, value in fields), removed=tuple(removed))


def _claims(names: tuple[str, ...], authserv_id: str | None, *, is_inbound: bool) -> Callable[[bytes, bytes], bool]:
    """Say which fields, by their name in lower case and the whole of them, claim to be ours."""
    doomed = {name.lower().encode("ascii") for name in (*names, *(MARKS if is_inbound else ()))}
    prefixes = tuple(prefix.encode("ascii") for prefix in FOREIGN_PREFIXES) if is_inbound else ()

    def is_doomed(name: bytes, whole: bytes) -> bool:
        if name in doomed or name.startswith(prefixes):
            return True
        return authserv_id is not None and name.startswith(_AUTHRES) and authres.is_own(whole, authserv_id)

    return is_doomed


def _closed(raw: bytes, block: fields_of_mail.Block, is_doomed: Callable[[bytes, bytes], bool]) -> bytes:
    """Put the empty line in where the header ends at a line that is no field, when a claim stands behind it.

    For us and Postfix that line starts the body, and there Postfix puts the same empty line. Readers that step over it
    would find the claim. So, too, where no field above it stays, lest it be taken for the beginning of another header.
    The body stays as it is, and so does mail that hides nothing.
    """
    if block.broken is None or not block.fields:
        return raw
    everything = Limits(fields=len(raw), header_bytes=len(raw))
    behind, _ = fields_of_mail.sift(raw, block.broken, len(raw), everything)
    hides = any(is_doomed(name.lower(), whole) for whole, name, *_ in behind.fields)
    if hides or all(is_doomed(name.lower(), whole) for whole, name, *_ in block.fields):
        return raw[: block.broken] + b"\r\n" + raw[block.broken :]
    return raw
