"""Every folder of tests/cases/arc."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.checks import arc
from tests.checks.auth_cases import folders, read_case


@pytest.mark.parametrize("folder", folders("arc"), ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    case = read_case(folder)
    case.hold(await arc.make().run(case.context))


def test_there_are_cases() -> None:
    assert len(folders("arc")) >= 15
