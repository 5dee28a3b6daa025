"""Sample mail written for the demonstration: letters, adverts and a harmless test virus, in English and Chinese."""

from __future__ import annotations

from base64 import encodebytes
from datetime import datetime
from email.utils import format_datetime

from filterd.clients.clamd_private import EICAR

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

_OPENERS = ("Congratulations", "Last chance", "Hello friend", "Good news", "Exclusive offer")
_GOODS = ("cheap brand watches", "weight loss pills", "instant loans", "online casino bonus", "cheap software licenses")
_CALLS = ("Click here to order now", "Reply today to claim your prize", "Buy now, limited time only", "Act now")
_ZH_OPENERS = ("尊敬的客户您好", "特大喜讯", "老板您好", "限时优惠")
_ZH_GOODS = ("代开各类正规发票", "低息无抵押贷款当天放款", "名牌手表一折批发", "网上博彩注册送彩金")
_ZH_CALLS = ("欢迎来电咨询详情", "详情请加微信联系", "点击网址立即领取", "免费热线全天服务")


def clean(language: str, at: datetime, sender: str, recipient: str) -> bytes:
    """A letter somebody would miss."""
    subject, body = _CLEAN[language]
    return _letter(subject, body, at, sender, recipient, f"clean-{language}")


def advert(number: int, language: str, at: datetime, sender: str, recipient: str) -> bytes:
    """One of a run of adverts whose words, subject and Message-ID differ from message to message."""
    a, b, c = number, number // 5, number // 3
    if language == "zh":
        subject = f"{_ZH_GOODS[a % 4]}{_ZH_OPENERS[b % 4]}{number}"
        body = (
            f"{_ZH_OPENERS[b % 4]}！我公司{_ZH_GOODS[a % 4]}，价格优惠，诚信可靠，税点低。"
            f"{_ZH_CALLS[c % 4]}：http://shop{number % 17}.example/buy 电话 1380000{number:04d}。"
            f"另有{_ZH_GOODS[(a + 1) % 4]}，{_ZH_CALLS[(c + 1) % 4]}，机会难得，欢迎转告亲友。\n"
        )
    else:
        subject = f"{_OPENERS[b % 5]}! {_GOODS[a % 5]} {number}"
        body = (
            f"{_OPENERS[b % 5]}!!! Get {_GOODS[a % 5]} at the lowest price, 100% satisfaction guaranteed, no questions "
            f"asked. {_CALLS[c % 4]}: http://offer{number % 13}.example/win?id={number}\n"
            f"Make money fast from home, free bonus with every order of {_GOODS[(a + 2) % 5]}. "
            f"{_CALLS[(c + 1) % 4]}! To be removed from this list send a mail with the subject remove.\n"
        )
    return _letter(subject, body, at, sender, recipient, f"advert-{number}")


def virus(at: datetime, sender: str, recipient: str) -> bytes:
    """A letter with the EICAR test file, which every scanner knows and which does nothing."""
    lines = _headers("Invoice", at, sender, recipient, "virus")
    lines += ["MIME-Version: 1.0", 'Content-Type: multipart/mixed; boundary="b1"', ""]
    lines += ["--b1", "Content-Type: text/plain", "", "Please see the attachment.", ""]
    lines += ["--b1", "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64"]
    lines += [
        'Content-Disposition: attachment; filename="invoice.com"',
        "",
        encodebytes(EICAR).decode().strip(),
        "--b1--",
        "",
    ]
    return "\r\n".join(lines).encode()


def _letter(subject: str, body: str, at: datetime, sender: str, recipient: str, tag: str) -> bytes:
    lines = _headers(subject, at, sender, recipient, tag)
    lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", ""]
    return ("\r\n".join(lines) + "\r\n" + body.replace("\n", "\r\n")).encode()


def _headers(subject: str, at: datetime, sender: str, recipient: str, tag: str) -> list[str]:
    from email.header import Header

    domain = sender.rpartition("@")[2]
    return [
        f"From: <{sender}>",
        f"To: <{recipient}>",
        f"Subject: {Header(subject, 'utf-8').encode()}",
        f"Date: {format_datetime(at)}",
        f"Message-ID: <{tag}.{int(at.timestamp())}@{domain}>",
    ]
