"""Published test numbers: cards, IBANs, US social security numbers and mail addresses, with and without separators.

Every row must agree but for the deviations named here, each on purpose.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from filterd.checks.pii_numbers import Kind, count

TODAY = datetime.date(2026, 11, 2)
SUITES = {"CREDIT_CARD": (Kind.CARD, 19), "IBAN": (Kind.IBAN, 330), "US_SSN": (Kind.SSN, 13), "EMAIL": (None, 8)}

# Text: what we count, and why.
DEVIATIONS = {
    "4012888888881881 4012-8888-8888-1881 4012 8888 8888 1881": (1, "one value three times is one value"),
    "list of ibans: AL47212110090000000235698741, AL47212110090000000235698741": (1, "one value twice is one value"),
    "122000000000003": (0, "airline cards (UATP) begin with 1: so does every long counter"),
    "my credit card: 122000000000003": (0, "airline cards (UATP) begin with 1: so does every long counter"),
    "078051121": (0, "nine digits without groups or check digit are any number"),
    "078-051121 07805-1121": (0, "half-written groups are serial numbers"),
}
# No kind of ours: the ten rows on wallets (CRYPTO).


def published(folder: Path) -> dict[str, list[dict[str, Any]]]:
    suites: dict[str, list[dict[str, Any]]] = json.loads((folder / "conformance/pii/cases.json").read_text("utf-8"))
    return suites


@pytest.mark.parametrize("suite", SUITES)
def test_suite(suite: str, data_dir: Path) -> None:
    kind, rows_known = SUITES[suite]
    rows = published(data_dir)[suite]
    assert len(rows) == rows_known
    wrong = {}
    for row in rows:
        tallies, addresses = count([row["text"]], TODAY)
        got = addresses if kind is None else tallies[kind].valid
        wanted = DEVIATIONS.get(row["text"], (row["expect_count"], ""))[0]
        if got != wanted:
            wrong[row["text"]] = (got, wanted)
    assert wrong == {}


def test_every_deviation_is_one(data_dir: Path) -> None:
    suites = published(data_dir)
    theirs = {row["text"]: row["expect_count"] for suite in SUITES for row in suites[suite]}
    assert {text for text, (ours, _) in DEVIATIONS.items() if theirs[text] == ours} == set()
