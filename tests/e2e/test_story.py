"""The whole story of one account: three spam runs, a warning, a restriction, a suspension, and a person who undoes one.

STANDING 5.3 (one incident a run, the ladder), 5.6 (objection), 5.7-3 (annulment), 5.7-14 (hold), 5.9 (supervised), 5.10
(words); FAULTS rows 41 and 67. One node with two workers lives through days 0, 2 and 4; Postfix keeps real time. Each
phase is a fixture made once; its tests look at what it left behind.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.e2e import letters
from tests.e2e.oracle import acts, assert_standing_is_naive
from tests.e2e.site import ALICE, APPEALS, CUSTOMER, MALLORY, POLICY, Site
from tests.kit import naive_ladder as naive
from tests.kit.client import Reply, send_all
from tests.kit.faketime import FakeTime
from tests.kit.mailbox import Arrived
from tests.kit.node import Node, Row
from tests.kit.waiting import PATIENCE_S

RUN = 300
CONNECTIONS = 4
SHANGHAI = ZoneInfo("Asia/Shanghai")
# Day 0, shortly before midnight where the agreement's clock is; a start and half a run take less.
DAY_0 = datetime(2027, 3, 1, 23, 50, tzinfo=SHANGHAI)
MIDNIGHT = datetime(2027, 3, 2, tzinfo=SHANGHAI)
# Longer than a run can take, so that all it leads to is told in one notice.
MERGE_S = 900
# A model that is sure of an advert is never sure of all; what it lets through is counted and shown.
CAUGHT_AT_LEAST = 0.9

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one spam run came to: the replies, the rows it left, and the notices that followed."""

    replies: list[Reply]
    rows: list[Row]
    notices: list[Arrived]

    def of(self, kind: str) -> list[Row]:
        return [row for row in self.rows if row.kind == kind]

    @property
    def rungs(self) -> list[int]:
        return [row.body["rung"] for row in self.of("sanction.imposed")]


@dataclass
class Story:
    site: Site
    node: Node
    clock: FakeTime

    def run(self, seed: str, *, crossing: datetime | None = None) -> Run:
        """Send a run, wait for its notices. `crossing`: the clock is put past this instant when half of it is sent."""
        known = len(self.node.rows(login=MALLORY)) if self.node.account_id(MALLORY) else 0
        box = self.site.postfix.mailbox(MALLORY)
        read = len(box.read())
        senders = [self.site.sender(MALLORY) for _ in range(CONNECTIONS)]
        mails = list(letters.run(MALLORY, RUN, seed=seed))
        replies = send_all(senders, mails[: RUN // 2])
        if crossing is not None and self.clock.now() < crossing:
            self.clock.set(crossing)
        replies += send_all(senders, mails[RUN // 2 :])
        for sender in senders:
            sender.close()
        codes = Counter(f"{reply.code} {reply.enhanced}" for reply in replies)
        print(f"\nrun {seed}: {RUN} mails: {dict(codes)}")
        print("".join(f"run {seed}: {event}\n" for event in self.node.events("troubled")), end="")
        # Then the notice goes out, and an hour after it the incident is closed.
        self.clock.advance(seconds=MERGE_S)
        self.node.wait_rows("notice.sent", login=MALLORY, count=self._noticed() + 1)
        notices = box.wait(read + 1)[read:]
        rows = self.node.rows(login=MALLORY)[known:]
        print(f"run {seed}: rows {dict(Counter(row.kind for row in rows))}, notices {len(notices)}")
        return Run(replies=replies, rows=rows, notices=notices)

    def stand(self) -> naive.NaiveStanding:
        """Compare with the naive ladder, now."""
        return assert_standing_is_naive(self.node, MALLORY, self.clock.now())

    def _noticed(self) -> int:
        return len(self.node.rows("notice.sent", login=MALLORY)) if self.node.account_id(MALLORY) else 0


# --- the phases -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def story(site: Site, make_module_node: Callable[..., Node]) -> Story:
    # Spam alone: the adverts offer forged invoices too, and for fraud the first hold would stop all mail to outside
    # before DATA (test_features has that), so that no run would get past its first dozen.
    # And each mail is answered by what it is: held mail has a bound of copies of its own (test_holding).
    agreement = {"preset": "supervised", "hold_outbound": "reject"}
    settings = {"agreement": agreement, "notices": {"merge_s": MERGE_S}, "content": {"enabled": False}}
    node = make_module_node(settings, workers=2)
    clock = site.on_another_day(node)
    clock.set(DAY_0)
    node.start()
    return Story(site=site, node=node, clock=clock)


@pytest.fixture(scope="module")
def day_0(story: Story) -> Run:
    return story.run("day0", crossing=MIDNIGHT)


@pytest.fixture(scope="module")
def day_2(story: Story, day_0: Run) -> Run:
    story.clock.set(DAY_0 + timedelta(hours=12))
    story.stand()
    story.clock.set(DAY_0 + timedelta(hours=40))
    story.stand()
    story.clock.set(DAY_0 + timedelta(days=2, hours=1))
    return story.run("day2")


@dataclass(frozen=True, kw_only=True)
class Third:
    """Day 4. `watched` are the replies to a RCPT in a session that was open all the time, with the instants (real)."""

    run: Run
    watched: list[tuple[datetime, Reply]]


@pytest.fixture(scope="module")
def day_4(story: Story, day_2: Run) -> Third:
    story.clock.set(DAY_0 + timedelta(days=2, hours=13))
    story.stand()
    story.clock.set(DAY_0 + timedelta(days=3, hours=12))
    story.stand()
    story.clock.set(DAY_0 + timedelta(days=4, hours=2))
    offset = story.clock.offset
    with _watching(story.site) as watched:
        run = story.run("day4")
    # The watcher's clock is the real one, the ledger's is not.
    return Third(run=run, watched=[(at + offset, reply) for at, reply in watched])


class _watching:
    """Keep one session of mallory's open and ask, again and again, whether a customer can be written to."""

    def __init__(self, site: Site):
        self._sender = site.sender(MALLORY)
        self._replies: list[tuple[datetime, Reply]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> list[tuple[datetime, Reply]]:
        self._client = self._sender.connect()
        self._thread.start()
        return self._replies

    def __exit__(self, kind: object, *_: object) -> None:
        # What was decided is enforced here, too; it is only not known yet when.
        if kind is None:
            self._thread.join(PATIENCE_S)
        self._stop.set()
        self._thread.join()
        self._sender.close()

    def _work(self) -> None:
        # Transactions with as many recipients as there may be (1,000): Postfix ends sessions that reset too often.
        for number in itertools.count():
            if number % 900 == 0:
                self._client.ask("RSET")
                self._client.ask(f"MAIL FROM:<{MALLORY}>")
            reply = self._client.ask(f"RCPT TO:<watch{number}@customers.example>")
            self._replies.append((datetime.now(UTC), reply))
            if reply.code != 250 or self._stop.wait(0.1):
                return


@pytest.fixture(scope="module")
def objected(story: Story, day_4: Third) -> Arrived:
    """An hour later the suspended account writes to the appeals address. What arrived there."""
    story.clock.advance(hours=1)
    box = story.site.postfix.mailbox(MALLORY)
    read = len(box.read())
    sender = story.site.sender(MALLORY)
    mail = letters.text(MALLORY, APPEALS, "关于暂停发信", "我没有发送垃圾邮件，请复核。\n", tag="objection")
    reply = sender.send(letters.letter(MALLORY, APPEALS, mail))
    sender.close()
    assert reply.code == 250, reply
    story.node.wait_rows("objection.filed", login=MALLORY)
    story.clock.advance(seconds=MERGE_S)
    box.wait(read + 1)
    return story.site.postfix.mailbox(APPEALS).wait(1)[0]


@pytest.fixture(scope="module")
def annulled(story: Story, objected: Arrived) -> Arrived:
    """Anna confirms the suspension; later Boris finds that the run of day 2 was our error. The notice that follows."""
    node, clock = story.node, story.clock
    for person, role, by in (("chief", "admin", None), ("anna", "moderator", "chief"), ("boris", "moderator", "chief")):
        node.tokens[person] = node.cli("person", "add", person, "--role", role, "--json", person=by)["token"]
    imposed = {row.body["rung"]: row.body for row in node.rows("sanction.imposed", login=MALLORY)}
    clock.advance(hours=1)
    node.cli("sanction", "confirm", imposed[3]["sanction_id"], "--reason", "read the mails", person="anna")
    story.stand()
    clock.advance(hours=1)
    second = next(row.body for row in node.rows("sanction.imposed", login=MALLORY) if row.body["rung"] == 2)
    node.cli("sanction", "annul", second["sanction_id"], "--reason", "our list was wrong", person="boris")
    read = len(story.site.postfix.mailbox(MALLORY).read())
    clock.advance(seconds=MERGE_S)
    return story.site.postfix.mailbox(MALLORY).wait(read + 1)[-1]


# --- day 0 ------------------------------------------------------------------------------------------------------------


def test_a_run_is_one_incident_one_strike_one_warning_one_notice(story: Story, day_0: Run):
    assert len(day_0.of("incident.opened")) == 1
    assert len({row.body["strike_id"] for row in day_0.of("strike.issued")}) == 1
    assert day_0.rungs == [1]
    assert len(day_0.of("notice.sent")) == 1
    assert len(day_0.notices) == 1
    # The first ones by content alone, the rest by content and behaviour.
    modes = Counter(v["mode"] for row in day_0.of("violation.recorded") for v in row.body["violations"])
    print(f"day 0: violations by mode {dict(modes)}")
    assert set(modes) == {"A", "B"}


def test_the_run_crossed_midnight(story: Story, day_0: Run):
    days = Counter(row.at.astimezone(SHANGHAI).date() for row in day_0.of("violation.recorded"))
    print(f"day 0: violations by day in Shanghai {days}")
    assert len(days) == 2
    assert min(days.values()) > 100


def test_both_workers_took_part(story: Story, day_0: Run):
    writers = Counter(event["writer"] for event in story.node.events("decided"))
    print(f"mails by worker {dict(writers)}")
    assert len(writers) == 2


def test_the_run_is_refused(day_0: Run):
    refused = [reply for reply in day_0.replies if (reply.code, reply.enhanced) == (550, "5.7.1")]
    assert len(refused) >= CAUGHT_AT_LEAST * RUN
    assert all("3.3.2" in reply.text for reply in refused)
    # No rule, no score, no word of the model (STANDING 5.10).
    assert not any(word in reply.text.lower() for reply in refused for word in ("score", "rule", "model", "burst"))


def test_bulk_is_held_for_a_day(story: Story, day_0: Run):
    (hold,) = day_0.of("hold.placed")
    names = {feature["name"] for feature in hold.body["features"]}
    assert "bulk" in names
    lasts = datetime.fromisoformat(hold.body["ends_at"]) - datetime.fromisoformat(hold.body["starts_at"])
    assert lasts == timedelta(hours=24)


# --- days 2 and 4 -----------------------------------------------------------------------------------------------------


def test_the_second_run_restricts_for_a_day(day_2: Run):
    assert len(day_2.of("incident.opened")) == 1
    restrictions = [row.body for row in day_2.of("sanction.imposed") if row.body["rung"] == 2]
    assert len(restrictions) == 1
    lasts = datetime.fromisoformat(restrictions[0]["ends_at"]) - datetime.fromisoformat(restrictions[0]["starts_at"])
    assert lasts == timedelta(hours=24)
    assert max(day_2.rungs) == 2
    # The total warrants more than automation may use: a person is asked, never silence.
    assert day_2.of("task.opened")
    assert len(day_2.notices) == 1


def test_the_third_run_suspends_for_a_week(story: Story, day_4: Third):
    run = day_4.run
    assert len(run.of("incident.opened")) == 1
    suspensions = [row.body for row in run.of("sanction.imposed") if row.body["rung"] == 3]
    assert len(suspensions) == 1
    lasts = datetime.fromisoformat(suspensions[0]["ends_at"]) - datetime.fromisoformat(suspensions[0]["starts_at"])
    assert lasts == timedelta(days=7)
    assert len(run.notices) == 1
    before_data = [reply for reply in run.replies if (reply.code, reply.enhanced) == (550, "5.7.13")]
    print(f"day 4: {len(before_data)} of {RUN} refused by standing, after {sorted({r.after for r in before_data})}")
    assert len(before_data) > RUN / 4
    standing = story.node.standing(MALLORY)
    assert (standing["standing"], standing["points"]) == ("suspended", 8)


def test_the_suspension_bites_in_an_open_session(story: Story, day_4: Third):
    (suspension,) = [row for row in day_4.run.of("sanction.imposed") if row.body["rung"] == 3]
    *passed, (refused_at, refusal) = day_4.watched
    late = (refused_at - suspension.written_at).total_seconds()
    print(f"open session: {len(passed)} RCPT passed, refused {late:.3f} s after the sanction was written")
    assert passed
    assert (refusal.code, refusal.enhanced, refusal.after) == (550, "5.7.13", "RCPT")
    assert "suspended until" in refusal.text
    assert {reply.code for _, reply in passed} == {250}


def test_suspended_means_refused_before_data_but_not_to_those_who_can_help(story: Story, day_4: Third):
    sender = story.site.sender(MALLORY)
    mail = letters.letter(
        MALLORY, (CUSTOMER, ALICE, APPEALS, "postmaster@corp.example", "abuse@corp.example"), b"Subject: x\r\n\r\n"
    )
    replies = sender.connect().envelope(mail)
    sender.close()
    assert [reply.code for reply in replies] == [250, 550, 550, 250, 250, 250]
    assert {(reply.enhanced, reply.after) for reply in replies[1:3]} == {("5.7.13", "RCPT")}


def test_standing_is_what_the_naive_ladder_says(story: Story, day_0: Run, day_2: Run, day_4: Third):
    """At every instant at which something changed, and between; from the rows, without asking the node."""
    rows = story.node.rows(login=MALLORY)
    instants = [DAY_0 + timedelta(hours=h) for h in (1, 25, 49.5, 74, 98.5, 120, 190, 268)]
    history = acts(rows)
    print(f"oracle: {len(rows)} rows, {len(history)} acts")
    said = [naive.standing(history, at) for at in instants]
    assert [s.rung for s in said] == [
        "warned",
        "warned",
        "restricted",
        "warned",
        "suspended",
        "suspended",
        "suspended",
        "warned",
    ]
    assert story.stand().half_points == 16


# --- objection and annulment ------------------------------------------------------------------------------------------


def test_an_objection_is_filed_by_writing_to_the_appeals_address(story: Story, objected: Arrived):
    assert objected.recipient == APPEALS
    assert "我没有发送垃圾邮件" in objected.message.get_content()
    filed = story.node.rows("objection.filed", login=MALLORY)
    imposed = {row.body["sanction_id"]: row.body["rung"] for row in story.node.rows("sanction.imposed", login=MALLORY)}
    assert {row.body["channel"] for row in filed} == {"mail"}
    assert 3 in {imposed[row.body["sanction_id"]] for row in filed}
    listed = story.node.cli("appeal", "list", "--json")
    assert {row["appeal_id"] for row in listed} >= {row.body["appeal_id"] for row in filed} or story.node.rows(
        "objection.answered"
    )
    acknowledged = story.site.postfix.mailbox(MALLORY).read()[-1]
    assert acknowledged.sender == ""


def test_annulment_by_another_person_restores_what_the_naive_ladder_says(story: Story, annulled: Arrived):
    confirmed, undone = (story.node.rows(kind, login=MALLORY) for kind in ("sanction.confirmed", "strike.annulled"))
    assert [row.body["by"] for row in confirmed] == ["anna"]
    assert [row.body["by"] for row in undone] == ["boris"]
    after = story.stand()
    # 2 + 3 points are left: a week's restriction from day 4 takes the suspension's place.
    assert (after.rung, after.half_points) == ("restricted", 10)
    sender = story.site.sender(MALLORY)
    mail = letters.letter(MALLORY, CUSTOMER, letters.clean(MALLORY, CUSTOMER, tag="again", language="zh"))
    assert sender.send(mail).code == 250
    sender.close()


def test_the_annulment_is_told(annulled: Arrived):
    said = annulled.message.get_content()
    assert annulled.sender == ""
    assert "我们" in said
    assert "our" in said.lower()


# --- notices ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def notices(day_0: Run, day_2: Run, day_4: Third) -> dict[str, Arrived]:
    return {
        "warning": day_0.notices[0],
        "restriction": day_2.notices[0],
        "suspension": day_4.run.notices[0],
    }


@pytest.mark.parametrize("name", ["warning", "restriction", "suspension"])
def test_a_notice_states_its_reasons_in_two_languages(notices: dict[str, Arrived], name: str):
    """Ground, facts, effect, end, how to object (DSA Art. 17 in TX-6 words; STANDING 5.10)."""
    notice = notices[name]
    message = notice.message
    said = message.get_content()
    print(f"--- {name}: {message['subject']}\n{said}")
    assert notice.sender == ""
    assert notice.recipient == MALLORY
    assert POLICY in str(message["from"])
    assert str(message["auto-submitted"]).startswith("auto-")
    # Ground and facts, in both.
    assert said.count("3.3.2") >= 2
    assert "垃圾邮件" in said
    assert "unsolicited bulk mail" in said.lower()
    # How to object, in both.
    assert said.count(APPEALS) >= 2
    assert "异议" in said
    assert "object" in said.lower()
    # Made by a machine, and it says so.
    assert "自动" in said
    assert "automatic" in said.lower()


@pytest.mark.parametrize("name", ["restriction", "suspension"])
def test_a_notice_says_until_when(notices: dict[str, Arrived], name: str, story: Story):
    rung = {"restriction": 2, "suspension": 3}[name]
    rows = [row for row in story.node.rows("sanction.imposed", login=MALLORY) if row.body["rung"] == rung]
    end = max(datetime.fromisoformat(row.body["ends_at"]) for row in rows if name != "restriction" or row is rows[0])
    words = f"{end.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
    assert notices[name].message.get_content().count(words) >= 2


def test_no_notice_quotes_the_mail(notices: dict[str, Arrived]):
    for notice in notices.values():
        said = notice.message.get_content()
        assert "shop" not in said
        assert "1380" not in said
        assert "customers.example" not in said


@pytest.fixture(scope="module", autouse=True)
def _counts(story: Story) -> Iterator[None]:
    yield
    events = Counter(event["event"] for event in story.node.events())
    print(f"\nstory: events {dict(events)}, rows {dict(Counter(row.kind for row in story.node.rows()))}")
