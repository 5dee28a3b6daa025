"""What the tenant's contact reads of campaign copies that were delivered.  STANDING 5.7-14.

To the tenant's contact and not to the mailbox that was used. Recipients who are no users of ours are listed; users of
ours are counted, for they may be another tenant's. No subject and no word of the mail. The list is in this letter and
nowhere else: nothing keeps it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from email.utils import parseaddr

from filterd.mail.compose import compose
from filterd.model.ids import derived_id
from filterd.pipeline.copies import Copy, Delivered

# Beyond so many lines the letter says how many more there are.
_LISTED_AT_MOST = 2_000

_SUBJECT = "{login} 名下有 {count} 封冒用邮件已送达 / {count} messages sent in the name of {login} were delivered"
_TEXT = """\
{login} 曾被他人冒用。在锁定之前，该次冒用中有 {count} 封邮件已经送达（{since} – {until}）。
{taken_zh}
下列收件人不是本平台用户，未获通知；请视情况告知他们不要打开链接或附件。

Somebody else has used {login}. Before it was locked, {count} messages of that campaign were delivered
({since} – {until}). {taken_en}
The recipients below are no users of this platform and have not been told: tell them, where you can, not to open links
or attachments.

{lines}
"""
_NONE = ("本平台没有其他用户收到。", "No other user of this platform got one.")
_TOLD = (
    "本平台有 {users} 位用户收到，均已通知。",
    "{users} users of this platform got one and have been told. ",
)
_UNABLE = (
    "未从任何邮箱收回邮件：未配置收回程序。",
    "Nothing was taken back out of their mailboxes: no program is configured for that.",
)
_ABLE = (
    "他们邮箱中的 {asked} 份，已收回 {moved} 份，{gone} 份已不在原处，{open} 份仍在尝试收回。",
    "Of {asked} copies in their mailboxes {moved} were taken back, {gone} were not there any more, and {open} are "
    "still being tried.",
)
_NOBODY = "(没有站外收件人 / nobody elsewhere)"
_UNNAMED = "{at}  {queue_id}  (+ {count}: 见邮件服务器日志 / see the mail server's log)"
_MORE = "(+ {count})"


def letter(
    login: str,
    given: Delivered,
    named: Mapping[str, datetime],
    unnamed: Mapping[str, int],
    *,
    owner_id: str,
    sender: str,
    to: str,
    at: datetime,
) -> bytes:
    """Write the letter; about the same copies it has the same Message-ID, however often it is sent.

    Args:
        given: `copies` are never none.
        named: recipients elsewhere, and when they first got one.
        unnamed: by transaction, how many recipients elsewhere nobody could name.
        owner_id: the hold.
        sender: the From field, `Name <address>`.
    """
    name, address = parseaddr(sender)
    said = {
        "login": login,
        "count": len(given.copies),
        "users": given.users,
        "since": _when(given.copies[0].at),
        "until": _when(given.copies[-1].at),
        "taken_zh": _taken(given, 0),
        "taken_en": _taken(given, 1),
        "lines": "\n".join(_lines(given.copies, named, unnamed)),
    }
    key = derived_id("r", owner_id, to, *(x.tx for x in given.copies))
    return compose(
        sender=address,
        sender_name=name or None,
        to=(to,),
        subject=_SUBJECT.format(**said),
        text=_TEXT.format(**said),
        message_id=f"<{key}.delivered@{address.rpartition('@')[2]}>",
        date=at,
    )


def _taken(given: Delivered, language: int) -> str:
    if not given.in_mailboxes:
        return _NONE[language]
    still = given.in_mailboxes - given.moved - given.gone
    text = _TOLD[language] + (_ABLE if given.is_able else _UNABLE)[language]
    return text.format(users=given.users, asked=given.in_mailboxes, moved=given.moved, gone=given.gone, open=still)


def _lines(copies: tuple[Copy, ...], named: Mapping[str, datetime], unnamed: Mapping[str, int]) -> list[str]:
    lines = [f"{_when(at)}  {address}" for address, at in sorted(named.items(), key=lambda x: (x[1], x[0]))]
    lines += [
        _UNNAMED.format(at=_when(x.at), queue_id=x.queue_id or x.tx, count=unnamed[x.tx])
        for x in copies
        if unnamed.get(x.tx)
    ]
    listed = lines[:_LISTED_AT_MOST]
    if len(lines) > len(listed):
        listed.append(_MORE.format(count=len(lines) - len(listed)))
    return listed or [_NOBODY]


def _when(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
