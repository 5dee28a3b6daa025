"""Two thousand mails through door, relay and sink in one process. Prints the rate, judges only completeness."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.dialogs.house import House, open_house

MAILS, CLIENTS = 2000, 10
BODY = b"Subject: x\r\n\r\n" + (b"x" * 78 + b"\r\n") * 50


async def send(house: House, count: int) -> None:
    async with house.dialog() as talk:
        await talk.greeted()
        for _ in range(count):
            await talk.envelope()
            assert (await talk.data(BODY)).startswith("250 ")


@pytest.mark.slow
async def test_two_thousand_mails_arrive(capsys: pytest.CaptureFixture[str]) -> None:
    async with open_house() as house:
        started = time.perf_counter()
        await asyncio.gather(*(send(house, MAILS // CLIENTS) for _ in range(CLIENTS)))
        elapsed = time.perf_counter() - started
        with capsys.disabled():
            print(f"\n{MAILS} mails of {len(BODY)} octets, {CLIENTS} clients, one process: {MAILS / elapsed:.0f}/s")
        assert house.sink.counts["messages"] == MAILS
        assert len(house.gate.deliveries) == MAILS
        assert house.sink.counts["connections"] <= CLIENTS
        assert not house.errors
