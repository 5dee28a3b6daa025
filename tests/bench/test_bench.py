"""The benchmark runs, and what it walks over is really checked. No time is judged here."""

from __future__ import annotations

import pytest

from tests.bench.__main__ import compare
from tests.bench.mails import dev_mails


@pytest.mark.bench_smoke
@pytest.mark.data
async def test_the_benchmark_runs_over_real_mail(data_dir: object) -> None:
    medians = await compare(dev_mails(40), rounds=1)
    assert set(medians) == {
        "scan, without clamd",
        "scan, with clamd (ours only)",
        "email.message_from_bytes, compat32",
        "email.message_from_bytes, default",
        "clamdscan --stream (client only)",
    }
    assert all(value > 0 for value in medians.values())
