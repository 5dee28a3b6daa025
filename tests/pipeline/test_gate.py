"""The walk of one message, on the real ledger.  HOUSE §4 and rules 1, 3, 6, 7."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from filterd.config import Config
from filterd.ledger.last_words import LastWords
from filterd.mail.address import parse_forward_path
from filterd.model.session import Door, Session
from filterd.model.verdict import Outcome
from tests.kit.house import House, letter

pytestmark = pytest.mark.slow

CONFIG = {
    "listener": [
        {"name": "submission", "attribution": "xclient", "direction": "outbound"},
        {"name": "auto", "attribution": "received", "received_by": "mx.cust.example", "port": 10026},
        {"name": "header", "attribution": "header", "header_name": "X-Auth-User", "port": 10028},
        {"name": "inbound", "direction": "inbound", "port": 10029},
        {"name": "queue", "attribution": "xclient", "direction": "outbound", "after_queue": True, "port": 10030},
    ],
    "notices": {"appeals_address": "appeals@provider.example", "merge_s": 60},
}
PAST_THE_HOUR_S = 61 * 60.0
ALICE = "alice@cust.example"
BOB = "bob@other.example"
BURST = ("content.spam.model", "rate.burst.running")
RECEIVED = (
    "Received: from pc (pc.cust.example [192.0.2.7])\r\n\t(Authenticated sender: {login})\r\n"
    "\tby {by} (Postfix) with {proto} id 4ABC\r\n\tfor <bob@other.example>; Mon, 2 Mar 2026 09:00:00 +0800 (CST)"
)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    opened = await House(folder=tmp_path, config=config).open()
    yield opened
    await opened.close()


async def test_clean_mail_is_relayed_below_one_added_field_and_writes_no_strike(house: House) -> None:
    raw = letter()
    answer = await house.send(raw, BOB, login=ALICE)
    assert answer.reply is None
    added, _, rest = answer.raw.partition(b"\r\n")
    assert added.startswith(b"X-Filterd-Id: " + answer.transaction_id.encode())
    assert rest == raw
    assert (await house.show(ALICE))["standing"] == "good"


async def test_a_violation_is_refused_with_clause_and_case_and_counts_once(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    first = await house.send(letter(), BOB, login=ALICE)
    assert first.reply is not None
    assert (first.reply.code, first.reply.enhanced) == (550, "5.7.1")
    assert "3.3.2" in first.reply.text
    assert "appeals@provider.example" in first.reply.text
    for _ in range(10):
        again = await house.send(letter(), BOB, login=ALICE)
        assert again.reply is not None
        assert again.reply.code == 550
    shown = await house.show(ALICE)
    assert (shown["standing"], shown["points"], shown["provisional_points"]) == ("warned", 4, 4)
    assert [i["messages"] for i in shown["incidents"]] == [1]


async def test_what_a_hop_adds_makes_no_second_offence(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    await house.send(letter(), BOB, login=ALICE)
    await house.send(letter("Hello", "Received: from a by b; today", "X-Seen: yes"), BOB, login=ALICE)
    assert [i["recipients"] for i in (await house.show(ALICE))["incidents"]] == [1]


async def test_the_same_octets_to_new_recipients_next_day_are_a_new_incident(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    await house.send(letter(), BOB, login=ALICE)
    await house.notice_received()
    house.clock.advance(days=1)
    await house.send(letter(), BOB, login=ALICE)
    assert len((await house.show(ALICE))["incidents"]) == 1
    await house.send(letter(), "carol@other.example", login=ALICE)
    shown = await house.show(ALICE)
    assert len(shown["incidents"]) == 2
    assert shown["standing"] == "restricted"


async def test_three_runs_end_in_a_suspension_that_is_refused_before_any_check(house: House) -> None:
    for day in (0, 2, 4):
        house.script.codes = BURST
        people = [f"p{day}.{n}@other.example" for n in range(300)]
        await house.send(letter(f"run {day}"), *people, login=ALICE)
        await house.notice_received()
        if day < 4:
            house.clock.advance(days=2)
    assert (await house.show(ALICE))["standing"] == "suspended"
    house.script.codes, asked = (), house.script.asked
    refused = await house.send(letter("harmless"), BOB, login=ALICE)
    assert refused.reply is not None
    assert (refused.reply.code, refused.reply.enhanced) == (550, "5.7.13")
    assert "until" in refused.reply.text
    assert house.script.asked == asked
    session = Session(id="c", door=Door.POLICY, listener="policy", peer_address="127.0.0.1", login=ALICE)
    denied = await house.gate.admit(session, None, parse_forward_path(b"<bob@other.example>"))
    assert denied is not None
    assert denied.enhanced == "5.7.13"
    for reachable in ("appeals@provider.example", "postmaster@cust.example", "abuse@cust.example", "postmaster"):
        assert await house.gate.admit(session, None, parse_forward_path(f"<{reachable}>".encode())) is None
    assert await house.gate.admit(session, None, parse_forward_path(b"<postmaster@other.example>")) is not None


async def test_a_suspended_account_objects_by_mail_and_its_mail_is_never_judged(house: House) -> None:
    for day in (0, 2, 4):
        house.script.codes = BURST
        await house.send(letter(f"run {day}"), *[f"p{day}.{n}@o.example" for n in range(300)], login=ALICE)
        await house.notice_received()
        if day < 4:
            house.clock.advance(days=2)
    house.script.codes = BURST
    answer = await house.send(letter("please look"), "appeals@provider.example", login=ALICE)
    assert answer.reply is None
    appeals = await house.ledger.call("appeal.list", {})
    assert {a["login"] for a in appeals} == {ALICE}
    await house.send(letter("please look again"), "appeals@provider.example", login=ALICE)
    assert len(await house.ledger.call("appeal.list", {})) == len(appeals)
    house.clock.advance(hours=25)
    assert (await house.show(ALICE))["standing"] == "restricted"


@pytest.mark.parametrize(
    ("listener", "fields", "is_trusted", "login"),
    [
        ("auto", (RECEIVED.format(login=ALICE, by="mx.cust.example", proto="ESMTPSA"),), True, ALICE),
        ("auto", (RECEIVED.format(login=ALICE, by="mx.cust.example", proto="ESMTP"),), True, None),
        ("auto", (RECEIVED.format(login=ALICE, by="mx.evil.example", proto="ESMTPSA"),), True, None),
        ("auto", (RECEIVED.format(login=ALICE, by="mx.cust.example", proto="ESMTPSA"),), False, None),
        (
            "auto",
            (
                "Received: from x by mx.cust.example with ESMTP; now",
                RECEIVED.format(login=ALICE, by="mx.cust.example", proto="ESMTPSA"),
            ),
            True,
            None,
        ),
        ("auto", (), True, None),
        ("header", (f"X-Auth-User: {ALICE}", "Received: from x by y; now"), True, ALICE),
        ("header", ("Received: from x by y; now", f"X-Auth-User: {ALICE}"), True, None),
        ("header", (f"X-Auth-User: {ALICE}",), False, None),
        ("inbound", (f"X-Auth-User: {ALICE}",), True, None),
    ],
)
async def test_only_the_listeners_own_source_makes_somebody_answerable(
    house: House, listener: str, fields: tuple[str, ...], is_trusted: bool, login: str | None
) -> None:
    house.script.codes = ("virus.signature.match",)
    await house.send(letter("x", *fields, sender=ALICE), BOB, listener=listener, is_trusted=is_trusted)
    assert await house.logins() == ([login] if login else [])


async def test_the_attribution_field_is_taken_out_on_the_way(house: House) -> None:
    raw = letter("x", f"X-Auth-User: {ALICE}", "Received: from x by y; now")
    answer = await house.send(raw, BOB, listener="header")
    assert b"X-Auth-User" not in answer.raw
    assert answer.raw.split(b"\r\n", 1)[1] == raw.split(b"\r\n", 1)[1]


async def test_strangers_mail_is_marked_or_refused_and_strikes_nobody(house: House) -> None:
    house.script.codes = ("content.spam.model",)
    spam = await house.send(letter(sender=ALICE), ALICE, listener="inbound")
    assert spam.reply is None
    assert b"X-Spam-Flag: YES\r\n" in spam.raw
    house.script.codes = ("virus.signature.match",)
    virus = await house.send(letter(sender=ALICE), ALICE, listener="inbound")
    assert virus.reply is not None
    assert virus.reply.code == 550
    assert await house.logins() == []


async def test_a_check_that_fails_defers_and_is_never_a_finding(house: House) -> None:
    house.script.outcome = Outcome.TEMPERROR
    answer = await house.send(letter(), BOB, login=ALICE)
    assert answer.reply is not None
    assert (answer.reply.code, answer.reply.enhanced) == (451, "4.7.1")
    assert (await house.show(ALICE))["standing"] == "good"
    assert house.events("decided")[-1]["is_complete"] is False


async def test_without_the_ledger_good_accounts_pass_and_the_rest_waits(house: House) -> None:
    await house.send(letter("before"), BOB, login=ALICE)
    house.ledger.is_away = True
    assert (await house.send(letter("clean"), BOB, login=ALICE)).reply is None
    stranger = await house.send(letter("clean"), BOB, login="nobody@cust.example")
    assert stranger.reply is not None
    assert stranger.reply.code == 451
    house.script.codes = ("virus.signature.match",)
    bad = await house.send(letter("bad"), BOB, login=ALICE)
    assert bad.reply is not None
    assert bad.reply.code == 451
    house.ledger.is_away = False
    assert (await house.show(ALICE))["standing"] == "good"


def envelope_session(login: str) -> Session:
    return Session(
        id="c_1",
        door=Door.SMTP,
        listener="submission",
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        login=login,
        login_source="xclient",
    )


async def test_without_the_ledger_standing_is_enforced_as_it_was(house: House) -> None:
    """HOUSE §5: good accounts pass from RCPT on, suspended ones stay suspended, everybody else waits."""
    bob = parse_forward_path(BOB.join("<>").encode())
    struck, suspended = "struck@cust.example", "suspended@cust.example"
    await house.send(letter("before"), BOB, login=ALICE)
    house.script.codes = BURST
    for day in (0, 2, 4):
        people = [f"p{day}.{n}@other.example" for n in range(300)]
        await house.send(letter(f"run {day}"), *people, login=suspended)
        await house.notice_received()
        house.clock.advance(days=2)
    await house.send(letter("run"), *[f"p{n}@o.example" for n in range(300)], login=struck)
    house.script.codes = ()
    assert (await house.show(suspended))["standing"] == "suspended"
    assert (await house.show(struck))["standing"] == "warned"
    house.ledger.is_away = True
    assert await house.gate.admit(envelope_session(ALICE), None, bob) is None
    for login, code in ((suspended, 550), (struck, 451), ("nobody@cust.example", 451)):
        reply = await house.gate.admit(envelope_session(login), None, bob)
        assert reply is not None
        assert reply.code == code, login
        answer = await house.send(letter("again"), BOB, login=login)
        assert answer.reply is not None
        assert answer.reply.code == code, login


async def test_the_last_word_is_not_believed_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("filterd.ledger.last_words.time", SimpleNamespace(monotonic=lambda: now[0]))
    house.ledger._last = LastWords(trusted_s=60)
    house.ledger._last.go_away(house.engine.warm_history)
    await house.send(letter("before"), BOB, login=ALICE)
    house.ledger.is_away = True
    now[0] += 60
    assert (await house.send(letter("meanwhile"), BOB, login=ALICE)).reply is None
    now[0] += 1
    reply = (await house.send(letter("clean"), BOB, login=ALICE)).reply
    assert reply is not None
    assert reply.code == 451


async def test_a_restricted_feature_refuses_only_itself(house: House) -> None:
    house.script.codes = BURST
    await house.send(letter("run"), *[f"p{n}@o.example" for n in range(300)], login=ALICE)
    house.script.codes = ()
    assert (await house.show(ALICE))["features_off"] == ["bulk", "messages_per_hour:20"]
    bulk = await house.send(letter("list"), *[f"q{n}@o.example" for n in range(11)], login=ALICE)
    assert bulk.reply is not None
    assert (bulk.reply.code, bulk.reply.enhanced) == (550, "5.7.1")
    replies = [(await house.send(letter(f"m{n}"), BOB, login=ALICE)).reply for n in range(20)]
    assert replies[0] is None
    assert replies[-1] is not None
    assert (replies[-1].code, replies[-1].enhanced) == (451, "4.7.28")


async def test_behind_the_queue_what_is_on_record_as_an_error_is_held_and_not_lost(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    first = await house.send(letter("bad"), BOB, login=ALICE, listener="queue")
    assert first.reply is not None
    assert first.reply.code == 250
    token = (await house.ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    (sanction,) = (await house.show(ALICE))["sanctions"]
    given = {"token": token, "reason": "a bad signature", "sanction": sanction["sanction_id"]}
    await house.ledger.call("sanction.annul", given)
    # Once more, and to somebody else within the same act.
    for to in (BOB, "carol@other.example"):
        reply = (await house.send(letter("bad"), to, login=ALICE, listener="queue")).reply
        assert reply is not None
        assert (reply.code, reply.text.split()[0]) == (250, "D-HELD"), to
    assert [x["state"] for x in await house.ledger.call("quarantine.list", {})] == ["held", "held"]
    assert (await house.show(ALICE))["points"] == 0


async def test_behind_the_queue_nothing_bounces(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    first = await house.send(letter("bad"), BOB, login=ALICE, listener="queue")
    assert first.reply is not None
    assert (first.reply.code, first.raw) == (250, b"")
    (held,) = await house.ledger.call("quarantine.list", {})
    assert held["item_id"] in first.reply.text
    again = await house.send(letter("bad"), BOB, login=ALICE, listener="queue")
    assert again.reply is not None
    assert again.reply.code == 250
    assert [i["messages"] for i in (await house.show(ALICE))["incidents"]] == [1]
    house.script.codes = ("sender.from.other_tenant",)
    unrecorded = await house.send(letter("other"), BOB, login=ALICE, listener="queue")
    assert unrecorded.reply is not None
    assert unrecorded.reply.text.startswith("D-HELD")


async def test_behind_the_queue_where_nothing_is_held_what_is_on_record_is_discarded(tmp_path: Path) -> None:
    tables = {**CONFIG, "agreement": {"hold_outbound": "reject"}, "node": {"state_dir": str(tmp_path)}}
    house = await House(folder=tmp_path, config=Config.model_validate(tables)).open()
    house.script.codes = ("virus.signature.match",)
    first = await house.send(letter("bad"), BOB, login=ALICE, listener="queue")
    assert first.reply is not None
    assert (first.reply.code, first.reply.text.split()[0]) == (250, "D-RECORD")
    assert first.transaction_id in first.reply.text
    house.script.codes = ("sender.from.other_tenant",)
    unrecorded = await house.send(letter("other"), BOB, login=ALICE, listener="queue")
    assert unrecorded.reply is not None
    assert unrecorded.reply.code == 451
    assert await house.ledger.call("quarantine.list", {}) == []
    await house.close()


async def test_an_objection_counts_whoever_else_gets_the_mail(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    await house.send(letter("bad"), BOB, login=ALICE)
    house.script.codes = ()
    answer = await house.send(letter("look"), "appeals@provider.example", "boss@cust.example", login=ALICE)
    assert answer.reply is None
    assert len(await house.ledger.call("appeal.list", {})) == 1


@pytest.mark.parametrize(("to", "code"), [("abuse@cust.example", None), ("postmaster@cust.example", 550)])
async def test_only_the_desks_are_exempt_from_judgement(house: House, to: str, code: int | None) -> None:
    house.script.codes = ("virus.signature.match",)
    answer = await house.send(letter("bad"), to, login=ALICE)
    assert (answer.reply.code if answer.reply else None) == code


async def test_a_virus_nobody_answers_for_is_refused_in_every_direction(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    answer = await house.send(letter("bad"), BOB, listener="submission")
    assert answer.reply is not None
    assert answer.reply.code == 550
    assert await house.logins() == []


@pytest.mark.parametrize("login", ["mallory@cust.example ", "mall?ory@cust.example"])
async def test_a_login_that_cannot_be_read_is_not_a_stranger(house: House, login: str) -> None:
    field = RECEIVED.format(login=login, by="mx.cust.example", proto="ESMTPSA")
    answer = await house.send(letter("x", field), BOB, listener="auto")
    assert answer.reply is not None
    assert answer.reply.code == 451
    assert await house.logins() == []


async def test_a_limit_an_hour_is_not_waited_out_by_trying_again(house: House) -> None:
    house.script.codes = BURST
    await house.send(letter("run"), *[f"p{n}@o.example" for n in range(300)], login=ALICE)
    house.script.codes = ()
    for attempt in range(2):
        replies = [(await house.send(letter(f"m{n}"), BOB, login=ALICE)).reply for n in range(60)]
        passed = sum(1 for reply in replies if reply is None)
        assert passed <= 20, attempt
        house.clock.advance(PAST_THE_HOUR_S)


async def test_an_agreement_that_lost_a_category_still_decides(house: House) -> None:
    house.script.codes = ("virus.signature.match",)
    await house.send(letter("bad"), BOB, login=ALICE)
    old = house.terms()
    house.swap_terms(
        old.model_copy(
            update={
                "category": tuple(c for c in old.category if c.id != "malware"),
                "rule": tuple(r for r in old.rule if r.category != "malware"),
            }
        )
    )
    house.script.codes = BURST
    answer = await house.send(letter("spam"), BOB, login=ALICE)
    assert answer.reply is not None
    assert answer.reply.code == 550


async def test_no_event_holds_a_word_of_the_mail_or_an_address_of_a_stranger(house: House) -> None:
    secret = "kingfisher"
    house.script.codes = ("virus.signature.match",)
    raw = letter(secret, f"X-Note: {secret}") + f"{secret}\r\n".encode()
    await house.send(raw, f"{secret}@other.example", login=ALICE)
    streams = b"".join(p.read_bytes() for p in (house.folder / "events").glob("*.jsonl"))
    assert secret.encode() not in streams
    assert ALICE.encode() not in streams
    store = b"".join(p.read_bytes() for p in house.folder.rglob("*") if p.is_file() and "events" not in p.parts)
    assert secret.encode() not in store
    assert ALICE.encode() not in store
