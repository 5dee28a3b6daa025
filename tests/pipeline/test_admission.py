"""What is said before DATA, and to whom: an account that people have ended is refused at MAIL, every other at RCPT.

STANDING 5.9, 5.11; ops/decisions/0020-terminated-at-mail.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path as Folder
from typing import Any

import pytest

from filterd.config import Config
from filterd.mail.address import parse_forward_path
from filterd.model.records import AccountReinstated, NoticeSent, SanctionImposed, TenantStepTaken
from filterd.model.reply import Reply
from filterd.model.sanction import Feature, Rung
from filterd.model.session import Door, Path, Session
from tests.dialogs.house import open_house
from tests.kit.house import House, letter
from tests.pipeline.test_features import APPEALS, CONFIG

pytestmark = pytest.mark.slow

ALICE = "alice@cust.example"
BOB = parse_forward_path(b"<bob@other.example>")
DESK = parse_forward_path(f"<{APPEALS}>".encode())


@pytest.fixture
async def house(tmp_path: Folder) -> AsyncIterator[House]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    opened = await House(folder=tmp_path, config=config).open()
    await opened.send(letter("hello"), "bob@other.example", login=ALICE)
    yield opened
    await opened.close()


async def ids_of(house: House) -> tuple[str, str]:
    shown = await house.show(ALICE)
    return shown["account_id"], shown["tenant_id"]


async def terminate(house: House, *, by: str = "dana", is_automatic: bool = False) -> str:
    """End the account, its notice accepted on two channels and its cooling-off over."""
    account_id, tenant_id = await ids_of(house)
    now = house.clock.now()
    imposed = SanctionImposed(
        at=now,
        sanction_id="s_end",
        incident_id="i_0123456789ab0123",
        decision_id="d_end",
        account_id=account_id,
        rung=Rung.TERMINATE,
        step=4,
        features=(Feature(name="sending"),),
        category="",
        clauses=("4.3.1",),
        starts_at=now,
        ends_at=None,
        lapses_at=None,
        step_down_features=(),
        is_automatic=is_automatic,
        by=by,
        warranted=Rung.TERMINATE,
    )
    told = NoticeSent(
        at=now,
        notice_id="m_1",
        account_id=account_id,
        incident_ids=(imposed.incident_id,),
        template="termination_proposed",
        languages=("en",),
        channel="account+contact",
        outcome="accepted",
        deemed_at=now,
        body_digest="",
    )

    # What a standing order ends rests on a suspension that has run open-ended.
    before = replace(imposed, sanction_id="s_before", rung=Rung.SUSPEND, step=3)

    def write(txn: Any) -> None:
        for record in (before, imposed, told):
            txn.append(record, account_id=account_id, tenant_id=tenant_id)

    await house.engine.submit(write)
    house.clock.advance(60)
    assert (await house.show(ALICE))["standing"] == "terminated"
    return imposed.sanction_id


def session(login: str | None = ALICE, listener: str = "submission") -> Session:
    return Session(id="c", door=Door.SMTP, listener=listener, peer_address="127.0.0.1", login=login)


def said(reply: Reply | None) -> tuple[int, str | None, str] | None:
    return None if reply is None else (reply.code, reply.enhanced, reply.text.split()[0])


CLOSED = (550, "5.7.13", "S-CLOSED")


async def test_whom_people_have_ended_is_refused_at_mail_and_everywhere_behind_it(house: House) -> None:
    assert await house.gate.admit_sender(session(), None) is None
    sanction_id = await terminate(house)
    at_mail = await house.gate.admit_sender(session(), None)
    assert said(at_mail) == CLOSED
    assert at_mail is not None
    assert f"from any other address you can still write to {APPEALS}" in at_mail.text
    assert "Object free of charge: " in at_mail.text
    for to in (BOB, DESK):
        assert said(await house.gate.admit(session(), None, to)) == CLOSED
    answer = await house.send(letter("appeal"), APPEALS, login=ALICE)
    assert said(answer.reply) == CLOSED
    # Where the login is known only after the dot, and behind the queue, where mail waits.
    assert said(await house.gate.admit_sender(session(listener="queue"), None)) == (451, "4.7.1", "S-CLOSED")
    assert await house.gate.admit_sender(session(None), None) is None
    assert await house.gate.admit_sender(session("bella@cust.example"), None) is None

    account_id, tenant_id = await ids_of(house)
    back = AccountReinstated(
        at=house.clock.now(), account_id=account_id, sanction_id=sanction_id, proposal_id="q_1", by="dana"
    )
    await house.engine.submit(lambda txn: txn.append(back, account_id=account_id, tenant_id=tenant_id))
    assert await house.gate.admit_sender(session(), None) is None


async def test_a_termination_by_standing_order_has_the_mail_effect_of_a_suspension(house: House) -> None:
    await terminate(house, by="system", is_automatic=True)
    assert await house.gate.admit_sender(session(), None) is None
    assert said(await house.gate.admit(session(), None, BOB)) == (550, "5.7.13", "S-SUSPENDED")
    assert await house.gate.admit(session(), None, DESK) is None
    assert (await house.send(letter("appeal"), APPEALS, login=ALICE)).reply is None


async def test_through_the_smtp_door(house: House) -> None:
    await terminate(house)
    listener = {"name": "submission", "attribution": "xclient", "direction": "outbound"}
    async with open_house(gate=house.gate, listener=listener) as mail, mail.dialog() as talk:  # type: ignore[arg-type]
        await talk.greeted()
        await talk.ask(f"XCLIENT LOGIN={ALICE}")
        await talk.ask("EHLO client.example")
        assert (await talk.ask(f"MAIL FROM:<{ALICE}>")).startswith("550 5.7.13 S-CLOSED ")
        assert (await talk.ask(f"RCPT TO:<{APPEALS}>")).startswith("503 ")
        await talk.ask("XCLIENT LOGIN=bella@cust.example")
        await talk.ask("EHLO client.example")
        assert (await talk.ask("MAIL FROM:<bella@cust.example>")).startswith("250 ")
        assert mail.errors == []


# --- the envelope sender, and what is counted for a tenant ------------------------------------------------------------


async def restrict(house: House, *features: str) -> None:
    token = (await house.ledger.call("person.add", {"name": "dana", "role": "moderator"}))["token"]
    wanted = {"account": ALICE, "features": list(features), "hours": 24, "clause": "4.3.1"}
    await house.ledger.call("sanction.impose", {"token": token, "reason": "looked at it"} | wanted)


async def test_an_envelope_sender_of_somebody_else_is_refused_before_data_and_ones_own_are_not(house: House) -> None:
    account_id, _ = await ids_of(house)
    await house.engine.submit(
        lambda txn: txn.put_account(replace(txn.account(account_id), aliases=("sales@cust.example",)))
    )
    await restrict(house, "from_own")

    async def rcpt(sender: bytes | None) -> tuple[int, str | None, str] | None:
        path: Path | None = parse_forward_path(sender) if sender is not None else None
        return said(await house.gate.admit(session(), path, BOB))

    own = (b"<alice@cust.example>", b"<ALICE@Cust.example>", b"<sales@cust.example>", b"<alice+list@cust.example>")
    assert [await rcpt(sender) for sender in own] == [None] * 4
    assert await rcpt(None) is None
    for other in (b"<boss@cust.example>", b"<alice@other.example>", b"<alice+x@other.example>"):
        assert await rcpt(other) == (550, "5.7.1", "F-FROM")


async def test_a_tenants_quota_counts_what_all_its_accounts_write_to_the_outside(house: House) -> None:
    _, tenant_id = await ids_of(house)
    now = house.clock.now()
    step = TenantStepTaken(
        at=now,
        step_id="ts_1",
        decision_id="d_1",
        tenant_id=tenant_id,
        step="quota",
        quota=4,
        starts_at=now,
        ends_at=now + timedelta(hours=72),
        score_milli=5_000,
        incident_ids=(),
        clauses=("3.6",),
        is_automatic=True,
        by="system",
    )
    await house.engine.submit(lambda txn: txn.append(step, account_id=None, tenant_id=tenant_id))
    bella = "bella@cust.example"

    async def send(login: str, tag: str, *to: str) -> tuple[int, str | None, str] | None:
        return said((await house.send(letter(tag, sender=login), *to, login=login)).reply)

    # One was sent before there was a quota.
    assert await send(ALICE, "one", "a@other.example", "b@other.example") is None
    assert await send(bella, "two", "c@other.example", "carol@cust.example") is None
    assert await send(bella, "three", "d@other.example") == (451, "4.7.28", "O-EXTERNAL-DAY")
    assert await send(bella, "four", "carol@cust.example") is None
    assert await send(ALICE, "five", APPEALS) is None
    house.clock.advance(days=1)
    assert await send(bella, "three", "d@other.example") is None
    days = await house.engine.submit(lambda txn: txn.daily_external(tenant_id, 30))
    await house.engine.counters.flush()
    days = await house.engine.submit(lambda txn: txn.daily_external(tenant_id, 30))
    assert days == (5,)
