"""General notices: the register, the promise, and what every one of them says in both languages.  CLAUSES §7."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from filterd.agreement.load import read
from filterd.agreement.statement import points_at
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.clients.keys import derive
from filterd.errors import UsageError
from filterd.ledger.engine import LedgerEngine
from filterd.model.principal import Tenant
from filterd.pipeline import notice_templates
from filterd.pipeline.notice_events import Fact, announce_event, announce_to_all, check_facts, read_facts
from filterd.pipeline.notice_letters import EventFacts, render_event
from filterd.pipeline.notice_requests import EventRequest, read_request
from filterd.pipeline.notice_samples import sample_facts
from filterd.pipeline.notice_table import EITHER, EVENTS, NOBODY, Audience
from filterd.pipeline.notice_table import TENANT as ABOUT_TENANT
from filterd.pipeline.notices import LANGUAGES, RenderedNotice
from filterd.ports import LedgerTxn, OutboxItem
from filterd.share import path
from tests.kit.clock import FrozenClock
from tests.workers.rig import ACCOUNT, SETTINGS, TENANT, Story, at, templates, three_bursts

pytestmark = pytest.mark.slow

FOLDER = path("policies/notices")
TEXTS = templates()
TERMS = {
    terms.id: terms
    for file in sorted(path("policies/agreements").glob("*.toml"))
    for terms in (read(file.read_bytes(), str(file), ALL_CODES),)
}
NOW = at(100)


def request(event: str, terms: Agreement, *facts: dict[str, Fact], account: bool | None = None) -> EventRequest:
    row = EVENTS[event]
    is_account = row.about not in (ABOUT_TENANT, NOBODY) if account is None else account
    payload = {
        "notice_id": "m_" + "ab" * 20,
        "event": event,
        "account_id": ACCOUNT.account_id if is_account else None,
        "tenant_id": None if row.about == NOBODY else TENANT.tenant_id,
        "audiences": [x.value for x in row.to],
        "facts": [check_facts(event, x) for x in facts or (sample_facts(event, NOW, terms),)],
    }
    return EventRequest.read(OutboxItem(item_id="o_1", topic="notice", payload=payload, attempts=1, created_at=NOW))


def word(
    event: str,
    terms: Agreement,
    language: str = "en",
    *,
    audience: Audience | None = None,
    story: Story | None = None,
    is_locked: bool = False,
    facts: dict[str, Fact] | None = None,
    tenant: Tenant = TENANT,
    account: bool | None = None,
) -> RenderedNotice:
    wanted = request(event, terms, *([facts] if facts else []), account=account)
    row = wanted.row
    past = story or three_bursts()
    base = TERMS[terms.supplements] if terms.supplements is not None else None
    gathered = EventFacts(
        request=wanted,
        account=ACCOUNT if wanted.account_id is not None else None,
        tenant=None if row.about == NOBODY else replace(tenant, language=language),
        terms=terms,
        base=base,
        points=points_at(past.history, past.terms, NOW) if row.is_sanction else None,
        is_locked=is_locked,
        is_good=True,
    )
    return render_event(gathered, TEXTS, SETTINGS, NOW, audience=audience or row.to[0])


ALL = [(event, terms) for event in EVENTS for terms in TERMS]


# --- every event, both languages, every agreement ---------------------------------------------------------------------


@pytest.mark.parametrize(("event", "terms_id"), ALL, ids=[f"{e}-{t}" for e, t in ALL])
def test_every_event_reads_well_under_every_agreement(event: str, terms_id: str) -> None:
    terms = TERMS[terms_id]
    for language in LANGUAGES:
        for audience in EVENTS[event].to:
            notice = word(event, terms, language, audience=audience)
            text = notice.subject + "\n" + notice.text
            for sign in ("\n\n\n", "{{", "{%", "  ", "None", "<b", " \n", "。。", "..", "，，", " ,", "()"):
                assert sign not in text, (language, audience, sign)
            assert all(line == line.strip() for line in text.split("\n"))
            assert notice.text == notice.text.strip() + "\n"
            assert SETTINGS.appeals_address in notice.text
            assert SETTINGS.sender in notice.text
            assert (notice.template, notice.version) == (event, TEXTS.version(event))
            if audience is Audience.OTHER:
                continue
            if language == "en":
                assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", text.replace(terms.title.get("zh-Hans", ""), ""))
            else:
                assert not re.search(r"\b(the|and|is|of|until)\b", text.replace(terms.title.get("en", ""), ""))


_CITED = {
    "en": re.compile(r"^- (S?\d[^:]*): ", re.MULTILINE),
    "zh-Hans": re.compile(r"^- 第 (.+?) 条：", re.MULTILINE),
}


@pytest.mark.parametrize("terms_id", TERMS)
def test_a_notice_cites_only_clauses_that_its_agreement_has(terms_id: str) -> None:
    terms = TERMS[terms_id]
    own = {c.number for c in terms.clause.values()}
    for agreement in (terms_id, terms.supplements):
        register = TEXTS.registers.get(agreement or "")
        own |= {entry.id for entry in register.clause} if register is not None else set()
        own |= {c.number for c in TERMS[agreement].clause.values()} if agreement is not None else set()
    cited = set()
    for event in EVENTS:
        for language in LANGUAGES:
            cited |= set(_CITED[language].findall(word(event, terms, language).text))
    assert cited
    assert cited <= own


def test_a_clause_that_the_agreement_lacks_is_an_error_and_never_a_citation() -> None:
    terms = TERMS["aliyun-mail"]
    wrong = {**sample_facts("tenant_warning", NOW, terms), "clauses": ("3.3.2 tail-a",)}
    with pytest.raises(UsageError, match=r"3\.3\.2 tail-a"):
        word("tenant_warning", terms, facts=wrong)


@pytest.mark.parametrize(
    ("event", "terms_id", "clauses"),
    [
        ("renewal_due", "aliyun-mail", {"2.2"}),
        ("renewal_due", "tencent-exmail", {"4.4.1", "4.4.2"}),
        ("maintenance", "aliyun-mail", {"6.3"}),
        ("maintenance", "tencent-exmail", {"5.2"}),
        ("breach_notice", "aliyun-mail", {"7.1"}),
        ("cure_refused", "aliyun-supplement", {"S18", "7.1"}),
        ("mx_warning", "tencent-exmail", {"4.4.4"}),
        ("product_shutdown", "tencent-exmail", {"8.2.8", "8.2.9"}),
        ("custody_warning", "aliyun-mail", {"3.2"}),
        ("registration_hold", "tencent-exmail", {"8.2.4"}),
    ],
)
def test_a_notice_cites_the_readers_own_clause(event: str, terms_id: str, clauses: set[str]) -> None:
    assert set(_CITED["en"].findall(word(event, TERMS[terms_id]).text)) == clauses


HEADINGS = (
    "Scope of Agreement",
    "About this service",
    "User's rights and obligations",
    "User Information Content Specification",
    "Service Use Specification",
    "Service Operation Specification",
    "Responsible for own actions",
    "Protect User Information Security",
    "Breach of Contract",
    "End of Service",
    "服务说明",
    "阿里邮箱服务内容",
    "甲方权利和义务",
    "乙方权利和义务",
    "知识产权、保密条款",
    "免责条款和相关约定",
    "违约责任",
    "争议解决与适用法律",
)


def test_no_template_has_a_heading_of_an_agreement() -> None:
    """TX-9.6: headings mean nothing; numbers and our own words are cited."""
    for file in FOLDER.rglob("*.j2"):
        text = file.read_text(encoding="utf-8").lower()
        assert not [heading for heading in HEADINGS if heading.lower() in text], file


# --- what a sanction notice owes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [name for name, row in EVENTS.items() if row.is_sanction])
def test_every_sanction_notice_says_points_next_step_fading_and_how_to_object(event: str) -> None:
    text = word(event, TERMS["tencent-exmail"]).text
    assert "You have 8 points now." in text
    assert "fading on " in text
    assert "Next step: from 12 points on" in text
    assert "Objecting is free of charge and never adds points. Write to appeals@filterd.example" in text
    zh = word(event, TERMS["tencent-exmail"], "zh-Hans").text
    assert all(words in zh for words in ("目前记分：8 分", "失效", "下一级：", "提出异议免费"))


@pytest.mark.parametrize("event", [n for n, row in EVENTS.items() if row.about == EITHER and "kept_until" in row.facts])
def test_a_clock_is_never_called_misconduct(event: str) -> None:
    for language, bad in (("en", ("violat", "breach", "penalt")), ("zh-Hans", ("违规", "处罚", "违约"))):
        text = word(event, TERMS["aliyun-mail"], language).text
        own = text.partition("What this rests on")[0].partition("【依据】")[0].lower()
        assert not [x for x in bad if x in own]


# --- who reads what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [name for name, row in EVENTS.items() if Audience.ACCOUNT in row.to])
def test_no_link_goes_to_a_mailbox_under_hold_or_in_doubt(event: str) -> None:
    terms = TERMS["tencent-exmail"]
    assert "https://" not in word(event, terms, is_locked=True).text
    if EVENTS[event].is_security:
        assert "https://" not in word(event, terms).text


def test_a_sanction_notice_elsewhere_links_to_its_case() -> None:
    terms = TERMS["tencent-exmail"]
    assert "https://filterd.example/case/" in word("stepped_down", terms).text
    assert "https://filterd.example/case/" in word("stepped_down", terms, audience=Audience.TENANT, is_locked=True).text


def test_a_co_user_learns_of_the_limit_and_of_nobody() -> None:
    terms = TERMS["tencent-exmail"]
    facts = {**sample_facts("co_user", NOW, terms), "except_ids": ("a_mallory",)}
    text = word("co_user", terms, facts=facts, account=True).text
    assert "your own standing is good" in text
    assert "ask your administrator" in text
    assert "mallory" not in text


def test_views_leak_nothing() -> None:
    """prop_views_leak_nothing: no fact can be an address, a name or free text, whatever the event."""
    terms = TERMS["tencent-exmail"]
    for event, row in EVENTS.items():
        for name, kind in row.facts.items():
            for marker in ("zoe@complainant.example", "Re: SEEDED subject", "机密", "x\r\nBcc: y", "{{ 7 }}"):
                bad: Fact = (marker,) if kind.rstrip("?").endswith("s") else marker
                with pytest.raises(UsageError, match=f"{event}: {name} is no"):
                    check_facts(event, {**sample_facts(event, NOW, terms), name: bad})


def test_the_complainant_is_told_no_more_than_that_it_was_looked_at() -> None:
    for outcome in ("reviewed", "acted"):
        facts: dict[str, Fact] = {"complaint_id": "c_1234", "outcome": outcome, "closed_at": NOW}
        text = word("complaint_closed", TERMS["tencent-exmail"], facts=facts).text
        for word_ in ("suspend", "warn", "restrict", "暂停", "警告", "Corp", "dave"):
            assert word_ not in text


def test_a_letter_in_a_resellers_name_says_so() -> None:
    terms = TERMS["aliyun-mail"]
    dealt = replace(TENANT, reseller="Blue Sea Ltd")
    text = word("breach_notice", terms, tenant=dealt).text
    assert "Sent on behalf of the reseller Blue Sea Ltd by" in text


# --- the register and the promise -------------------------------------------------------------------------------------


def test_every_template_has_its_version_and_is_what_that_version_was() -> None:
    """Whoever changes a template raises its version in the manifest and puts the new digest there."""
    for name in notice_templates.all_templates():
        shown = (TEXTS.version(name), notice_templates.digest(FOLDER, name), notice_templates.shared_digest(FOLDER))
        assert re.fullmatch(r"\d+\.\d+", TEXTS.version(name)), shown


def test_a_changed_template_says_so(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(FOLDER, tmp_path / "notices")
    file = tmp_path / "notices" / "en" / "maintenance.j2"
    file.write_text(file.read_text("utf-8") + "More.\n", "utf-8")
    changed = notice_templates.Templates(tmp_path / "notices", path("policies/clauses"))
    assert re.fullmatch(r"1\+[0-9a-f]{8}\.2", changed.version("maintenance"))
    assert changed.version("renewal_due") == "1.2"


@pytest.mark.parametrize("event", EVENTS)
def test_facts_survive_the_outbox(event: str) -> None:
    facts = sample_facts(event, NOW, TERMS["tencent-exmail"])
    back = read_facts(event, check_facts(event, facts))
    plain = {
        name: tuple(str(x) for x in value) if isinstance(value, tuple) else value for name, value in back.items()
    }
    assert plain == facts


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ends_on": None}, "ends_on is no date"),
        ({"ends_on": datetime(2026, 3, 2, tzinfo=UTC)}, "ends_on is no date"),
        ({"more": 1}, "more is no fact of it"),
    ],
)
def test_a_wrong_fact_is_refused_by_name(change: dict[str, Fact], words: str) -> None:
    with pytest.raises(UsageError, match=f"law_change: {words}"):
        check_facts("law_change", {"ends_on": date(2026, 4, 1), **change})


def test_a_missing_fact_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="law_change: ends_on is missing"):
        check_facts("law_change", {})


@pytest.fixture
def engine(tmp_path: Path) -> LedgerEngine:
    from filterd.agreement.fold import apply

    return LedgerEngine.open(
        state_dir=tmp_path,
        node="node1",
        keys=derive(bytes(32)),
        clock=FrozenClock(at(0.25)),
        apply=lambda history, record, account_id: apply(history, record),
    )


async def promised(engine: LedgerEngine, *facts: dict[str, Fact], event: str, subject: str | None) -> list[OutboxItem]:
    def work(txn: LedgerTxn) -> None:
        txn.put_tenant(TENANT)
        txn.put_account(ACCOUNT)
        for one in facts:
            announce_event(txn, event, subject, one)

    await engine.submit(work)
    items = [item for item, _, _ in await engine.pending()]
    await engine.close()
    return items


async def test_a_promise_holds_who_and_what(engine: LedgerEngine) -> None:
    facts = sample_facts("stepped_down", NOW, TERMS["tencent-exmail"])
    [item] = await promised(engine, facts, event="stepped_down", subject=ACCOUNT.account_id)
    found = read_request(item)
    assert isinstance(found, EventRequest)
    assert (found.account_id, found.tenant_id) == (ACCOUNT.account_id, TENANT.tenant_id)
    assert found.audiences == EVENTS["stepped_down"].to
    assert found.incident_ids == (facts["incident_id"],)


async def test_the_same_promise_twice_is_one_and_another_is_another(engine: LedgerEngine) -> None:
    facts = sample_facts("stepped_down", NOW, TERMS["tencent-exmail"])
    later = {**facts, "at": at(5)}
    items = await promised(engine, facts, facts, later, event="stepped_down", subject=ACCOUNT.account_id)
    assert len(items) == 2


async def test_what_happens_often_is_one_notice_a_period_and_nothing_is_left_out(engine: LedgerEngine) -> None:
    facts: list[dict[str, Fact]] = [{"code": "dns.spf", "count": n, "since": at(0)} for n in (1, 2, 3)]
    [item] = await promised(engine, *facts, event="advice", subject=ACCOUNT.account_id)
    found = read_request(item)
    assert isinstance(found, EventRequest)
    assert [x["count"] for x in found.facts] == [1, 2, 3]


async def test_nobody_is_left_to_tell_of_an_erased_account(engine: LedgerEngine) -> None:
    facts = sample_facts("stepped_down", NOW, TERMS["tencent-exmail"])
    assert await promised(engine, facts, event="stepped_down", subject="a_gone") == []


@pytest.mark.parametrize(
    ("event", "subject", "more"),
    [
        ("no_such", "a_dave", {}),
        ("complaint_closed", None, {}),
        ("law_change", None, {}),
        ("law_change", "a_dave", {"recipient": "x@y.example"}),
        ("co_user", "n_corp", {"to": (Audience.TENANT,)}),
    ],
)
async def test_a_wrong_call_fails_the_act(
    engine: LedgerEngine, event: str, subject: str | None, more: dict[str, object]
) -> None:
    terms = TERMS["tencent-exmail"]
    facts = sample_facts(event, NOW, terms) if event in EVENTS else {}
    with pytest.raises(UsageError):
        await engine.submit(lambda txn: announce_event(txn, event, subject, facts, **more))  # type: ignore[arg-type]
    assert await engine.pending() == ()
    await engine.close()


async def test_maintenance_is_told_to_every_tenant(engine: LedgerEngine) -> None:
    def work(txn: LedgerTxn) -> int:
        for number in range(3):
            txn.put_tenant(replace(TENANT, tenant_id=f"n_{number}", name=f"T{number}", domains=()))
        since = txn.now + timedelta(hours=2)
        facts: dict[str, Fact] = {"window_id": "w_1", "since": since, "until": since, "is_emergency": False}
        return announce_to_all(txn, "maintenance", facts)

    assert await engine.submit(work) == 3
    assert len(await engine.pending()) == 3
    await engine.close()

