"""Nothing in the shipped agreement is idle: whatever is taken away, an example or the table says so.

Each mutant is the file with one thing less. It must be refused by the loader, or by an example of its own.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from filterd.agreement.examples import run_example
from filterd.agreement.load import load
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.share import path
from tests.agreement.contract import CODES, shipped

pytestmark = pytest.mark.slow

TEXT = path("policies/agreements/tencent-exmail.toml").read_text(encoding="utf-8")


def failing(mutant: Agreement, code: str) -> list[str]:
    """Say which examples no longer come out; only those that speak of `code` can."""
    return [
        example.name
        for example in shipped().example
        if any(code in act.findings or (act.burst and code == "rate.burst.running") for act in example.acts)
        and run_example(mutant, example) is not None
    ]


def without(name: str, index: int) -> Agreement:
    items = getattr(shipped(), name)
    return shipped().model_copy(update={name: (*items[:index], *items[index + 1 :])})


@pytest.mark.parametrize("index", range(len(shipped().rule)), ids=lambda n: f"{shipped().rule[n].finding}-{n}")
def test_each_rule_has_an_example(index: int) -> None:
    assert failing(without("rule", index), shipped().rule[index].finding)


@pytest.mark.parametrize("index", range(len(shipped().protection)), ids=lambda n: shipped().protection[n].finding)
def test_each_protection_has_an_example(index: int) -> None:
    assert failing(without("protection", index), shipped().protection[index].finding)


@pytest.mark.parametrize("code", shipped().bulk)
def test_each_sign_of_bulk_has_an_example(code: str) -> None:
    assert failing(without("bulk", shipped().bulk.index(code)), code)


def test_each_advice_has_an_example() -> None:
    idle = [code for n, code in enumerate(shipped().advisory) if not failing(without("advisory", n), code)]
    assert idle == []


def test_each_bound_of_confidence_has_an_example() -> None:
    terms = shipped()
    for index, rule in enumerate(terms.rule):
        if rule.min_confidence == 0 and rule.below_confidence is None:
            continue
        wide = rule.model_copy(update={"min_confidence": 0.0, "below_confidence": None})
        mutant = terms.model_copy(update={"rule": (*terms.rule[:index], wide, *terms.rule[index + 1 :])})
        assert failing(mutant, rule.finding), rule


def test_each_category_that_rules_lead_to_is_needed() -> None:
    """The others are held by the table of test_crosswalk."""
    led_to = {rule.category for rule in shipped().rule}
    for category in shipped().category:
        block = re.search(rf'\[\[category\]\]\nid = "{re.escape(category.id)}"\n(?:.+\n)+', TEXT)
        assert block is not None
        mutant = TEXT.replace(block[0], "", 1)
        if category.id not in led_to:
            assert category.people_only
            continue
        assert "names category" in refusal(mutant), category.id


def test_each_clause_that_can_be_breached_is_needed() -> None:
    for key, clause in shipped().clause.items():
        block = re.search(rf'\[clause\."{re.escape(key)}"\]\n(?:.+\n)+', TEXT)
        assert block is not None
        if clause.in_mail:
            assert f"clause '{key}', which the file does not have" in refusal(TEXT.replace(block[0], "", 1))


@pytest.mark.parametrize("mode", ["A", "B"])
def test_no_locked_category_can_be_raised_unseen(mode: str) -> None:
    """Another mode is another line of the table; where checks lead to it, an example fails as well."""
    terms = shipped()
    for index, category in enumerate(terms.category):
        if category.mode.value[0] != "C" or category.people_only:
            continue
        raised = category.model_copy(update={"mode": mode})
        mutant = terms.model_copy(
            update={"category": (*terms.category[:index], raised, *terms.category[index + 1 :])}
        )
        finding = next(rule.finding for rule in terms.rule if rule.category == category.id)
        assert failing(mutant, finding), category.id


@cache
def refusal(text: str) -> str:
    """Say why the loader refuses it; empty when it does not."""
    try:
        load(text.encode(), "mutant.toml", ALL_CODES | CODES)
    except ConfigError as err:
        return str(err)
    return ""
