"""The mail of the story, written for it: letters somebody would miss, a run of adverts, and a harmless test virus."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime

from tests.kit.client import Letter

# The anti-malware test file of EICAR, in pieces: whole it would have virus scanners remove this file.
EICAR = "".join(["X5O!P%@AP[4", r"\PZX54(P^)7CC)7}$", "EICAR-STANDARD", "-ANTIVIRUS-TEST-FILE!", "$H+H*"]).encode()

_CLEAN = {
    "en": (
        "Minutes of Tuesday's meeting",
        "Dear Ms Okafor,\n\nthank you for coming on Tuesday. We agreed to move the review to the second week of the "
        "month and to ask the workshop for a new quotation. Please tell me whether Thursday at ten suits you.\n\n"
        "Kind regards\nPeter Lund\n",
    ),
    "zh": (
        "关于下周二项目评审会议的安排",
        "王老师：\n\n您好！上次讨论的实验数据我已经整理完毕，放在实验室的共享目录里。"
        "下周二上午十点的评审会改在三楼会议室，请您提前看一下第二章的修改意见。"
        "如果时间不合适，请回信告诉我，我再和大家商量。\n\n祝工作顺利\n李明\n",
    ),
}

# A grammar of adverts: subject, greeting, offer, reason, call. No two of a run are the same.
_GRAMMAR = {
    "en": {
        "subject": (
            "{goods} at the lowest price",
            "Last chance: {goods}",
            "{name}, your {goods} bonus",
            "Re: {goods} offer",
        ),
        "greeting": ("Dear friend", "Hello {name}", "Congratulations", "Attention please"),
        "goods": (
            "replica watches",
            "weight loss pills",
            "instant cash loans",
            "online casino credits",
            "cheap software licenses",
            "viagra and cialis",
        ),
        "offer": (
            "Get {goods} at the lowest price on the net, 100% satisfaction guaranteed, no questions asked.",
            "We offer {goods} with free shipping worldwide and a money back guarantee.",
            "You have been selected to receive {goods} absolutely free, limited time only.",
            "Save up to 90% on {goods} today, no prescription and no credit check needed.",
        ),
        "reason": (
            "Make money fast from home, earn $5000 a week with no experience.",
            "Thousands of satisfied customers have already claimed their free bonus.",
            "This is not spam, you are receiving this special offer because you subscribed.",
            "Act now, this exclusive promotion expires tonight and will not be repeated.",
        ),
        "call": (
            "Click here to order now: {url}",
            "Claim your prize at {url} before it is too late!!!",
            "Visit {url} and buy now, limited time only.",
            "To be removed from this list click {url}",
        ),
        "name": ("winner", "Sir or Madam", "valued customer", "John", "Maria"),
    },
    "zh": {
        "subject": ("{goods}，详情请来电", "特大优惠：{goods}", "{name}，{goods}", "代理{goods}业务"),
        "greeting": ("尊敬的{name}您好", "您好，{name}", "特大喜讯", "打扰了，{name}"),
        "goods": (
            "代开各地增值税发票",
            "低息无抵押贷款当天放款",
            "名牌手表一折批发",
            "网上博彩注册送彩金",
            "代办各类证件",
            "企业管理培训课程",
        ),
        "offer": (
            "我公司长期提供{goods}，价格优惠，诚信可靠，税点低，可验证后付款。",
            "本公司因进项较多，现有剩余额度，可对外{goods}，点数优惠，保证真实。",
            "{goods}，全国包邮，无效退款，机会难得，名额有限。",
            "专业{goods}，手续简单，当天办理，欢迎来电咨询。",
        ),
        "reason": (
            "现在注册即送大礼包，推荐好友还有现金奖励。",
            "已有数千家企业与我公司长期合作，绝对保密。",
            "限时优惠，仅此一天，先到先得。",
            "足不出户，月入过万，无需经验。",
        ),
        "call": (
            "详情请点击 {url} 立即领取。",
            "请加微信或致电 {phone} 联系张经理。",
            "免费热线全天服务：{phone}，网址 {url}。",
            "有意者请回复本邮件或拨打手机 {phone}，不需要请删除，打扰之处敬请谅解。",
        ),
        "name": ("老板", "客户", "经理（财务）", "负责人", "朋友"),
    },
}


def letter(sender: str, recipients: tuple[str, ...] | str, raw: bytes, **parameters: str) -> Letter:
    """Put a mail into its envelope. Parameters as in `Letter`."""
    to = (recipients,) if isinstance(recipients, str) else recipients
    return Letter(sender=sender, recipients=to, raw=raw, **parameters)


def clean(sender: str, to: str, *, tag: str, language: str = "en") -> bytes:
    """A letter somebody would miss; `tag` makes its Message-ID."""
    subject, body = _CLEAN[language]
    return text(sender, to, subject, body, tag=tag)


def advert(sender: str, to: str, *, number: int, seed: str, language: str) -> bytes:
    """One of a run of adverts."""
    dice = random.Random(f"{seed}.{number}")
    words = _GRAMMAR[language]

    def say(part: str) -> str:
        return _filled(dice.choice(words[part]), words, dice, number)

    parts = [say("greeting"), say("offer"), say("reason"), say("offer"), say("call")]
    body = "\n".join(parts) + f"\n\n{dice.randrange(10**6):06d}\n"
    return text(sender, to, f"{say('subject')} {dice.randrange(10**4)}", body, tag=f"advert.{seed}.{number}")


def run(sender: str, count: int, *, seed: str, domain: str = "customers.example", first: int = 0) -> Iterator[Letter]:
    """A spam run: as many adverts to as many people, every other one in Chinese."""
    for number in range(first, first + count):
        to = f"{seed}.{number}@{domain}"
        language = "zh" if number % 2 else "en"
        yield letter(sender, to, advert(sender, to, number=number, seed=seed, language=language))


def virus(sender: str, to: str, *, tag: str) -> bytes:
    """A letter with the EICAR test file attached."""
    boundary = f"b.{tag}"
    body = [
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        "Please see the attachment.",
        f"--{boundary}",
        "Content-Type: application/octet-stream",
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="statement.dat"',
        "",
        base64.b64encode(EICAR).decode(),
        f"--{boundary}--",
        "",
    ]
    head = _head(sender, to, "Invoice", tag)
    head += ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{boundary}"', ""]
    return "\r\n".join([*head, *body]).encode()


def text(sender: str, to: str, subject: str, body: str, *, tag: str) -> bytes:
    """A text in UTF-8, eight bits; `body` with LF."""
    head = _head(sender, to, subject, tag)
    head += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", ""]
    return "\r\n".join(head).encode() + body.replace("\n", "\r\n").encode()


def _head(sender: str, to: str, subject: str, tag: str) -> list[str]:
    return [
        f"From: <{sender}>",
        f"To: <{to}>",
        f"Subject: {Header(subject, 'utf-8').encode() if not subject.isascii() else subject}",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: <{tag}@{sender.rpartition('@')[2]}>",
    ]


def _filled(pattern: str, words: dict[str, tuple[str, ...]], dice: random.Random, number: int) -> str:
    return pattern.format(
        goods=dice.choice(words["goods"]),
        name=dice.choice(words["name"]),
        url=f"http://shop{dice.randrange(40)}.example/win?id={number}",
        phone=f"138{dice.randrange(10**8):08d}",
    )
