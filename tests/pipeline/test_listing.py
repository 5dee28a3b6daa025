"""An address of ours on a blocklist: operations, never points.  STANDING 5.2, 7.3 story_s4 step 7."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from filterd.errors import RefusedError
from filterd.model import records as r
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana")
        await opened.spread()
        yield opened


async def test_a_listed_address_is_a_record_of_operations_and_nobody_s_points(office: Office) -> None:
    before, tenant = await office.show(ALICE), (await office.mailbox()).tenant_id
    rows = len(office.records(tenant)), len(office.promised())
    given = {"address": "192.0.2.7", "blocklist": "bl.example", "pool": "shared"}
    said = await office.act("dana", "register.listing", **given)
    moved = await office.act("dana", "register.listing", **given, moved_to="clean-2")
    found = [x for x in await office.act("dana", "register.list") if x["register"] == "listing.noted"]
    assert [(x["address"], x["blocklist"], x["pool"], x["moved_to"], x["by"]) for x in found] == [
        ("192.0.2.7", "bl.example", "shared", "", "dana"),
        ("192.0.2.7", "bl.example", "shared", "clean-2", "dana"),
    ]
    # Not a word of it is about an account or a tenant, and nobody is written to.
    assert await office.show(ALICE) == before
    assert (len(office.records(tenant)), len(office.promised())) == rows
    assert len(office.site(r.ListingNoted)) == 2
    for entry in (said, moved):
        await office.act("dana", "register.end", entry=entry["entry_id"], reason="off the list")
    assert [x for x in await office.act("dana", "register.list") if x["register"] == "listing.noted"] == []


async def test_what_is_no_address_or_stands_there_already_is_refused(office: Office) -> None:
    for wrong in (
        {"address": "mail.example", "blocklist": "bl.example"},
        {"address": "192.0.2.7"},
        {"address": "192.0.2.7", "blocklist": "a list"},
        {"address": "192.0.2.7", "blocklist": "bl.example", "pool": "x" * 81},
    ):
        with pytest.raises(RefusedError):
            await office.act("dana", "register.listing", **wrong)
    # One address has one spelling.
    await office.act("dana", "register.listing", address="2001:DB8:0::1", blocklist="bl.example")
    with pytest.raises(RefusedError, match="noted already"):
        await office.act("dana", "register.listing", address="2001:db8::1", blocklist="bl.example")


async def test_only_who_runs_the_place_notes_it(office: Office) -> None:
    await office.hire("ada", role="tenant_admin", tenant=(await office.mailbox()).tenant_id)
    await office.hire("vic", role="viewer")
    for name in ("ada", "vic"):
        with pytest.raises(RefusedError):
            await office.act(name, "register.listing", address="192.0.2.7", blocklist="bl.example")
