"""When a mail may be held, and what becomes of it where it may not: pure.  STANDING 5.7-23, CLAUSES §1."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from filterd.agreement.category import Category
from filterd.agreement.due_held import in_digest, of_decisions, to_remove, to_return
from filterd.agreement.holding import Room, behind_queue, beyond, decide_until, return_at, room, unheld
from filterd.agreement.maintenance import Window
from filterd.agreement.terms import Agreement
from filterd.model.decision import STRENGTH, Decision, Disposition, Reason
from filterd.model.held import HeldMail, HeldState, HoldFacts
from filterd.model.session import Direction
from tests.agreement.contract import shipped

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def terms() -> Agreement:
    return shipped()


def decision(*reasons: tuple[str, Disposition]) -> Decision:
    found = tuple(Reason(code=code, disposition=effect) for code, effect in reasons)
    strongest = max((x.disposition for x in found), key=STRENGTH.index)
    return Decision(decision_id="d_1", transaction_id="t_1", disposition=strongest, reasons=found)


def item(number: int = 1, **more: object) -> HeldMail:
    facts = HoldFacts(campaign="text", incident_id="i_1")
    given: dict[str, object] = {
        "state": HeldState.HELD, "held_at": NOON, "settled_at": None, "facts": facts, "reason": "category.spam.advert",
        **more,
    }  # fmt: skip
    return HeldMail(
        item_id=f"q_{number}", transaction_id=f"t_{number}", account_id="a_1", tenant_id="n_1", due_at=NOON, digest="",
        **given,  # type: ignore[arg-type]
    )  # fmt: skip


Q, R, D, A = Disposition.QUARANTINE, Disposition.REJECT, Disposition.DEFER, Disposition.ACCEPT


@pytest.mark.parametrize(
    ("reasons", "effect"),
    [
        ([("category.spam.advert", Q)], R),
        ([("category.abuse.harass", Q)], A),
        ([("check.clamd.temperror", Q)], D),
        ([("protection.sender.from.foreign", Q)], R),
        ([("category.spam.advert", Q), ("check.clamd.temperror", D)], D),
        ([("category.spam.advert", Q), ("category.malware", R)], R),
        ([("inbound.spam", Disposition.TAG)], Disposition.TAG),
    ],
)
def test_where_it_cannot_be_held(terms: Agreement, reasons: list[tuple[str, Disposition]], effect: Disposition) -> None:
    assert unheld(decision(*reasons), terms).disposition is effect


@pytest.mark.parametrize(
    ("code", "effect"),
    [
        ("category.malware", Q),
        ("refused.impersonation.exact", Q),
        ("protection.link.feed.match", Q),
        ("inbound.virus", Q),
        # What its sender may not do waits for the end of that.
        ("standing.suspended", R),
        ("feature.links", R),
    ],
)
def test_behind_the_queue_a_refusal_for_what_it_is_is_held(code: str, effect: Disposition) -> None:
    assert behind_queue(decision((code, R))).disposition is effect


@pytest.mark.parametrize("effect", [D, Q, Disposition.TAG, A])
def test_behind_the_queue_only_a_refusal_is_another(effect: Disposition) -> None:
    """What was refused for itself and waits for another reason is not held: it comes again."""
    given = decision(("category.spam.advert", effect))
    assert behind_queue(given) == given
    waits = replace(decision(("category.malware", R)), disposition=D)
    assert behind_queue(waits) == waits


def test_where_it_cannot_be_held_what_has_another_effect_keeps_it(terms: Agreement) -> None:
    found = unheld(decision(("category.abuse.harass", Q), ("inbound.spam", Disposition.TAG)), terms)
    assert [x.disposition for x in found.reasons] == [A, Disposition.TAG]
    assert found.disposition is Disposition.TAG


def test_what_waits_for_a_check_is_not_held_yet() -> None:
    assert STRENGTH.index(D) > STRENGTH.index(Q) > STRENGTH.index(Disposition.TAG)


def test_25_copies_of_a_text_or_an_act_are_held(terms: Agreement) -> None:
    copies = [item(n) for n in range(24)]
    assert room(copies, "text", terms, NOON) is Room.HOLD
    copies.append(item(24))
    assert room(copies, "text", terms, NOON + HOUR) is Room.WAIT
    assert room(copies, "text", terms, NOON + 2 * HOUR) is Room.REFUSE
    # Another text of the same act is counted with them.
    assert room(copies, "another", terms, NOON + HOUR) is Room.WAIT
    # A day later it is another run.
    assert room(copies, "text", terms, NOON + 25 * HOUR) is Room.HOLD


def test_what_was_decided_about_a_text_goes_for_it_alone(terms: Agreement) -> None:
    released, returned = item(1, state=HeldState.DELIVERED), item(2, state=HeldState.RETURNED)
    assert room([released], "text", terms, NOON + HOUR) is Room.LET_GO
    assert room([returned], "text", terms, NOON + HOUR) is Room.REFUSE
    assert room([released], "another", terms, NOON + HOUR) is Room.HOLD
    assert room([released, item(3)], "text", terms, NOON + HOUR) is Room.HOLD
    # Held for something else it is another question, too.
    assert room([released], "text", terms, NOON + HOUR, reason="check.clamd.temperror") is Room.HOLD
    assert room([released], "text", terms, NOON + HOUR, reason="category.spam.advert") is Room.LET_GO
    # A text without letters is everybody's.
    assert room([replace(released, facts=HoldFacts())], "", terms, NOON) is Room.HOLD


def test_a_c2_category_is_never_refused_for_its_copies(terms: Agreement) -> None:
    held = decision(("category.abuse.harass", Q))
    assert beyond(held, Room.REFUSE, terms).disposition is D
    assert beyond(decision(("category.spam.advert", Q)), Room.REFUSE, terms).disposition is R


def test_one_more_that_there_is_room_for_is_held_as_it_was_decided(terms: Agreement) -> None:
    held = decision(("category.spam.advert", Q))
    assert beyond(held, Room.HOLD, terms) == held


def test_an_agreement_without_clocks_holds_nothing(terms: Agreement) -> None:
    with pytest.raises(ValueError, match="nothing is held under these terms"):
        room([], "text", terms.model_copy(update={"lifecycle": None}), NOON)


def test_the_time_to_decide_is_the_shorter_of_two_promises(terms: Agreement) -> None:
    assert decide_until(NOON, terms) == NOON + 2 * HOUR
    lifecycle = terms.lifecycle
    assert lifecycle is not None
    hurried = terms.model_copy(update={"lifecycle": lifecycle.model_copy(update={"complaint_hours": 1})})
    assert decide_until(NOON, hurried) == NOON + HOUR
    window = Window(window_id="x_1", since=NOON, until=NOON + 5 * HOUR, announced_at=NOON, is_emergency=False, by="ops")
    assert decide_until(NOON, terms, (window,)) == NOON + 7 * HOUR
    assert return_at(NOON, terms) == NOON + 24 * HOUR


def test_a_campaign_goes_back_with_its_oldest_mail(terms: Agreement) -> None:
    group = [item(1), item(2, held_at=NOON + HOUR), item(3, held_at=NOON + 23 * HOUR)]
    assert to_return(group, terms, NOON + 23 * HOUR) == ()
    # The last one has not had the time to be decided about.
    assert [x.item_id for x in to_return(group, terms, NOON + 24 * HOUR)] == ["q_1", "q_2"]


def test_a_decision_is_missed_for_the_oldest_of_what_is_held(terms: Agreement) -> None:
    group = [item(2, held_at=NOON + HOUR), item(1), item(3, facts=HoldFacts(direction=Direction.INBOUND))]
    assert of_decisions(group, terms, NOON + 2 * HOUR - timedelta(seconds=1)) == ()
    (missed,) = of_decisions(group, terms, NOON + 2 * HOUR)
    assert (missed.object_id, missed.due_at, missed.is_alarm) == ("q_1", NOON + 2 * HOUR, True)


def test_inbound_mail_has_clocks_of_its_own(terms: Agreement) -> None:
    inbound = item(1, facts=HoldFacts(direction=Direction.INBOUND))
    day = 24 * HOUR
    assert of_decisions([inbound], terms, NOON + 30 * day) == ()
    assert to_return([inbound], terms, NOON + 30 * day) == ()
    assert in_digest([inbound, item(2)], terms, NOON) == (inbound,)
    assert in_digest([inbound], terms, NOON + 28 * day) == ()
    assert to_remove([inbound], terms, NOON + 29 * day) == ()
    assert to_remove([inbound], terms, NOON + 31 * day) == (inbound,)


def test_only_what_has_clocks_can_hold(terms: Agreement) -> None:
    tree = terms.model_dump()
    tree |= {"lifecycle": None, "termination": None, "cure": None}
    tree["tenant"]["registration"] = None
    with pytest.raises(ValueError, match=r"holds mail, whose clocks are in \[lifecycle\]"):
        Agreement.model_validate(tree)


def test_contestable_is_for_mode_a(terms: Agreement) -> None:
    advert = terms.category_of("spam.advert").model_dump()
    with pytest.raises(ValueError, match="contestable is for mode A"):
        Category.model_validate({**advert, "contestable": "quarantine"})
