"""Every feature that can be switched off refuses only itself and says so.  STANDING 5.10, 5.11; MAIL-PATH §4g.

One table: rows are kinds of mail, columns the features that stop them. It is driven through the gate on the real
ledger, where the login is known before DATA and where it is not, and once through the SMTP door.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path as Folder
from typing import Any

import pytest

from filterd.agreement.disposition import TENANT_EXTERNAL_DAY
from filterd.agreement.load import load
from filterd.agreement.statement import statement
from filterd.agreement.terms import FEATURES
from filterd.checks import ALL_CODES
from filterd.config import Config
from filterd.errors import ConfigError, LedgerUnavailable, RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model.reply import Reply
from filterd.model.session import Door, Envelope, ForwardPath, Path, Session
from filterd.pipeline.held import TASK as HELD
from filterd.pipeline.notices import NoticeSettings, Templates, render
from filterd.pipeline.texts import OF_FEATURE, Why
from filterd.ports import Answer, Intake
from filterd.share import path
from tests.dialogs.house import open_house
from tests.kit.house import House, letter

pytestmark = pytest.mark.slow

CONFIG = {
    "listener": [
        {"name": "submission", "attribution": "xclient", "direction": "outbound"},
        {"name": "queue", "attribution": "xclient", "direction": "outbound", "after_queue": True, "port": 10030},
        {"name": "mx", "direction": "inbound", "port": 10024},
    ],
    "notices": {"appeals_address": "appeals@provider.example", "merge_s": 60},
}
APPEALS, LOCKED = "appeals@provider.example", "eve@cust.example"
IMPOSED = (
    "attachments",
    "bulk",
    "external_recipients",
    "links",
    f"recipient:{LOCKED.upper()}",
    "recipients_per_message:6",
    "recipients_per_hour:20",
    "recipients_per_day:30",
    "messages_per_hour:8",
    "messages_per_day:12",
    "external_recipients_per_day:3",
    "from_own",
    "strangers",
    "auto_forward",
)
CODES = {
    "attachments": (550, "5.7.1"),
    "bulk": (550, "5.7.1"),
    "external_recipients": (550, "5.7.1"),
    "links": (550, "5.7.1"),
    "recipient": (550, "5.7.1"),
    "recipients_per_message": (550, "5.5.3"),
    "recipients_per_hour": (451, "4.7.28"),
    "recipients_per_day": (451, "4.7.28"),
    "messages_per_hour": (451, "4.7.28"),
    "messages_per_day": (451, "4.7.28"),
    "external_recipients_per_day": (451, "4.7.28"),
    "from_own": (550, "5.7.1"),
    "strangers": (550, "5.7.1"),
    "auto_forward": (550, "5.7.1"),
}
# Who has written to the organisation, and who has not.
KNOWN, STRANGER = "bob@other.example", "gill@far.example"
MIXED = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
ATTACHED = (
    "--b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n--b\r\nContent-Type: application/pdf\r\n"
    'Content-Disposition: attachment; filename="a.pdf"\r\n\r\n%PDF-1.4\r\n--b--\r\n'
)
LINK = "the page is https://www.example.com/x\r\n"


def people(count: int, domain: str = "cust.example") -> tuple[str, ...]:
    return tuple(f"p{n}@{domain}" for n in range(count))


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A mail, what its account sent before it (messages, recipients each, minutes apart; then one mail to so many known
    people outside), and what stops it. `author`: of From, None: the account's own address."""

    to: tuple[str, ...]
    stopped_by: frozenset[str] = frozenset()
    body: str = ""
    is_mixed: bool = False
    before: tuple[int, int, int] = (0, 0, 0)
    fields: tuple[str, ...] = ()
    author: str | None = None
    outside_before: int = 0

    def raw(self, subject: str, sender: str) -> bytes:
        head = letter(subject, *self.fields, sender=self.author or sender).split(b"\r\n\r\n")[0].decode()
        if self.is_mixed:
            return f"{head}\r\n{MIXED}\r\n{ATTACHED}".encode()
        return f"{head}\r\n\r\nDear all,\r\n{self.body}\r\n".encode()


def stops(*names: str) -> frozenset[str]:
    return frozenset(names)


KINDS = {
    "inside": Kind(to=("carol@cust.example",)),
    "outside": Kind(to=(KNOWN,), stopped_by=stops("external_recipients")),
    "inside_and_outside": Kind(
        to=("carol@cust.example", KNOWN), stopped_by=stops("external_recipients")
    ),
    "attachment": Kind(to=("carol@cust.example",), is_mixed=True, stopped_by=stops("attachments")),
    "link": Kind(to=("carol@cust.example",), body=LINK, stopped_by=stops("links")),
    "outside_link": Kind(
        to=(KNOWN,), body=LINK, stopped_by=stops("links", "external_recipients")
    ),
    "locked": Kind(to=(LOCKED,), stopped_by=stops("recipient")),
    "locked_among_others": Kind(to=("carol@cust.example", "EVE@CUST.example"), stopped_by=stops("recipient")),
    "6": Kind(to=people(6)),
    "7": Kind(to=people(7), stopped_by=stops("recipients_per_message")),
    "11": Kind(to=people(11), stopped_by=stops("recipients_per_message", "bulk")),
    "50": Kind(
        to=people(50),
        stopped_by=stops("recipients_per_message", "bulk", "recipients_per_hour", "recipients_per_day"),
    ),
    "8th_of_the_hour": Kind(to=("carol@cust.example",), before=(7, 1, 1)),
    "9th_of_the_hour": Kind(to=("carol@cust.example",), before=(8, 1, 1), stopped_by=stops("messages_per_hour")),
    "13th_of_the_day": Kind(to=("carol@cust.example",), before=(12, 1, 61), stopped_by=stops("messages_per_day")),
    "25_this_hour": Kind(to=people(5), before=(4, 5, 1), stopped_by=stops("recipients_per_hour")),
    "35_this_day": Kind(to=people(5), before=(6, 5, 61), stopped_by=stops("recipients_per_day")),
    "appeal": Kind(to=(APPEALS,), is_mixed=True),
    "appeal_with_link": Kind(to=(APPEALS,), body=LINK),
    "appeal_as_9th": Kind(to=(APPEALS,), before=(8, 1, 1)),
    "inside_and_appeal": Kind(to=("carol@cust.example", APPEALS)),
    "6_and_appeal": Kind(to=(*people(6), APPEALS)),
    "postmaster": Kind(to=("postmaster",)),
    "postmaster_with_link": Kind(to=("postmaster@cust.example", "postmaster"), body=LINK),
    "stranger": Kind(to=(STRANGER,), stopped_by=stops("external_recipients", "strangers")),
    "stranger_among_known": Kind(to=(KNOWN, STRANGER), stopped_by=stops("external_recipients", "strangers")),
    "3_outside_today": Kind(to=(KNOWN,), outside_before=2, stopped_by=stops("external_recipients")),
    "4_outside_today": Kind(
        to=(KNOWN,), outside_before=3, stopped_by=stops("external_recipients", "external_recipients_per_day")
    ),
    "inside_after_4_outside": Kind(to=("carol@cust.example",), outside_before=4),
    "boss": Kind(to=("carol@cust.example",), author="boss@cust.example", stopped_by=stops("from_own")),
    "bank": Kind(to=("carol@cust.example",), author="service@bank.example", stopped_by=stops("from_own")),
    "sender_field": Kind(
        to=("carol@cust.example",), fields=("Sender: <boss@cust.example>",), stopped_by=stops("from_own")
    ),
    "redirected": Kind(
        to=("carol@cust.example",),
        fields=("X-Sieve-Redirected-From: alice@cust.example",),
        stopped_by=stops("auto_forward"),
    ),
    "vacation": Kind(
        to=("carol@cust.example",),
        fields=("Auto-Submitted: auto-replied (vacation)",),
        stopped_by=stops("auto_forward"),
    ),
    "by_hand": Kind(to=("carol@cust.example",), fields=("Auto-Submitted: no", "List-Id: <club.cust.example>")),
    "appeal_by_rule_as_boss": Kind(to=(APPEALS,), author="boss@cust.example", fields=("Resent-From: <a@b.example>",)),
    "postmaster_as_9th": Kind(to=("postmaster",), before=(8, 1, 1)),
}


@dataclass
class Staffed(House):
    """A house with a moderator, and mail from outside."""

    token: str = ""

    async def receive(self, raw: bytes, sender: str, *recipients: str) -> Answer:
        """Let somebody outside write."""
        session = Session(id="c_in", door=Door.SMTP, listener="mx", peer_address="192.0.2.9")
        forwards = tuple(ForwardPath(path=parse_forward_path(f"<{r}>".encode())) for r in recipients)
        envelope = Envelope(reverse_path=parse_forward_path(f"<{sender}>".encode()), forward_paths=forwards)
        return await self.gate.enforce(Intake(session=session, envelope=envelope, raw=raw))

    async def act(self, verb: str, **arguments: Any) -> Any:
        return await self.ledger.call(verb, {"token": self.token, "reason": "looked at it"} | arguments)


@pytest.fixture
async def house(tmp_path: Folder) -> AsyncIterator[Staffed]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    opened = Staffed(folder=tmp_path, config=config)
    await opened.open()
    opened.token = (await opened.ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    yield opened
    await opened.close()


async def impose(house: Staffed, login: str, *features: str, hours: int = 24, clause: str = "4.3.1") -> None:
    """Make the account known by a first mail, then switch features off as a person would."""
    await house.send(letter("hello"), "first@cust.example", login=login)
    house.clock.advance(days=2)
    await house.receive(letter("hello from outside", sender=KNOWN), KNOWN, "alice@cust.example")
    await house.gate.flush()
    await house.act("sanction.impose", account=login, features=list(features), hours=hours, clause=clause)


async def reply_to(house: Staffed, kind: Kind, login: str, listener: str = "submission") -> Reply | None:
    messages, recipients, minutes = kind.before
    for n in range(messages):
        await house.send(letter(f"before {n}", sender=login), *people(recipients), login=login, listener=listener)
        house.clock.advance(minutes * 60)
    if kind.outside_before:
        raw = letter("to many outside", sender=login)
        await house.send(raw, *people(kind.outside_before, "known.example"), login=login, listener=listener)
    return (await house.send(kind.raw("now", login), *kind.to, login=login, listener=listener)).reply


def test_every_feature_is_in_the_table_and_has_its_own_code() -> None:
    names = {text.partition(":")[0] for text in IMPOSED}
    assert names == set(FEATURES) - {"sending"} == set(OF_FEATURE) - {TENANT_EXTERNAL_DAY} == set(CODES)
    assert len(set(OF_FEATURE.values())) == len(OF_FEATURE)
    assert {name for kind in KINDS.values() for name in kind.stopped_by} == names


@pytest.mark.parametrize("imposed", IMPOSED)
async def test_a_feature_refuses_only_itself_and_says_so(house: Staffed, imposed: str) -> None:
    name = imposed.partition(":")[0]
    refused = set()
    for index, (label, kind) in enumerate(KINDS.items()):
        login = f"user{index}@cust.example"
        await impose(house, login, imposed, hours=72)
        reply = await reply_to(house, kind, login)
        if reply is not None:
            refused.add(label)
            assert (reply.code, reply.enhanced) == CODES[name], label
            assert reply.text.startswith(f"{OF_FEATURE[name]} "), label
            said = ("until 2026-", " +08:00 under 4.3.1", "still work", APPEALS, "Object free of charge", "(case ")
            for words in said:
                assert words in reply.text, (label, words)
    assert refused == {label for label, kind in KINDS.items() if name in kind.stopped_by}


async def test_nothing_switched_off_refuses_nothing(house: Staffed) -> None:
    for index, kind in enumerate(KINDS.values()):
        assert await reply_to(house, kind, f"user{index}@cust.example") is None


@pytest.mark.parametrize("imposed", ["external_recipients", f"recipient:{LOCKED}", "recipients_per_message:6", "links"])
async def test_before_data_one_recipient_is_refused_and_the_others_pass(house: Staffed, imposed: str) -> None:
    name = imposed.partition(":")[0]
    login = "alice@cust.example"
    await impose(house, login, imposed)
    session = Session(id="c", door=Door.POLICY, listener="policy", peer_address="127.0.0.1", login=login)
    to = ("carol@cust.example", KNOWN, LOCKED, "postmaster@cust.example", *people(5), APPEALS)
    refused, accepted = {}, 0
    for address in to:
        reply = await house.gate.admit(session, None, parse_forward_path(f"<{address}>".encode()), accepted)
        if reply is None:
            accepted += 1
        else:
            refused[address] = (reply.code, reply.enhanced, reply.text.split()[0])
    expected = {
        "external_recipients": {KNOWN: (550, "5.7.1", "F-EXTERNAL")},
        "recipient": {LOCKED: (550, "5.7.1", "F-ADDRESS")},
        "recipients_per_message": {f"p{n}@cust.example": (452, "4.5.3", "F-RECIPIENTS") for n in (2, 3, 4)},
        "links": {},
    }
    assert refused == expected[name]
    assert len(house.events("denied")) == len(refused)
    # Postfix says local names without a domain.
    local = Path(raw=b"carol", local_part="carol", domain="")
    assert await house.gate.admit(session, None, local, 0) is None


async def test_before_data_nothing_is_refused_that_is_about_the_whole_message(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "attachments", "bulk", "links", "messages_per_hour:1", "recipients_per_day:1")
    session = Session(id="c", door=Door.POLICY, listener="policy", peer_address="127.0.0.1", login=login)
    to = [await house.gate.admit(session, None, parse_forward_path(f"<{a}>".encode()), 40) for a in people(2)]
    assert to == [None, None]


async def test_the_end_told_is_that_of_the_limit_in_force(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "messages_per_hour:20", hours=96)
    await impose(house, login, "messages_per_hour:1", hours=24)
    reply = await reply_to(house, replace(KINDS["inside"], before=(1, 1, 1)), login)
    assert reply is not None
    assert "more than 1 messages an hour is off until 2026-03-07 09:00 +08:00" in reply.text


async def test_a_suspended_account_reaches_its_postmaster_after_the_dot_too(house: Staffed) -> None:
    for day in (0, 2, 4):
        house.script.codes = ("content.spam.model", "rate.burst.running")
        to = [f"p{day}.{n}@o.example" for n in range(300)]
        await house.send(letter(f"run {day}"), *to, login="alice@cust.example")
        await house.notice_received()
        house.clock.advance(days=2 if day < 4 else 0)
    house.script.codes = ()
    refused = await reply_to(house, KINDS["inside"], "alice@cust.example")
    assert refused is not None
    assert refused.text.startswith("S-SUSPENDED ")
    assert await reply_to(house, KINDS["postmaster_with_link"], "alice@cust.example") is None


async def test_what_ends_and_what_else_is_off_is_told_per_feature(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "links", hours=24)
    await impose(house, login, "attachments", "links", hours=72, clause="3.5.1")
    link = await reply_to(house, KINDS["link"], login)
    assert link is not None
    assert "until 2026-03-09 09:00 +08:00 under 3.5.1;" in link.text
    assert "(limited besides: F-ATTACHMENTS)" in link.text
    await impose(house, login, "bulk", "recipients_per_message:3")
    house.clock.advance(hours=23)
    many = await reply_to(house, KINDS["7"], login)
    assert many is not None
    assert many.text.startswith("F-RECIPIENTS Mail with more than 3 recipients is off until ")
    assert "up to 3 a message still work" in many.text
    house.clock.advance(hours=2)
    assert await reply_to(house, KINDS["7"], login) is None


async def test_two_locked_recipients_are_two_and_the_address_is_nowhere(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "recipient:kingfisher@other.example", "recipient:heron@other.example")
    for bird in ("kingfisher", "heron"):
        answer = await house.send(letter(bird), f"{bird}@other.example", login=login)
        assert answer.reply is not None
        assert bird not in answer.reply.text
    assert (await house.send(letter("x"), "egret@other.example", login=login)).reply is None
    store = b"".join(p.read_bytes() for p in house.folder.rglob("*") if p.is_file())
    assert b"kingfisher@" not in store
    assert b"heron@" not in store


async def test_behind_the_queue_a_restricted_mail_waits_in_the_reply_of_its_feature(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "links", "external_recipients")
    reply = await reply_to(house, KINDS["link"], login, listener="queue")
    assert reply is not None
    assert (reply.code, reply.enhanced, reply.text.split()[0]) == (451, "4.7.1", "F-LINKS")
    session = Session(id="c", door=Door.SMTP, listener="queue", peer_address="127.0.0.1", login=login)
    denied = await house.gate.admit(session, None, parse_forward_path(b"<bob@other.example>"))
    assert denied is not None
    assert (denied.code, denied.enhanced, denied.text.split()[0]) == (451, "4.7.1", "F-EXTERNAL")


async def test_a_breach_is_told_before_what_is_off(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "external_recipients")
    house.script.codes = ("virus.signature.match",)
    reply = (await house.send(letter("bad"), KNOWN, login=login)).reply
    assert reply is not None
    assert reply.text.startswith("M-VIRUS ")


async def test_mail_that_cannot_be_counted_waits_only_where_a_number_is_kept(house: Staffed) -> None:
    await impose(house, "alice@cust.example", "links")
    await impose(house, "bella@cust.example", "messages_per_hour:5")

    async def fails(_: object) -> None:
        raise LedgerUnavailable("away")

    house.ledger.count = fails  # type: ignore[method-assign,assignment]
    assert await reply_to(house, KINDS["inside"], "alice@cust.example") is None
    reply = await reply_to(house, KINDS["inside"], "bella@cust.example")
    assert reply is not None
    assert reply.text.startswith(f"{Why.LEDGER} ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": ["sending"]}, "suspension by a person"),
        ({"features": ["messages_per_hour:0"]}, "at least 1"),
        ({"features": ["colour"]}, "no feature 'colour'"),
        ({"features": ["messages_per_hour"]}, "needs number"),
        ({"features": ["messages_per_hour:many"]}, "whole number"),
        ({"features": ["links:3"]}, "takes no number"),
        ({"features": ["recipient"]}, "needs an address"),
        ({"features": ["recipient:not an address"]}, "needs an address"),
        ({"features": []}, "--feature"),
        ({"clause": "9.9"}, "no clause '9.9'"),
        ({"hours": 0}, "hours"),
        ({"reason": " "}, "say why"),
        ({"token": ""}, "named person"),
        ({"case": "123456789012"}, "no case"),
    ],
)
async def test_what_cannot_be_imposed_is_refused(house: Staffed, change: dict[str, object], words: str) -> None:
    await house.send(letter(), "carol@cust.example", login="alice@cust.example")
    wanted = {"account": "alice@cust.example", "features": ["links"], "hours": 1, "clause": "4.3.1"}
    with pytest.raises((RefusedError, UsageError), match=words):
        await house.act("sanction.impose", **(wanted | change))
    assert (await house.show("alice@cust.example"))["standing"] == "good"


async def test_a_persons_restriction_gives_no_points_joins_nothing_and_can_be_annulled(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "links")
    shown = await house.show(login)
    assert (shown["standing"], shown["points"], shown["features_off"]) == ("restricted", 0, ["links"])
    (sanction,) = shown["sanctions"]
    assert (sanction["automatic"], sanction["clauses"]) == (False, ["4.3.1"])
    with pytest.raises(RefusedError, match="off already"):
        await house.act("sanction.impose", account=login, features=["links"], hours=1, clause="4.3.1")
    house.script.codes = ("virus.signature.match",)
    await house.send(letter("bad"), "carol@cust.example", login=login)
    assert len((await house.show(login))["incidents"]) == 2
    await house.act("sanction.annul", sanction=sanction["sanction_id"])
    shown = await house.show(login)
    assert (shown["features_off"], shown["points"]) == ([], 4)
    with pytest.raises(RefusedError, match="annulled already"):
        await house.act("sanction.annul", sanction=sanction["sanction_id"])


async def test_a_restriction_on_a_case_answers_its_task(house: Staffed) -> None:
    login = "alice@cust.example"
    house.script.codes = ("virus.signature.match",)
    await house.send(letter("bad"), "carol@cust.example", login=login)
    house.script.codes = ()
    (incident,) = (await house.show(login))["incidents"]
    assert len(await house.ledger.call("task.list", {})) == 1
    case = incident["incident_id"][2:14]
    await house.act("sanction.impose", account=login, features=["attachments"], hours=48, clause="3.5.2", case=case)
    assert await house.ledger.call("task.list", {}) == []
    assert len((await house.show(login))["incidents"]) == 1


async def test_a_persons_milder_act_does_not_stand_in_for_what_the_rest_of_the_case_warrants(house: Staffed) -> None:
    login, run = "alice@cust.example", ("content.spam.model", "rate.burst.running")
    house.script.codes = run
    await house.send(letter("r0"), *people(50, "o.example"), login=login)
    await house.notice_received()
    house.clock.advance(days=3)
    house.script.codes = ("content.spam.model",)
    await house.send(letter("r1"), "x@o.example", login=login)
    case = (await house.show(login))["incidents"][-1]["incident_id"]
    wanted = {"account": login, "hours": 1, "clause": "4.3.1", "case": case}
    await house.act("sanction.impose", features=["recipient:x@o.example"], **wanted)
    house.clock.advance(60)
    house.script.codes = run
    await house.send(letter("r2"), *people(50, "p.example"), login=login)
    house.clock.advance(hours=2)
    assert (await house.show(login))["features_off"] == ["bulk", "messages_per_hour:20"]
    # What is asked after a person has decided is a new question.
    asked = [task for task in await house.ledger.call("task.list", {}) if task["what"] != HELD]
    assert [task["incident_id"] for task in asked] == [case]


@pytest.mark.parametrize(
    ("language", "words", "never"),
    [
        (
            "en",
            ("a person decided about", "- 4.3.1: ", "by a person", "sending mail without links, mail to everybody"),
            ("were found", "was refused", "automatic", "points count", "on these dates"),
        ),
        (
            "zh-Hans",
            ("由人工就", "本决定由人工作出", "不含链接的邮件、发给其他任何人的邮件（须同时符合）"),
            ("被判定为", "自动检测", "已被拒收", "记分有效期间"),
        ),
    ],
)
async def test_the_notice_of_a_persons_restriction_says_what_still_works(
    house: Staffed, language: str, words: tuple[str, ...], never: tuple[str, ...]
) -> None:
    login = "alice@cust.example"
    await impose(house, login, "links", f"recipient:{LOCKED}")
    house.clock.advance(120)
    now = house.clock.now()
    (item,) = await house.engine.lease(now, 10)
    given = item.payload

    def known(txn: Any) -> Any:
        who = given["account_id"]
        return txn.history(who), txn.records(who), txn.account(who), txn.tenant(given["tenant_id"])

    history, records, account, tenant = await house.engine.submit(known)
    ids = given["sanction_ids"]
    facts = statement(
        history, house.terms(), now, incident_id=given["incident_id"], sanction_ids=ids, records=records
    )
    notice = render(
        facts,
        Templates(path("policies/notices")),
        given["templates"],
        replace(account, language=language),
        tenant,
        house.terms(),
        NoticeSettings(sender="Desk <desk@provider.example>", appeals_address=APPEALS),
        now,
    )
    for word in words:
        assert word in notice.text
    for word in never:
        assert word not in notice.text
    assert "eve@" not in notice.text


def test_an_agreement_cannot_name_an_address() -> None:
    text = path("policies/agreements/tencent-exmail.toml").read_text(encoding="utf-8")
    changed = text.replace('scope = ["attachments"]', 'scope = ["recipient:a@b.example"]', 1)
    assert changed != text
    with pytest.raises(ConfigError, match="filterd sanction impose"):
        load(changed.encode(), "x.toml", ALL_CODES)


# --- through the SMTP door --------------------------------------------------------------------------------------------


async def test_through_the_smtp_door(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "external_recipients", "links", f"recipient:{LOCKED}", "recipients_per_message:3")
    listener = {"name": "submission", "attribution": "xclient", "direction": "outbound"}
    async with open_house(gate=house.gate, listener=listener) as mail, mail.dialog() as talk:  # type: ignore[arg-type]
        await talk.greeted()
        await talk.ask(f"XCLIENT LOGIN={login}")
        await talk.ask("EHLO client.example")
        to = ("<carol@cust.example>", "<bob@other.example>", f"<{LOCKED}>", "<p1@cust.example>", "<p2@cust.example>")
        said = await talk.envelope("<alice@cust.example>", *to, "<p3@cust.example>", f"<{APPEALS}>")
        assert [line.split()[0] for line in said] == ["250", "250", "550", "550", "250", "250", "452", "250"]
        assert [line.split()[2] for line in said if line[0] in "45"] == ["F-EXTERNAL", "F-ADDRESS", "F-RECIPIENTS"]
        assert (await talk.data(KINDS["inside"].raw("plain", login))).startswith("250 ")
        assert len(mail.sink.messages[0].rcpts) == 4
        await talk.envelope("<alice@cust.example> SMTPUTF8", "<carol@cust.example>")
        lines = (await talk.data(KINDS["link"].raw("link", login))).split("\n")
        assert lines[0].startswith("550-5.7.1 F-LINKS Sending links is off until ")
        assert lines[-1].startswith("550 5.7.1 F-LINKS 发送含链接的邮件已停用至")
        assert "不含链接的邮件仍可发送" in lines[-1]
        await talk.envelope("<alice@cust.example>", "<carol@cust.example>")
        (line,) = (await talk.data(KINDS["link"].raw("link", login))).split("\n")
        assert line.isascii()
        await talk.envelope("<alice@cust.example>", f"<{APPEALS}>")
        assert (await talk.data(KINDS["link"].raw("appeal", login))).startswith("250 ")
        assert mail.errors == []


async def test_where_all_stand_or_fall_together_the_first_refusal_is_everybodys_and_final(house: Staffed) -> None:
    login = "alice@cust.example"
    await impose(house, login, "recipients_per_message:2")
    listener = {"name": "submission", "attribution": "xclient", "direction": "outbound", "selective_rcpt": False}
    async with open_house(gate=house.gate, listener=listener) as mail, mail.dialog() as talk:  # type: ignore[arg-type]
        await talk.greeted()
        await talk.ask(f"XCLIENT LOGIN={login}")
        await talk.ask("EHLO client.example")
        said = await talk.envelope("<alice@cust.example>", *(f"<{a}>" for a in people(4)))
        assert [line[:9] for line in said[3:]] == ["550 5.5.3"] * 2
        assert (await talk.ask("DATA")).startswith("550 5.5.3 F-RECIPIENTS ")
        assert list(mail.sink.messages) == []


@pytest.mark.parametrize(
    ("account", "tenant", "has_chinese"),
    [("en", None, False), (None, "en", False), ("zh-Hans", "en", True), (None, None, True), ("zh-TW", None, True)],
)
async def test_the_language_is_the_accounts_else_the_tenants_else_the_agreements(
    house: Staffed, account: str | None, tenant: str | None, has_chinese: bool
) -> None:
    login = "alice@cust.example"
    await impose(house, login, "links")

    def set_languages(txn: Any) -> None:
        ref = txn.find_account(login)
        txn.put_account(replace(txn.account(ref.account_id), language=account))
        txn.put_tenant(replace(txn.tenant(ref.tenant_id), language=tenant))

    await house.engine.submit(set_languages)
    reply = await reply_to(house, KINDS["link"], login)
    assert reply is not None
    assert (reply.utf8_text is not None) is has_chinese
    assert reply.text.isascii()
