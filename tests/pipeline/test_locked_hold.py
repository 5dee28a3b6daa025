"""`on_hit = "hold_for_person"`: mail waits four hours for a person, unseen, and goes on.  CLAUSES §1, STANDING 5.11.

prop_c1_locked, HOUSE rule 9: nothing else follows from it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from filterd.clients.relay import NextHopRelay
from filterd.config import NextHopConfig
from filterd.errors import LedgerUnavailable, PortError, RefusedError, UsageError
from filterd.log import EventStream, Log, read_events, stream_files
from filterd.log.facts import entry_facts
from filterd.log.verify import LedgerRows, StreamWalk
from filterd.metrics import REGISTRY, observe_record
from filterd.model import records as r
from filterd.model.entry import Entry
from filterd.model.held import FOR_PERSON, HeldMail, HeldState
from filterd.pipeline import locked_hold
from filterd.pipeline.replies import TAKEN
from tests.kit.hop import Hop
from tests.kit.hop import running as hopping
from tests.kit.house import letter
from tests.pipeline.holding import CONTESTABLE, HoldingOffice, open_holding
from tests.pipeline.locked_rig import LIST, WORDS, adopt, cases, mail, read_by_gate, running, said, write
from tests.pipeline.people import ALICE, BOB

pytestmark = pytest.mark.slow

HOLDS = LIST.replace("terms =", 'on_hit = "hold_for_person"\nterms =', 1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[HoldingOffice]:
    async with open_holding(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        await running(opened, HOLDS)
        yield opened


def held(office: HoldingOffice, *states: HeldState) -> tuple[HeldMail, ...]:
    return office.engine.run(lambda txn: txn.held_mails(states or tuple(HeldState), is_for_person=True))


async def waits(office: HoldingOffice, raw: bytes | None = None, *recipients: str) -> Any:
    """Have Alice send a mail that is held; say the answer."""
    answer = await office.submit(raw or mail(), *recipients)
    await office.gate.flush()
    assert (answer.reply is not None and answer.reply.code, answer.is_plain) == (250, True)
    return answer


async def taken(office: HoldingOffice) -> list[bytes]:
    await office.carry()
    return [x.raw for x in office.sink.messages]


# --- it waits, and goes on by itself ----------------------------------------------------------------------------------


async def test_it_waits_four_hours_and_is_delivered_as_it_would_have_been(office: HoldingOffice) -> None:
    answer = await waits(office)
    (one,) = held(office)
    assert (one.state, one.due_at - one.held_at, one.transaction_id) == (
        HeldState.HELD,
        4 * HOUR,
        answer.transaction_id,
    )
    assert await office.strike(hours=3, minutes=59) == []
    assert await taken(office) == []
    # Nothing is said of the clock that struck.
    assert await office.strike(minutes=1) == []
    (raw,) = await taken(office)
    assert raw.endswith(mail())
    assert b"held=" not in raw
    assert raw.startswith(f"X-Filterd-Id: {answer.transaction_id} fp=".encode())
    assert [x.state for x in held(office)] == [HeldState.DELIVERED]
    assert await office.strike(hours=30) == []
    assert len(await taken(office)) == 1


async def test_whoever_sent_it_sees_the_250_of_any_other_mail(office: HoldingOffice) -> None:
    """The door says it in the next hop's words (test_relay_words, test_smtp_taken)."""
    answer = await waits(office)
    assert str(answer.reply) == str(TAKEN)
    assert not any(word in str(answer.reply).lower() for word in ("held", "case", "person", "quarantine", "q_"))


async def test_the_clock_lets_it_go_while_the_time_cannot_be_trusted(
    office: HoldingOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await waits(office)
    office.clock.advance(5 * 3600)
    monkeypatch.setattr(office.clocks._told, "jumped_s", lambda _: 3600.0)
    assert (await office.clocks.run_once(office.clock.now())).frozen_s == 3600.0
    assert len(await taken(office)) == 1


async def test_tried_again_it_is_the_same_mail(office: HoldingOffice) -> None:
    await waits(office)
    await waits(office)
    await office.strike(hours=4)
    assert len(await taken(office)) == 1
    # After it went, too: the client may not have heard the 250.
    await waits(office)
    await office.strike(hours=4)
    assert (len(held(office)), len(await taken(office))) == (1, 1)


async def test_long_after_it_went_the_same_octets_are_another_mail(office: HoldingOffice) -> None:
    await waits(office)
    await office.strike(hours=4)
    assert len(await taken(office)) == 1
    office.clock.advance(3 * 3600)
    await waits(office)
    await office.strike(hours=4)
    assert (len(held(office)), len(await taken(office))) == (2, 2)


async def test_what_still_waits_for_the_next_hop_is_the_same_mail(office: HoldingOffice) -> None:
    await waits(office)
    await office.strike(hours=4)
    office.clock.advance(20 * 3600)
    await waits(office)
    assert [x.state for x in held(office)] == [HeldState.RELEASED]
    assert len(await taken(office)) == 1


async def test_a_programme_that_writes_neither_date_nor_id_loses_none_of_its_mail(office: HoldingOffice) -> None:
    alert = b"".join(x for x in mail().splitlines(keepends=True) if not x.startswith(b"Message-ID:"))
    for _ in range(5):
        await waits(office, alert)
        await office.strike(hours=1)
    assert (len(held(office)), len(cases(office))) == (5, 1)
    assert (await office.strike(hours=4), len(await taken(office))) == ([], 5)


async def test_switched_off_between_two_tries_it_is_the_same_mail(office: HoldingOffice) -> None:
    await waits(office)
    entry = office.site(r.LockedListAdopted)[0].entry_id
    await office.act("fritz", "register.end", entry=entry, reason="no more")
    await waits(office)
    assert (len(held(office)), await office.strike(hours=4), len(await taken(office))) == (1, [], 1)


async def test_to_others_it_is_another_mail_of_the_same_case(office: HoldingOffice) -> None:
    await waits(office)
    await waits(office, None, "carol@third.example")
    assert (len(held(office)), len(cases(office))) == (2, 1)


# --- nothing else follows ---------------------------------------------------------------------------------------------


def measured() -> dict[str, float]:
    return {
        f"{x.name}{sorted(x.labels.items())}": x.value
        for metric in REGISTRY.collect()
        for x in metric.samples
        if "held" in x.name or "mails" in x.name
    }


async def test_nothing_else_follows_from_it(office: HoldingOffice) -> None:
    await office.submit(mail("hello"))
    account = await office.mailbox()
    site, before, promised = office.records("site"), office.records(account.account_id), office.promised()
    metrics = measured()
    await waits(office)
    rows = office.records("site")[len(site) :]
    for row in rows:
        observe_record(row)
    assert measured() == metrics
    # Of the account no row, no notice, no task; its standing is as it was.
    assert (office.records(account.account_id), office.promised()) == (before, promised)
    assert await office.standing() == "good"
    # The one row names neither list nor category nor case.
    (row,) = rows
    assert (type(row), row.reason, row.incident_id) == (r.MailHeld, FOR_PERSON, "")
    assert not any(word in str(row) for word in ("kites", "pol.", cases(office)[0].transaction_id))
    await office.strike(hours=4)
    await office.carry()
    later = office.records("site")[len(site) + 1 :]
    assert [(type(x), x.state, x.reason) for x in later] == [
        (r.HeldMailMoved, "released", FOR_PERSON),
        (r.HeldMailMoved, "delivered", FOR_PERSON),
    ]
    assert office.records(account.account_id) == before


async def test_nobody_finds_it_among_other_held_mail(office: HoldingOffice) -> None:
    await waits(office)
    (one,) = held(office)
    assert await office.items(all=True) == []
    assert (await office.show(ALICE))["held_mails"] == []
    assert office.engine.run(lambda txn: (txn.holders(), txn.oldest_held(), sum(txn.held_counts().values()))) == (
        (), None, 0,
    )  # fmt: skip
    for verb in ("show", "read", "release", "return", "delete"):
        with pytest.raises(UsageError, match="no held mail"):
            await office.act("mona", f"quarantine.{verb}", item=one.item_id, reason="curious")
    said = {}
    for item in (one.item_id, "q_none"):
        with pytest.raises(UsageError, match="no held mail") as refused:
            await office.act("mona", "request.open", tenant="cust.example", kind="mail_trouble", held=item)
        said[item] = str(refused.value).replace(item, "ID")
    assert len(set(said.values())) == 1


async def test_it_is_not_held_of_strangers_nor_within_the_tenant(office: HoldingOffice) -> None:
    inside = await office.submit(mail(), "zoe@cust.example")
    stranger = await office.submit(mail(sender="eve@else.example"), ALICE, listener="inbound", login=None)
    assert (inside.reply, stranger.reply, held(office)) == (None, None, ())


async def test_a_list_that_only_delivers_holds_nothing(tmp_path: Path) -> None:
    async with open_holding(tmp_path) as office:
        await office.hire("dana", "erin")
        await running(office)
        assert (await office.submit(mail())).reply is None
        await office.gate.flush()
        assert (held(office), len(cases(office))) == ((), 1)


async def test_what_two_people_approved_without_it_holds_nothing(tmp_path: Path) -> None:
    """The row says what they approved, whatever a file of the same digest is read as."""
    async with open_holding(tmp_path) as office:
        await office.hire("dana", "erin")
        file = write(office, HOLDS)
        from tests.pipeline.locked_rig import approve, enable, propose

        await enable(office)
        terms = said(office, file) | {"on_hit": "deliver"}
        await approve(office, await propose(office, "locked_list.adopt", **terms))
        await read_by_gate(office)
        assert (await office.submit(mail())).reply is None
        assert held(office) == ()


async def test_one_person_switches_it_off_and_what_waits_goes_on(office: HoldingOffice) -> None:
    await waits(office)
    (row,) = office.site(r.LockedListAdopted)
    assert row.on_hit == "hold_for_person"
    await office.act("fritz", "register.end", entry=row.entry_id, reason="no more")
    assert (await office.submit(mail("another velvet teapot"))).reply is None
    await office.strike(hours=4)
    assert len(await taken(office)) == 1


async def test_beyond_what_one_account_may_have_held_mail_is_delivered(
    office: HoldingOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locked_hold, "MOST_HELD", 1)
    await waits(office)
    assert (await office.submit(mail("a marmalade jar"))).reply is None


async def test_while_nobody_knows_whether_it_is_held_it_waits_with_its_sender(
    office: HoldingOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = office.ledger.call

    async def lost(verb: str, arguments: Any) -> Any:
        answer = await call(verb, arguments)
        if verb == "locked.hold":
            raise LedgerUnavailable("the answer was lost")
        return answer

    monkeypatch.setattr(office.ledger, "call", lost)
    answer = await office.submit(mail())
    assert answer.reply is not None
    assert answer.reply.code == 451
    monkeypatch.undo()
    await waits(office)
    await office.strike(hours=4)
    assert len(await taken(office)) == 1


async def test_a_broken_list_costs_no_mail(office: HoldingOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise OSError("no such folder")

    monkeypatch.setattr(office.gate._locked, "wants", broken)
    assert (await office.submit(mail())).reply is None


async def test_after_a_crash_everything_that_waits_is_still_there(office: HoldingOffice) -> None:
    """What the 250 promised is in the store and in the vault; the workers begin anew and know nothing."""
    await waits(office)
    office.engine.run(lambda txn: None)
    await office.strike(hours=4)
    office.anew()
    assert len(await taken(office)) == 1


async def test_no_failure_after_a_hit_is_told(office: HoldingOffice, monkeypatch: pytest.MonkeyPatch) -> None:
    call, put = office.ledger.call, office.engine.spool.put

    async def refused(verb: str, arguments: Any) -> Any:
        if verb == "locked.hold":
            raise UsageError("no")
        return await call(verb, arguments)

    def full(name: str, raw: bytes) -> None:
        raise PortError("no room")

    monkeypatch.setattr(office.ledger, "call", refused)
    assert (await office.submit(mail())).reply is None
    monkeypatch.undo()
    monkeypatch.setattr(office.engine.spool, "put", full)
    assert (await office.submit(mail("a marmalade jar"))).reply is None
    monkeypatch.setattr(office.engine.spool, "put", put)
    await office.gate.flush()
    assert office.events("troubled") == []
    # The mail goes on, so that the case is made as of any other list.
    assert len(cases(office)) == 2
    assert spooled(office) == []


async def test_of_a_hold_that_nobody_knows_the_log_names_no_mail(
    office: HoldingOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = office.ledger.call

    async def lost(verb: str, arguments: Any) -> Any:
        if verb == "locked.hold":
            raise LedgerUnavailable("away")
        return await call(verb, arguments)

    monkeypatch.setattr(office.ledger, "call", lost)
    answer = await office.submit(mail())
    (trouble,) = office.events("troubled")
    assert (trouble["what"], trouble["tx"]) == ("ledger", None)
    # Without it a decision that has no answer would name the mail.
    (told,) = office.events("refused")
    assert (told["tx"], told["by"], told["reply"]["code"]) == (answer.transaction_id, "next_hop", 451)


def spooled(office: HoldingOffice) -> list[str]:
    return sorted(x.name for x in office.engine.spool.directory.iterdir() if x.is_file())


async def test_nothing_of_it_is_left_in_the_spool(office: HoldingOffice) -> None:
    await waits(office)
    # The same mail again, and the same text to another: the case is there.
    await waits(office)
    await waits(office, None, "carol@third.example")
    assert spooled(office) == []


async def test_the_stream_has_its_rows_without_what_they_say(office: HoldingOffice) -> None:
    rows: list[Entry] = []
    account = await office.mailbox()
    office.engine.on_entries(rows.extend)
    answer = await waits(office)
    await office.strike(hours=4)
    await office.carry()
    log = Log(EventStream(office.folder / "ledger-events", "t.ledger", office.clock.now), pseudonym_key=b"k" * 32)
    stored = LedgerRows()
    with capture_logs() as lines:
        for row in (replace(x, writer="t.ledger") for x in rows):
            log.entry(row)
            stored.add(row)
    told = [x for x in read_events(stream_files(office.folder / "ledger-events")) if x["kind"].startswith("mail.")]
    assert [(x["kind"], x["tx"], x["account_id"], x["tenant_id"], x["body"]) for x in told] == [
        ("mail.held", None, None, None, {}),
        ("mail.moved", None, None, None, {}),
        ("mail.moved", None, None, None, {}),
    ]
    assert not any(word in str(told) + str(lines) for word in (answer.transaction_id, account.account_id, FOR_PERSON))
    assert not any(str(line.get("kind", "")).startswith("mail.") for line in lines)
    assert StreamWalk(office.folder / "ledger-events").compare(stored, "t.ledger").differences == []
    # Of any other held mail the row is whole.
    body = orjson.loads(rows[0].body) | {"reason": "hold.inbound"}
    assert entry_facts(replace(rows[0], body=orjson.dumps(body)))["body"] == body


# --- a recipient whom the next hop refuses ----------------------------------------------------------------------------


@asynccontextmanager
async def behind_a_hop(folder: Path) -> AsyncIterator[tuple[HoldingOffice, Hop]]:
    async with hopping(Hop(is_lmtp=True)) as hop, open_holding(folder) as office:
        await office.relay.close()
        office.relay = NextHopRelay(NextHopConfig(address=hop.address, protocol="lmtp"))
        office.anew()
        await office.hire("dana", "erin")
        await running(office, HOLDS)
        yield office, hop


async def test_a_refusal_of_the_next_hop_comes_back_in_plain_words(tmp_path: Path) -> None:
    async with behind_a_hop(tmp_path) as (office, hop):
        account = await office.mailbox()
        before = office.records(account.account_id)
        await waits(office)
        hop.dots = {BOB.encode(): "550 5.1.1 no such user"}
        await office.strike(hours=4)
        await office.carry()
        (report,) = hop.taken
        assert report.rcpt == ALICE.encode()
        assert b"Status: 5.1.1" in report.raw
        for word in (b"held", b"q_", b"hold"):
            assert word not in report.raw.partition(b"Content-Type: message/rfc822")[0].lower()
        assert office.records(account.account_id) == before


async def test_where_its_sender_cannot_be_told_nobody_else_is(tmp_path: Path) -> None:
    async with behind_a_hop(tmp_path) as (office, hop):
        account = await office.mailbox()
        before = office.records(account.account_id)
        await waits(office)
        hop.dots = {BOB.encode(): "550 5.1.1 no such user", ALICE.encode(): "550 5.2.2 no"}
        await office.strike(hours=4)
        await office.carry()
        assert [x.state for x in held(office)] == [HeldState.RETURNED]
        assert office.records(account.account_id) == before
        assert office.engine.run(lambda txn: txn.outbox.pending()) == ()


async def test_what_the_next_hop_refuses_comes_back_in_the_same_words_whatever_held_it(tmp_path: Path) -> None:
    async with behind_a_hop(tmp_path) as (office, hop):
        hop.dots = {BOB.encode(): "550 5.1.1 no such user"}
        await waits(office)
        await office.strike(hours=4)
        await office.carry()
        office.script.codes = CONTESTABLE
        await office.submit(mail("something else"))
        (item,) = await office.items()
        await office.act("mona", "quarantine.release", item=item["item_id"], reason="fine")
        await office.carry()
        parts = [message_from_bytes(x.raw) for x in hop.taken]
        words = [(x["From"], x["Subject"], x.get_payload(0).get_payload(decode=True)) for x in parts]
        assert len(words) == 2
        assert words[0] == words[1]


# --- people -----------------------------------------------------------------------------------------------------------


async def read(office: HoldingOffice, who: str = "dana") -> Any:
    (case,) = cases(office)
    return await office.act(who, "locked.open", case=case.transaction_id, reason="my turn")


async def test_whoever_settles_the_case_lets_it_go_at_once(office: HoldingOffice) -> None:
    await waits(office)
    (row,) = [x for x in await office.act("dana", "review.list") if x["kind"] == "sealed"]
    shown = await read(office)
    # It is due when the mail goes on.
    assert (shown["held"], row["due_at"]) == (1, shown["held_until"])
    closed = await office.act("dana", "locked.close", case=shown["case_id"], outcome="nothing", reason="a shop")
    assert closed["mail"] == "release"
    assert len(await taken(office)) == 1
    # The same text, which a person has read, is not held any more.
    assert (await office.submit(letter(WORDS + "!"))).reply is None


@pytest.mark.parametrize("what", ["return", "delete"])
async def test_without_a_decision_about_the_account_nobody_keeps_it_back(office: HoldingOffice, what: str) -> None:
    await waits(office)
    shown = await read(office)
    wanted = {"case": shown["case_id"], "reason": "no", "mail": what}
    with pytest.raises(RefusedError, match="only by a decision"):
        await office.act("dana", "locked.close", outcome="nothing", **wanted)
    with pytest.raises(RefusedError, match="decided about this account"):
        await office.act("dana", "locked.close", outcome="acted", decision="d_made_up", **wanted)
    assert [x.state for x in held(office)] == [HeldState.HELD]


@pytest.mark.parametrize(("what", "state"), [("return", "returned"), ("delete", "deleted"), ("release", "delivered")])
async def test_with_one_it_is_sent_back_or_deleted_and_the_row_says_which(
    office: HoldingOffice, what: str, state: str
) -> None:
    await waits(office)
    shown = await read(office)
    imposed = await office.act(
        "dana", "sanction.impose", account=ALICE, rung="warn", clause="4.3.1", reason="for cause"
    )
    wanted = {"case": shown["case_id"], "outcome": "acted", "decision": imposed["sanction_id"], "reason": "by order"}
    await office.act("dana", "locked.close", mail=what, **wanted)
    await office.carry()
    assert [x.state.value for x in held(office)] == [state]
    assert [x.mail for x in office.site(r.LockedCaseClosed)] == [what]
    await office.strike(hours=5)
    await office.carry()
    assert [x.state.value for x in held(office)] == [state]


@pytest.mark.parametrize("what", ["return", "delete", "release"])
async def test_sent_again_after_a_person_has_decided_it_goes_on(office: HoldingOffice, what: str) -> None:
    await waits(office)
    shown = await read(office)
    imposed = await office.act(
        "dana", "sanction.impose", account=ALICE, rung="warn", clause="4.3.1", reason="for cause"
    )
    wanted = {"case": shown["case_id"], "outcome": "acted", "decision": imposed["sanction_id"], "reason": "by order"}
    await office.act("dana", "locked.close", mail=what, **wanted)
    # On its way and at its end alike.
    assert (await office.submit(mail())).reply is None
    await office.carry()
    assert (await office.submit(mail())).reply is None


async def test_a_list_says_what_two_people_let_it_do(office: HoldingOffice) -> None:
    file = write(office, HOLDS.replace("kites", "dragons"), "dragons.toml")
    with pytest.raises(RefusedError, match="on_hit is"):
        await office.act(
            "dana", "proposal.make", act="locked_list.adopt", subject="site", reason="r",
            **said(office, file) | {"on_hit": "reject"},
        )  # fmt: skip
    await adopt(office, file)
    assert [x.on_hit for x in office.site(r.LockedListAdopted)] == ["hold_for_person", "hold_for_person"]
