"""The house AUP for operators to start from: it loads, each rule is needed, and the text to publish says the same."""

from __future__ import annotations

import re
from functools import cache

import pytest

from filterd.agreement.crosswalk import crosswalk, rung_reach
from filterd.agreement.load import unmapped
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.model.sanction import Mode, Preset, Rung
from filterd.share import path
from tests.agreement.contract import CODES, LABELS
from tests.agreement.mutants import failing, refusal, shipped, text_of, without

pytestmark = pytest.mark.slow

NAME = "house-aup"
# clause: its categories with mode (and that of a single letter)
GROUNDS = {
    "2.1": "spam.outbound A",
    "2.2": "spam.advert B/C2",
    "2.3": "malware A",
    "2.4": "phishing.known A, phishing.suspect B",
    "2.5": "fraud.scam B, fraud.bec B people",
    "2.6": "impersonation.exact A, impersonation.lookalike B",
    "2.7": "tech.abuse A people, tech.client C2 people",
    "2.8": "illegal.gambling B/C2, illegal.drugs B/C2, illegal.weapons B/C2",
    "2.9": "adult.obscene B/C2, adult.suggestive B/C2",
    "3.1": "illegal.violence C2, illegal.terror C2, illegal.abet C2 people",
    "3.2": "abuse.harass C2, abuse.repeated B, abuse.insult C2, hate.slur C2",
    "3.3": "privacy.pii C2",
    "3.4": "rep.defamation C1 people, rights.reputation C1 people, rights.portrait C1 people, rights.ip C1 people,"
    " rights.secret C1 people",
    "3.5": "illegal.other C1 people",
}
WORDS = {"warn": "warning", "restrict": "the feature misused is off", "suspend": "sending is suspended"}


def house() -> Agreement:
    return shipped(NAME)


@cache
def page() -> str:
    return path("policies/agreements/house-aup.en.md").read_text(encoding="utf-8")


def test_each_clause_has_its_categories_and_they_their_modes() -> None:
    found: dict[str, list[str]] = {}
    for category in house().category:
        (clause,) = category.ground
        mode = category.mode.value + (f"/{category.single}" if category.single else "")
        found.setdefault(clause, []).append(f"{category.id} {mode}" + (" people" if category.people_only else ""))
    assert {clause: ", ".join(sorted(said)) for clause, said in found.items()} == {
        clause: ", ".join(sorted(said.split(", "))) for clause, said in GROUNDS.items()
    }


def test_only_parts_two_and_three_can_be_breached() -> None:
    assert {key for key, clause in house().clause.items() if clause.in_mail} == set(GROUNDS)
    assert all(clause.number == key for key, clause in house().clause.items())
    assert all(clause.en.isascii() and not clause.zh.isascii() for clause in house().clause.values())


def test_no_political_category_is_in_it() -> None:
    assert not [c.id for c in house().category if c.id.startswith("pol.") or c.id == "hate.ethnic"]


def test_no_label_is_unmapped() -> None:
    assert unmapped(house(), CODES | ALL_CODES) == ()
    assert {row.label for row in crosswalk(house()) if row.category is not None} >= set(LABELS)


@pytest.mark.parametrize("index", range(len(house().rule)), ids=lambda n: f"{house().rule[n].finding}-{n}")
def test_each_rule_has_an_example_that_fails_without_it(index: int) -> None:
    assert failing(without(house(), "rule", index), house().rule[index].finding)


@pytest.mark.parametrize(("table", "field"), [("protection", "finding"), ("bulk", None), ("advisory", None)])
def test_each_other_line_has_an_example_that_fails_without_it(table: str, field: str | None) -> None:
    items = getattr(house(), table)
    codes = [getattr(item, field) if field else item for item in items]
    assert [code for n, code in enumerate(codes) if not failing(without(house(), table, n), code)] == []


@pytest.mark.parametrize("mode", ["A", "B"])
def test_no_category_for_people_can_be_raised_unseen(mode: str) -> None:
    locked = [c for c in house().category if c.mode in (Mode.C1, Mode.C2) and not c.people_only]
    assert locked
    for category in locked:
        text = re.sub(rf'(id = "{re.escape(category.id)}"\n(?:.+\n)*?mode = )"C2"', rf'\1"{mode}"', text_of(NAME))
        assert text != text_of(NAME)
        assert refusal(text), category.id


def test_without_a_person_it_goes_as_far_as_the_defaults() -> None:
    """STANDING 5.11 and 5.9: what A and B reach, and that all else reaches nothing."""
    reached = {(one.category, one.preset): one.text for one in rung_reach(house())}
    presets = (Preset.ATTENDED, Preset.SUPERVISED, Preset.STANDING_ORDER)
    assert [reached["malware", p] for p in presets] == ["suspend 72 h", "suspend 168 h", "suspend open-ended"]
    assert [reached["illegal.drugs", p] for p in presets] == ["warn", "restrict 24 h", "restrict 168 h"]
    people = {c.id for c in house().category if c.people_only or c.mode in (Mode.C1, Mode.C2)}
    assert {one.rung for one in rung_reach(house()) if one.category in people} == {Rung.NONE}


# --- the text to publish ----------------------------------------------------------------------------------------------


def test_the_text_has_every_clause_under_its_number_and_no_other() -> None:
    assert re.findall(r"\*\*(\d\.\d) ", page()) == list(house().clause)


def test_the_text_fits_on_two_pages() -> None:
    assert len(re.findall(r"[A-Za-z0-9][\w'.-]*", page())) <= 1100


def test_points_of_the_annex_are_those_of_the_file() -> None:
    points = house().points
    for severity, word in (("S1", "light"), ("S2", "middle"), ("S3", "grave")):
        row = next(line for line in page().splitlines() if line.startswith(f"| {word}"))
        assert f"| {points.by_severity[severity]:g} | {points.counts_days[severity]} days |" in row  # type: ignore[index]
    assert f"| {points.after_notice:g} more |" in page()


def test_steps_of_the_annex_are_those_of_the_file() -> None:
    rows = re.findall(r"^\| ([\d.]+) \| (.+?) \| (.+?) \|$", page().partition("from this many points")[2], re.MULTILINE)
    steps = [(f"{step.at:g}", WORDS[step.rung], step.hours) for step in house().ladder]
    assert [(at, word) for at, word, _ in steps] == [(at, said.partition(",")[0]) for at, said, _ in rows]
    lengths = {24: "24 hours", 168: "7 days"}
    assert [lengths[hours] for _, _, hours in steps if hours] == [said for _, _, said in rows if said[0].isdigit()]
    ends = ["whether the account has to end" in said for _, said, _ in rows]
    assert [step.propose_termination for step in house().ladder] == ends


def test_hours_and_days_in_the_text_are_those_of_the_file() -> None:
    words = " ".join(page().split())
    assert f"a lock for at most {house().incident.hold_hours} hours" in words
    assert f"nobody has answered within {house().incident.objection_hours} hours" in words
    assert f"For {house().probation_days} days after a suspension" in words
    lifecycle = house().lifecycle
    assert lifecycle is not None
    assert f"a reminder {lifecycle.renewal_notice_days} days before a paid term ends" in words
    assert f"your data is kept for {lifecycle.keep_days} days" in words
    assert f"its data is kept for at least {lifecycle.termination_keep_days} days" in words
    assert house().timezone == "UTC"
    assert house().languages[0] == "en"
