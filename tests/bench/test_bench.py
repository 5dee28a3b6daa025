"""The benchmark runs, and what it walks over is really checked. No time is judged here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.__main__ import compare
from tests.bench.house import House, letters
from tests.bench.mails import dev_mails
from tests.bench.signed import Signers

pytestmark = pytest.mark.slow

SCANS = ("scan, without clamd", "scan, with clamd (ours only)", "served, without clamd")
MAILS = [
    b"From: a@example.org\r\nTo: b@example.net\r\nSubject: number %d\r\n\r\nThe meeting is off.\r\n" % number
    for number in range(20)
]


@pytest.mark.server
@pytest.mark.data
async def test_the_benchmark_runs_over_real_mail(data_dir: object) -> None:
    medians = await compare(dev_mails(40), rounds=1)
    assert set(medians) == {
        *(f"{name}{side}" for name in SCANS for side in ("", ", outbound", ", inbound")),
        "email.message_from_bytes, compat32",
        "email.message_from_bytes, default",
        "clamdscan --stream (client only)",
        "start: filterd --version",
        "start: filterd --help",
        "start: python alone",
        "reference: a fixed loop of Python, whole",
    }
    assert all(value > 0 for value in medians.values())


async def test_signed_mail_passes_what_its_zone_promises(tmp_path: Path) -> None:
    signers = Signers()
    outbound, inbound = letters(MAILS, signers)
    assert (len(outbound), len(inbound)) == (10, 10)
    house = House(tmp_path / "house", signers.zone)
    results = []
    for letter in inbound:
        await house.walk(letter)
        said = {v.check: [r.result for r in v.results] for v in house.recorder.verdicts}
        results.append((letter.is_signed, said["dkim"], said["spf"][0], said["dmarc"]))
    assert set(map(str, results)) == {
        str((True, ["pass"], "pass", ["pass"])),
        str((False, ["none"], "none", ["none"])),
    }
    assert sum(letter.is_signed for letter in inbound) == 6


async def test_every_check_that_comes_with_filterd_is_on_but_the_virus_scanner(tmp_path: Path) -> None:
    from filterd.checks import CHECKS

    house = House(tmp_path / "house", Signers().zone)
    assert {check.name for check in CHECKS} - {check.name for check in house.checks} == {"clamd"}
