"""Notices in words: every template in every language, and what hostile values look like in them.  FAULTS row 55."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from filterd.agreement.statement import Statement, statement
from filterd.agreement.terms import FEATURES
from filterd.errors import ModelError, UsageError
from filterd.model.principal import Account, Tenant
from filterd.model.sanction import Feature, Preset
from filterd.pipeline.notices import (
    LANGUAGES,
    TEMPLATES,
    Audience,
    NoticeSettings,
    RenderedNotice,
    Templates,
    choose_languages,
    plain,
    render,
)
from filterd.share import path
from tests.kit.terms import tencent
from tests.workers.rig import (
    ACCOUNT,
    SETTINGS,
    SPAM,
    TENANT,
    VIRUS,
    Story,
    at,
    first_virus,
    templates,
    three_bursts,
)

pytestmark = pytest.mark.slow

FOLDER = path("policies/notices")
TEXTS = templates()


def shanghai(hour: float) -> str:
    return f"{at(hour).astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d %H:%M}"


def word(
    story: Story,
    hour: float,
    *about: str,
    language: str | None = "en",
    sanction_ids: tuple[str, ...] | None = None,
    incident_id: str | None = None,
    account: Account = ACCOUNT,
    tenant: Tenant = TENANT,
    settings: NoticeSettings = SETTINGS,
    audience: Audience = Audience.ACCOUNT,
    change: Callable[[Statement], Statement] = lambda s: s,
) -> RenderedNotice:
    wanted = incident_id or story.incident_id
    ids = story.sanction_ids(wanted) if sanction_ids is None else sanction_ids
    facts = change(
        statement(story.history, story.terms, at(hour), incident_id=wanted, sanction_ids=ids, records=story.records)
    )
    account = replace(account, language=language)
    return render(facts, TEXTS, about, account, tenant, story.terms, settings, at(hour), audience=audience)


# --- every template, both languages -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a notice is made of and what must be in it, whatever the language."""

    story: Story
    hour: float
    end_hour: float
    clauses: tuple[str, ...]
    sanction_ids: tuple[str, ...] | None = None


def _warning() -> Told:
    story = Story()
    story.mail(0, SPAM)
    return Told(story=story, hour=1, end_hour=90 * 24, clauses=("3.3.2", "3.6", "4.3.1"))


def _restriction() -> Told:
    story = Story()
    story.mail(0, VIRUS)
    story.mail(24, VIRUS)
    return Told(story=story, hour=24.1, end_hour=192, clauses=("3.3.2", "3.5.2", "3.6", "4.3.1"))


def _suspension() -> Told:
    return Told(story=three_bursts(), hour=96.1, end_hour=264, clauses=("3.3.2", "3.6", "4.3.1"))


def _hold() -> Told:
    return Told(story=first_virus(), hour=0.1, end_hour=24.05, clauses=("3.3.2", "3.5.2"), sanction_ids=())


def _objection() -> Told:
    story = three_bursts()
    main = story.sanction_ids()[-1]
    story.object(97, main, story.incident_id)
    return Told(story=story, hour=97.1, end_hour=264, clauses=("3.3.2", "3.6"), sanction_ids=(main,))


def _annulled() -> Told:
    story = three_bursts()
    ids = story.annul(97, story.incident_id)
    return Told(story=story, hour=98, end_hour=97, clauses=("3.3.2", "3.6"), sanction_ids=ids)


CASES: dict[str, Callable[[], Told]] = {
    "annulled": _annulled,
    "hold": _hold,
    "objection_received": _objection,
    "restriction": _restriction,
    "suspension": _suspension,
    "warning": _warning,
}


def test_every_template_has_a_case() -> None:
    assert set(CASES) == set(TEMPLATES)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_notice_cites_dates_identifies_and_says_where_to_object(template: str, language: str) -> None:
    told = CASES[template]()
    notice = word(told.story, told.hour, template, language=language, sanction_ids=told.sanction_ids)
    case = told.story.incident_id.removeprefix("i_")[:12]
    assert (notice.template, notice.languages) == (template, (language,))
    for clause in told.clauses:
        assert f"- 第 {clause} 条：" in notice.text if language == "zh-Hans" else f"- {clause}: " in notice.text
    assert shanghai(told.end_hour) in notice.text
    assert case in notice.subject
    assert notice.text.count(case) >= 2
    assert SETTINGS.appeals_address in notice.text
    assert SETTINGS.sender in notice.text
    assert ("免费" if language == "zh-Hans" else "free of charge") in notice.text or template == "objection_received"
    assert notice.body_digest == hashlib.sha256(notice.text.encode()).hexdigest()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_notice_is_short_plain_text_without_gaps_or_markup(template: str, language: str) -> None:
    told = CASES[template]()
    notice = word(told.story, told.hour, template, language=language, sanction_ids=told.sanction_ids)
    assert "\n" not in notice.subject
    assert notice.subject == notice.subject.strip()
    assert len(notice.text) < 3500
    assert notice.text == notice.text.strip() + "\n"
    for sign in ("\n\n\n", "{{", "{%", "  ", "None", "<b", " \n", "。。", ".."):
        assert sign not in notice.text, sign
    assert all(line == line.strip() for line in notice.text.split("\n"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_other_language_does_not_leak_in(language: str) -> None:
    for template in TEMPLATES:
        told = CASES[template]()
        notice = word(told.story, told.hour, template, language=language, sanction_ids=told.sanction_ids)
        if language == "en":
            assert not re.search(r"[\u3000-\u9fff\uff00-\uffef]", notice.text + notice.subject)
        else:
            assert not re.search(r"\b(the|and|is|of|until)\b", notice.text + notice.subject)


@pytest.mark.parametrize(("language", "words"), [("en", ("violat", "breach", "penalis")), ("zh-Hans", ("违", "处分"))])
def test_a_hold_is_protection_and_never_called_a_violation(language: str, words: tuple[str, ...]) -> None:
    notice = word(first_virus(), 0.1, "hold", language=language, sanction_ids=())
    for bad in words:
        assert bad not in (notice.subject + notice.text).lower()
    assert ("locked for protection" if language == "en" else "保护") in notice.subject
    assert ("gives no points" if language == "en" else "不产生记分") in notice.text


@pytest.mark.parametrize(("language", "words"), [("en", "found by automatic checks"), ("zh-Hans", "系统自动检测")])
def test_a_notice_says_that_detection_was_automatic(language: str, words: str) -> None:
    notice = word(three_bursts(), 96.1, "suspension", language=language)
    assert words in notice.text
    reported = word(
        three_bursts(), 96.1, "suspension", language=language, change=lambda s: replace(s, automated_detection=False)
    )
    assert words not in reported.text


def test_a_suspension_says_what_still_works_and_its_points() -> None:
    text = word(three_bursts(), 96.1, "suspension").text
    assert "- Off: sending mail." in text
    assert "- Still works: receiving and reading mail; writing to appeals@filterd.example, " in text
    assert "postmaster@corp.example, abuse@corp.example whatever is off." in text
    assert "You have 8 points now." in text
    assert f"fading on {shanghai(180 * 24)}." in text
    assert "Next step: from 12 points on, a suspension of sending without a fixed end" in text
    assert "if nobody does, the suspension turns into a restriction by itself" in text


def test_local_parts_are_named_only_at_domains_of_the_tenant() -> None:
    text = word(three_bursts(), 96.1, "suspension", tenant=replace(TENANT, domains=("other.example",))).text
    assert "postmaster@" not in text


def test_an_attended_suspension_says_that_it_lapses_unless_confirmed() -> None:
    story = three_bursts(Preset.ATTENDED)
    text = word(story, 96.1, "suspension" if story.history.sanctions[-1].imposed.rung == 3 else "restriction").text
    assert f"It ends by itself on {shanghai(96 + 72)} (Asia/Shanghai time) unless a person confirms it before" in text


def test_provisional_points_say_what_becomes_of_them() -> None:
    text = word(first_virus(), 0.1, "warning", "hold").text
    assert f"Provisional until {shanghai(72)}" in text
    assert "at most 2 points of them stay" in text


def test_an_annulment_says_the_minutes_and_that_the_error_was_ours() -> None:
    told = _annulled()
    text = word(told.story, told.hour, "annulled", sanction_ids=told.sanction_ids).text
    assert "it was in force for 60 minutes" in text
    assert "The error was ours" in text


def test_an_open_ended_suspension_says_so() -> None:
    def open_ended(s: Statement) -> Statement:
        return replace(s, effects=(replace(s.effects[0], ends_at=None), *s.effects[1:]), after_suspension=None)

    for language, words in (("en", "It has no fixed end"), ("zh-Hans", "没有固定的结束时间")):
        assert words in word(three_bursts(), 96.1, "suspension", language=language, change=open_ended).text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", FEATURES)
def test_every_feature_has_words(name: str, language: str) -> None:
    item = Feature(name=name, limit=37 if FEATURES[name] else None)

    def only(s: Statement) -> Statement:
        return replace(s, effects=(replace(s.effects[0], features=(item,)),))

    text = word(_restriction().story, 24.1, "restriction", language=language, change=only).text
    line = next(x for x in text.split("\n") if x.startswith(("- Off: ", "- 已停用：")))
    assert len(line) > len("- Off: .")
    assert "_" not in line
    assert ("37" in line) is FEATURES[name]


# --- merged -----------------------------------------------------------------------------------------------------------


def test_a_merged_notice_is_headed_by_the_highest_and_adds_a_paragraph_for_the_hold() -> None:
    notice = word(first_virus(), 0.1, "hold", "warning")
    assert notice.template == "warning+hold"
    assert notice.subject.startswith("Warning about mail from dave@corp.example")
    assert "Locked for protection\n" in notice.text
    assert f"this is locked until {shanghai(24.05)} (Asia/Shanghai time): sending attachments." in notice.text


def test_a_hold_still_running_is_told_even_when_it_was_not_merged_and_one_that_is_over_is_not() -> None:
    assert "Locked for protection" in word(first_virus(), 0.1, "warning").text
    assert "Locked for protection" not in word(first_virus(), 30, "warning").text
    assert "this was locked from" in word(first_virus(), 30, "warning", "hold").text


def test_what_other_cases_have_in_force_is_told() -> None:
    story = three_bursts()
    story.mail(97, VIRUS)
    text = word(story, 97.1, "restriction" if story.history.sanctions[-1].imposed.rung == 2 else "warning").text
    assert f"until {shanghai(264)}: sending mail off." in text


# --- readers ----------------------------------------------------------------------------------------------------------


def test_the_tenants_copy_has_the_same_facts_and_says_what_it_is() -> None:
    mine = word(three_bursts(), 96.1, "suspension")
    copy = word(three_bursts(), 96.1, "suspension", audience=Audience.TENANT)
    lead, _, rest = copy.text.partition("\n\n")
    assert lead.startswith("Copy for Corp Ltd, which answers for its users")
    assert rest == mine.text


def test_no_link_goes_to_a_mailbox_under_hold() -> None:
    for audience, has_link in ((Audience.ACCOUNT, False), (Audience.CONTACT, True), (Audience.TENANT, True)):
        text = word(first_virus(), 0.1, "warning", "hold", audience=audience).text
        assert ("https://" in text) is has_link
    assert "https://filterd.example/case/" in word(first_virus(), 30, "warning").text


def test_without_a_page_only_the_address_is_named() -> None:
    text = word(three_bursts(), 96.1, "suspension", settings=replace(SETTINGS, object_url=None)).text
    assert "http" not in text
    assert "Write to appeals@filterd.example with " in text


@pytest.mark.parametrize(
    ("tenant", "account", "agreement", "expected"),
    [
        (None, None, ("zh-Hans", "en"), ("zh-Hans", "en")),
        (None, None, ("en", "zh-Hans"), ("en", "zh-Hans")),
        (None, None, ("zh-Hans",), ("zh-Hans",)),
        ("en", "zh-CN", ("zh-Hans", "en"), ("en",)),
        (None, "zh_CN", ("zh-Hans", "en"), ("zh-Hans",)),
        (None, "EN-gb", ("zh-Hans",), ("en",)),
        ("fr", "en", ("zh-Hans",), ("en",)),
        ("fr", None, ("zh-Hans",), ("zh-Hans", "en")),
        (None, "zh-TW", ("zh-Hans", "en"), ("zh-Hans", "en")),
        (None, "", ("zh-Hans",), ("zh-Hans",)),
    ],
)
def test_the_language_is_the_tenants_then_the_accounts_then_the_agreements(
    tenant: str | None, account: str | None, agreement: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    terms = tencent().model_copy(update={"languages": agreement})
    chosen = choose_languages(replace(ACCOUNT, language=account), replace(TENANT, language=tenant), terms)
    assert chosen == expected


def test_nobody_known_reads_the_agreements_languages() -> None:
    assert choose_languages(None, None, tencent()) == ("zh-Hans", "en")


def test_a_bilingual_notice_is_one_mail_with_both_texts() -> None:
    notice = word(three_bursts(), 96.1, "suspension", language=None)
    assert notice.languages == ("zh-Hans", "en")
    assert notice.text.startswith("The English text is below.\n\n您好：\n")
    assert notice.text.index("【依据】") < notice.text.index("\nGround\n")
    assert " / Sending from dave@corp.example is suspended" in notice.subject


# --- hostile values ---------------------------------------------------------------------------------------------------

HOSTILE = (
    "x\r\nBcc: victim@example.net\r\n\r\nYou won",
    "{{ 7 * 7 }}",
    "{% raw %}{% for x in y %}",
    "{0.__class__.__mro__}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "name\u2028Points: 0\u2029\x85\x0b\x0cnext",
    "a\x00b\x1b[31m\x7f",
    "\u202egnp.exe\u200b\ufeff",
    "\udcff\ud800",
    "-" * 5000,
)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_hostile_name_is_one_line_of_inert_text(name: str, language: str) -> None:
    account, tenant = replace(ACCOUNT, login=name), replace(TENANT, name=name)
    usual = word(three_bursts(), 96.1, "suspension", language=language, audience=Audience.TENANT)
    notice = word(
        three_bursts(), 96.1, "suspension", language=language, audience=Audience.TENANT, account=account, tenant=tenant
    )
    assert plain(name) in notice.subject
    assert notice.text.count("\n") == usual.text.count("\n")
    assert len(notice.subject) < 2200
    for character in notice.subject + notice.text:
        assert character == "\n" or character.isprintable()
    assert "49" not in notice.subject
    notice.text.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("a\r\n b", "a b"),
        ("\t x \x00", "x"),
        ("邮件　策略", "邮件 策略"),
        ("e\u0301", "e\u0301"),
        (17, "17"),
        ("\udcff", ""),
    ],
)
def test_a_value_becomes_one_clean_line(value: object, expected: str) -> None:
    assert plain(value) == expected


# --- the templates themselves -----------------------------------------------------------------------------------------


def test_both_languages_have_the_same_templates() -> None:
    names = {language: {file.name for file in (FOLDER / language).iterdir()} for language in LANGUAGES}
    assert names["en"] == names["zh-Hans"]


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.j2")), ids=lambda f: f"{f.parent.name}/{f.name}")
def test_no_template_cites_a_clause_or_a_ladder_number_of_its_own(file: Path) -> None:
    """CLAUSES §8 (c): clauses and numbers come from the agreement, so a template can cite none that it lacks."""
    text = file.read_text(encoding="utf-8")
    literal = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    assert not re.search(r"\d", literal)
    assert not re.search(r"\d\.\d", text)


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.j2")), ids=lambda f: f"{f.parent.name}/{f.name}")
def test_a_template_uses_only_its_own_language(file: Path) -> None:
    used = set(re.findall(r'"([A-Za-z-]+)/\w+\.j2"', file.read_text(encoding="utf-8")))
    assert used <= {file.parent.name}


def test_a_name_that_a_template_does_not_know_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "notices"
    shutil.copytree(FOLDER, folder)
    (folder / "en" / "warning.j2").write_text("Hello {{ acount }}\n", encoding="utf-8")
    story = _warning()
    facts = statement(
        story.story.history,
        story.story.terms,
        at(1),
        incident_id=story.story.incident_id,
        sanction_ids=story.story.sanction_ids(),
    )
    with pytest.raises(UsageError, match=r"en/warning\.j2.*acount"):
        render(
            facts, Templates(folder), ["warning"], replace(ACCOUNT, language="en"), TENANT, tencent(), SETTINGS, at(1)
        )


@pytest.mark.parametrize("broken", [None, "{% if %}"])
def test_a_missing_or_broken_template_is_found_at_the_start(tmp_path: Path, broken: str | None) -> None:
    folder = tmp_path / "notices"
    shutil.copytree(FOLDER, folder)
    file = folder / "zh-Hans" / "hold.j2"
    file.unlink() if broken is None else file.write_text(broken, encoding="utf-8")
    with pytest.raises(ModelError, match="zh-Hans/hold"):
        Templates(folder)


def test_a_template_that_has_changed_is_read_again(tmp_path: Path) -> None:
    """What was read is kept between reloads; an editor's new text counts all the same."""
    folder = tmp_path / "notices"
    shutil.copytree(FOLDER, folder)
    Templates(folder)
    file = folder / "en" / "hold.j2"
    file.write_text("{% if %}", encoding="utf-8")
    # Also where the file system counts time in whole seconds.
    os.utime(file, (0, 0))
    with pytest.raises(ModelError, match="en/hold"):
        Templates(folder)


def test_a_file_that_was_replaced_within_one_tick_is_another_text(tmp_path: Path) -> None:
    """What a notice says it was made of is what it was made of: package managers keep the time of a file."""
    folder = tmp_path / "notices"
    shutil.copytree(FOLDER, folder)
    file = folder / "en" / "hold.j2"
    os.utime(file, (0, 0))
    before = Templates(folder)
    before._environment.get_template("en/hold.j2")
    new = tmp_path / "new.j2"
    new.write_text("another text\n", encoding="utf-8")
    os.utime(new, (0, 0))
    new.replace(file)
    after = Templates(folder)
    assert before.version("hold") != after.version("hold")
    assert after.fill("en", "hold", {}) == "another text\n"
    # Until they are read anew, the version that is told is that of the text that is told.
    with pytest.raises(UsageError):
        before.fill("en", "hold", {})


def test_a_template_that_is_no_text_is_found_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "notices"
    shutil.copytree(FOLDER, folder)
    (folder / "en" / "hold.j2").write_bytes(b"\xff")
    with pytest.raises(ModelError, match="en/hold"):
        Templates(folder)


@pytest.mark.parametrize("about", [(), ("praise",)])
def test_a_notice_about_nothing_known_is_an_error(about: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="no notice is about"):
        word(first_virus(), 0.1, *about)


@pytest.mark.parametrize(
    "template", ["annulled", "hold", "objection_received", "suspension"], ids=lambda t: f"{t} without its fact"
)
def test_a_notice_without_its_fact_is_an_error(template: str) -> None:
    story = Story()
    story.mail(0, SPAM)
    with pytest.raises(UsageError, match=f"gives no reason for a notice of {template}"):
        word(story, 1, template, sanction_ids=())


def test_the_agreements_own_zone_is_used() -> None:
    told = _suspension()
    told.story.terms = told.story.terms.model_copy(update={"timezone": "Europe/Berlin"})
    text = word(told.story, told.hour, "suspension").text
    berlin: datetime = at(264).astimezone(ZoneInfo("Europe/Berlin"))
    assert f"{berlin:%Y-%m-%d %H:%M} (Europe/Berlin time)" in text
