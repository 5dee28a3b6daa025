"""The tables of OpenDMARC's own tests. Every other answer of ours stands, with its reason, in dmarc_deviations.toml."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from filterd.checks.dmarc import evaluate, read_identifiers
from filterd.checks.dmarc_policy import Policies
from filterd.checks.dmarc_record import read_record
from filterd.checks.psl import load
from filterd.mail.author import author
from filterd.mail.parse import parse
from filterd.model.verdict import AuthResult, Outcome, Verdict
from tests.kit.zones import ZoneLookups

DEVIATIONS = tomllib.loads((Path(__file__).parent / "dmarc_deviations.toml").read_text(encoding="utf-8"))


def read_tables(data_dir: Path) -> Tables:
    read: Tables = json.loads((data_dir / "conformance/dmarc-opendmarc/cases.json").read_text(encoding="utf-8"))
    return read


@pytest.fixture(scope="module")
def tables(data_dir: Path) -> Tables:
    return read_tables(data_dir)


def compare(table: str, actual: dict[str, Any], expected: dict[str, Any]) -> None:
    """Hold every answer to the table's, or to ours where that is argued; an argument that is not needed fails too."""
    argued = {key: said["ours"] for key, said in DEVIATIONS[table].items()}
    assert actual == expected | argued
    assert {key for key in argued if argued[key] == expected[key]} == set()
    assert all(said["why"] for said in DEVIATIONS[table].values())


Tables = dict[str, list[dict[str, Any]]]
# Our answer and the table's, by what was given.
Answers = tuple[dict[str, Any], dict[str, Any]]


async def alignment(tables: Tables) -> Answers:
    actual, expected = {}, {}
    for row in tables["alignment"]:
        key = f"{row['identifier']} {row['from_domain']}"
        mode = "; adkim=s" if row["mode"] == "strict" else ""
        zone = {f"_dmarc.{row['from_domain']}": {"TXT": [f"v=DMARC1; p=none{mode}"]}}
        # The organisation of b.com vouches for a.b.com too, when the record stands there.
        passed = AuthResult(method="dkim", result="pass", properties=(("header.d", row["identifier"]),))
        verdict = Verdict(check="dkim", version="1", outcome=Outcome.CLEAN, results=(passed,))
        identifiers, _ = read_identifiers((None, verdict))
        policies = Policies(ZoneLookups(zone), load())
        actual[key] = (await evaluate(policies, row["from_domain"], identifiers)).aligned is not None
        expected[key] = row["aligned"]
    return actual, expected


async def test_alignment(tables: Tables) -> None:
    compare("alignment", *(await alignment(tables)))


def author_domain(tables: Tables) -> Answers:
    actual, expected = {}, {}
    for row in tables["from_header_domain"]:
        found = author(parse(f"From: {row['from_header']}\r\n\r\n".encode()))
        actual[row["from_header"]] = found.domain or found.problem
        expected[row["from_header"]] = row["domain"]
    return actual, expected


def test_author_domain(tables: Tables) -> None:
    actual, expected = author_domain(tables)
    assert len(expected) == 13
    compare("from", actual, expected)


def records(tables: Tables) -> Answers:
    actual, expected = {}, {}
    for row in tables["record_parse"]:
        record = read_record((row["record"].encode(),))
        actual[row["record"]] = "none" if record is None else "okay" if record.is_usable else "unusable"
        # Their errors in three kinds: no DMARC record at all, one that means nothing, and the rest.
        expected[row["record"]] = {
            "okay": "okay",
            "error_empty": "none",
            "error_bad_version": "none",
            "error_bad_value": "unusable",
            "error_no_required_p": "unusable",
        }[row["outcome"]]
    return actual, expected


def test_records(tables: Tables) -> None:
    actual, expected = records(tables)
    assert len(expected) == 19
    compare("record", actual, expected)
