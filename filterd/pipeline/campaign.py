"""What somebody else sent from a stolen account, told from its user's own mail.  STANDING 5.7-14 (queue on release).

Campaign copies are mails of the incidents behind the locks that speak of a stolen account, and mails whose text says
the same as one of those: what went through before anything was noticed is in no incident. Where a lock has no incident
nobody knows what the campaign is, and nothing is told apart.

The copies in the queue come back to the sender as one summary: how many, since when and to whom, and one sample out of
the evidence of the incident. Of what would harm whoever opens it the sample is the header alone, and so it is where no
more was kept, or the mail is large.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from filterd.agreement.takeover import COMPROMISE
from filterd.agreement.terms import Agreement
from filterd.errors import PortError
from filterd.mail.compose import compose, mail_part
from filterd.mail.excerpt import header_block
from filterd.mail.fingerprint import distance
from filterd.model import records as r
from filterd.model.decision import NO_TEXT
from filterd.model.evidence import Kept
from filterd.model.found import JudgedMail
from filterd.ports import LedgerTxn, QueuedMail

# Beyond so many addresses the letter says how many more there are.
_LISTED_AT_MOST = 2_000

# A sample is to be recognised, not to be kept: a mail beyond that comes as its header.
_SAMPLE_BYTES = 262_144
# Of so many mails of the incident, the last ones, the first that can be read is the sample.
_SAMPLES_TRIED = 20
# Whatever the agreement calls it, such a mail is attached to nothing.
_HARMFUL = ("virus.",)

# Of 64 bits; texts that have nothing to do with each other differ in some 32 (mail/fingerprint.distance).
_NEAR_BITS = 8
# As long as an act lasts at most (STANDING 5.3).
_BEFORE = timedelta(hours=24)
_FINGERPRINT = re.compile("[0-9a-f]{16}")

_SUBJECT = "{login} 名下的 {count} 封冒用邮件未发出 / {count} messages sent in the name of {login} were stopped"
_TEXT = """\
有人曾冒用 {login} 发信。密码已重设，账号已恢复正常。以下 {count} 封邮件属于该次冒用，仍扣留在发送队列中，
未送达下列 {recipients} 个收件人，您无需逐封处理。与此无关的邮件均已发出。
如其中有您本人的邮件，请在管理员处理前联系管理员：{queue}。{sample_zh}

Somebody else sent mail as {login}. The password has been reset and the account is yours again. {count} messages of that
campaign are still held in the queue and did not reach these {recipients} recipients; all other mail has gone out.
If one of them is your own, tell your administrator before they are removed: {queue}. {sample_en}

{since} – {until}

{addresses}
"""
_MORE = "(+ {count})"
_WHOLE = ("附件为其中一封的样本，请勿打开其中的链接。", "One of them is attached; do not open its links.")
_HEADER = ("附件为其中一封的邮件头，不含正文。", "The header of one of them is attached, without what it says.")
_NO_SAMPLE = ("未保存样本。", "No sample of them was kept.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """By what copies are known. `since`: what was delivered before is none, whatever it says: whoever has somebody's
    account has their letters, too, and may send them again with a link of his own. None: nobody knows the campaign."""

    incidents: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    since: datetime | None = None

    def has(self, mail: JudgedMail) -> bool:
        """Say whether a mail is one of the copies."""
        if mail.incident_id is not None and mail.incident_id in self.incidents:
            return True
        return mail.text_fp in self.texts or any(_is_near(text, mail.text_fp) for text in self.texts)

    @property
    def is_known(self) -> bool:
        return bool(self.texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One copy, canonical octets; its header alone where `is_whole` is False."""

    raw: bytes
    is_whole: bool


def sample_of(txn: LedgerTxn, account_id: str, campaign: Campaign, terms: Agreement) -> Sample | None:
    """Say what one of the copies looks like, out of the evidence; None where nothing of any can be read."""
    kept = {x.transaction_id: x.kept for x in txn.evidence_of(account_id)}
    acts = [
        x
        for x in reversed(txn.records(account_id))
        if isinstance(x, r.ViolationRecorded)
        and x.incident_id in campaign.incidents
        and kept.get(x.transaction_id, Kept.NONE) >= Kept.HEADERS
    ]
    for act in acts[:_SAMPLES_TRIED]:
        try:
            raw = txn.read_evidence(act.transaction_id)
        except PortError:
            # Altered or unreadable: `filterd evidence verify` is for that, and another one does here.
            continue
        if raw is None:
            continue
        is_whole = kept[act.transaction_id] is Kept.FULL and len(raw) <= _SAMPLE_BYTES
        if is_whole and not _is_harmful(act, terms):
            return Sample(raw=raw, is_whole=True)
        return Sample(raw=header_block(raw), is_whole=False)
    return None


def _is_harmful(act: r.ViolationRecorded, terms: Agreement) -> bool:
    """Say whether it would harm whoever opens it, as of held mail that goes back (pipeline/held)."""
    strict = {item.id for item in terms.category if item.zero_tolerance}
    codes = (code for x in act.violations for code in x.finding_codes)
    return any(x.category in strict for x in act.violations) or any(
        code.startswith(_HARMFUL) for code in (*codes, *act.signals)
    )


def has_text(mail: JudgedMail) -> bool:
    """Say whether a mail has a text to be known by: a picture alone is anybody's."""
    return mail.text_fp not in (None, "", NO_TEXT)


def campaign_of(records: Iterable[r.Record]) -> Campaign:
    """Say by what the copies in an account's mail are known, from all its rows."""
    incidents: set[str] = set()
    texts: dict[str, set[str]] = {}
    first: dict[str, datetime] = {}
    for record in records:
        if isinstance(record, r.HoldPlaced) and record.because == COMPROMISE and record.incident_id:
            incidents.add(record.incident_id)
        elif isinstance(record, r.HoldAttested):
            incidents.update(record.incident_ids)
        elif isinstance(record, r.ViolationRecorded) and record.text_fp not in ("", NO_TEXT):
            texts.setdefault(record.incident_id, set()).add(record.text_fp)
            first.setdefault(record.incident_id, record.at)
    found = frozenset(text for incident_id in incidents for text in texts.get(incident_id, ()))
    began = [first[incident_id] for incident_id in incidents if incident_id in first]
    since = min(began) - _BEFORE if began else None
    return Campaign(incidents=frozenset(incidents), texts=found, since=since)


def _is_near(one: str, other: str | None) -> bool:
    """Say whether two texts say the same but for a name or a number; what is no fingerprint is near to nothing."""
    if other is None or not (_FINGERPRINT.fullmatch(one) and _FINGERPRINT.fullmatch(other)):
        return False
    return distance(one, other) <= _NEAR_BITS


def summary(
    login: str,
    copies: Sequence[QueuedMail],
    sample: Sample | None,
    *,
    sender: str,
    sender_name: str | None,
    message_id: str,
    at: datetime,
) -> bytes:
    """Write the one mail that tells the sender of all copies. `copies` are never none."""
    addresses = sorted({address for copy in copies for address in copy.recipients})
    listed = addresses[:_LISTED_AT_MOST]
    if len(addresses) > len(listed):
        listed.append(_MORE.format(count=len(addresses) - len(listed)))
    arrived = [copy.arrived_at for copy in copies]
    said = {
        "login": login,
        "count": len(copies),
        "recipients": len(addresses),
        "queue": " ".join(copy.queue_id for copy in copies[:5]) + (" …" if len(copies) > 5 else ""),
        "since": f"{min(arrived):%Y-%m-%d %H:%M} UTC",
        "until": f"{max(arrived):%Y-%m-%d %H:%M} UTC",
        "addresses": "\n".join(listed),
    }
    words = _NO_SAMPLE if sample is None else _WHOLE if sample.is_whole else _HEADER
    said |= {"sample_zh": words[0], "sample_en": words[1]}
    return compose(
        sender=sender,
        sender_name=sender_name,
        to=(login,),
        subject=_SUBJECT.format(**said),
        text=_TEXT.format(**said),
        message_id=message_id,
        date=at,
        attached=() if sample is None else (_attached(sample),),
    )


def _attached(sample: Sample) -> bytes:
    is_utf8 = not header_block(sample.raw).isascii()
    return mail_part(sample.raw, is_whole=sample.is_whole, is_utf8=is_utf8)
