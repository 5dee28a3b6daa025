"""Agreement files with something taken away, and who notices: the loader, or one of the file's own examples."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from filterd.agreement.examples import run_example
from filterd.agreement.load import load
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.share import path
from tests.agreement.contract import CODES

SHIPPED = tuple(sorted(file.stem for file in path("policies/agreements").glob("*.toml")))
_BURST = "rate.burst.running"


@cache
def text_of(name: str) -> str:
    return path(f"policies/agreements/{name}.toml").read_text(encoding="utf-8")


@cache
def shipped(name: str) -> Agreement:
    return load(text_of(name).encode(), f"{name}.toml", ALL_CODES | CODES)


def without(terms: Agreement, table: str, index: int) -> Agreement:
    items = getattr(terms, table)
    return terms.model_copy(update={table: (*items[:index], *items[index + 1 :])})


def failing(mutant: Agreement, code: str) -> list[str]:
    """Say which of its examples no longer come out; only those that speak of `code` can."""
    return [
        example.name
        for example in mutant.example
        if any(code in act.findings or (act.burst and code == _BURST) for act in example.acts)
        and run_example(mutant, example) is not None
    ]


def without_clause(text: str, clause: str) -> str:
    return _taken(text, rf'\[clause\.(?:"{re.escape(clause)}"|{re.escape(clause)})\]\n(?:.+\n)+')


def without_rules(text: str, categories: Iterable[str]) -> str:
    """Take away every rule that leads to one of these categories, and what the categories themselves ask of a rule."""
    for category in categories:
        text = re.sub(rf'\[\[rule\]\]\nfinding = ".+"\ncategory = "{re.escape(category)}"\n(?:.+\n)*', "", text)
        text = re.sub(rf'(\[\[category\]\]\nid = "{re.escape(category)}"\n(?:.+\n)*?)requires = .+\n', r"\1", text)
    return text


@cache
def refusal(text: str) -> str:
    """Say why the loader refuses it; empty when it does not."""
    try:
        load(text.encode(), "mutant.toml", ALL_CODES | CODES)
    except ConfigError as err:
        return str(err)
    return ""


def _taken(text: str, pattern: str) -> str:
    block = re.search(pattern, text)
    assert block is not None, pattern
    return text.replace(block[0], "", 1)
