"""One real ledger a test, where one is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.rig import House, open_house
from tests.kit.waiting import PATIENCE_S


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is there is waited for."""
    for name in ("link.CONNECT_WITHIN_S", "probes.doors._WITHIN_S", "probes.programs._WITHIN_S"):
        monkeypatch.setattr(f"filterd.cli.{name}", PATIENCE_S)


@pytest.fixture
def house() -> Iterator[House]:
    with open_house() as house:
        yield house
