"""What betrays a corpus is taken out of training texts; made-up examples of each kind."""

from __future__ import annotations

import pytest

from filterd.learning.artefacts import clean


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("fbs_sms", "请 NAME 登录 URL 领取 DIGIT 元", "请 登录 领取 0 元"),
        ("fbs_sms", "abcURL 详询 PHONEWECHAT 张NAME先生 URL0 送 DIGITn", "详询 0 张 先生 送 0"),
        ("chineseharm", "亲爱的[客户]，[em]e102[/em]好", "亲爱的 ， 好"),
        ("enron_text", "visit http : / / www . shop . example / cheap / now today", "visit today"),
        ("enron_text", "mail bob . smith @ shop . example today", "mail today"),
        ("enron_ham", "see Bob Smith@ECT about enron lunch", "see about lunch"),
        ("list_usrp", "the usrp is on my desk", "the is on my desk"),
        ("csdmc2010", "[SPAM] buy watches", "buy watches"),
        ("olid", "@USER look at this URL", "look at this"),
        ("nazario_text", "=?utf-8?b?5Lya6K6u?=\nclick here", "会议 click here"),
        ("ccert_zh", "标题: 出售自行车 ※ 来源:·某某站·[FROM: 192.0.2.*]", "出售自行车"),
        ("spamassassin", "NAME URL enron usrp", "NAME URL enron usrp"),
        ("own", "[SPAM] DIGIT enron @USER", "DIGIT enron @USER"),
    ],
)
def test_marks_of_a_source_are_taken_out(source: str, text: str, expected: str) -> None:
    assert " ".join(clean(source, text).split()) == expected
