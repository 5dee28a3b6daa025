"""Term lists and raised categories: nothing acts that two people have not approved.  STANDING 5.5, CLAUSES §1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.agreement.adopted import adopted_lists, as_adopted, unraised
from filterd.agreement.category import Category
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError
from filterd.model.decision import Disposition
from filterd.model.entry import SITE
from filterd.model.standing import History
from tests.kit.clock import NOON
from tests.kit.house import letter
from tests.kit.terms import tencent
from tests.pipeline.people import ALICE, BOB, Office, open_office

pytestmark = pytest.mark.slow

INSULT = "content.insult.model"
FIRST, SECOND = "a" * 64, "b" * 64
KITES = {
    "list": "kites",
    "list_digest": FIRST,
    "label": "gambling",
    "entries": "3",
    "legal_basis": "House rule 12 of 2026-05-01",
    "days": "90",
}


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        yield opened


def site(office: Office) -> History:
    return office.engine.run(lambda txn: txn.history(SITE))


async def propose(office: Office, act: str, by: str = "dana", **terms: Any) -> dict[str, Any]:
    made: dict[str, Any] = await office.act(by, "proposal.make", act=act, subject="site", reason="checked", **terms)
    return made


async def both(office: Office, act: str, **terms: Any) -> Any:
    made = await propose(office, act, **terms)
    return await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])


# --- term lists -------------------------------------------------------------------------------------------------------


async def test_a_list_is_approved_by_its_digest_and_the_last_one_counts(office: Office) -> None:
    assert adopted_lists(site(office)) == {}
    made = await propose(office, "terms.adopt", **KITES)
    assert adopted_lists(site(office)) == {}
    with pytest.raises(RefusedError, match="another person approves"):
        await office.act("dana", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    assert adopted_lists(site(office)) == {"kites": FIRST}
    await both(office, "terms.adopt", **KITES | {"list_digest": SECOND})
    assert adopted_lists(site(office)) == {"kites": SECOND}
    (row,) = await office.act("dana", "register.list")
    assert (row["digest"], row["by"], row["approver"]) == (SECOND, "dana", "erin")


async def test_taken_back_by_one_person_it_is_off_and_no_earlier_one_comes_back(office: Office) -> None:
    await both(office, "terms.adopt", **KITES)
    done = await both(office, "terms.adopt", **KITES | {"list_digest": SECOND})
    await office.act("fritz", "register.end", entry=done["entry_id"], reason="finds innocent mail")
    assert adopted_lists(site(office)) == {}


async def test_of_two_proposals_for_a_list_the_second_one_is_stale(office: Office) -> None:
    first = await propose(office, "terms.adopt", **KITES)
    second = await propose(office, "terms.adopt", **KITES | {"list_digest": SECOND})
    await office.act("erin", "proposal.approve", proposal=first["proposal_id"], digest=first["digest"])
    with pytest.raises(RefusedError, match=f"in_force: none -> {FIRST}"):
        await office.act("erin", "proposal.approve", proposal=second["proposal_id"], digest=second["digest"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "political"}, "is no label of a term list"),
        ({"list_digest": "abc"}, "the SHA-256 of its file"),
        ({"list": "../kites"}, "the SHA-256 of its file"),
        ({"days": "181"}, "at most 180 days"),
        ({"legal_basis": ""}, "--legal-basis"),
        ({"entries": "many"}, "how many terms"),
    ],
)
async def test_what_is_no_list_is_said(office: Office, change: dict[str, str], said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        await propose(office, "terms.adopt", **KITES | change)


async def test_what_is_in_force_is_not_proposed_again(office: Office) -> None:
    await both(office, "terms.adopt", **KITES)
    with pytest.raises(RefusedError, match="in force already"):
        await propose(office, "terms.adopt", **KITES)


async def test_a_tenant_s_people_propose_no_list(office: Office) -> None:
    await office.mailbox()
    await office.hire("tina", role="reseller", tenant="cust.example")
    with pytest.raises(RefusedError, match="may only act for the tenants"):
        await propose(office, "terms.adopt", by="tina", **KITES)


# --- raised categories ------------------------------------------------------------------------------------------------


def raise_in(terms: Agreement, name: str = "abuse.insult", disposition: str = "tag") -> Agreement:
    def one(category: Category) -> Category:
        changed = {"raised": True, "disposition": Disposition(disposition)}
        return category.model_copy(update=changed) if category.id == name else category

    return terms.model_copy(update={"category": tuple(one(x) for x in terms.category)})


RAISE = {"agreement": "tencent-exmail", "category": "abuse.insult", "rehearsal": "March, 12,000 mails, 3 hits"}


async def raised_office(office: Office) -> None:
    office.swap_terms(raise_in(office.terms()))


async def insult(office: Office, subject: str) -> list[Any]:
    """Send an insult; say the sanctions in force afterwards."""
    office.script.codes = (INSULT,)
    assert (await office.send(letter(subject), BOB, login=ALICE)).reply is None
    found: list[Any] = (await office.show(ALICE))["sanctions"]
    return found


async def test_a_text_alone_raises_nothing_and_two_people_do(office: Office) -> None:
    await raised_office(office)
    assert await insult(office, "one") == []
    assert (await office.show(ALICE))["incidents"] == []
    await both(office, "category.raise", **RAISE)
    # The act before it stays what it was; the next one is a warning, and no point.
    (warning,) = await insult(office, "two")
    assert (warning["rung"], (await office.show(ALICE))["points"]) == ("warn", 0)


async def test_another_text_takes_another_approval(office: Office) -> None:
    await raised_office(office)
    await both(office, "category.raise", **RAISE)
    edited = office.terms().model_copy(update={"digest": "1" * 64})
    assert unraised(office.terms(), site(office), office.clock.now()) == ()
    assert unraised(edited, site(office), office.clock.now()) == ("abuse.insult",)


async def test_taken_back_by_one_person_it_acts_as_not_raised(office: Office) -> None:
    await raised_office(office)
    done = await both(office, "category.raise", **RAISE)
    await office.act("fritz", "register.end", entry=done["entry_id"], reason="warns the wrong people")
    assert await insult(office, "one") == []


async def test_an_act_before_the_approval_is_judged_without_it(office: Office) -> None:
    await raised_office(office)
    before = office.clock.now() - timedelta(seconds=1)
    await both(office, "category.raise", **RAISE)
    assert unraised(office.terms(), site(office), before) == ("abuse.insult",)


def test_lowered_it_is_what_it_would_be_without_the_key_and_the_rest_is_untouched() -> None:
    plain = tencent()
    assert as_adopted(raise_in(plain), None, NOON) == plain
    assert as_adopted(plain, None, NOON) is plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"category": "malware"}, "is no C2 category"),
        ({"category": "illegal.violence"}, "does not raise illegal.violence"),
        ({"agreement": "nobody"}, "no agreement nobody"),
        ({"version": "0"}, "has no version 0"),
        ({"rehearsal": ""}, "--rehearsal"),
    ],
)
async def test_what_cannot_be_raised_is_said(office: Office, change: dict[str, str], said: str) -> None:
    await raised_office(office)
    with pytest.raises(RefusedError, match=said):
        await propose(office, "category.raise", **RAISE | change)
    await both(office, "category.raise", **RAISE)
    with pytest.raises(RefusedError, match="is raised already"):
        await propose(office, "category.raise", **RAISE)


async def test_a_text_that_is_gone_when_it_is_approved_is_not_raised(office: Office) -> None:
    await raised_office(office)
    made = await propose(office, "category.raise", **RAISE)
    office.agreements["tencent-exmail"] = office.terms().model_copy(update={"digest": "2" * 64})
    with pytest.raises(RefusedError, match="policy_digest"):
        await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
