"""Every folder of tests/cases/spf."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.checks import spf
from tests.checks.auth_cases import folders, read_case


@pytest.mark.parametrize("folder", folders("spf"), ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    case = read_case(folder)
    case.hold(await spf.make().run(case.context))


def test_there_are_cases() -> None:
    assert len(folders("spf")) >= 12
