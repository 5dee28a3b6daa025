"""The contract in the mail path and in people's hands, on the real ledger.  STANDING 5.11, CLAUSES §6, AL-6.3, TX-5.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.config import Config
from filterd.errors import RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.evidence import frozen
from filterd.model.reply import Reply
from filterd.model.session import Door, Session
from filterd.pipeline.clockwork import begin, strike_account, strike_tenant
from filterd.pipeline.purge import purge
from filterd.pipeline.verbs import DeskRules
from tests.kit.house import START, House, letter

pytestmark = pytest.mark.slow

CONFIG = {
    "listener": [
        {"name": "submission", "attribution": "xclient", "direction": "outbound"},
        {"name": "inbound", "direction": "inbound", "port": 10029},
        {"name": "queue", "attribution": "xclient", "direction": "outbound", "after_queue": True, "port": 10030},
    ],
    "notices": {"appeals_address": "appeals@provider.example", "merge_s": 60},
    "always_reachable": {"addresses": ["help@provider.example"]},
}
ALICE, BOB = "alice@cust.example", "bob@other.example"
LAST = "2026-03-31"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    opened = await House(folder=tmp_path, config=config).open()
    opened.tokens = {}  # type: ignore[attr-defined]
    for name, role in (("mei", "admin"), ("bo", "moderator"), ("cy", "moderator")):
        # Whom mei adds is nobody's second person for a day (test_second_person).
        arguments = {"name": name, "role": role, "as_root": name != "mei"}
        opened.tokens[name] = (await opened.ledger.call("person.add", arguments))["token"]  # type: ignore[attr-defined]
    yield opened
    await opened.close()


async def act(house: House, verb: str, by: str | None = "bo", **arguments: Any) -> Any:
    token = {"token": house.tokens[by]} if by else {}  # type: ignore[attr-defined]
    return await house.ledger.call(verb, {**arguments, **token})


async def bind(house: House, agreement: str = "aliyun-mail", expires_on: str | None = LAST, **more: Any) -> str:
    row = {"line": 1, "name": "Cust", "domains": "cust.example", "agreement": agreement, "expires_on": expires_on}
    said = await act(house, "tenant.import", "mei", rows=[{**row, **more}])
    assert said["errors"] == []
    return str((await act(house, "tenant.show", None, tenant="Cust"))["tenant_id"])


async def rcpt(house: House, address: str, login: str | None = None, listener: str | None = None) -> Reply | None:
    session = Session(
        id="c_1",
        door=Door.SMTP,
        listener=listener or ("submission" if login else "inbound"),
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        login=login,
        login_source="xclient" if login else None,
    )
    return await house.gate.admit(session, None, parse_forward_path(f"<{address}>".encode()))


def rules(house: House) -> DeskRules:
    from filterd import app

    return app.desk_rules(house.config, house.agreements)


def day(house: House, text: str) -> None:
    """Put the clock on an hour of Shanghai, `2026-04-01 00:00`."""
    from datetime import datetime

    house.clock.set(datetime.fromisoformat(text + ":00+08:00"))


# --- outbound ---------------------------------------------------------------------------------------------------------


async def test_t_al_2_2_at_midnight_of_the_last_day_sending_stops_with_its_own_words(house: House) -> None:
    await bind(house)
    assert (await house.send(letter(), BOB, login=ALICE)).reply is None
    day(house, "2026-03-31 23:59")
    assert await rcpt(house, BOB, ALICE) is None
    day(house, "2026-04-01 00:00")
    refused = await rcpt(house, BOB, ALICE)
    assert refused is not None
    assert (refused.code, refused.enhanced) == (550, "5.7.13")
    assert "Service expired; please renew" in refused.text
    assert "服务已到期，请续费" in (refused.utf8_text or "")
    answer = await house.send(letter(), BOB, login=ALICE)
    assert answer.reply is not None
    assert answer.reply.text == refused.text
    assert not any(word in refused.text.lower() for word in ("violat", "suspend", "case"))


async def test_the_desks_are_reachable_whatever_the_contract_says(house: House) -> None:
    await bind(house)
    await house.send(letter(), BOB, login=ALICE)
    day(house, "2026-04-10 09:00")
    for address in ("appeals@provider.example", "help@provider.example", "postmaster@cust.example"):
        assert await rcpt(house, address, ALICE) is None, address
        assert (await house.send(letter(), address, login=ALICE)).reply is None, address


async def test_t_al_2_2_a_renewal_in_the_days_of_grace_restores_everything_at_once(house: House) -> None:
    await bind(house)
    await house.send(letter(), BOB, login=ALICE)
    day(house, "2026-04-20 09:00")
    assert await rcpt(house, BOB, ALICE) is not None
    assert await rcpt(house, ALICE) is not None
    said = await act(house, "service.renew", tenant="Cust", until="2027-03-31")
    assert said["state"] == "active"
    assert await rcpt(house, BOB, ALICE) is None
    assert await rcpt(house, ALICE) is None
    assert (await house.send(letter(), BOB, login=ALICE)).reply is None
    shown = await house.show(ALICE)
    assert (shown["standing"], shown["points"]) == ("good", 0)


async def test_behind_the_queue_mail_of_a_stopped_service_waits(house: House) -> None:
    await bind(house)
    await house.send(letter(), BOB, login=ALICE)
    day(house, "2026-04-02 09:00")
    refused = await rcpt(house, BOB, ALICE, "queue")
    assert refused is not None
    assert refused.code == 451


async def test_t_tx_4_4_1_a_service_that_ended_for_another_reason_says_so(house: House) -> None:
    await bind(house, "tencent-exmail", None)
    await house.send(letter(), BOB, login=ALICE)
    await act(house, "service.end", tenant="Cust", because="insolvency", reason="the court said so")
    refused = await rcpt(house, BOB, ALICE)
    assert refused is not None
    assert "L-ENDED" in refused.text
    assert refused.enhanced == "5.7.13"
    await act(house, "service.resume", tenant="Cust", reason="paid")
    assert await rcpt(house, BOB, ALICE) is None


# --- inbound ----------------------------------------------------------------------------------------------------------


async def test_mail_to_a_stopped_tenant_waits_for_three_days_and_is_refused_then(house: House) -> None:
    await bind(house)
    assert await rcpt(house, "anybody@cust.example") is None
    day(house, "2026-04-01 00:00")
    replies = {}
    for hour in ("2026-04-01 00:00", "2026-04-04 23:59", "2026-04-05 00:00"):
        day(house, hour)
        reply = await rcpt(house, "anybody@cust.example")
        assert reply is not None
        replies[hour] = (reply.code, reply.enhanced)
    assert replies == {
        "2026-04-01 00:00": (450, "4.2.1"),
        # It stopped on the 1st at 0:00: that day is not counted.
        "2026-04-04 23:59": (450, "4.2.1"),
        "2026-04-05 00:00": (550, "5.2.1"),
    }
    assert await rcpt(house, "abuse@cust.example") is None
    assert await rcpt(house, "somebody@elsewhere.example") is None


async def test_while_the_ledger_is_away_mail_comes_in(house: House) -> None:
    await bind(house)
    day(house, "2026-04-10 09:00")
    assert await rcpt(house, ALICE) is not None
    house.ledger.is_away = True
    assert await rcpt(house, ALICE) is None


# --- maintenance and decommission -------------------------------------------------------------------------------------


async def test_t_tx_5_2_mail_in_a_window_waits_with_451_and_none_is_lost_or_held_against_anybody(house: House) -> None:
    await house.send(letter(), BOB, login=ALICE)
    house.script.codes = ("virus.signature.match",)
    await act(house, "maintenance.announce", since=_in(hours=1), until=_in(hours=3))
    assert (await house.send(letter("one"), BOB, login="carol@cust.example")).reply.code == 550  # type: ignore[union-attr]
    house.clock.advance(hours=1)
    for login in (ALICE, None):
        reply = await rcpt(house, BOB, login)
        assert reply is not None
        assert (reply.code, reply.enhanced) == (451, "4.3.2")
    answer = await house.send(letter("two"), BOB, login=ALICE)
    assert answer.reply is not None
    assert answer.reply.code == 451
    assert (await house.show(ALICE))["points"] == 0
    house.clock.advance(hours=2)
    assert await rcpt(house, BOB, ALICE) is None


async def test_a_window_that_is_ended_early_is_over(house: House) -> None:
    window = (await act(house, "maintenance.announce", since=_in(hours=0), until=_in(hours=3)))["window_id"]
    assert await rcpt(house, BOB) is not None
    await act(house, "maintenance.end", window=window)
    assert await rcpt(house, BOB) is None
    assert await act(house, "maintenance.list", None) == []
    with pytest.raises(UsageError, match="no window"):
        await act(house, "maintenance.end", window=window)


async def test_t_al_6_3_a_window_that_was_not_announced_before_is_refused_or_an_emergency(house: House) -> None:
    await bind(house)
    with pytest.raises(RefusedError, match="promises to tell beforehand"):
        await act(house, "maintenance.announce", until=_in(hours=3))
    with pytest.raises(RefusedError, match="cannot be announced"):
        await act(house, "maintenance.announce", since=_in(hours=-1), until=_in(hours=3))
    auditor = (await act(house, "person.add", "mei", name="al", role="auditor"))["token"]
    with pytest.raises(RefusedError, match="takes one of"):
        await house.ledger.call("maintenance.announce", {"until": _in(hours=3), "token": auditor})
    assert await rcpt(house, BOB) is None
    said = await act(house, "maintenance.announce", until=_in(hours=3), is_emergency=True)
    assert said["told"] == 1
    assert await rcpt(house, BOB) is not None
    told = [item for item, _, _ in await house.engine.pending() if item.payload.get("event") == "maintenance"]
    assert [item.payload["facts"][0]["is_emergency"] for item in told] == [True]


async def test_t_tx_8_2_8_a_closed_site_takes_no_mail_and_says_421(house: House) -> None:
    await bind(house, "tencent-exmail", None)
    with pytest.raises(RefusedError, match="at the earliest"):
        await propose(house, "site.decommission", closes_on="2026-03-20", erased_on="2026-06-30")
    await decide(house, await propose(house, "site.decommission", closes_on="2026-04-20", erased_on="2026-06-30"))
    assert await rcpt(house, BOB) is None
    events = [item.payload["event"] for item, _, _ in await house.engine.pending() if "event" in item.payload]
    assert "product_shutdown" in events
    day(house, "2026-04-20 00:00")
    for login in (ALICE, None):
        reply = await rcpt(house, BOB, login)
        assert reply is not None
        assert (reply.code, reply.enhanced) == (421, "4.3.2")
    answer = await house.send(letter(), BOB, login=ALICE)
    assert answer.reply is not None
    assert answer.reply.code == 421


async def test_t_tx_8_2_8_one_word_takes_a_shutdown_back_while_mail_still_comes(house: House) -> None:
    await bind(house, "tencent-exmail", None)
    proposal = await propose(house, "site.decommission", closes_on="2026-04-20", erased_on="2026-06-30")
    await decide(house, proposal)
    await act(house, "proposal.veto", "bo", proposal=proposal["proposal_id"], reason="not now")
    day(house, "2026-04-20 00:00")
    assert await rcpt(house, BOB) is None


async def propose(house: House, name: str, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = await act(house, "proposal.make", "bo", act=name, reason="as planned", **more)
    return said


async def decide(house: House, proposal: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = await act(
        house, "proposal.approve", "cy", proposal=proposal["proposal_id"], digest=proposal["digest"]
    )
    return said


# --- clocks in the ledger ---------------------------------------------------------------------------------------------


async def strike(house: House, tenant_id: str) -> list[str]:
    def run(txn: Any) -> Any:
        return strike_tenant(txn, tenant_id, rules(house), txn.now, since=START)

    return [x.clock for x in await house.engine.submit(run)]


async def promised(house: House) -> list[str]:
    return [item.payload["event"] for item, _, _ in await house.engine.pending() if "event" in item.payload]


async def test_t_al_2_2_the_whole_walk_from_the_notice_to_two_readings(house: House) -> None:
    tenant_id = await bind(house)
    assert await strike(house, tenant_id) == []
    day(house, "2026-03-24 00:00")
    assert await strike(house, tenant_id) == ["renewal.due"]
    assert await strike(house, tenant_id) == []
    assert await promised(house) == ["renewal_due"]
    await received(house, tenant_id, "renewal_due")
    day(house, "2026-04-01 00:00")
    assert await strike(house, tenant_id) == ["service.stopped"]
    day(house, "2026-04-30 23:59")
    assert await strike(house, tenant_id) == []
    day(house, "2026-05-01 00:00")
    assert await strike(house, tenant_id) == ["deletion.imminent"]
    house.clock.advance(hours=23)
    assert await strike(house, tenant_id) == []
    house.clock.advance(hours=1)
    assert await strike(house, tenant_id) == ["deletion.eligible"]
    assert await promised(house) == ["renewal_due", "service_stopped", "deletion_imminent"]
    shown = await act(house, "service.show", None, tenant="Cust")
    assert (shown["state"], len(shown["readings"]), shown["why_not_deleted"]) == ("deletion_eligible", 2, None)


async def received(house: House, tenant_id: str, template: str) -> None:
    def run(txn: Any) -> None:
        sent = r.NoticeSent(
            at=txn.now,
            notice_id="m_1",
            account_id="",
            incident_ids=(),
            template=template,
            languages=("zh-Hans",),
            channel="tenant",
            outcome="accepted",
            deemed_at=txn.now,
            body_digest="",
        )
        txn.append(sent, account_id=None, tenant_id=tenant_id)

    await house.engine.submit(run)


async def test_t_tx_4_4_4_a_free_tenant_ends_with_the_31st_bad_probe_of_the_ledgers_own(house: House) -> None:
    from filterd.pipeline.clockwork import take_probe

    tenant_id = await bind(house, "tencent-exmail", None, plan="free")
    struck = []
    for number in range(1, 32):
        def run(txn: Any) -> Any:
            return take_probe(txn, tenant_id, {"cust.example": "bad"}, 2, rules(house), txn.now)

        struck += [x.clock for x in await house.engine.submit(run)]
        # Twice a day is once.
        assert await house.engine.submit(run) == ()
        shown = await act(house, "service.show", None, tenant="Cust")
        assert shown["state"] == ("ended" if number == 31 else "active"), number
        house.clock.advance(days=1)
    assert struck == ["mx.bad"]
    assert await strike(house, tenant_id) == ["service.ended"]
    rows = [x for x in await records(house, tenant_id) if isinstance(x, (r.MxProbed, r.ServiceEnded))]
    assert (len(rows), type(rows[-1]).__name__) == (32, "ServiceEnded")


async def records(house: House, subject_id: str) -> tuple[r.Record, ...]:
    found: tuple[r.Record, ...] = await house.engine.submit(lambda txn: txn.records(subject_id))
    return found


async def test_nothing_strikes_ahead_of_its_time_and_a_look_writes_nothing(house: House) -> None:
    tenant_id = await bind(house)
    before = await records(house, tenant_id)
    said = await act(house, "clock.run", None, at="2026-04-02T00:00:00+08:00", dry_run=True)
    assert [x["clock"] for x in said["struck"]] == ["renewal.due", "service.stopped"]
    assert await records(house, tenant_id) == before
    with pytest.raises(RefusedError, match="ahead of its time"):
        await act(house, "clock.run", at="2026-04-02T00:00:00+08:00")
    with pytest.raises(RefusedError, match="named person"):
        await act(house, "clock.run", None)
    day(house, "2026-04-02 00:00")
    said = await act(house, "clock.run")
    assert [x["clock"] for x in said["struck"]] == ["renewal.due", "service.stopped"]
    assert (await act(house, "clock.run"))["struck"] == []


async def test_where_people_set_the_clock_anybody_may_run_it(house: House) -> None:
    from filterd.pipeline.service_verbs import ServiceVerbs

    await bind(house)
    table = ServiceVerbs(rules(house), is_settable=True).table()
    day(house, "2026-04-02 00:00")
    said = await house.engine.submit(lambda txn: table["clock.run"](txn, {}))
    assert [x["clock"] for x in said["struck"]] == ["renewal.due", "service.stopped"]


async def test_the_end_of_a_suspension_is_told_and_frees_the_queue_once(house: House) -> None:
    house.script.codes = ("content.spam.model", "rate.burst.running")
    for _ in range(3):
        await house.send(letter(str(house.clock.now())), *(f"b{n}@other.example" for n in range(60)), login=ALICE)
        await house.notice_received()
        house.clock.advance(hours=30)
    account_id = next(a.account_id for a in await house.engine.submit(lambda txn: txn.accounts()))
    sanctions = [x for x in await records(house, account_id) if isinstance(x, r.SanctionImposed)]
    end = max(x.ends_at for x in sanctions if x.ends_at is not None)
    house.clock.set(end)

    def run(txn: Any) -> Any:
        return strike_account(txn, account_id, rules(house), txn.now, since=START)

    struck = [x.clock for x in await house.engine.submit(run)]
    assert struck.count("sanction.expired") == sum(x.ends_at is not None for x in sanctions)
    assert await house.engine.submit(run) == ()
    assert "sanction_expired" in await promised(house)
    assert (await house.show(ALICE))["standing"] == "warned"


async def test_clocks_begin_once_and_what_ended_before_is_told_to_nobody(house: House) -> None:
    first = await house.engine.submit(begin)
    house.clock.advance(days=5)
    assert await house.engine.submit(begin) == first == START
    assert sum(isinstance(x, r.ClockStruck) for x in await records(house, SITE)) == 1


# --- acts of people ---------------------------------------------------------------------------------------------------


async def test_t_tx_8_2_7_after_a_change_of_law_it_ends_when_the_notice_has_run(house: House) -> None:
    await bind(house, "tencent-exmail", None)
    said = await act(house, "service.end", tenant="Cust", because="law_change", reason="new rules")
    assert said["ends_at"] == "2026-03-17T16:00:00Z"
    assert "law_change" in await promised(house)
    assert (await act(house, "service.show", None, tenant="Cust"))["state"] == "active"
    day(house, "2026-03-18 00:00")
    assert (await act(house, "service.show", None, tenant="Cust"))["state"] == "ended"


async def test_an_end_needs_a_known_reason_a_person_and_words(house: House) -> None:
    await bind(house)
    for change, wrong in (
        ({"because": "mx"}, "because is one of"),
        ({"because": "law_change"}, "no clock for a change of law"),
        ({"because": "insolvency", "reason": ""}, "say why"),
    ):
        with pytest.raises(RefusedError, match=wrong):
            await act(house, "service.end", **({"tenant": "Cust", "reason": "-", **change}))
    with pytest.raises(RefusedError, match="named person"):
        await act(house, "service.end", None, tenant="Cust", because="insolvency", reason="-")
    with pytest.raises(UsageError, match="tenants are called"):
        await act(house, "service.end", tenant="Nobody", because="insolvency", reason="-")


async def test_an_account_has_a_term_of_its_own(house: House) -> None:
    await bind(house, "tencent-exmail", None)
    await house.send(letter(), BOB, login=ALICE)
    said = await act(house, "service.renew", account=ALICE, until=LAST)
    assert said["expires_on"] == LAST
    day(house, "2026-04-01 00:00")
    refused = await rcpt(house, BOB, ALICE)
    assert refused is not None
    assert refused.enhanced == "5.7.13"
    assert await rcpt(house, BOB, "carol@cust.example") is None
    await act(house, "service.renew", account=ALICE, until="")
    assert await rcpt(house, BOB, ALICE) is None


# --- purge ------------------------------------------------------------------------------------------------------------


async def due(house: House) -> tuple[str, str]:
    """A tenant and its account whose data may be erased: twice read."""
    tenant_id = await bind(house, "tencent-exmail")
    await house.send(letter(), BOB, login=ALICE)
    account_id = (await house.show(ALICE))["account_id"]
    day(house, "2026-05-02 00:00")
    await strike(house, tenant_id)
    house.clock.advance(hours=24)
    await strike(house, tenant_id)
    return tenant_id, account_id


async def test_t_tx_4_4_3_two_people_erase_a_tenant_with_its_accounts_and_leave_a_certificate(house: House) -> None:
    tenant_id, account_id = await due(house)
    proposal = await propose(house, "data.purge")
    with pytest.raises(RefusedError, match="another person"):
        await act(house, "proposal.approve", "bo", proposal=proposal["proposal_id"], digest=proposal["digest"])
    said = await decide(house, proposal)
    assert (said["purged"], said["skipped"]) == ([account_id, tenant_id], {})
    assert await house.engine.submit(lambda txn: txn.account(account_id)) is None
    for subject_id in (account_id, tenant_id):
        found = [x for x in await records(house, subject_id) if isinstance(x, r.SubjectPurged)]
        assert [(x.by, x.approver, x.clock) for x in found] == [("bo", "cy", "service.over")]
    assert (await act(house, "service.show", None, tenant=tenant_id))["state"] == "deleted"
    assert (await house.engine.verify()).is_sound


async def test_t_tx_4_4_3_a_purge_skips_what_is_held_and_what_was_read_once(house: House) -> None:
    tenant_id, account_id = await due(house)
    await act(house, "evidence.hold", case=ALICE, reason="an order")
    with pytest.raises(RefusedError, match="legal_hold"):
        await propose(house, "data.purge", subjects=[tenant_id])

    def run(txn: Any) -> Any:
        return purge(txn, [tenant_id, account_id, "a_nobody"], rules(house), proposal_id="q_1", by="bo", approver="cy")

    said = await house.engine.submit(run)
    assert said == {
        "purged": [],
        "skipped": {tenant_id: "legal_hold", account_id: "not_due", "a_nobody": "unknown"},
    }
    assert frozen(await records(house, account_id)).holds


async def test_case_5_7_18_a_renewal_between_proposal_and_approval_saves_the_data(house: House) -> None:
    tenant_id, account_id = await due(house)
    proposal = await propose(house, "data.purge", subjects=[tenant_id])
    await act(house, "service.renew", tenant="Cust", until="2027-03-31")
    with pytest.raises(RefusedError, match="not_due"):
        await decide(house, proposal)
    assert await house.engine.submit(lambda txn: txn.account(account_id)) is not None


async def test_case_5_4_12_one_reading_is_not_enough(house: House) -> None:
    tenant_id = await bind(house, "tencent-exmail")
    day(house, "2026-05-02 00:00")
    await strike(house, tenant_id)
    with pytest.raises(RefusedError, match="one_reading"):
        await propose(house, "data.purge", subjects=[tenant_id])


def _in(*, hours: float) -> str:
    return (START + timedelta(hours=hours)).isoformat()
