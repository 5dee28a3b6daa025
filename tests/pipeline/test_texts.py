"""The catalogue of codes is whole in both languages, and every reply comes out of it.  STANDING 5.10; RFC 5321."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import pytest

import filterd.pipeline
from filterd.agreement.terms import FEATURES
from filterd.doors import smtp_replies
from filterd.model.decision import Decision, Disposition, Reason
from filterd.model.exception import Applied, Denial
from filterd.model.lifecycle import EXPIRY, Lifecycle, Service
from filterd.model.records import HoldPlaced
from filterd.model.reply import MAX_LINE_BYTES, Reply
from filterd.model.sanction import Conduct, Feature, Rung
from filterd.model.standing import ActiveSanction, Standing, TenantLimit
from filterd.pipeline.replies import (
    APART,
    CLOSED,
    LEDGER_AWAY,
    MAINTENANCE,
    UNREADABLE_LOGIN,
    ReplyStyle,
    decision_reply,
    feature_reply,
    service_reply,
    standing_reply,
    stopped_reply,
    unserved_reply,
    waiting,
    wording,
)
from filterd.pipeline.texts import CATALOGUE, OBJECTION, OF_AREA, OF_FEATURE, OF_GROUP, OF_LISTS, Kind, Why
from filterd.pipeline.why import CONTENT_SECURITY_POLICY, page
from tests.kit.terms import tencent

TERMS = tencent()
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
STYLE = ReplyStyle(
    appeals_address="appeals@provider.example",
    object_url="https://provider.example/c/",
    why_url="https://provider.example/why/",
)
PLAIN = ReplyStyle(appeals_address="appeals@provider.example")
CJK = re.compile(r"[\u4e00-\u9fff]")
INCIDENT = "i_" + "0a1b2c" * 6 + "0a1b"


def standing(*features: Feature, rung: Rung = Rung.RESTRICT, hold: bool = False) -> Standing:
    """An account with these features off until the same hour next day, by a sanction or by a hold."""
    until = NOW + timedelta(hours=24)
    sanction = ActiveSanction(
        sanction_id="s_1",
        incident_id=INCIDENT,
        rung=rung,
        features=features,
        category="",
        clauses=("4.3.1",),
        ends_at=until,
        is_automatic=True,
        is_confirmed=False,
    )
    held = HoldPlaced(
        at=NOW,
        hold_id="h_1",
        incident_id=INCIDENT,
        account_id="a_1",
        features=features,
        starts_at=NOW,
        ends_at=until,
    )
    return Standing(
        account_id="a_1",
        at=NOW,
        conduct=Conduct.GOOD if hold else Conduct.RESTRICTED,
        rung=Rung.NONE if hold else rung,
        until=None if hold else until,
        features=features,
        sanctions=() if hold else (sanction,),
        strikes=(),
        holds=(held,) if hold else (),
        half_points=0,
        final_half_points=0,
    )


def limited(kind: str, item: Feature) -> Standing:
    """An account in good standing whose whole organisation is under something until the same hour next day."""
    until = NOW + timedelta(hours=24)
    clauses = () if kind == "lock" else ("3.6",)
    limit = TenantLimit(limit_id="ts_" + "0a1b2c" * 4, kind=kind, features=(item,), ends_at=until, clauses=clauses)
    good = replace(standing(item, hold=True), holds=(), features=(item,))
    return replace(good, tenant_limits=(limit,))


def decision(code: str, disposition: Disposition = Disposition.REJECT, ids: tuple[str, ...] = ()) -> Decision:
    reason = Reason(code=code, disposition=disposition, ids=ids)
    return Decision(decision_id="d_1", transaction_id="t_1", disposition=disposition, reasons=(reason,))


def every_reply(style: ReplyStyle = STYLE) -> dict[str, Reply]:
    words = wording(style, TERMS, None)
    sending = Feature(name="sending")
    out: dict[str, Reply | None] = {"ledger": LEDGER_AWAY, "login": UNREADABLE_LOGIN}
    out["suspended"] = standing_reply(standing(sending, rung=Rung.SUSPEND), words)
    out["locked"] = standing_reply(standing(sending, hold=True), words)
    for because in (EXPIRY, "mx"):
        life = Lifecycle(state=Service.ENDED, because=because)
        out[f"service {because}"] = service_reply(life, words)
    out |= {f"unserved {x}": unserved_reply(is_waiting=x) for x in (True, False)}
    out |= {"maintenance": MAINTENANCE, "closed down": CLOSED}
    closed = standing(sending, rung=Rung.TERMINATE)
    by_people = tuple(replace(s, is_automatic=False) for s in closed.sanctions)
    out["closed"] = standing_reply(replace(closed, sanctions=by_people), words)
    out["organisation suspended"] = standing_reply(limited("suspend", sending), words)
    out["organisation locked"] = standing_reply(limited("lock", sending), words)
    for name in [*OF_FEATURE, "colour"]:
        item = Feature(name=name, limit=7 if FEATURES.get(name, name in OF_FEATURE) else None)
        for hold in (False, True):
            for before in (False, True):
                label = f"{name} {hold} {before}"
                out[label] = feature_reply(item, standing(item, hold=hold), words, is_before_data=before)
    for code in (
        "category.malware",
        "category.spam.outbound",
        "category.gone",
        "refused.impersonation.exact",
        *(f"protection.{area}.x.y" for area in OF_AREA),
        *(f"inbound.{group}" for group in OF_GROUP),
        "outbound.virus",
    ):
        out[code] = decision_reply(decision(code, ids=("3.3.2 tail-a",)), None, words)
    for effect in (Disposition.DEFER, Disposition.DISCARD):
        out[effect.value] = decision_reply(decision("check.clamd.temperror", effect), None, words)
    held = replace(decision("category.spam.advert", Disposition.QUARANTINE), held_id="q_1")
    out["held"] = decision_reply(replace(held, held_until=NOW), None, words)
    out["held for its recipient"] = decision_reply(held, None, words)
    out["apart"] = APART
    out["stopped"] = stopped_reply(words)
    for text in (None, "Write to us by post"):
        denial = Denial(text=text)
        entry = Applied(
            topic="deny", entry_id="net", file="deny.toml", line=1, is_followed=True, choice="reject", denial=denial
        )
        listed = replace(decision("exception.deny", ids=("net",)), exceptions=(entry,))
        out[f"listed {text}"] = decision_reply(listed, None, words)
    out["copies"] = decision_reply(decision("campaign.waiting", Disposition.DEFER), None, words)
    return {label: reply for label, reply in out.items() if reply is not None}


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("why", Why)
def test_every_code_is_whole_in_both_languages(why: Why) -> None:
    entry = CATALOGUE[why]
    for text in (entry.reply, entry.meaning, entry.works, OBJECTION[entry.kind]):
        assert text.en.isascii()
        assert not CJK.search(text.en)
        assert len(text.en) > 20
        assert CJK.search(text.zh)
        assert not re.search(r"[A-Za-z]{3,}", re.sub(r"\{\w+\}|postmaster|abuse|F-\w+", "", text.zh))
    assert blanks(entry.reply.en) == blanks(entry.reply.zh)


def test_the_catalogue_has_every_code_and_no_other_and_every_kind_an_objection() -> None:
    assert set(CATALOGUE) == set(Why)
    assert set(OBJECTION) == set(Kind)
    for text in (*OF_AREA.values(), *OF_GROUP.values(), OF_LISTS):
        assert text.en.isascii()
        assert CJK.search(text.zh)


def test_every_code_is_said_by_a_reply_and_every_reply_says_one() -> None:
    assert {reply.text.split(" ", 1)[0] for reply in every_reply().values()} == {why.value for why in Why}


@pytest.mark.parametrize(
    ("label", "code", "enhanced"),
    [
        ("category.spam.outbound", 550, "5.7.1"),
        ("inbound.spam", 550, "5.7.1"),
        # RFC 7372 §3.3: neither SPF nor DKIM vouches; filterd refuses for nothing less.
        ("inbound.dmarc", 550, "5.7.26"),
        ("check.clamd", 451, "4.7.1"),
        ("recipients_per_hour False True", 451, "4.7.28"),
        ("recipients_per_message False True", 452, "4.5.3"),
        ("recipients_per_message False False", 550, "5.5.3"),
        ("suspended", 550, "5.7.13"),
        ("locked", 550, "5.7.13"),
        ("closed", 550, "5.7.13"),
        ("organisation suspended", 550, "5.7.13"),
        ("unserved False", 550, "5.2.1"),
        ("unserved True", 450, "4.2.1"),
        ("held", 250, "2.0.0"),
        ("too big", 552, "5.3.4"),
        ("overload", 421, "4.3.2"),
    ],
)
def test_the_codes_are_those_that_operators_know(label: str, code: int, enhanced: str) -> None:
    """MAIL-PATH 4g; RFC 3463, RFC 5248, RFC 7372."""
    found = every_reply() | {"too big": smtp_replies.TOO_BIG, "overload": smtp_replies.TOO_MANY_CONNECTIONS}
    found["check.clamd"] = found["defer"]
    assert (found[label].code, found[label].enhanced) == (code, enhanced)


def test_no_other_room_of_the_pipeline_words_a_reply() -> None:
    folder = Path(next(iter(filterd.pipeline.__path__)))
    makers = {p.name for p in folder.glob("*.py") if re.search(r"\bReply\(", p.read_text(encoding="utf-8"))}
    assert makers == {"replies.py"}


@pytest.mark.parametrize("style", [STYLE, PLAIN])
def test_every_reply_is_legal_smtp_and_has_no_blank_left(style: ReplyStyle) -> None:
    for label, reply in every_reply(style).items():
        assert reply.text.isascii(), label
        assert reply.utf8_text is not None, label
        for is_utf8 in (False, True):
            for line in reply.lines(is_utf8=is_utf8):
                assert len(line.encode()) <= MAX_LINE_BYTES
                assert line.startswith((f"{reply.code} {reply.enhanced} ", f"{reply.code}-{reply.enhanced} "))
                assert not re.search(r"[{}]|None|  |\.\.|；。", line), (label, line)
                assert " ;" not in line, (label, line)


@pytest.mark.parametrize("name", OF_FEATURE)
def test_a_restriction_says_what_until_when_under_what_what_works_and_how_to_object(name: str) -> None:
    item = Feature(name=name, limit=7 if FEATURES.get(name, True) else None)
    reply = feature_reply(item, standing(item, Feature(name="sending")), wording(STYLE, TERMS, "zh"))
    english, chinese = (reply.utf8_text or "").split("\n")
    assert english == reply.text
    for words in (" off until 2026-11-24 09:00 +08:00 under 4.3.1;", "still work", "Object free of charge: "):
        assert words in english
    for words in ("至2026-11-24 09:00（北京时间）（依据4.3.1）；", "仍可发送", "可免费申诉："):
        assert words in chinese
    for line in (english, chinese):
        assert "https://provider.example/c/0a1b2c0a1b2c" in line
        assert f"https://provider.example/why/{OF_FEATURE[name]}" in line


def test_the_words_of_one_restriction_and_of_one_suspension() -> None:
    words = wording(replace(STYLE, why_url=None), TERMS, "en")
    links = feature_reply(Feature(name="links"), standing(Feature(name="links")), words)
    assert (links.code, links.enhanced, links.utf8_text) == (550, "5.7.1", None)
    assert links.text == (
        "F-LINKS Sending links is off until 2026-11-24 09:00 +08:00 under 4.3.1; mail without links still works. "
        "Object free of charge: https://provider.example/c/0a1b2c0a1b2c (case 0a1b2c0a1b2c)"
    )
    suspended = standing_reply(standing(Feature(name="sending"), rung=Rung.SUSPEND), words)
    assert suspended.text == (
        "S-SUSPENDED Sending is suspended until 2026-11-24 09:00 +08:00 under 4.3.1; receiving mail and writing to "
        "appeals@provider.example still work. Object free of charge: https://provider.example/c/0a1b2c0a1b2c "
        "(case 0a1b2c0a1b2c)"
    )


@pytest.mark.parametrize("name", ["sending", "attachments"])
def test_a_hold_never_speaks_of_a_breach(name: str) -> None:
    item, words = Feature(name=name), wording(STYLE, TERMS, None)
    account = standing(item, hold=True)
    reply = standing_reply(account, words) if name == "sending" else feature_reply(item, account, words)
    assert "to protect this account" in reply.text
    assert "until 2026-11-24 09:00 +08:00" in reply.text
    assert "administrator can unlock" in reply.text
    assert "解锁" in (reply.utf8_text or "")
    for word in ("4.3.1", "suspended", "violation", "Object", "违", "申诉"):
        assert word not in (reply.utf8_text or ""), word


def test_what_the_whole_organisation_is_under_says_that_the_account_is_in_good_standing_and_whom_to_ask() -> None:
    sending, words = Feature(name="sending"), wording(replace(STYLE, why_url=None), TERMS, "zh")
    suspended = standing_reply(limited("suspend", sending), words)
    assert (suspended.code, suspended.enhanced) == (550, "5.7.13")
    assert suspended.text == (
        "S-ORGANISATION Sending is suspended for your whole organisation until 2026-11-24 09:00 +08:00 under 3.6; this "
        "account's own standing is good; receiving mail and writing to appeals@provider.example still work. Ask your "
        "administrator, or https://provider.example/c/0a1b2c0a1b2c (case 0a1b2c0a1b2c)"
    )
    locked = standing_reply(limited("lock", sending), words)
    assert locked.text.startswith("H-ORGANISATION Sending is locked until 2026-11-24 09:00 +08:00 to protect your")
    assert "该账号自身状态良好" in (locked.utf8_text or "")
    for word in ("4.3.1", "violation", "colleague", "违规"):
        assert word not in (locked.utf8_text or "") + (suspended.utf8_text or "")
    bulk = Feature(name="bulk")
    quota = feature_reply(bulk, limited("quota", bulk), words)
    for part in ("for your whole organisation until", "own standing is good", "Ask your administrator"):
        assert part in quota.text


def test_what_is_the_account_s_own_is_told_first() -> None:
    words, sending = wording(STYLE, TERMS, "en"), Feature(name="sending")
    both = replace(limited("suspend", sending), sanctions=standing(sending, rung=Rung.SUSPEND).sanctions)
    both = replace(both, rung=Rung.SUSPEND, conduct=Conduct.SUSPENDED, until=NOW + timedelta(hours=24))
    assert standing_reply(both, words).text.startswith("S-SUSPENDED ")
    warned = replace(limited("lock", sending), rung=Rung.WARN, conduct=Conduct.WARNED)
    assert "own standing" not in standing_reply(warned, words).text
    held = replace(limited("lock", sending), holds=standing(sending, hold=True).holds)
    assert standing_reply(held, words).text.startswith("H-LOCKED ")


@pytest.mark.parametrize("rung", [Rung.WARN, Rung.SUSPEND])
def test_other_mail_is_promised_only_where_it_works(rung: Rung) -> None:
    refused = replace(decision("category.spam.outbound", ids=("3.3.2 tail-a",)), rung_after=rung)
    reply = decision_reply(refused, None, wording(STYLE, TERMS, None))
    assert reply is not None
    assert reply.text.startswith("M-CONTENT Message refused: unsolicited bulk mail under 3.3.2; ")
    assert ("other mail still works" in reply.text) is (rung is Rung.WARN)


def test_behind_the_queue_the_words_stay_and_the_code_waits() -> None:
    for reply in every_reply().values():
        held = waiting(reply)
        assert (held.text, held.utf8_text, held.code < 500) == (reply.text, reply.utf8_text, True)


# --- lines ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["word " * 400, "x" * 3000, "每" * 900, f"{'每天发信 ' * 200}", "a" + "例" * 800, "一行\n" + "z " * 600]
)
def test_long_texts_are_parted_within_512_octets_and_lose_nothing(text: str) -> None:
    reply = Reply(code=550, enhanced="5.7.1", text="short", utf8_text=text.strip())
    lines = reply.lines(is_utf8=True)
    assert len(lines) > 1
    assert all(len(line.encode()) <= 510 for line in lines)
    assert [line[3] for line in lines] == ["-"] * (len(lines) - 1) + [" "]
    assert all(line[4:].startswith("5.7.1 ") for line in lines)
    assert "".join(line[10:] for line in lines).replace(" ", "") == text.replace(" ", "").replace("\n", "")
    assert reply.lines() == ["550 5.7.1 short"]


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", Why)
def test_every_code_has_a_page_with_both_languages_and_no_script(why: Why) -> None:
    found = page(why.value.lower(), "appeals@<b>.example")
    assert found is not None
    text = found.decode()
    assert f"<h1>{why}</h1>" in text
    assert text.count("<section lang=") == 2
    assert "appeals@&lt;b&gt;.example" in text
    for word in ("<script", "http:", "https:", "src=", "<form", "@import", "url("):
        assert word not in text
    assert CATALOGUE[why].works.zh in text
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY


def test_there_is_a_list_of_codes_and_no_page_for_anything_else() -> None:
    listed = (page("") or b"").decode()
    assert all(f"/why/{why}" in listed for why in Why)
    assert page("F-NOTHING") is None
    assert page("<script>") is None
