"""What somebody else sent from a stolen account, told from its user's own mail.  STANDING 5.7-14 (queue on release).

Campaign copies are mails of the incidents behind the locks that speak of a stolen account, and mails whose text says
the same as one of those: what went through before anything was noticed is in no incident. Where a lock has no incident
nobody knows what the campaign is, and nothing is told apart.

The copies in the queue come back to the sender as one summary: how many, since when and to whom. What each of them said
is in the evidence of the incident; no copy of it is sent around.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from filterd.agreement.takeover import COMPROMISE
from filterd.mail.compose import compose
from filterd.mail.fingerprint import distance
from filterd.model import records as r
from filterd.model.decision import NO_TEXT
from filterd.model.found import JudgedMail
from filterd.ports import QueuedMail

# Beyond so many addresses the letter says how many more there are.
_LISTED_AT_MOST = 2_000

# Of 64 bits; texts that have nothing to do with each other differ in some 32 (mail/fingerprint.distance).
_NEAR_BITS = 8
_FINGERPRINT = re.compile("[0-9a-f]{16}")

_SUBJECT = "{login} 名下的 {count} 封冒用邮件未发出 / {count} messages sent in the name of {login} were stopped"
_TEXT = """\
有人曾冒用 {login} 发信。密码已重设，账号已恢复正常。以下 {count} 封邮件属于该次冒用，仍扣留在发送队列中，
未送达下列 {recipients} 个收件人，您无需逐封处理。与此无关的邮件均已发出。
如其中有您本人的邮件，请在管理员处理前联系管理员：{queue}。

Somebody else sent mail as {login}. The password has been reset and the account is yours again. {count} messages of that
campaign are still held in the queue and did not reach these {recipients} recipients; all other mail has gone out.
If one of them is your own, tell your administrator before they are removed: {queue}.

{since} – {until}

{addresses}
"""
_MORE = "(+ {count})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """By what copies are known."""

    incidents: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()

    def has(self, mail: JudgedMail) -> bool:
        """Say whether a mail is one of the copies."""
        if mail.incident_id is not None and mail.incident_id in self.incidents:
            return True
        return mail.text_fp in self.texts or any(_is_near(text, mail.text_fp) for text in self.texts)

    @property
    def is_known(self) -> bool:
        return bool(self.texts)


def has_text(mail: JudgedMail) -> bool:
    """Say whether a mail has a text to be known by: a picture alone is anybody's."""
    return mail.text_fp not in (None, "", NO_TEXT)


def campaign_of(records: Iterable[r.Record]) -> Campaign:
    """Say by what the copies in an account's mail are known, from all its rows."""
    incidents: set[str] = set()
    texts: dict[str, set[str]] = {}
    for record in records:
        if isinstance(record, r.HoldPlaced) and record.because == COMPROMISE and record.incident_id:
            incidents.add(record.incident_id)
        elif isinstance(record, r.HoldAttested):
            incidents.update(record.incident_ids)
        elif isinstance(record, r.ViolationRecorded) and record.text_fp not in ("", NO_TEXT):
            texts.setdefault(record.incident_id, set()).add(record.text_fp)
    found = frozenset(text for incident_id in incidents for text in texts.get(incident_id, ()))
    return Campaign(incidents=frozenset(incidents), texts=found)


def _is_near(one: str, other: str | None) -> bool:
    """Say whether two texts say the same but for a name or a number; what is no fingerprint is near to nothing."""
    if other is None or not (_FINGERPRINT.fullmatch(one) and _FINGERPRINT.fullmatch(other)):
        return False
    return distance(one, other) <= _NEAR_BITS


def summary(
    login: str, copies: Sequence[QueuedMail], *, sender: str, sender_name: str | None, message_id: str, at: datetime
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
    return compose(
        sender=sender,
        sender_name=sender_name,
        to=(login,),
        subject=_SUBJECT.format(**said),
        text=_TEXT.format(**said),
        message_id=message_id,
        date=at,
    )
