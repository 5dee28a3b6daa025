"""DKIM vectors of chasquid and mail-auth: RFC 6376, RFC 8463 appendix A. Where a filter does otherwise than a library
is expected to, dkim_deviations.toml says so and why."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from filterd.checks import dkim
from filterd.errors import PortError
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.session import Direction
from filterd.model.verdict import Verdict
from filterd.ports import Asked, DnsAnswer
from tests.checks.contexts import context
from tests.conftest import find_data

SUITE = "conformance/dkim-vectors"
_DATA = find_data()
CASES: list[dict[str, Any]] = json.loads((_DATA / SUITE / "index.json").read_text()) if _DATA else []
MESSAGES = 13

DEVIATIONS = tomllib.loads((Path(__file__).parent / "dkim_deviations.toml").read_text(encoding="utf-8"))
PASSES = {"SUCCESS": ("pass",), "PERMFAIL": ("fail", "neutral", "permerror", "policy"), "TEMPFAIL": ("temperror",)}

pytestmark = pytest.mark.data


class SuiteLookups:
    """Answers from a case; the words TEMPERROR and PERMERROR stand for the ways in which a look-up can fail."""

    def __init__(self, records: dict[str, list[str]]):
        self._records = records

    @property
    def asked(self) -> tuple[Asked, ...]:
        return ()

    async def query(self, name: str, rdtype: str) -> DnsAnswer:
        texts = self._records.get(name, [])
        if texts in (["TEMPERROR"], ["PERMERROR"]):
            raise PortError("for testing", temporary=texts == ["TEMPERROR"])
        return DnsAnswer(records=tuple((text.encode(),) for text in texts), exists=bool(texts))


async def verdict_of(case: dict[str, Any], folder: Path) -> Verdict:
    raw, _ = canonical((folder / case["file"]).read_bytes())
    seen = context(raw, message=parse(raw), direction=Direction.INBOUND, dns=SuiteLookups(case["dns_txt"]))
    return await dkim.make().run(seen)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
async def test_every_signature_ends_as_the_suite_says(case: dict[str, Any], data_dir: Path) -> None:
    verdict = await verdict_of(case, data_dir / SUITE)
    results = [result.result for result in verdict.results]
    if case["id"] in DEVIATIONS:
        assert results == DEVIATIONS[case["id"]]["ours"]
    elif case["expect"] == "every signature passes":
        assert set(results) == {"pass"}
    else:
        assert len(results) == len(case["expect"])
        for result, expected in zip(verdict.results, case["expect"], strict=True):
            assert result.result in PASSES[expected["state"]], result.comment
            # An unreadable signature has no domain in the suite; here it keeps what could be read.
            assert not expected["domain"] or ("header.d", expected["domain"]) in result.properties


def test_the_suite_is_whole() -> None:
    assert len(CASES) == MESSAGES
    assert DEVIATIONS.keys() <= {case["id"] for case in CASES}
    assert all(row["why"] for row in DEVIATIONS.values())
