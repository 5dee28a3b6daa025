"""Killed at every place, restarted, tried again: nothing lost, no double strike, duplicates named.  FAULTS §2, 1, 41.

The process kills itself with SIGKILL where a marker stands (filterd/markers.py), with a mail in hand that came through
Postfix. Postfix tells its client 4xx, the client tries again, as mail programs do. Spam is tagged here instead of
refused, so that a mail with a violation is relayed, too: between its commit and its relay most can go wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from filterd.markers import MARKERS
from tests.e2e import letters
from tests.e2e.site import ALICE, CAROL, MALLORY, Site
from tests.e2e.terms import tagging
from tests.kit.client import Letter, Reply
from tests.kit.mailbox import Arrived
from tests.kit.node import Node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

# As one mail passes them; also those that a new marker adds.
PLACES = tuple(
    dict.fromkeys(["smtp.after_dot", "gate.committed", "gate.decided", "smtp.enforced", *(name for name, _ in MARKERS)])
)
# Only mail with a violation comes by here.
ONLY_VIOLATIONS = ("gate.committed",)
ONLY_RELAYED = ("smtp.relaying", "smtp.relayed")
# From here on the next hop has the mail, and the client may not have heard of it.
MAY_DUPLICATE = ("smtp.relayed", "smtp.replied")
KINDS = ("clean", "spam", "virus")


@dataclass
class Phase:
    """What became of the mails in hand at one place."""

    killed: int = 0
    tries: int = 0
    sent: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


@dataclass
class Campaign:
    """One node that is killed and started again, and the counts."""

    site: Site
    node: Node
    phases: dict[str, Phase] = field(default_factory=dict)

    def phase(self, place: str) -> Phase:
        return self.phases.setdefault(place, Phase())

    def mail(self, place: str, kind: str) -> Letter:
        """A mail whose Message-ID and recipient name the place."""
        tag = f"{place}.{kind}"
        to = f"{tag}@customers.example"
        if kind == "virus":
            return letters.letter(CAROL, to, letters.virus(CAROL, to, tag=tag))
        if kind == "spam":
            raw = letters.advert(MALLORY, to, number=1, seed=place, language="zh")
            return letters.letter(MALLORY, to, raw)
        return letters.letter(ALICE, to, letters.clean(ALICE, to, tag=tag))

    def run(self, plan: list[tuple[str, str]]) -> None:
        """Have the node die at each place with a mail of that kind in hand, and send the mail again to the next one.

        Each start is armed for the next place already. The mail that is sent again may pass that place first, once.
        """
        waiting: tuple[str, Letter, list[Reply]] | None = None
        for place, kind in [*plan, ("", "")]:
            passes = waiting is not None and _passes(place, waiting[0])
            self.node.start(kill_at=f"{place}:{2 if passes else 1}" if place else None)
            if waiting is not None:
                self._settle(*waiting)
            waiting = self._kill(place, kind) if place else None

    def _kill(self, place: str, kind: str) -> tuple[str, Letter, list[Reply]] | None:
        """Send a mail that kills; says what is still to be sent again, None when the client knows it has been taken."""
        phase, letter = self.phase(place), self.mail(place, kind)
        sender = self.site.sender(letter.sender)
        first = sender.send(letter)
        sender.close()
        assert self.node.wait_dead() == -9
        phase.killed += 1
        phase.tries += 1
        phase.sent.append(letter.recipients[0])
        if place == "smtp.replied" and first.code == (550 if kind == "virus" else 250):
            return None
        # Nobody has decided anything: 4xx, or the connection is gone.
        assert first.code // 100 in (0, 4), first
        return kind, letter, [first]

    def _settle(self, kind: str, letter: Letter, replies: list[Reply]) -> None:
        sender = self.site.sender(letter.sender)
        replies += sender.send_until_settled(letter)
        sender.close()
        assert replies[-1].code == (550 if kind == "virus" else 250), replies
        self.phase(letter.recipients[0].rpartition("@")[0].rpartition(".")[0]).tries += len(replies) - 1

    def judge(self, arrived: list[Arrived]) -> None:
        """Count what is lost and what is there twice."""
        copies = Counter(mail.recipient for mail in arrived)
        for place, phase in self.phases.items():
            for recipient in phase.sent:
                expected = 0 if ".virus@" in recipient else 1
                if copies[recipient] < expected:
                    phase.lost.append(recipient)
                if copies[recipient] > expected:
                    phase.doubled.append(recipient)
            print(
                f"{place}: killed {phase.killed}, tries {phase.tries}, sent {len(phase.sent)}, "
                f"lost {len(phase.lost)}, doubled {len(phase.doubled)}"
            )


def _passes(place: str, kind: str) -> bool:
    return not (place in ONLY_VIOLATIONS and kind == "clean") and not (place in ONLY_RELAYED and kind == "virus")


@pytest.fixture(scope="module")
def campaign(site: Site, make_module_node: Callable[..., Node], tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    node = make_module_node(tagging(tmp_path_factory.mktemp("agreements")))
    return Campaign(site=site, node=node)


@pytest.fixture(scope="module")
def arrived(campaign: Campaign) -> list[Arrived]:
    """Everything, when all places have had their turn."""
    campaign.run([(place, kind) for place in PLACES for kind in KINDS if _passes(place, kind)])
    campaign.site.postfix.wait_empty()
    arrived = campaign.site.postfix.elsewhere.read()
    campaign.judge(arrived)
    return arrived


def test_every_place_has_killed(campaign: Campaign, arrived: list[Arrived]):
    killed = {place: phase.killed for place, phase in campaign.phases.items()}
    assert killed.keys() == set(PLACES)
    assert min(killed.values()) > 0


def test_nothing_is_lost(campaign: Campaign, arrived: list[Arrived]):
    assert [lost for phase in campaign.phases.values() for lost in phase.lost] == []


def test_duplicates_only_where_the_next_hop_had_the_mail_already(campaign: Campaign, arrived: list[Arrived]):
    doubled = {place: phase.doubled for place, phase in campaign.phases.items() if phase.doubled}
    assert set(doubled) <= set(MAY_DUPLICATE)
    # There it cannot be avoided: were there none, the kill came too early.
    assert len(doubled["smtp.relayed"]) == 2


def test_a_duplicate_is_named_by_its_header(campaign: Campaign, arrived: list[Arrived]):
    for phase in campaign.phases.values():
        for recipient in phase.doubled:
            traces = [mail.fields("x-filterd-id") for mail in arrived if mail.recipient == recipient]
            assert all(len(found) == 1 for found in traces)
            ids, prints = zip(*(found[0].split(" fp=") for found in traces), strict=True)
            assert len(set(prints)) == 1, "the same fingerprint"
            assert len(set(ids)) == len(traces), "in as many transactions"


def test_no_violation_counts_twice(campaign: Campaign, arrived: list[Arrived]):
    node = campaign.node
    for login, kind in ((MALLORY, "spam"), (CAROL, "virus")):
        recorded = node.rows("violation.recorded", login=login)
        # One row for each mail, whatever was tried how often.
        keys = Counter(row.body["evidence_key"] for row in recorded)
        sent = [to for phase in campaign.phases.values() for to in phase.sent if f".{kind}@" in to]
        print(
            f"{kind}: {len(sent)} mails, {len(recorded)} violations in {len(node.rows('incident.opened', login=login))}"
        )
        assert set(keys.values()) == {1}
        assert len(keys) == len(sent)
        strikes = {(row.body["incident_id"], row.body["strike_id"]) for row in node.rows("strike.issued", login=login)}
        opened = node.rows("incident.opened", login=login)
        assert len(strikes) == len(opened) == 1
        steps = Counter(
            (row.body["incident_id"], row.body["step"]) for row in node.rows("sanction.imposed", login=login)
        )
        assert set(steps.values()) == {1}
    assert node.rows("violation.recorded", login=ALICE) == []
