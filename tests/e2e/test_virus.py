"""A virus sent by a login: refused, one strike however often it is tried, and nothing lost while the scanner is away.

STANDING 5.3 step 2, 5.7-9; HOUSE rules 3 and 6; FAULTS rows 7 and 41.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e import letters
from tests.e2e.oracle import assert_standing_is_naive
from tests.e2e.site import CAROL, CUSTOMER, MALLORY, Site
from tests.kit.node import Node


@pytest.mark.e2e
def test_one_strike_for_one_virus_however_often_it_is_tried(site: Site, make_node: Callable[..., Node]):
    node = make_node()
    clock = site.on_another_day(node)
    node.start()
    sender = site.sender(MALLORY)
    virus = letters.letter(MALLORY, CUSTOMER, letters.virus(MALLORY, CUSTOMER, tag="v1"))

    first = sender.send(virus)
    assert (first.code, first.enhanced) == (550, "5.7.1"), first
    assert "3.3.2" in first.text
    assert "virus" in first.text

    site.stop_clamd()
    try:
        away = [sender.send(virus) for _ in range(3)]
    finally:
        site.start_clamd()
    retries = [sender.send(virus) for _ in range(7)]
    print(f"virus: first {first.code}, scanner away {[r.code for r in away]}, again {[r.code for r in retries]}")
    assert {(reply.code, reply.enhanced) for reply in away} == {(451, "4.7.1")}
    assert {(reply.code, reply.enhanced) for reply in retries} == {(550, "5.7.1")}

    rows = node.rows(login=MALLORY)
    kinds = [row.kind for row in rows]
    assert kinds.count("incident.opened") == kinds.count("violation.recorded") == kinds.count("strike.issued") == 1
    assert kinds.count("sanction.imposed") == 1
    # A single refused message: no hold (STANDING 5.7-14).
    assert "hold.placed" not in kinds
    standing = node.standing(MALLORY)
    assert (standing["standing"], standing["points"], standing["provisional_points"]) == ("warned", 4, 4)
    assert_standing_is_naive(node, MALLORY, clock.now())
    assert site.postfix.elsewhere.read() == []

    # One notice. It goes out a minute after the sanction.
    clock.advance(minutes=2)
    node.wait_rows("notice.sent", login=MALLORY)
    assert len(site.postfix.mailbox(MALLORY).wait(1)) == 1

    # The next day: nothing new for the same people, a new incident for others.
    clock.advance(hours=25)
    assert sender.send(virus).code == 550
    assert len(node.rows("incident.opened", login=MALLORY)) == 1
    others = letters.letter(MALLORY, ("other@customers.example",), virus.raw)
    assert sender.send(others).code == 550
    assert len(node.rows("incident.opened", login=MALLORY)) == 2
    standing = node.standing(MALLORY)
    # 4 provisional and 4 + 1 after the notice; automation may use the 5 only (walk_1 of STANDING 7.3).
    assert (standing["standing"], standing["points"], standing["provisional_points"]) == ("restricted", 9, 4)
    assert_standing_is_naive(node, MALLORY, clock.now())
    sender.close()

    # Three days after the first, nobody having said anything: its 4 points count as 2 for good.
    clock.advance(hours=48)
    standing = node.standing(MALLORY)
    assert (standing["points"], standing["provisional_points"]) == (7, 0)
    assert_standing_is_naive(node, MALLORY, clock.now())


@pytest.mark.e2e
def test_provisional_points_become_two_after_three_days(site: Site, make_node: Callable[..., Node]):
    node = make_node()
    clock = site.on_another_day(node)
    node.start()
    sender = site.sender(CAROL)
    assert sender.send(letters.letter(CAROL, CUSTOMER, letters.virus(CAROL, CUSTOMER, tag="v2"))).code == 550
    sender.close()
    seen = []
    for hours in (1, 70, 2, 24 * 363):
        clock.advance(hours=hours)
        standing = node.standing(CAROL)
        seen.append((standing["standing"], standing["points"], standing["provisional_points"]))
        assert_standing_is_naive(node, CAROL, clock.now())
    assert seen == [("warned", 4, 4), ("warned", 4, 4), ("warned", 2, 0), ("good", 0, 0)]


@pytest.mark.e2e
def test_nothing_is_lost_while_the_scanner_is_away(site: Site, make_node: Callable[..., Node]):
    """The scanner is away: everything waits, also clean mail, and nobody is charged with anything."""
    node = make_node()
    node.start()
    sender = site.sender(CAROL)
    mails = [
        letters.letter(CAROL, f"c{n}@customers.example", letters.clean(CAROL, CUSTOMER, tag=f"away{n}"))
        for n in range(8)
    ]
    site.stop_clamd()
    try:
        away = [sender.send(mail) for mail in mails]
    finally:
        site.start_clamd()
    assert {(reply.code, reply.enhanced) for reply in away} == {(451, "4.7.1")}, away
    assert site.postfix.elsewhere.read() == []
    again = [sender.send_until_settled(mail)[-1] for mail in mails]
    sender.close()
    assert {reply.code for reply in again} == {250}, again
    site.postfix.wait_empty()
    arrived = site.postfix.elsewhere.read()
    print(f"scanner away: {len(away)} put off, {len(arrived)} arrived later, {len(mails)} sent")
    assert sorted(mail.recipient for mail in arrived) == sorted(mail.recipients[0] for mail in mails)
    assert node.rows("violation.recorded", "strike.issued") == []
    unsure = [e for e in node.events("decided") if not e["is_complete"]]
    assert {e["fail_modes"]["clamd"] for e in unsure} == {"defer"}
    assert len(unsure) == len(mails)
