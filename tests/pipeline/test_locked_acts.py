"""Lists of locked categories are off until two people say otherwise, and one switches them off.  STANDING 5.5.

The attacker here is somebody inside: an administrator alone, or one of two who decide.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.adopted import locked_lists, locked_lists_are_enabled
from filterd.errors import RefusedError
from filterd.model.entry import SITE
from filterd.model.standing import History
from tests.pipeline.locked_rig import BASIS, adopt, approve, enable, propose, said, write
from tests.pipeline.people import Office, open_office

pytestmark = pytest.mark.slow

ADDED = "nobody has vouched for them"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        yield opened


def site(office: Office) -> History:
    return office.engine.run(lambda txn: txn.history(SITE))


def approved(office: Office) -> dict[str, str]:
    return {name: row.digest for name, row in locked_lists(site(office)).items()}


async def test_off_until_two_people_let_such_lists_run_and_two_approve_the_list(office: Office) -> None:
    file = write(office)
    digest = said(office, file)["list_digest"]
    assert not locked_lists_are_enabled(site(office))
    made = await propose(office, "locked_lists.enable", legal_basis=BASIS)
    with pytest.raises(RefusedError, match="another person approves"):
        await approve(office, made, by="dana")
    assert not locked_lists_are_enabled(site(office))
    await approve(office, made)
    assert locked_lists_are_enabled(site(office))
    assert approved(office) == {}
    listed = await propose(office, "locked_list.adopt", **said(office, file))
    with pytest.raises(RefusedError, match="another person approves"):
        await approve(office, listed, by="dana")
    assert approved(office) == {}
    await approve(office, listed)
    assert approved(office) == {"kites": digest}


async def test_a_list_alone_does_not_let_lists_run(office: Office) -> None:
    await adopt(office, write(office))
    assert approved(office) == {}


async def test_every_change_is_an_act_of_two_by_digest_and_the_last_one_counts(office: Office) -> None:
    await enable(office)
    await adopt(office, write(office))
    first = approved(office)
    file = write(office, file_text(office).replace("teapot", "kettle"))
    made = await propose(office, "locked_list.adopt", **said(office, file))
    assert approved(office) == first
    with pytest.raises(RefusedError, match="say what you have read"):
        await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest="0" * 64)
    await approve(office, made)
    assert approved(office) == {"kites": said(office, file)["list_digest"]} != first
    with pytest.raises(RefusedError, match="approved already"):
        await propose(office, "locked_list.adopt", **said(office, file))


def file_text(office: Office) -> str:
    return (office.folder / "locked" / "kites.toml").read_text(encoding="utf-8")


async def test_of_two_proposals_the_second_one_is_stale(office: Office) -> None:
    await enable(office)
    first = await propose(office, "locked_list.adopt", **said(office, write(office)))
    file = write(office, file_text(office).replace("teapot", "kettle"))
    second = await propose(office, "locked_list.adopt", **said(office, file))
    await approve(office, first)
    with pytest.raises(RefusedError, match="approved: none ->"):
        await approve(office, second)


@pytest.mark.parametrize("who", ["dana", "erin", "fritz"])
async def test_one_person_switches_them_off_and_two_are_needed_again(office: Office, who: str) -> None:
    entry = await enable(office)
    await adopt(office, write(office))
    with pytest.raises(RefusedError, match="run already"):
        await propose(office, "locked_lists.enable", legal_basis=BASIS)
    await office.act(who, "register.end", entry=entry, reason="enough")
    assert approved(office) == {}
    made = await propose(office, "locked_lists.enable", legal_basis=BASIS)
    with pytest.raises(RefusedError, match="another person approves"):
        await approve(office, made, by="dana")
    await approve(office, made)
    assert list(approved(office)) == ["kites"]


async def test_one_person_takes_one_list_back_and_no_earlier_one_comes_in_its_place(office: Office) -> None:
    await enable(office)
    await adopt(office, write(office))
    entry = await adopt(office, write(office, file_text(office).replace("teapot", "kettle")))
    await office.act("fritz", "register.end", entry=entry, reason="finds innocent mail")
    assert approved(office) == {}


@pytest.mark.parametrize("mode", [None, "solo"])
async def test_whoever_is_alone_cannot_have_them(tmp_path: Path, mode: str | None) -> None:
    tables: dict[str, Any] = {} if mode is None else {"staffing": {"mode": mode}}
    names = ("dana",) if mode is None else ("dana", "erin", "fritz")
    async with open_office(tmp_path, **tables) as office:
        await office.hire(*names)
        for act, terms in (
            ("locked_lists.enable", {"legal_basis": BASIS}),
            ("locked_list.adopt", said(office, write(office))),
        ):
            with pytest.raises(RefusedError, match="solo"):
                await propose(office, act, **terms)


async def test_what_was_proposed_by_two_is_not_approved_where_one_is_left(office: Office) -> None:
    made = await propose(office, "locked_lists.enable", legal_basis=BASIS)
    await office.hire("fritz", "dana", role="viewer")
    with pytest.raises(RefusedError, match="is_solo: 0 -> 1"):
        await approve(office, made)
    assert not locked_lists_are_enabled(site(office))


async def test_an_administrator_alone_is_not_two_however_long_they_wait(tmp_path: Path) -> None:
    """Adding two people and being both would do for other acts a day later, under two alarms; not for this one."""
    async with open_office(tmp_path) as office:
        office.tokens["mal"] = (await office.ledger.call("person.add", {"name": "mal", "role": "admin"}))["token"]
        for name in ("one", "two"):
            added = await office.act("mal", "person.add", name=name, role="moderator")
            office.tokens[name] = added["token"]
        office.clock.advance(days=40)
        with pytest.raises(RefusedError, match="has role"):
            await propose(office, "locked_lists.enable", by="mal", legal_basis=BASIS)
        with pytest.raises(RefusedError, match=ADDED):
            await propose(office, "locked_lists.enable", by="one", legal_basis=BASIS)
        # Nor when each of the two says that the other one is somebody.
        added = await office.act("mal", "person.add", name="three", role="moderator")
        office.tokens["three"] = added["token"]
        await office.act("one", "person.vouch", name="three", reason="I am them")
        with pytest.raises(RefusedError, match=ADDED):
            await propose(office, "locked_lists.enable", by="three", legal_basis=BASIS)


async def test_the_second_one_must_be_known_as_well_and_a_known_one_s_word_is_enough(office: Office) -> None:
    await office.hire("mal", role="admin")
    office.tokens["new"] = (await office.act("mal", "person.add", name="new", role="moderator"))["token"]
    made = await propose(office, "locked_lists.enable", legal_basis=BASIS)
    with pytest.raises(RefusedError):
        await approve(office, made, by="new")
    await office.act("erin", "person.vouch", name="new", reason="we have met")
    await approve(office, made, by="new")
    assert locked_lists_are_enabled(site(office))


@pytest.mark.parametrize("role", ["admin", "policy_editor", "reviewer", "viewer", "auditor", "service"])
async def test_who_does_not_decide_about_accounts_proposes_and_approves_nothing(office: Office, role: str) -> None:
    await office.hire("otto", role=role)
    with pytest.raises(RefusedError, match="has role"):
        await propose(office, "locked_lists.enable", by="otto", legal_basis=BASIS)
    made = await propose(office, "locked_lists.enable", legal_basis=BASIS)
    with pytest.raises(RefusedError, match="has role"):
        await approve(office, made, by="otto")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"category": "spam.outbound"}, "is no locked category"),
        ({"category": "abuse.insult"}, "is no locked category"),
        ({"list": "../kites"}, "named by id and SHA-256"),
        ({"list_digest": "abc"}, "named by id and SHA-256"),
        ({"legal_basis": ""}, "--legal-basis"),
        ({"scope": ""}, "--scope"),
        ({"entries": "many"}, "how many terms"),
        ({"until": "2027-03-02T00:00:00+00:00"}, "at most 180 days"),
    ],
)
async def test_what_is_no_such_list_is_said(office: Office, change: dict[str, str], words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        await propose(office, "locked_list.adopt", **said(office, write(office)) | change)


async def test_a_locked_list_does_not_come_in_by_the_other_act(office: Office) -> None:
    given = said(office, write(office))
    for label in ("pol.security", "political", "pol"):
        with pytest.raises(RefusedError, match="is no label of a term list"):
            await propose(office, "terms.adopt", **given, label=label)
