"""Chinese letters that must pass, and what a verdict must not depend on.  STANDING 5.7-24, 7.2.

Every check that reads a mail, with the model and the agreement that come with filterd, in the gate. The letters are our
own: of each kind that is easily mistaken, as people in offices, hospitals and courts write them.
"""

from __future__ import annotations

import base64
import quopri
from email.header import Header
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filterd.app.checks import Neighbours, build_checks
from filterd.checks.hant import HANS, HANT
from filterd.checks.spec import Check
from filterd.clients.keys import derive
from filterd.config import Config
from filterd.mail.address import parse_forward_path, parse_reverse_path
from filterd.pipeline.scan import ScanOptions, ScanResult, scan
from tests.kit.clock import FrozenClock
from tests.kit.terms import tencent
from tests.pipeline.test_scan import RULES

pytestmark = pytest.mark.slow

LOGIN = "ann@corp.example"
LETTERS: dict[str, tuple[str, str]] = {
    "court": (
        "开庭传票（2026）沪0115民初1234号",
        "王先生：\n您诉某公司买卖合同纠纷一案，本院定于2026年3月18日上午9时在第五法庭公开开庭审理。请携带身份证原件及证据材料，"
        "提前半小时到庭。如需申请证人出庭或调取证据，请于举证期限届满前书面提出。\n某某区人民法院 民事审判第一庭\n",
    ),
    "medical": (
        "复诊提醒与检查结果",
        "李女士：\n您3月2日所做的乳腺超声和妇科检查结果已出，未见明显异常，报告请到门诊二楼自助机打印。医生建议三个月后复查，"
        "复诊前一晚十点后请勿进食。避孕药和抗生素请按医嘱服用。\n市人民医院 妇科门诊\n",
    ),
    "social security": (
        "关于2026年度社保缴费基数申报的通知",
        "各位同事：\n2026年度社会保险和住房公积金缴费基数申报工作已经开始，请于3月15日前核对本人上年度月平均工资并签字确认，"
        "逾期未确认的按系统数据申报。养老、医疗、失业保险个人缴费比例不变。\n人力资源部\n",
    ),
    "parcel": (
        "您的包裹已到达取件点",
        "您好：\n您的快递（单号SF1029384756）已放入小区东门3号柜，请凭取件码于48小时内取走。如不方便，可在系统里改为送货上门或延长保管。"
        "生鲜件请尽快领取。\n丰巢服务中心\n",
    ),
    "code": (
        "登录验证码",
        "您好：\n您正在登录办公系统，验证码为 482913，5分钟内有效。如非本人操作，请修改密码并联系信息科。"
        "请勿将验证码告诉任何人，工作人员不会向您索取。\n信息科\n",
    ),
    "invoice": (
        "2月份增值税专用发票",
        "赵会计：\n2月份货款的增值税专用发票已经开具，金额23,450.00元，税率13%，发票和对账单随信附上，请核对后按合同约定付款。"
        "如需红冲请在当月提出。\n华东办事处 财务\n",
    ),
    "payslip": (
        "2026年2月工资条",
        "张工：\n2月工资已于10日发放。应发12,600元，代扣社保、公积金和个人所得税后实发9,874.35元，绩效奖金随3月工资发放。"
        "明细见附件，打开密码为身份证后六位。如有疑问请找薪酬组。\n人力资源部\n",
    ),
    "official letter": (
        "关于开展消防安全检查的函",
        "各有关单位：\n根据市安全生产委员会部署，定于3月下旬对辖区内仓库和宿舍开展消防安全联合检查，请各单位先行自查，"
        "对易燃易爆物品登记造册，将自查报告于3月20日前报送我办。\n区应急管理局办公室\n",
    ),
    "school": (
        "春季学期缴费及春游安排",
        "各位家长：\n本学期伙食费及课后服务费共计860元，请于3月12日前到财务室缴纳或通过学校系统支付。4月3日组织五年级学生春游，"
        "自愿参加，请在回执上签字。\n实验小学 五年级组\n",
    ),
    "festival": (
        "新春快乐，恭喜发财",
        "各位老朋友：\n新年将至，感谢一年来的支持与厚爱。祝您和家人身体健康、万事如意、恭喜发财、大吉大利！"
        "公司二月十日至十七日放假，十八日正式上班。\n老陈\n",
    ),
}
CHARSETS = ("utf-8", "gbk", "gb18030")
HANT_OF = {ord(hans): hant for hans, hant in zip(HANS, HANT, strict=True)}


@cache
def checks() -> tuple[Check, ...]:
    """Say all checks that read a mail, as they come with filterd."""
    config = Config.model_validate({"clamd": {"enabled": False}, "authentication": {"enabled": False}})
    return build_checks(config, Neighbours(scanner=None, clock=FrozenClock()))


def mail(subject: str, text: str, charset: str = "utf-8", coding: str = "base64", name: str = "") -> bytes:
    """Write a mail in a charset, as a mail program of its time would."""
    octets = text.encode(charset)
    body = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring, "8bit": bytes}[coding](octets)
    author = f"{Header(name, charset).encode()} <{LOGIN}>" if name else f"<{LOGIN}>"
    head = (
        f"From: {author}\nTo: <bob@far.example>\nSubject: {Header(subject, charset).encode()}\n"
        f"Message-ID: <1@corp.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n"
        f"Content-Transfer-Encoding: {coding}\n\n"
    )
    return head.encode("ascii") + body


async def judged(raw: bytes, address: str | None = None) -> ScanResult:
    options = ScanOptions(
        reverse_path=parse_reverse_path(f"<{LOGIN}>".encode()),
        forward_paths=(parse_forward_path(b"<bob@far.example>"),),
        login=LOGIN,
        client_address=address,
    )
    return await scan(raw, options, checks(), tencent(), rules=RULES, clock=FrozenClock(), keys=derive(bytes(32)))


def findings(result: ScanResult) -> list[tuple[str, float]]:
    return sorted((f["code"], round(f["confidence"], 6)) for v in result.verdicts for f in v["findings"])


@pytest.mark.parametrize("charset", [*CHARSETS, "traditional", "big5"])
@pytest.mark.parametrize("kind", LETTERS)
async def test_case_hanzi_must_pass(kind: str, charset: str) -> None:
    subject, text = LETTERS[kind]
    if charset in ("traditional", "big5"):
        subject, text = subject.translate(HANT_OF), text.translate(HANT_OF)
    if charset == "big5":
        # What has no place in it is left out, as that letter's writer would have had to.
        subject, text = (x.encode("big5", "ignore").decode("big5") for x in (subject, text))
    result = await judged(mail(subject, text, "utf-8" if charset == "traditional" else charset))
    assert (result.disposition, result.reply) == ("accept", None)
    decision = result.decision
    assert (decision["violations"], decision["rung_after"], result.troubles) == ([], "none", ())


async def test_the_same_walk_does_stop_what_it_should() -> None:
    """That the letters do not pass because nothing is looked at."""
    result = await judged(mail("发票", "见附件\n").replace(b"Content-Type: text/plain; charset=utf-8\nContent-Tran", (
        b"Content-Type: application/octet-stream; name=a.exe\nContent-Tran"
    )))  # fmt: skip
    assert result.disposition == "reject"


# --- what a verdict must not depend on --------------------------------------------------------------------------------

NAMES = ("", "Ann", "王小明", "Мария", "محمد", "Nguyễn Văn An", "ทองดี", "אבי", "Müller & Söhne", "佐藤花子")
ADDRESSES = (None, "192.0.2.1", "198.51.100.7", "203.0.113.200", "2001:db8::1", "2a00:1450::1")
TEXTS = (
    *LETTERS.values(),
    ("Meeting", "Dear Bob,\nplease find the minutes of Tuesday attached.\nAnn\n"),
    ("代开发票", "本公司长期代开各类发票，税点优惠，欢迎来电咨询，加微信详谈，先验后付。\n"),
    ("百家乐", "澳门赌场线上娱乐城开户送彩金，百家乐、体育投注、六合彩，提款秒到账，点击 http://a.example/x 注册。\n"),
    ("WIN BIG", "Casino bonus!!! 100% free spins, register now at http://a.example/x and win cash today.\n"),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.sampled_from(range(len(TEXTS))),
    charset=st.sampled_from((*CHARSETS, "utf-16", "utf-7")),
    coding=st.sampled_from(("base64", "quoted-printable", "8bit")),
    name=st.sampled_from(NAMES),
    address=st.sampled_from(ADDRESSES),
)
async def test_prop_script_never_raises(which: int, charset: str, coding: str, name: str, address: Any) -> None:
    """Charset, coding, the author's name and the client's country raise no score and add no finding, whatever the mail
    says; nor do they move it to a graver category."""
    subject, text = TEXTS[which]
    if charset in ("utf-16", "utf-7"):
        # Neither stands in a header; a text in them is base64.
        octets, coding = text.encode(charset), "base64"
        raw = mail(subject, "\n", "utf-8", "base64", name)
        head, _, _ = raw.partition(b"\n\n")
        raw = head.replace(b"charset=utf-8", f"charset={charset}".encode()) + b"\n\n" + base64.encodebytes(octets)
    else:
        raw = mail(subject, text, charset, coding, name if _fits(name, charset) else "")
    plain, other = await judged(mail(subject, text)), await judged(raw, address)
    base = dict(findings(plain))
    assert {code: value for code, value in findings(other) if value > base.get(code, 0.0)} == {}
    for label, score in other.scores.items():
        assert score <= plain.scores.get(label, 0.0) + 1e-6, label
    said = [{(v["category"], v["mode"]) for v in x.decision["violations"]} for x in (plain, other)]
    assert said[1] <= said[0]


def _fits(name: str, charset: str) -> bool:
    try:
        name.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
