"""One real ledger a test, where one is needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.rig import House, open_house


@pytest.fixture
def house() -> Iterator[House]:
    with open_house() as house:
        yield house
