"""All outside mail passes through every check without an exception; a sample in `make test`, all of it at night."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from filterd.checks.spec import Check, Context, Prompt
from filterd.model.verdict import Verdict
from tests.bench.house import House, Letter
from tests.bench.mails import DevMail, fixtures, labelled
from tests.bench.signed import Signers
from tests.corpora.survey import DIRECTIONS, Survey, as_mails, patient, survey
from tests.corpora.table import page

pytestmark = pytest.mark.slow

# With no model for them anywhere, these have nobody to ask.
WITHOUT_MODEL = {"sexual", "terror", "drugs", "weapons"}

PLAIN = DevMail("made", "ham", b"From: a@example.org\r\nSubject: Tuesday\r\n\r\nThe meeting is on Tuesday at ten.\r\n")


def hold(seen: Survey, *, least: int) -> None:
    """No exception, no error of a check, nothing the reader gave up on; every check gave a verdict on every walk."""
    count = sum(seen.mails.values())
    assert count >= least
    assert seen.troubles == {}
    assert seen.unread == []
    for check in seen.checks:
        for direction in DIRECTIONS:
            assert seen.outcomes[direction, check].total() == count, check


def looked(seen: Survey) -> set[str]:
    """Say which checks have looked at a mail at all: neither skipped it nor failed."""
    said = {(check, word) for (_, check), counts in seen.outcomes.items() for word in counts}
    return {check for check in seen.checks if not {(check, "clean"), (check, "found")}.isdisjoint(said)}


@pytest.mark.data
@pytest.mark.slow
async def test_a_sample_of_all_mail_is_judged_without_an_error(data_dir: Path, tmp_path: Path) -> None:
    seen = await survey(labelled(500), tmp_path / "house")
    hold(seen, least=450)
    assert set(seen.checks) - looked(seen) <= WITHOUT_MODEL


@pytest.mark.data
@pytest.mark.slow
async def test_every_fixture_is_judged_without_an_error(data_dir: Path, tmp_path: Path) -> None:
    seen = await survey(as_mails(fixtures(data_dir)), tmp_path / "house")
    hold(seen, least=200)


@pytest.mark.data
@pytest.mark.nightly
async def test_all_mail_is_judged_without_an_error(data_dir: Path, tmp_path: Path) -> None:
    seen = await survey(labelled(), tmp_path / "house")
    hold(seen, least=3000)
    assert set(seen.checks) - looked(seen) <= WITHOUT_MODEL


async def test_a_survey_counts_both_ways_and_its_page_says_so(tmp_path: Path) -> None:
    seen = await survey([PLAIN, PLAIN._replace(label="spam")], tmp_path / "house")
    hold(seen, least=2)
    assert seen.dispositions["inbound", "ham"] == {"accept": 1}
    assert seen.outcomes["inbound", "pii"] == {"skipped inbound": 2}
    assert seen.outcomes["outbound", "spf"] == {"skipped not_inbound": 2}
    said = page(seen, seen, "2026-01-02")
    assert "2 mails, 4 walks. Exceptions and errors of checks: 0." in said
    assert "| pii | inbound | skipped inbound 2 |" in said
    assert "Tuesday" not in said


def in_tasks(check: Check) -> Check:
    """A check that is always asked in a task of its own."""

    async def run(context: Context) -> Verdict:
        return await check.run(context)

    return replace(patient(check), run=run)


@pytest.mark.data
@pytest.mark.slow
async def test_checks_say_the_same_whether_asked_at_once_or_in_tasks(data_dir: Path, tmp_path: Path) -> None:
    zone = Signers().zone
    at_once, later = House(tmp_path / "one", zone, around=patient), House(tmp_path / "two", zone, around=in_tasks)
    assert sum(isinstance(check.run, Prompt) for check in at_once.checks) > 15
    assert not any(isinstance(check.run, Prompt) for check in later.checks)
    count = 0
    for mail in labelled(150):
        for domain in (None, "stranger.example"):
            said = []
            for house in (at_once, later):
                await house.walk(Letter(raw=mail.raw, domain=domain))
                said.append([replace(verdict, elapsed_ms=0.0) for verdict in house.recorder.verdicts])
            assert said[0] == said[1]
            count += 1
    assert count >= 300


async def test_a_check_that_raises_or_is_late_is_not_overlooked(tmp_path: Path) -> None:
    def break_two(check: Check) -> Check:
        async def fail(_context: Context) -> Verdict:
            raise ValueError("words of the mail")

        async def hang(_context: Context) -> Verdict:
            await asyncio.Event().wait()
            raise AssertionError

        if check.name == "pii":
            return replace(check, run=fail)
        return replace(check, run=hang, deadline_s=0.01) if check.name == "links" else check

    seen = await survey([PLAIN], tmp_path / "house", break_two)
    assert seen.troubles == {("pii", "ValueError"): 2, ("pii", "exception"): 2, ("links", "deadline"): 2}
    assert "words of the mail" not in page(seen, seen, "2026-01-02")
