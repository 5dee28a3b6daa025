"""Every folder of tests/cases/dmarc: SPF by the real check, DKIM as the folder says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from filterd.checks import dmarc, spf
from tests.checks.auth_cases import folders, read_case


@pytest.mark.parametrize("folder", folders("dmarc"), ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    case = read_case(folder)
    earlier = (await spf.make().run(case.context), case.dkim)
    check = dmarc.make(rfc7489=case.said.get("rfc7489", False))
    case.hold(await check.run(replace(case.context, earlier=earlier)))


def test_there_are_cases() -> None:
    assert len(folders("dmarc")) >= 12
