"""The oracle of the kill campaign sees what it is there for: a world in which all went well, and one thing wrong."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from filterd.ports import OutboxItem
from tests.chaos import letters
from tests.chaos.aftermath import Aftermath
from tests.chaos.facts import Copy, Kill, Try
from tests.chaos.letters import Mail
from tests.chaos.oracle import Judgement, judge
from tests.chaos.phases import Phase
from tests.chaos.terms import KINDS, STEPS
from tests.kit.node import Row

NOW = datetime(2026, 3, 2, tzinfo=UTC)
WORKER = Phase(name="a worker", role="worker")
LEDGER = Phase(name="the ledger", role="ledger")


@dataclass
class World:
    """One account that went all the way, each mail tried once, at the second of its number."""

    mails: dict[str, Mail] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)
    copies: list[Copy] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    pending: list[OutboxItem] = field(default_factory=list)
    stored: list[tuple[str, int, str]] | None = None
    evidence: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def row(self, kind: str, **body: Any) -> None:
        self.rows.append(
            Row(writer="w", seq=len(self.rows) + 1, written_at=NOW, kind=kind, account_id="a_1", body=body)
        )

    def judged(self) -> Judgement:
        after = Aftermath(
            rows=self.rows,
            stored=[(r.writer, r.seq, r.kind) for r in self.rows] if self.stored is None else self.stored,
            accounts={"a_1": letters.login_of(0)},
            pending=self.pending,
            evidence=self.evidence,
            unread=self.unread,
            left=self.left,
            held=self.held,
            troubles=self.troubles,
        )
        return judge(self.mails, self.tries, self.copies, self.kills, after)


def copy_of(mail: Mail, at: float, transaction: str, answer: str = "250") -> Copy:
    return Copy(
        ident=mail.ident,
        came_at=at,
        answered_at=at,
        answer=answer,
        recipients=mail.letter.recipients,
        trace=f"{transaction} fp={mail.ident}",
        body=mail.body_sha,
    )


def hold(world: World, mail: Mail, at: int, state: str) -> None:
    """The first one goes on, the second comes back."""
    item = {"item_id": f"q_{at}", "transaction_id": f"t_{at}", "login": mail.login, "state": state}
    world.held.append(item)
    copy = replace(copy_of(mail, at + 5.5, f"t_{at}"), trace=f"t_{at} fp={mail.ident} held=q_{at}")
    report = replace(copy, ident=f"report.{at}", trace="", about=(mail.ident,))
    world.copies.append(copy if state == "delivered" else report)


@pytest.fixture
def world() -> World:
    world = World()
    for at, mail in enumerate(letters.of_accounts([letters.script(0, random.Random(1))])):
        world.mails[mail.ident] = mail
        code = 550 if mail.must_be_refused else 250
        text = f"{code} q_{at}" if mail.is_held else str(code)
        world.tries.append(Try(ident=mail.ident, began_at=at + 0.2, ended_at=at + 0.8, code=code, text=text))
        if mail.is_held:
            hold(world, mail, at, "returned" if any(world.held) else "delivered")
        elif code == 250:
            world.copies.append(copy_of(mail, at + 0.5, f"t_{at}"))
        if mail.kind is not None:
            world.evidence.add(f"t_{at}")
            incident = f"i_{mail.kind.name}"
            world.row(
                "violation.recorded",
                incident_id=incident,
                evidence_key=mail.ident,
                transaction_id=f"t_{at}",
                evidence_digest="d",
            )
    for number, kind in enumerate(KINDS):
        incident = f"i_{kind.name}"
        world.row("incident.opened", incident_id=incident, family=kind.name)
        world.row("strike.issued", incident_id=incident, strike_id=f"k_{number}", a_half_points=2, b_half_points=0)
        world.row("sanction.imposed", incident_id=incident, step=min(number, STEPS - 1))
        world.row("notice.sent", incident_ids=[incident], notice_id=f"m_{number}", outcome="accepted")
        world.copies.append(
            replace(world.copies[0], ident=f"m_{number}.account", came_at=50.0 + number, trace="", answer="250")
        )
    return world


def killed(at: float, phase: Phase, *, took_all: bool) -> Kill:
    return Kill(at=at, until=at, phase=phase, took_all=took_all)


def clean(world: World) -> Mail:
    return next(mail for mail in world.mails.values() if mail.kind is None and not mail.is_after_suspension)


def twice(world: World) -> None:
    """The first try of a mail fails after the next hop has it; the second one succeeds."""
    mail = clean(world)
    tried = next(t for t in world.tries if t.ident == mail.ident)
    world.tries.insert(0, replace(tried, began_at=tried.began_at - 100, ended_at=tried.ended_at - 100, code=451))
    world.copies.append(copy_of(mail, tried.ended_at - 100.1, "t_before"))


def test_a_world_in_which_all_went_well(world: World):
    judgement = world.judged()
    assert judgement.broken == []
    assert (judgement.lost, judgement.doubled, judgement.double_strikes) == ([], [], [])
    assert judgement.violations == len([m for m in world.mails.values() if m.kind])


def test_a_duplicate_is_allowed_where_somebody_died_and_is_named(world: World):
    twice(world)
    world.kills.append(killed(world.tries[0].ended_at, WORKER, took_all=False))
    judgement = world.judged()
    assert judgement.broken == []
    assert [(d.ident, set(d.transaction_ids), d.because) for d in judgement.doubled] == [
        (clean(world).ident, {"t_0", "t_before"}, "a worker")
    ]


@pytest.mark.parametrize(("late_s", "is_broken"), [(3.0, False), (99.5, True)], ids=["soon after", "in the next try"])
def test_a_next_hop_may_note_late_what_came_before_a_death(world: World, late_s: float, is_broken: bool):
    twice(world)
    ended_at = world.tries[0].ended_at
    world.copies[-1] = replace(world.copies[-1], came_at=ended_at + late_s)
    # In between two tries, or in the middle of one that was settled.
    world.tries.insert(1, replace(world.tries[0], began_at=ended_at + 99, ended_at=ended_at + 99.9))
    world.kills.append(Kill(at=ended_at - 0.4, until=ended_at, phase=WORKER, took_all=False))
    assert bool(world.judged().broken) is is_broken


def test_a_duplicate_is_allowed_where_the_next_hop_hung_up(world: World):
    twice(world)
    world.copies[-1] = replace(world.copies[-1], answer="dropped")
    assert world.judged().broken == []


def test_a_notice_may_come_again_when_its_sender_died(world: World):
    again = next(c for c in world.copies if c.ident == "m_2.account")
    world.copies.append(replace(again, came_at=again.came_at + 60))
    assert len(world.judged().broken) == 1
    world.kills.append(killed(again.came_at + 1, LEDGER, took_all=False))
    judgement = world.judged()
    assert (judgement.broken, judgement.notices_again) == ([], ["m_2"])


def test_a_pending_notice_is_not_lost(world: World):
    world.rows = [row for row in world.rows if row.body.get("notice_id") != "m_1"]
    payload = {"incident_id": f"i_{KINDS[1].name}"}
    world.pending = [OutboxItem(item_id="o_1", topic="notice", payload=payload, attempts=1, created_at=NOW)]
    world.copies = [c for c in world.copies if c.ident != "m_1.account"]
    assert world.judged().broken == []


# --- what must be seen ------------------------------------------------------------------------------------------------


def lose(world: World) -> None:
    world.copies = [c for c in world.copies if c.ident != clean(world).ident]


def alter(world: World) -> None:
    world.copies[0] = replace(world.copies[0], body="another")


def send_elsewhere(world: World) -> None:
    world.copies[0] = replace(world.copies[0], recipients=("somebody@else.example",))


def double_without_cause(world: World) -> None:
    twice(world)


def double_by_the_ledgers_death(world: World) -> None:
    twice(world)
    world.kills.append(killed(world.tries[0].ended_at, LEDGER, took_all=False))


def double_long_after_a_death(world: World) -> None:
    twice(world)
    world.kills.append(killed(world.tries[0].ended_at + 30, WORKER, took_all=False))


def deliver_a_transaction_twice(world: World) -> None:
    twice(world)
    world.copies[-1] = replace(world.copies[-1], trace=world.copies[0].trace, answer="dropped")


def leave_unnamed(world: World) -> None:
    world.copies[0] = replace(world.copies[0], trace="")


def refuse_the_innocent(world: World) -> None:
    world.tries[0] = replace(world.tries[0], code=550)
    world.copies = [c for c in world.copies if c.ident != world.tries[0].ident]


def let_the_suspended_write(world: World) -> None:
    mail = next(m for m in world.mails.values() if m.is_after_suspension)
    at = next(n for n, t in enumerate(world.tries) if t.ident == mail.ident)
    world.tries[at] = replace(world.tries[at], code=250)
    world.copies.append(copy_of(mail, 99.0, "t_99"))


def relay_the_refused(world: World) -> None:
    mail = next(m for m in world.mails.values() if m.kind is not None and m.kind.is_refused)
    world.copies.append(copy_of(mail, 99.0, "t_99"))


def leave_unsettled(world: World) -> None:
    world.tries[0] = replace(world.tries[0], code=451)


def count_twice(world: World) -> None:
    world.rows.append(replace(next(r for r in world.rows if r.kind == "violation.recorded"), seq=900))


def strike_twice(world: World) -> None:
    row = next(r for r in world.rows if r.kind == "strike.issued")
    world.rows.append(replace(row, seq=900, body=row.body | {"strike_id": "k_9", "a_half_points": 4}))


def impose_twice(world: World) -> None:
    world.rows.append(replace(next(r for r in world.rows if r.kind == "sanction.imposed"), seq=900))


def open_twice(world: World) -> None:
    row = next(r for r in world.rows if r.kind == "incident.opened")
    world.rows.append(replace(row, seq=900, body=row.body | {"incident_id": "i_9"}))


def miss_a_violation(world: World) -> None:
    world.rows.remove(next(r for r in world.rows if r.kind == "violation.recorded"))


def miss_a_step(world: World) -> None:
    world.rows = [r for r in world.rows if not (r.kind == "sanction.imposed" and r.body["step"] == 1)]


def lose_a_notice(world: World) -> None:
    world.rows = [r for r in world.rows if r.body.get("notice_id") != "m_1"]


def record_an_unsent_notice(world: World) -> None:
    world.copies = [c for c in world.copies if c.ident != "m_1.account"]


def tell_too_little(world: World) -> None:
    world.stored = [(r.writer, r.seq, r.kind) for r in world.rows] + [("w", 999, "notice.sent")]


def tell_too_much(world: World) -> None:
    world.stored = [(r.writer, r.seq, r.kind) for r in world.rows][:-1]


def lose_evidence(world: World) -> None:
    world.evidence.pop()


def spoil_evidence(world: World) -> None:
    world.unread.append("t_1: was altered")


def leave_files(world: World) -> None:
    world.left.append("spool: t_1")


def stumble(world: World) -> None:
    world.troubles.append("ledger verify: row 7 was altered")


@pytest.mark.parametrize(
    "wrong",
    [
        lose,
        alter,
        send_elsewhere,
        double_without_cause,
        double_by_the_ledgers_death,
        double_long_after_a_death,
        deliver_a_transaction_twice,
        leave_unnamed,
        refuse_the_innocent,
        let_the_suspended_write,
        relay_the_refused,
        leave_unsettled,
        count_twice,
        strike_twice,
        impose_twice,
        open_twice,
        miss_a_violation,
        miss_a_step,
        lose_a_notice,
        record_an_unsent_notice,
        tell_too_little,
        tell_too_much,
        lose_evidence,
        spoil_evidence,
        leave_files,
        stumble,
    ],
)
def test_what_is_wrong_is_seen(world: World, wrong: Callable[[World], None]):
    wrong(world)
    assert world.judged().broken != []


# --- held mail --------------------------------------------------------------------------------------------------------


def item(world: World, state: str) -> dict[str, Any]:
    return next(row for row in world.held if row["state"] == state)


def held_copy(world: World) -> Copy:
    return next(copy for copy in world.copies if copy.held_id)


def report(world: World) -> Copy:
    return next(copy for copy in world.copies if copy.about)


def kept_twice(world: World) -> None:
    world.held.append(item(world, "delivered") | {"item_id": "q_other"})


def not_kept(world: World) -> None:
    world.held.remove(item(world, "returned"))


def undecided(world: World) -> None:
    item(world, "delivered")["state"] = "held"


def never_arrived(world: World) -> None:
    world.copies.remove(held_copy(world))


def never_came_back(world: World) -> None:
    world.copies.remove(report(world))


def both_ways(world: World) -> None:
    world.copies.append(replace(report(world), about=(held_copy(world).ident,)))


def delivered_and_returned(world: World) -> None:
    (ident,) = report(world).about
    world.copies.append(replace(held_copy(world), ident=ident))


def altered(world: World) -> None:
    world.copies[world.copies.index(held_copy(world))] = replace(held_copy(world), body="other")


def unnamed(world: World) -> None:
    copy = held_copy(world)
    world.copies[world.copies.index(copy)] = replace(copy, trace=copy.trace.partition(" held=")[0])


def released_twice(world: World) -> None:
    world.copies.append(replace(held_copy(world), came_at=held_copy(world).came_at + 120))


def returned_twice(world: World) -> None:
    world.copies.append(replace(report(world), came_at=report(world).came_at + 120))


@pytest.mark.parametrize(
    "harm",
    [
        kept_twice, not_kept, undecided, never_arrived, never_came_back, both_ways, delivered_and_returned, altered,
        unnamed, released_twice, returned_twice,
    ],
)  # fmt: skip
def test_a_held_mail_is_kept_once_and_goes_one_way(world: World, harm: Callable[[World], None]):
    harm(world)
    assert any("held" in text for text in world.judged().broken)


@pytest.mark.parametrize("again", [released_twice, returned_twice])
def test_what_was_sent_and_not_recorded_is_sent_again(world: World, again: Callable[[World], None]):
    again(world)
    world.kills.append(killed(world.copies[-1].came_at - 60, LEDGER, took_all=False))
    assert world.judged().broken == []


@pytest.mark.parametrize(("done", "waits"), [("delivered", "released"), ("returned", "returning")])
def test_what_was_leased_by_the_dead_waits(world: World, done: str, waits: str):
    world.copies.remove(held_copy(world) if done == "delivered" else report(world))
    item(world, done)["state"] = waits
    assert world.judged().broken == []


@pytest.mark.parametrize(
    ("state", "is_first", "is_broken"),
    [("returned", False, False), ("returned", True, True), ("delivered", False, True)],
)
def test_sent_again_unheard_it_is_refused_only_where_it_was_sent_back(
    world: World, state: str, is_first: bool, is_broken: bool
):
    (ident,) = report(world).about if state == "returned" else (held_copy(world).ident,)
    place = next(n for n, tried in enumerate(world.tries) if tried.ident == ident)
    heard = world.tries[place]
    unheard = replace(heard, code=0, text="", began_at=heard.began_at - 0.1, ended_at=heard.began_at)
    world.tries[place : place + 1] = [*([] if is_first else [unheard]), replace(heard, code=550, text="550 refused")]
    world.copies = [copy for copy in world.copies if copy.ident != ident]
    assert bool(world.judged().broken) is is_broken
