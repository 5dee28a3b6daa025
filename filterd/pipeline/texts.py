"""Every code a reply of ours can begin with, and its words in both languages.  STANDING 5.10, MAIL-PATH §4g.

The catalogue is code and not a file of the operator's: each sentence is filled in by the function that picks it, so a
sentence and its blanks must change together, and the type asks for both languages. What an operator chooses (appeals
address, links) comes from the configuration. Replies, the page /why/CODE and `filterd explain` all read from here.

`reply` names what happened, under what, until when, and what still works; a text of `reply` in English is ASCII, for
that is all a client without SMTPUTF8 can be told (RFC 6531 §3.7.4.2). Nothing here says a rule, a score or a term.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """The short codes. F: a feature that is off; S, H: standing; M: this message; T: for now; D: on record; L: the
    contract, which is nobody's fault; O: all of the organisation."""

    EXTERNAL = "F-EXTERNAL"
    ATTACHMENTS = "F-ATTACHMENTS"
    LINKS = "F-LINKS"
    BULK = "F-BULK"
    ADDRESS = "F-ADDRESS"
    RECIPIENTS = "F-RECIPIENTS"
    MESSAGES_HOUR = "F-HOUR"
    MESSAGES_DAY = "F-DAY"
    RECIPIENTS_HOUR = "F-HOUR-RCPT"
    RECIPIENTS_DAY = "F-DAY-RCPT"
    EXTERNAL_DAY = "F-EXTERNAL-DAY"
    FROM_OWN = "F-FROM"
    STRANGERS = "F-STRANGERS"
    AUTO_FORWARD = "F-FORWARD"
    TENANT_EXTERNAL_DAY = "O-EXTERNAL-DAY"
    OTHER_FEATURE = "F-OTHER"
    SUSPENDED = "S-SUSPENDED"
    TENANT_SUSPENDED = "S-ORGANISATION"
    TERMINATED = "S-CLOSED"
    LOCKED = "H-LOCKED"
    TENANT_LOCKED = "H-ORGANISATION"
    VIRUS = "M-VIRUS"
    CONTENT = "M-CONTENT"
    UNCOUNTED = "M-UNCOUNTED"
    STOPPED = "M-STOP"
    INBOUND = "M-INBOUND"
    LISTED = "M-LISTED"
    UNCHECKED = "T-CHECK"
    LEDGER = "T-LEDGER"
    LOGIN = "T-LOGIN"
    APART = "T-APART"
    DISCARDED = "D-RECORD"
    HELD = "D-HELD"
    HELD_INBOUND = "D-QUARANTINE"
    COPIES = "T-COPIES"
    EXPIRED = "L-EXPIRED"
    ENDED = "L-ENDED"
    UNSERVED = "L-MAILBOX"
    MAINTENANCE = "T-MAINTENANCE"
    CLOSED = "T-CLOSED"


class Kind(StrEnum):
    """What somebody who disagrees can do about it."""

    SANCTION = "sanction"
    HOLD = "hold"
    MESSAGE = "message"
    WAIT = "wait"
    SERVICE = "service"
    TENANT = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One thing said in both languages."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a code says.

    Args:
        reply: with the blanks of pipeline/replies: off, also, limit, until, under, what, whom, others, desk, id.
        meaning, works: for the page and the command line, without blanks.
    """

    kind: Kind
    reply: Text
    meaning: Text
    works: Text


# The features of agreement.terms.FEATURES by their codes; `sending` is standing and has its own words.
OF_FEATURE: Mapping[str, Why] = {
    "external_recipients": Why.EXTERNAL,
    "attachments": Why.ATTACHMENTS,
    "links": Why.LINKS,
    "bulk": Why.BULK,
    "recipient": Why.ADDRESS,
    "recipients_per_message": Why.RECIPIENTS,
    "messages_per_hour": Why.MESSAGES_HOUR,
    "messages_per_day": Why.MESSAGES_DAY,
    "recipients_per_hour": Why.RECIPIENTS_HOUR,
    "recipients_per_day": Why.RECIPIENTS_DAY,
    "external_recipients_per_day": Why.EXTERNAL_DAY,
    "from_own": Why.FROM_OWN,
    "strangers": Why.STRANGERS,
    "auto_forward": Why.AUTO_FORWARD,
    # Of a tenant's quota; no agreement and no person switches it off for one account.
    "tenant_external_per_day": Why.TENANT_EXTERNAL_DAY,
}

# What a message was refused for as protection alone: by the area of the finding, for mail of our own accounts.
OF_AREA: Mapping[str, Text] = {
    "attachment": Text(en="an attachment of a kind that is not taken", zh="附件类型不被接受"),
    "auth": Text(en="the sender's domain cannot be verified", zh="发件域名无法验证"),
    "content": Text(en="content that is not taken", zh="内容不被接受"),
    "link": Text(en="a link known to be harmful", zh="含有已知的有害链接"),
    "pii": Text(en="personal data of many people", zh="含有大量个人信息"),
    "rate": Text(en="too much mail at once", zh="一次发信过多"),
    "sender": Text(
        en="a sender name or address that is not this account's (use a domain of your organisation, or have your"
        " administrator declare this one)",
        zh="发件人名称或地址不属于本账号（请使用本单位的域名，或请管理员登记该域名）",
    ),
    "virus": Text(en="a virus or destructive program", zh="含有病毒等破坏性程序"),
}
# And by the group of agreement/protection, for mail nobody of ours answers for.
OF_GROUP: Mapping[str, Text] = {
    "virus": OF_AREA["virus"],
    "attachments": OF_AREA["attachment"],
    "phishing": Text(en="taken for phishing", zh="疑似钓鱼邮件"),
    "spam": Text(en="taken for unsolicited mail", zh="疑似垃圾邮件"),
    "impersonation": Text(en="the sender looks like somebody else", zh="发件人疑似冒充他人"),
    "dmarc": Text(
        en="the owner of the From domain asks to refuse mail that fails authentication as this did",
        zh="发件域名所有者要求拒收未通过身份验证的邮件",
    ),
}

# And by an entry of the operator's lists that has no words of its own.
OF_LISTS = Text(
    en="it is not taken from this source, or not for this recipient.", zh="不接收来自该来源或发往该收件人的邮件。"
)

# How to object, by kind, for the page and the command line.
OBJECTION: Mapping[Kind, Text] = {
    Kind.SANCTION: Text(
        en="Objecting is free of charge and never adds points. Use the link in the reply or write to the appeals"
        " address, with the case number from the reply in the subject; that address takes your mail whatever else is"
        " switched off. A person answers.",
        zh="申诉免费，也绝不会因此增加记分。请使用退信或回复中的链接，或发邮件至申诉地址，并在主题中写明案件编号；"
        "无论停用了哪些功能，申诉地址始终可以收到您的邮件。由人工答复。",
    ),
    Kind.HOLD: Text(
        en="Your administrator can have it unlocked, after making sure that only you use the account. If you think it"
        " is wrong, write to the appeals address with the case number from the reply; that is free of charge.",
        zh="管理员确认该账号只由您本人使用后，可以为您解锁。如认为有误，请发邮件至申诉地址并写明案件编号，费用全免。",
    ),
    Kind.MESSAGE: Text(
        en="If the message was not what we took it for, write to the appeals address with the case number from the"
        " reply. That is free of charge and never adds points. A person looks at it.",
        zh="如邮件被误判，请发邮件至申诉地址并写明案件编号。申诉免费，也绝不会因此增加记分。由人工复核。",
    ),
    Kind.WAIT: Text(
        en="There is nothing to object to: the mail is tried again by itself, and nothing counts against you.",
        zh="无需申诉：邮件会自动重试，也不会对您产生任何不利记录。",
    ),
    Kind.TENANT: Text(
        en="This is about your organisation as a whole and says nothing about you. Its administrator has been told why"
        " and until when, and can object free of charge; please ask there.",
        zh="这是针对本单位整体的措施，与您个人无关。管理员已获知原因和期限，并可免费申诉；请向管理员询问。",
    ),
    Kind.SERVICE: Text(
        en="This says nothing about anybody's conduct: it is the term of the service. Whoever holds the contract can"
        " renew it. If you think the date is wrong, write to the appeals address, free of charge.",
        zh="这与任何人的行为无关，仅涉及服务期限；签约方续费即可恢复。如认为日期有误，可免费致信申诉地址。",
    ),
}


def _feature(*, reply: Text, meaning: Text, works: Text) -> Entry:
    return Entry(kind=Kind.SANCTION, reply=reply, meaning=meaning, works=works)


CATALOGUE: Mapping[Why, Entry] = {
    Why.EXTERNAL: _feature(
        reply=Text(
            en="Mail to recipients outside your organisation {off}; mail inside it still works{also}.",
            zh="向本单位以外的收件人发信{off}；本单位内部的邮件仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account cannot write to recipients outside its own organisation. Where only those"
            " recipients were refused, the others of the same mail got it.",
            zh="该账号暂时不能向本单位以外的收件人发信。如仅这些收件人被拒收，同一封邮件的其他收件人不受影响。",
        ),
        works=Text(
            en="Mail to everybody inside the organisation, and receiving mail from anybody.",
            zh="向本单位内部任何人发信，以及接收任何来信。",
        ),
    ),
    Why.ATTACHMENTS: _feature(
        reply=Text(
            en="Sending attachments {off}; mail without attachments still works{also}.",
            zh="发送附件{off}；不带附件的邮件仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account cannot send mail with attachments.", zh="该账号暂时不能发送带附件的邮件。"
        ),
        works=Text(
            en="Mail without attachments, and receiving mail with or without them.",
            zh="发送不带附件的邮件，以及接收任何来信（含附件）。",
        ),
    ),
    Why.LINKS: _feature(
        reply=Text(
            en="Sending links {off}; mail without links still works{also}.",
            zh="发送含链接的邮件{off}；不含链接的邮件仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account cannot send mail with links (web addresses) in it; links in a signature"
            " count.",
            zh="该账号暂时不能发送含链接（网址）的邮件，签名中的链接也计算在内。",
        ),
        works=Text(
            en="Mail without links, and receiving mail with or without them.",
            zh="发送不含链接的邮件，以及接收任何来信（含链接）。",
        ),
    ),
    Why.BULK: _feature(
        reply=Text(
            en="Mail to more than {limit} recipients at once {off}; mail to up to {limit} still works{also}.",
            zh="一次发给超过{limit}个收件人{off}；发给{limit}个以内收件人的邮件仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account cannot send one message to many recipients at once.",
            zh="该账号暂时不能将一封邮件同时发给许多收件人。",
        ),
        works=Text(
            en="Mail to few recipients at once; the reply says how many.",
            zh="一次发给少量收件人的邮件；具体数量见回复。",
        ),
    ),
    Why.ADDRESS: _feature(
        reply=Text(
            en="Mail to {whom} {off}; mail to everybody else still works{also}.",
            zh="向{whom}发信{off}；发给其他任何人的邮件仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account cannot write to one particular address. Where only that recipient was"
            " refused, the others of the same mail got it.",
            zh="该账号暂时不能向某一个特定地址发信。如仅该收件人被拒收，同一封邮件的其他收件人不受影响。",
        ),
        works=Text(en="Mail to everybody else.", zh="向其他任何人发信。"),
    ),
    Why.RECIPIENTS: _feature(
        reply=Text(
            en="Mail with more than {limit} recipients {off}; up to {limit} a message still work, send the rest in"
            " another{also}.",
            zh="收件人超过{limit}个的邮件{off}；每封{limit}个以内仍可发送，其余收件人请另发一封{also}。",
        ),
        meaning=Text(
            en="For a time, a message of this account can have only so many recipients.",
            zh="该账号每封邮件的收件人数量暂时受到限制。",
        ),
        works=Text(
            en="Messages with fewer recipients; the reply says how many. The rest can get a message of their own.",
            zh="收件人较少的邮件；具体数量见回复。其余收件人可另发一封。",
        ),
    ),
    Why.MESSAGES_HOUR: _feature(
        reply=Text(
            en="Sending more than {limit} messages an hour {off}; up to {limit} still work, this one is taken"
            " later{also}.",
            zh="每小时发信超过{limit}封{off}；每小时{limit}封以内仍可发送，本邮件稍后可再投递{also}。",
        ),
        meaning=Text(
            en="For a time, this account can send only so many messages an hour. Beyond that, mail has to wait.",
            zh="该账号每小时的发信数量暂时受到限制，超出部分需要等待。",
        ),
        works=Text(
            en="So many messages an hour as the reply says. A mail server tries again by itself.",
            zh="每小时在回复所示数量以内发信。邮件服务器会自动重试。",
        ),
    ),
    Why.MESSAGES_DAY: _feature(
        reply=Text(
            en="Sending more than {limit} messages a day {off}; up to {limit} still work, this one is taken"
            " later{also}.",
            zh="每天发信超过{limit}封{off}；每天{limit}封以内仍可发送，本邮件稍后可再投递{also}。",
        ),
        meaning=Text(
            en="For a time, this account can send only so many messages in 24 hours. Beyond that, mail has to wait.",
            zh="该账号24小时内的发信数量暂时受到限制，超出部分需要等待。",
        ),
        works=Text(
            en="So many messages a day as the reply says. A mail server tries again by itself.",
            zh="每天在回复所示数量以内发信。邮件服务器会自动重试。",
        ),
    ),
    Why.RECIPIENTS_HOUR: _feature(
        reply=Text(
            en="Mail to more than {limit} recipients an hour {off}; up to {limit} still work, this mail is taken"
            " later{also}.",
            zh="每小时发给超过{limit}个收件人{off}；每小时{limit}个以内仍可发送，本邮件稍后可再投递{also}。",
        ),
        meaning=Text(
            en="For a time, this account can write to only so many recipients an hour, all its messages together.",
            zh="该账号每小时所有邮件的收件人总数暂时受到限制。",
        ),
        works=Text(
            en="So many recipients an hour as the reply says. A mail server tries again by itself.",
            zh="每小时在回复所示收件人数以内发信。邮件服务器会自动重试。",
        ),
    ),
    Why.RECIPIENTS_DAY: _feature(
        reply=Text(
            en="Mail to more than {limit} recipients a day {off}; up to {limit} still work, this mail is taken"
            " later{also}.",
            zh="每天发给超过{limit}个收件人{off}；每天{limit}个以内仍可发送，本邮件稍后可再投递{also}。",
        ),
        meaning=Text(
            en="For a time, this account can write to only so many recipients in 24 hours, all its messages together.",
            zh="该账号24小时内所有邮件的收件人总数暂时受到限制。",
        ),
        works=Text(
            en="So many recipients a day as the reply says. A mail server tries again by itself.",
            zh="每天在回复所示收件人数以内发信。邮件服务器会自动重试。",
        ),
    ),
    Why.EXTERNAL_DAY: _feature(
        reply=Text(
            en="Mail to more than {limit} recipients outside your organisation a day {off}; up to {limit}, and mail"
            " inside it, still work, this mail is taken later{also}.",
            zh="每天向本单位以外超过{limit}个收件人发信{off}；每天{limit}个以内以及本单位内部的邮件仍可发送，本邮件稍后"
            "可再投递{also}。",
        ),
        meaning=Text(
            en="For a time, this account can write to only so many recipients outside its own organisation in 24"
            " hours.",
            zh="该账号24小时内向本单位以外发信的收件人总数暂时受到限制。",
        ),
        works=Text(
            en="So many recipients a day as the reply says, and mail inside the organisation. A mail server tries again"
            " by itself.",
            zh="每天在回复所示收件人数以内发信，以及本单位内部的邮件。邮件服务器会自动重试。",
        ),
    ),
    Why.FROM_OWN: _feature(
        reply=Text(
            en="Sending under another address than this account's own {off}; mail from its own addresses still"
            " works{also}.",
            zh="使用非本账号的发件地址发信{off}；以本账号自己的地址发信仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account can send only under its own addresses: in From, in Sender and in the"
            " envelope.",
            zh="该账号暂时只能以自己的地址发信，包括发件人、代发人和信封发件人。",
        ),
        works=Text(
            en="Mail from the account's own address and its aliases; a name beside the address does not matter.",
            zh="以本账号的地址及其别名发信；地址旁的显示名称不受影响。",
        ),
    ),
    Why.STRANGERS: _feature(
        reply=Text(
            en="Mail to people outside who did not write to your organisation first {off}; answering those who did, and"
            " mail inside it, still works{also}.",
            zh="向未曾先来信的外部收件人发信{off}；回复近期来信者以及本单位内部的邮件仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, this account can write outside only to those who have written to its organisation lately."
            " Where only other recipients were refused, those of the same mail got it.",
            zh="该账号暂时只能向近期曾来信的外部收件人发信。如仅其他收件人被拒收，同一封邮件的这些收件人不受影响。",
        ),
        works=Text(
            en="Answering people who wrote first, and mail to everybody inside the organisation.",
            zh="回复先来信者，以及向本单位内部任何人发信。",
        ),
    ),
    Why.AUTO_FORWARD: _feature(
        reply=Text(
            en="Forwarding and answering by a rule {off}; mail you write yourself, forwarded mail in it, still"
            " works{also}.",
            zh="自动转发和自动回复{off}；您亲自撰写的邮件（包括其中引用或附带的转发内容）仍可发送{also}。",
        ),
        meaning=Text(
            en="For a time, mail that a rule of this account sends on or answers with is refused, and so is mail sent"
            " on unchanged (redirected).",
            zh="该账号由规则自动转发或自动回复的邮件暂时不予接收，原样重新投递（重定向）的邮件同样不予接收。",
        ),
        works=Text(
            en="Writing, answering and forwarding by hand.", zh="亲自写信、回复，以及手动转发。"
        ),
    ),
    Why.TENANT_EXTERNAL_DAY: Entry(
        kind=Kind.TENANT,
        reply=Text(
            en="Mail to more than {limit} recipients outside it a day {off}; mail inside it still works, this mail is"
            " taken later{also}.",
            zh="每天向本单位以外超过{limit}个收件人发信{off}；单位内部的邮件仍可发送，本邮件稍后可再投递{also}。",
        ),
        meaning=Text(
            en="For a time, all accounts of this organisation together can write to only so many recipients outside it"
            " in 24 hours.",
            zh="本单位所有账号24小时内向外部发信的收件人总数暂时受到限制。",
        ),
        works=Text(
            en="Mail inside the organisation. A mail server tries the rest again by itself.",
            zh="本单位内部的邮件。其余邮件由邮件服务器自动重试。",
        ),
    ),
    Why.OTHER_FEATURE: _feature(
        reply=Text(
            en="This kind of mail {off}; other mail still works{also}.",
            zh="发送此类邮件{off}；其他邮件仍可发送{also}。",
        ),
        meaning=Text(en="For a time, this account cannot send one kind of mail.", zh="该账号暂时不能发送某一类邮件。"),
        works=Text(en="Every other kind of mail.", zh="发送其他各类邮件。"),
    ),
    Why.SUSPENDED: Entry(
        kind=Kind.SANCTION,
        reply=Text(
            en="Sending is suspended {until}{under}; receiving mail and writing to {desk} still work.",
            zh="该账号发信已暂停{until}{under}；收信以及向 {desk} 发信仍可使用。",
        ),
        meaning=Text(
            en="This account cannot send mail for the time the reply says. It is not closed, and its mail is kept.",
            zh="在回复所示期限内，该账号不能发信。账号没有关闭，邮件都会保留。",
        ),
        works=Text(
            en="Receiving and reading mail, and writing to the appeals address and to the administrator's addresses"
            " (postmaster, abuse) of your own organisation.",
            zh="收信和读信，以及向申诉地址和本单位的管理地址（postmaster、abuse）发信。",
        ),
    ),
    Why.TENANT_SUSPENDED: Entry(
        kind=Kind.TENANT,
        reply=Text(
            en="Sending is suspended for your whole organisation {until}{under}; {own}receiving mail and writing to"
            " {desk} still work.",
            zh="本单位发信已整体暂停{until}{under}；{own}收信以及向 {desk} 发信仍可使用。",
        ),
        meaning=Text(
            en="Nobody of this organisation can send mail for the time the reply says. This is not about single"
            " accounts, and none of them is closed.",
            zh="在回复所示期限内，本单位所有账号均不能发信。这不针对单个账号，任何账号都没有关闭。",
        ),
        works=Text(
            en="Receiving and reading mail, and writing to the appeals address and to the administrator's addresses"
            " (postmaster, abuse) of your own organisation.",
            zh="收信和读信，以及向申诉地址和本单位的管理地址（postmaster、abuse）发信。",
        ),
    ),
    Why.TENANT_LOCKED: Entry(
        kind=Kind.TENANT,
        reply=Text(
            en="Sending is locked {until} to protect your organisation; {own}receiving mail and writing to {desk} still"
            " work.",
            zh="为保护本单位，发信已整体锁定{until}；{own}收信以及向 {desk} 发信仍可使用。",
        ),
        meaning=Text(
            en="Sending was locked for a short time for all of an organisation, because something is wrong there that"
            " could not wait. It is not a penalty and gives nobody points.",
            zh="因本单位出现紧急情况，发信已整体短时锁定。这不是处罚，也不给任何人记分。",
        ),
        works=Text(
            en="Receiving and reading mail, and writing to the appeals address and to the administrator's addresses"
            " (postmaster, abuse) of your own organisation.",
            zh="收信和读信，以及向申诉地址和本单位的管理地址（postmaster、abuse）发信。",
        ),
    ),
    Why.TERMINATED: Entry(
        kind=Kind.SANCTION,
        reply=Text(
            en="This account was closed{under}; from any other address you can still write to {desk}.",
            zh="该账号已被终止{under}；您仍可使用其他邮箱致信 {desk}。",
        ),
        meaning=Text(
            en="This account was closed for good by the decision of people, after a time to object. Its mail is kept"
            " for as long as the notice says.",
            zh="该账号经人工决定并经异议期后被终止。其邮件在通知载明的期限内保留。",
        ),
        works=Text(
            en="The link in the reply, and writing to the appeals address from any other mailbox.",
            zh="回复中的链接，以及使用其他邮箱致信申诉地址。",
        ),
    ),
    Why.LOCKED: Entry(
        kind=Kind.HOLD,
        reply=Text(
            en="Sending is locked {until} to protect this account; receiving mail still works. Your administrator can"
            " unlock it.",
            zh="为保护该账号，发信已锁定{until}；收信仍可使用。请联系管理员解锁。",
        ),
        meaning=Text(
            en="Sending was locked because somebody else may be using the account. It is not a penalty and gives no"
            " points. If you did not send the mail yourself, change your password on a device you trust.",
            zh="由于可能有他人在使用该账号，发信已被锁定。这不是处罚，也不产生记分。"
            "如果邮件不是您本人发出的，请在可信的设备上修改密码。",
        ),
        works=Text(
            en="Receiving and reading mail, and writing to the appeals address and to your own administrator.",
            zh="收信和读信，以及向申诉地址和本单位管理员发信。",
        ),
    ),
    Why.VIRUS: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Message refused: it holds a virus or destructive program{under}; {others}.",
            zh="邮件被拒收：含有病毒等破坏性程序{under}；{others}。",
        ),
        meaning=Text(
            en="A virus scanner recognised something in this message. Check the computer it was written on.",
            zh="病毒扫描程序在该邮件中识别出有害内容。请检查写信所用的电脑。",
        ),
        works=Text(
            en="This reply is about this message; a notice says whether anything else follows.",
            zh="本回复仅针对该邮件；如有其他后果，将另行通知。",
        ),
    ),
    Why.CONTENT: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Message refused: {what}{under}; {others}.", zh="邮件被拒收：{what}{under}；{others}。"
        ),
        meaning=Text(
            en="The message was taken for something that the service agreement does not allow. The reply names the"
            " kind and the clause.",
            zh="该邮件被判断为服务协议不允许的内容，类别和条款见回复。",
        ),
        works=Text(
            en="This reply is about this message; a notice says whether anything else follows.",
            zh="本回复仅针对该邮件；如有其他后果，将另行通知。",
        ),
    ),
    Why.STOPPED: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="This recipient asked this account not to write to them; mail to everybody else still works.",
            zh="该收件人已要求本账号停止来信；发给其他任何人的邮件仍可发送。",
        ),
        meaning=Text(
            en="Somebody asked this account to stop writing to them, or unsubscribed from its mail. Only mail to that"
            " recipient is refused. Take the address off your list.",
            zh="收件人已要求该账号停止来信，或已退订其邮件。仅发往该收件人的邮件被拒收。请将该地址从名单中删除。",
        ),
        works=Text(en="Mail to everybody else.", zh="发给其他任何人的邮件。"),
    ),
    Why.UNCOUNTED: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Message refused: {what}{under}; nothing counts against you, and other mail still works.",
            zh="邮件被拒收：{what}{under}；不会对您记分，其他邮件仍可发送。",
        ),
        meaning=Text(
            en="The message as it is cannot be sent from this account, for example because its From field bears a"
            " domain that belongs to somebody else. It gives no points.",
            zh="该邮件按现状不能由此账号发出，例如发件人栏使用了属于他人的域名。不产生记分。",
        ),
        works=Text(
            en="All other mail, and this one once what the reply names is changed.",
            zh="其他所有邮件；改正回复所指事项后，该邮件也可发送。",
        ),
    ),
    Why.INBOUND: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Message refused to protect its recipients: {what}; {others}.",
            zh="为保护收件人，邮件被拒收：{what}；{others}。",
        ),
        meaning=Text(
            en="A message from outside was refused to protect the recipients. No account of ours sent it.",
            zh="为保护收件人，拒收了一封外来邮件。该邮件不是由本服务的账号发出的。",
        ),
        works=Text(en="Other mail from you is not touched by this.", zh="您的其他邮件不受影响。"),
    ),
    Why.LISTED: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Mail refused by a rule of this site: {what} Nothing counts against you.",
            zh="邮件被本站规则拒收：{what}不会对您记分。",
        ),
        meaning=Text(
            en="The site that runs this mail system has listed the source or the recipient of the mail. It says nothing"
            " about anybody's conduct, and gives no points.",
            zh="本邮件系统的运营方将该邮件的来源或收件人列入了规则。这与任何人的行为评价无关，不产生记分。",
        ),
        works=Text(
            en="Mail that the rule does not name, and mail to the appeals address.",
            zh="规则未列明的邮件，以及发往申诉地址的邮件。",
        ),
    ),
    Why.APART: Entry(
        kind=Kind.WAIT,
        reply=Text(
            en="Other choices hold for this recipient: please send to it in another transaction; a mail server does so"
            " by itself",
            zh="该收件人适用不同的处理方式，请另行投递；邮件服务器会自动完成",
        ),
        meaning=Text(
            en="The recipients of the mail have chosen to have it judged differently, so it is taken once for each such"
            " group.",
            zh="该邮件的收件人选择了不同的处理方式，因此按组分别接收。",
        ),
        works=Text(en="Trying again: a mail server does it by itself.", zh="稍后重试；邮件服务器会自动重试。"),
    ),
    Why.UNCHECKED: Entry(
        kind=Kind.WAIT,
        reply=Text(
            en="Mail could not be checked, please try again later; nothing counts against you ({id})",
            zh="邮件暂时无法检查，请稍后重试；不会产生任何记分（{id}）",
        ),
        meaning=Text(
            en="A check of ours did not work just then, so we did not take the mail.",
            zh="我方某项检查当时无法进行，因此没有接收该邮件。",
        ),
        works=Text(en="Trying again: a mail server does it by itself.", zh="稍后重试；邮件服务器会自动重试。"),
    ),
    Why.LEDGER: Entry(
        kind=Kind.WAIT,
        reply=Text(
            en="Policy service is not available, please try again later; nothing counts against you",
            zh="策略服务暂时不可用，请稍后重试；不会产生任何记分",
        ),
        meaning=Text(
            en="We could not look up the account just then, so we did not take the mail.",
            zh="当时无法查询账号状态，因此没有接收该邮件。",
        ),
        works=Text(en="Trying again: a mail server does it by itself.", zh="稍后重试；邮件服务器会自动重试。"),
    ),
    Why.LOGIN: Entry(
        kind=Kind.WAIT,
        reply=Text(
            en="The login of this session cannot be read, so nobody answers for the mail; ask your administrator",
            zh="无法识别本次会话的登录名，因此没有账号对该邮件负责；请联系管理员",
        ),
        meaning=Text(
            en="The mail server told us a login that cannot be one. An administrator has to look at its set-up.",
            zh="邮件服务器提供的登录名无效，需要管理员检查配置。",
        ),
        works=Text(en="Mail from logins that can be read.", zh="登录名可识别的账号可以正常发信。"),
    ),
    Why.DISCARDED: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Discarded{under}, on record as {id}; it was not delivered.",
            zh="邮件已丢弃并存档{under}，记录编号 {id}；该邮件未投递。",
        ),
        meaning=Text(
            en="Behind the mail queue a message cannot be refused without a bounce to an address nobody has checked."
            " So it was taken, kept on record and not delivered; its sender gets a notice.",
            zh="在邮件队列之后无法直接拒收，否则退信会发往未经核实的地址。因此该邮件已接收并存档，但未投递；发件人将收到通知。",
        ),
        works=Text(
            en="This is about this message; a notice says whether anything else follows.",
            zh="仅针对该邮件；如有其他后果，将另行通知。",
        ),
    ),
    Why.HELD: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Message held for review as {id}, until a person has decided; if nobody does, it comes back to its"
            " sender {until}.",
            zh="邮件已暂存待人工审核（编号 {id}）；如无人处理，将退回给发件人（{until}）。",
        ),
        meaning=Text(
            en="This message was taken and is held until a person has looked at it: it goes on, or comes back. If"
            " nobody decides in time it comes back by itself, with the message attached. It is never thrown away.",
            zh="该邮件已接收并暂存，等待人工查看：之后投递或退回。逾期无人决定的，将自动连同原邮件一并退回，绝不会被丢弃。",
        ),
        works=Text(
            en="Other mail is not touched. Sending this message again changes nothing while it is held.",
            zh="其他邮件不受影响。暂存期间重复发送同一邮件不会有其他效果。",
        ),
    ),
    Why.HELD_INBOUND: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Message taken and held for its recipient as {id}.",
            zh="邮件已接收，为收件人隔离保存（编号 {id}）。",
        ),
        meaning=Text(
            en="This message was taken and kept back to protect its recipient, who is told of it every day and can have"
            " it released. What nobody asks for is removed on the day that is said there.",
            zh="该邮件已接收，为保护收件人而隔离。收件人每日收到清单，可要求放行；无人要求的，到清单所列日期清除。",
        ),
        works=Text(en="Other mail is not touched.", zh="其他邮件不受影响。"),
    ),
    Why.COPIES: Entry(
        kind=Kind.MESSAGE,
        reply=Text(
            en="Copies of this message are held until a person has decided; this one is to be tried again later.",
            zh="同类邮件已暂存待人工审核；本邮件请稍后再投递。",
        ),
        meaning=Text(
            en="Some copies of the same message, or of the same run of mail, are held until a person has looked at"
            " them. More are not taken meanwhile. What is decided about those goes for the others; if nobody decides,"
            " they are refused after some hours.",
            zh="同一邮件或同批邮件的若干封已暂存待人工查看，在此期间不再接收更多。对已暂存邮件的决定适用于其余邮件；"
            "逾期无人决定的，其余邮件将在数小时后拒收。",
        ),
        works=Text(
            en="Other mail is not touched. A mail server tries again by itself.",
            zh="其他邮件不受影响。邮件服务器会自动重试。",
        ),
    ),
    Why.EXPIRED: Entry(
        kind=Kind.SERVICE,
        reply=Text(en="Service expired; please renew", zh="服务已到期，请续费"),
        meaning=Text(
            en="The term of this service is over and was not renewed. The mailbox and what is in it are kept for a"
            " time; once the service is renewed everything works again at once.",
            zh="该服务已到期且未续费。邮箱及其内容会保留一段时间；续费后立即恢复全部功能。",
        ),
        works=Text(
            en="Mail to the appeals address, to postmaster and abuse of the organisation, and renewing.",
            zh="致申诉地址以及本单位 postmaster 和 abuse 地址的邮件，以及续费。",
        ),
    ),
    Why.ENDED: Entry(
        kind=Kind.SERVICE,
        reply=Text(en="The service for this account has ended", zh="该账号的服务已终止"),
        meaning=Text(
            en="The service for this organisation has ended under its agreement. A notice to its administrator says why"
            " and until when data is kept.",
            zh="该单位的服务已依协议终止。发给管理员的通知载明原因及数据保留期限。",
        ),
        works=Text(
            en="Mail to the appeals address, and to postmaster and abuse of the organisation.",
            zh="致申诉地址以及本单位 postmaster 和 abuse 地址的邮件。",
        ),
    ),
    Why.UNSERVED: Entry(
        kind=Kind.SERVICE,
        reply=Text(en="The mailbox is out of service", zh="该邮箱暂停服务"),
        meaning=Text(
            en="The mailbox that you wrote to is out of service. For some days mail to it waits with the sender's mail"
            " server, then it is refused.",
            zh="您所致信的邮箱暂停服务。最初几天邮件在发件方服务器等候重试，之后将被拒收。",
        ),
        works=Text(en="Mail to everybody else.", zh="发给其他收件人的邮件不受影响。"),
    ),
    Why.MAINTENANCE: Entry(
        kind=Kind.WAIT,
        reply=Text(en="Maintenance; please try again later", zh="系统维护中，请稍后重试"),
        meaning=Text(
            en="The mail system is being maintained, so mail waits with the sender's mail server and is tried again.",
            zh="邮件系统正在维护，邮件会在发件方服务器等候并自动重试。",
        ),
        works=Text(en="Trying again: a mail server does it by itself.", zh="稍后重试；邮件服务器会自动重试。"),
    ),
    Why.CLOSED: Entry(
        kind=Kind.SERVICE,
        reply=Text(
            en="This mail service is being closed down and takes no mail", zh="本邮件服务正在关停，不再接收邮件"
        ),
        meaning=Text(
            en="This mail service is being closed down. Its customers were told before, with the dates.",
            zh="本邮件服务正在关停，此前已将相关日期通知客户。",
        ),
        works=Text(en="Nothing here; write by another way.", zh="此处已无可用服务，请通过其他途径联系。"),
    ),
}


def known_language(tag: str) -> str | None:
    """Match a language tag (RFC 5646) to ours. Traditional Chinese is not simplified Chinese."""
    parts = tag.replace("_", "-").lower().split("-")
    if parts[0] == "en":
        return "en"
    if parts[0] == "zh" and not {"hant", "tw", "hk", "mo"} & set(parts[1:]):
        return "zh-Hans"
    return None
