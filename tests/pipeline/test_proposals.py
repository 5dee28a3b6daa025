"""Acts that take two people: digest-bound, in time, by somebody else, and only while what they rest on holds.

STANDING 5.5, 5.7-18; property prop_two_people.
"""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.proposal import canonical, differences, digest_of, staffing_of
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.staffing import Staffing, StaffingRules
from filterd.pipeline.proposals import Acts
from filterd.pipeline.terminations import REINSTATE, TERMINATE
from tests.pipeline.people import ALICE, Office, open_office

pytestmark = pytest.mark.slow


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        await opened.suspend("dana")
        yield opened


async def proposed(office: Office, by: str = "dana") -> dict[str, Any]:
    found: dict[str, Any] = await office.act(
        by, "proposal.make", act="account.terminate", subject=ALICE, reason="third time"
    )
    return found


async def approve(office: Office, by: str, proposal: dict[str, Any], digest: str | None = None) -> Any:
    said = proposal["digest"] if digest is None else digest
    return await office.act(by, "proposal.approve", proposal=proposal["proposal_id"], digest=said)


async def test_another_person_approves_and_both_names_are_on_record(office: Office) -> None:
    proposal = await proposed(office)
    said = await approve(office, "erin", proposal)
    assert (said["by"], said["approver"], said["is_self_review"]) == ("dana", "erin", False)
    records = office.records((await office.mailbox()).account_id)
    (made,) = [x for x in records if isinstance(x, r.Proposed)]
    (approved,) = [x for x in records if isinstance(x, r.Approved)]
    (ended,) = [x for x in records if isinstance(x, r.ProposalEnded)]
    assert (made.by, approved.by, approved.digest) == ("dana", "erin", made.digest)
    assert ended.because == "carried_out"
    with pytest.raises(RefusedError, match="carried out"):
        await approve(office, "fritz", proposal)


@pytest.mark.parametrize(
    ("by", "digest", "said"),
    [
        ("dana", None, "another person approves"),
        ("erin", "", "say what you have read"),
        ("erin", "0" * 64, "say what you have read"),
        ("erin", "0123", "say what you have read"),
    ],
)
async def test_not_by_who_proposed_it_and_not_unread(office: Office, by: str, digest: str | None, said: str) -> None:
    proposal = await proposed(office)
    with pytest.raises(RefusedError, match=said):
        await approve(office, by, proposal, digest)
    assert (await office.show(ALICE))["coming"] == []


async def test_twelve_characters_of_the_digest_will_do(office: Office) -> None:
    proposal = await proposed(office)
    await approve(office, "erin", proposal, proposal["digest"][:12])
    assert len((await office.show(ALICE))["coming"]) == 1


async def test_after_72_hours_it_has_expired(office: Office) -> None:
    proposal = await proposed(office)
    office.clock.advance(hours=72)
    with pytest.raises(RefusedError, match="expired"):
        await approve(office, "erin", proposal)
    assert await office.ledger.call("proposal.list", {}) == []
    (row,) = await office.ledger.call("proposal.list", {"all": True})
    assert row["state"] == "expired"


async def test_case_5_7_18_a_stale_proposal_fails_with_the_difference(office: Office) -> None:
    """STANDING 5.7-18: between proposal and approval the suspension was lifted, or points came."""
    proposal = await proposed(office)
    sanction = (await office.show(ALICE))["sanctions"][0]["sanction_id"]
    await office.act("fritz", "sanction.lift", sanction=sanction, reason="a mistake")
    with pytest.raises(RefusedError, match=r"suspended -> good.*suspensions: \S+ -> none") as refused:
        await approve(office, "erin", proposal)
    assert "propose again" in str(refused.value)
    shown = await office.ledger.call("proposal.show", {"proposal": proposal["proposal_id"]})
    assert any(line.startswith("standing: ") for line in shown["changed"])


async def test_points_that_came_since_make_it_stale(office: Office) -> None:
    await office.act(
        "dana", "sanction.lift", sanction=(await office.show(ALICE))["sanctions"][0]["sanction_id"], reason="begin anew"
    )
    await office.spread(subject="one")
    await office.suspend("dana")
    proposal = await proposed(office)
    (incident,) = [x for x in (await office.show(ALICE))["incidents"] if x["points"]]
    await office.act("fritz", "sanction.annul", sanction=incident["incident_id"], reason="our error")
    with pytest.raises(RefusedError, match="half_points: 8 -> 0"):
        await approve(office, "erin", proposal)


async def test_one_at_a_time_and_withdrawn_by_its_own_hand_only(office: Office) -> None:
    proposal = await proposed(office)
    with pytest.raises(RefusedError, match="proposes that already"):
        await proposed(office, "erin")
    with pytest.raises(RefusedError, match="dana has proposed it"):
        await office.act("erin", "proposal.withdraw", proposal=proposal["proposal_id"], reason="no")
    said = await office.act("dana", "proposal.withdraw", proposal=proposal["proposal_id"], reason="no")
    assert said["state"] == "withdrawn"
    again = await proposed(office, "erin")
    assert again["proposal_id"] != proposal["proposal_id"]
    said = await office.act("dana", "proposal.refuse", proposal=again["proposal_id"], reason="no")
    assert said["state"] == "refused"


async def test_programs_and_nobody_never_count(office: Office) -> None:
    await office.hire("robot", role="service")
    await office.hire("vera", role="viewer")
    proposal = await proposed(office)
    for name in ("robot", "vera"):
        with pytest.raises(RefusedError, match=f"{name} has role"):
            await approve(office, name, proposal)
    nobody = {"as_root": True, "proposal": proposal["proposal_id"], "digest": proposal["digest"]}
    with pytest.raises(RefusedError, match="root has role root"):
        await office.ledger.call("proposal.approve", nobody)
    with pytest.raises(RefusedError, match="named person"):
        await office.ledger.call("proposal.approve", {**nobody, "as_root": False})


async def test_an_unknown_act_or_proposal_is_named(office: Office) -> None:
    with pytest.raises(RefusedError, match=r"known: account\.reinstate, account\.terminate"):
        await office.act("dana", "proposal.make", act="account.explode", subject=ALICE, reason="x")
    with pytest.raises(UsageError, match="no proposal q_none"):
        await office.act("dana", "proposal.approve", proposal="q_none", digest="x")


# --- how many there are -----------------------------------------------------------------------------------------------


async def test_case_solo_self_review(tmp_path: Path) -> None:
    """STANDING 5.5: alone, the second look is the same person's a day later, and everybody can see that."""
    async with open_office(tmp_path) as office:
        await office.hire("dana")
        await office.suspend("dana")
        proposal = await proposed(office)
        with pytest.raises(RefusedError, match="look again from 2026-03-03"):
            await approve(office, "dana", proposal)
        office.clock.advance(hours=24)
        said = await approve(office, "dana", proposal)
        assert said["is_self_review"] is True
        (approved,) = [x for x in office.records((await office.mailbox()).account_id) if isinstance(x, r.Approved)]
        assert (approved.by, approved.is_self_review) == ("dana", True)


async def test_a_roster_of_two_needs_both_unless_the_operator_says_solo(tmp_path: Path) -> None:
    async with open_office(tmp_path / "pair") as pair:
        await pair.hire("dana", "erin")
        await pair.suspend("dana")
        proposal = await proposed(pair)
        pair.clock.advance(hours=25)
        with pytest.raises(RefusedError, match="another person approves"):
            await approve(pair, "dana", proposal)
    async with open_office(tmp_path / "solo", staffing={"mode": "solo"}) as solo:
        await solo.hire("dana", "erin")
        await solo.suspend("dana")
        proposal = await proposed(solo)
        solo.clock.advance(hours=25)
        assert (await approve(solo, "dana", proposal))["is_self_review"] is True


@pytest.mark.parametrize(
    ("mode", "deciders", "expected"),
    [
        (None, 0, Staffing.SOLO),
        (None, 1, Staffing.SOLO),
        (None, 2, Staffing.PAIR),
        (None, 3, Staffing.TEAM),
        (None, 40, Staffing.TEAM),
        (Staffing.SOLO, 40, Staffing.SOLO),
        (Staffing.TEAM, 1, Staffing.TEAM),
    ],
)
def test_staffing_is_as_the_roster_or_as_said(mode: Staffing | None, deciders: int, expected: Staffing) -> None:
    assert staffing_of(StaffingRules(mode=mode), deciders) is expected


async def test_what_cannot_be_one_persons_is_not_even_a_day_later(tmp_path: Path) -> None:
    """Lists of locked categories, standing orders, evidence handed out, early purge (STANDING 5.5, solo)."""
    from dataclasses import replace

    from filterd.agreement.proposal import ProposalFile, second

    async with open_office(tmp_path) as office:
        await office.hire("dana")
        await office.suspend("dana")
        await proposed(office)
        (made,) = [x for x in office.records((await office.mailbox()).account_id) if isinstance(x, r.Proposed)]
        office.clock.advance(hours=30)
        file = ProposalFile(proposed=replace(made, act="evidence.export"))
        for can_be_alone in (True, False):
            said = second(
                file, "dana", office.clock.now(), StaffingRules(), Staffing.SOLO,
                said_digest=made.digest, can_be_alone=can_be_alone,
            )
            assert (said.refusal is None) is can_be_alone


# --- the pure half ----------------------------------------------------------------------------------------------------


def test_every_edit_is_another_proposal() -> None:
    base = ("account.terminate", "a_1", canonical({"clauses": ["3.6"], "n": 1}), ("i_1",), "why")
    edits: list[Any] = ["account.reinstate", "a_2", canonical({"clauses": ["3.6"], "n": 2}), ("i_2",), "why not"]
    digests = {digest_of(*base)}
    for place, edit in enumerate(edits):
        digests.add(digest_of(*base[:place], edit, *base[place + 1 :]))
    assert len(digests) == len(edits) + 1


def test_the_same_terms_in_another_order_are_the_same() -> None:
    texts = {canonical(dict(items)) for items in itertools.permutations([("a", 1), ("b", ["x"]), ("c", None)])}
    assert len(texts) == 1


@pytest.mark.parametrize("value", [1.5, {"x": [0.1]}, object()])
def test_terms_are_codes_ids_and_whole_numbers(value: object) -> None:
    with pytest.raises(TypeError):
        canonical({"x": value})


def test_a_difference_names_what_changed_and_nothing_else() -> None:
    assert differences({"a": 1, "b": ["x", "y"]}, {"a": 1, "b": ["x"], "c": "new"}) == (
        "b: x, y -> x",
        "c: none -> new",
    )
    assert differences({"a": 1}, {"a": 1}) == ()


def test_two_acts_of_one_name_are_refused() -> None:
    assert Acts(TERMINATE, REINSTATE).names() == ("account.reinstate", "account.terminate")
    with pytest.raises(UsageError, match="two acts"):
        Acts(TERMINATE, TERMINATE)


# --- whatever people try ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("dana",), ("dana", "erin"), ("dana", "erin", "fritz")])
async def test_prop_two_people(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Whoever tries what and when: an act that was carried out has two names, or one person's two looks a day apart."""
    chance = random.Random(len(names))
    async with open_office(tmp_path) as office:
        await office.hire(*names)
        await office.suspend("dana")
        known: list[dict[str, Any]] = []
        for _ in range(60):
            office.clock.advance(hours=chance.choice((0, 1, 20, 30)))
            with contextlib.suppress(RefusedError):
                if not known or chance.random() < 0.3:
                    known.append(await proposed(office, chance.choice(names)))
                elif chance.random() < 0.2:
                    verb = chance.choice(("proposal.veto", "proposal.withdraw", "proposal.refuse"))
                    await office.act(
                        chance.choice(names), verb, proposal=chance.choice(known)["proposal_id"], reason="r"
                    )
                else:
                    said, named = chance.choice(known[-3:]), chance.choice(known[-3:])
                    await approve(office, chance.choice(names), said, named["digest"])
        records = office.records((await office.mailbox()).account_id)
        made = {x.proposal_id: x for x in records if isinstance(x, r.Proposed)}
        seen = {x.proposal_id: x for x in records if isinstance(x, r.Approved)}
        done = [x.proposal_id for x in records if isinstance(x, r.ProposalEnded) and x.because == "carried_out"]
        assert done
        for proposal_id in done:
            first, second = made[proposal_id], seen[proposal_id]
            assert second.digest == first.digest
            assert first.at <= second.at < first.expires_at
            is_alone = len(names) == 1
            assert (second.by == first.by) is second.is_self_review is is_alone
            assert not is_alone or second.at >= first.at + timedelta(hours=24)
