"""What of a declared stream comes back counts by our own record alone.  CLAUSES §2.2, STANDING 5.11, RFC 3464.

case_declared_stream_each_condition: how many may, test_bounces of the agreement says.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.app.effects import NoEffects, OnlyBounces
from filterd.clients.verdict_index import open_index
from filterd.errors import PortError, RefusedError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.principal import Account
from filterd.model.session import Door, Envelope, ForwardPath, Session
from filterd.pipeline import bounces
from filterd.ports import Intake, OutboxItem
from filterd.workers.bounces import BounceSearch
from filterd.workers.indexer import Indexer
from filterd.workers.outbox import Again, Done
from tests.kit.house import letter
from tests.pipeline.people import ALICE, CONFIG, Office, open_office

pytestmark = pytest.mark.slow

LISTENERS = [*CONFIG["listener"], {"name": "mx", "attribution": "none", "direction": "inbound", "port": 10026}]
GONE = "gone@shop.example"
READERS = (GONE, "here@shop.example", "there@else.example")
FIELDS = (
    "List-Id: News <news.cust.example>",
    "List-Unsubscribe: <https://cust.example/out>",
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path, listener=LISTENERS) as opened:
        await opened.hire("dana", "erin")
        await opened.mailbox()
        await opened.hire("adam", role="tenant_admin", tenant="cust.example")
        yield opened


async def declare(office: Office) -> Account:
    await office.act(
        "adam", "register.declare", account=ALICE, list_id="news.cust.example", consent="signup", opt_out_works=True
    )
    return await office.mailbox()


async def issue(office: Office, number: int = 1, *readers: str) -> str:
    """Send an issue of the newsletter; say its transaction."""
    said = await office.send(letter(f"n{number}", *FIELDS), *(readers or READERS), login=ALICE)
    assert said.reply is None
    return said.transaction_id


def dsn(
    *failed: str, message_id: str = "<n1@x>", status: str = "5.1.1", action: str = "failed", tx: str | None = None
) -> bytes:
    groups = "".join(f"Final-Recipient: rfc822; {x}\nAction: {action}\nStatus: {status}\n\n" for x in failed)
    mine = f"X-Filterd-Id: {tx} fp=0\n" if tx else ""
    text = (
        "From: MAILER-DAEMON@shop.example\nTo: <alice@cust.example>\nSubject: Undelivered\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nIt did not work.\n\n"
        f"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.shop.example\n\n{groups}\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{mine}Message-ID: {message_id}\nFrom: <eve@x>\n\n--b--\n"
    )
    return text.replace("\n", "\r\n").encode()


async def comes_back(office: Office, raw: bytes, to: str = ALICE) -> None:
    assert (await office.send(raw, to, listener="mx")).reply is None


def waiting(office: Office) -> list[OutboxItem]:
    return [x for x, _, _ in office.engine.run(lambda txn: txn.outbox.pending()) if x.topic == "bounce"]


async def looked_up(office: Office) -> int:
    """Have the index read what happened, and the worker look; say how many rows there are now."""
    index = open_index(office.folder)
    indexer = Indexer(index, office.folder / "events", office.clock, retention=timedelta(days=90))
    try:
        await asyncio.to_thread(lambda: list(indexer.catch_up()))
        office.clock.advance(120)
        for item in await office.engine.lease(office.clock.now(), 100, only=("bounce",)):
            done = await BounceSearch(index).carry(item, office.clock.now())
            assert isinstance(done, Done)
            await office.engine.done(item.item_id, done.finish, done.about)
    finally:
        indexer.forget()
        index.close()
    return len(counted(office))


def counted(office: Office) -> list[r.BounceCounted]:
    account = office.engine.run(lambda txn: txn.account_with_login(ALICE))
    assert account is not None
    return [x for x in office.records(account.account_id) if isinstance(x, r.BounceCounted)]


# --- reports that come by mail ----------------------------------------------------------------------------------------


async def test_an_address_that_reports_about_mail_of_a_declared_stream_name_counts_once(office: Office) -> None:
    await declare(office)
    tx = await issue(office)
    await comes_back(office, dsn(GONE))
    assert await looked_up(office) == 1
    (row,) = counted(office)
    assert (row.transaction_id, row.is_refused, row.recipients) == (tx, False, 1)
    assert GONE not in str(row)
    # The same again, and by another way: it is the same recipient of the same mail.
    await comes_back(office, dsn(GONE.upper(), tx=tx, message_id="<other@x>"))
    assert await looked_up(office) == 1
    # Another address of it is another.
    await comes_back(office, dsn(READERS[1]))
    assert await looked_up(office) == 2


async def test_one_reader_is_one_bounce_of_however_many_mails(office: Office) -> None:
    await declare(office)
    for number in range(1, 5):
        await issue(office, number)
        await comes_back(office, dsn(GONE, message_id=f"<n{number}@x>"))
    assert await looked_up(office) == 1


async def test_an_address_counts_anew_after_its_days_and_for_a_stream_declared_anew(office: Office) -> None:
    account = await declare(office)
    await issue(office)
    await comes_back(office, dsn(GONE))
    assert await looked_up(office) == 1
    office.clock.advance(days=30)
    await issue(office, 2)
    await comes_back(office, dsn(GONE, message_id="<n2@x>"))
    assert await looked_up(office) == 2
    entry = next(x for x in office.records(account.tenant_id) if isinstance(x, r.StreamDeclared))
    await office.act("adam", "register.end", entry=entry.entry_id, reason="mended")
    office.clock.advance(60)
    await declare(office)
    await issue(office, 3)
    await comes_back(office, dsn(GONE, message_id="<n3@x>"))
    assert await looked_up(office) == 3


@pytest.mark.parametrize(
    "raw",
    [
        dsn("never@shop.example"),
        dsn(GONE, message_id="<made-up@x>"),
        dsn(GONE, message_id="<made-up@x>", tx="t_" + "0" * 26),
        dsn(GONE, status="5.2.2"),
        dsn(GONE, status="5.7.1"),
        dsn(GONE, action="delayed"),
        letter("Undelivered", "In-Reply-To: <n1@x>"),
    ],
    ids=["no recipient of ours", "no mail of ours", "forged id", "full", "refused", "later", "words"],
)
async def test_a_report_that_our_record_does_not_bear_out_counts_nothing(office: Office, raw: bytes) -> None:
    await declare(office)
    await issue(office)
    await comes_back(office, raw)
    assert await looked_up(office) == 0
    assert waiting(office) == []


async def test_a_flood_of_forged_reports_counts_no_more_than_the_mail_had_recipients(office: Office) -> None:
    await declare(office)
    await issue(office)
    for number in range(20):
        await comes_back(office, dsn(*READERS, *(f"r{number}.{n}@shop.example" for n in range(20))))
    assert await looked_up(office) == len(READERS)


async def test_nothing_is_asked_for_a_tenant_without_a_stream_nor_for_other_tenants_mail(office: Office) -> None:
    await issue(office)
    await comes_back(office, dsn(GONE))
    assert waiting(office) == []
    await declare(office)
    # Mail sent before it was declared has no stream on record; and mail of one tenant is reported to that tenant.
    await issue(office, 2)
    await comes_back(office, dsn(GONE, message_id="<n2@x>"), "eve@else.example")
    assert waiting(office) == []
    await comes_back(office, dsn(GONE))
    assert await looked_up(office) == 0


async def test_a_tenant_of_its_own_is_told_nothing_about_the_mail_of_another(office: Office) -> None:
    await declare(office)
    await issue(office)
    await office.mailbox("eve@else.example")
    await office.hire("ed", role="tenant_admin", tenant="else.example")
    said = {"list_id": "eve.else.example", "consent": "signup", "opt_out_works": True}
    await office.act("ed", "register.declare", account="eve@else.example", **said)
    await comes_back(office, dsn(GONE), "eve@else.example")
    assert len(waiting(office)) == 1
    assert await looked_up(office) == 0


async def test_reports_that_say_the_same_are_one_and_only_so_many_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounces, "MOST_WAITING", 2)
    heard: list[BaseException] = []
    office.gate._bounces._on_error = heard.append
    await declare(office)
    await issue(office)
    for _ in range(3):
        await comes_back(office, dsn("never@shop.example"))
    assert (len(waiting(office)), heard) == (1, [])
    await comes_back(office, dsn(GONE))
    await comes_back(office, dsn(READERS[1]))
    assert len(waiting(office)) == 2
    assert ["too many delivery reports" in str(err) for err in heard] == [True]
    # What waits is looked at; then there is room again.
    assert await looked_up(office) == 1
    await comes_back(office, dsn(READERS[1]))
    assert (len(waiting(office)), len(heard)) == (1, 1)


async def test_many_reports_keep_no_notice_waiting(office: Office) -> None:
    await declare(office)
    await issue(office)
    for number in range(20):
        await comes_back(office, dsn(GONE, message_id=f"<n{number}@x>"))
    office.clock.advance(3600)
    now = office.clock.now()
    office.engine.run(lambda txn: txn.post("notice", {}, due_at=now))
    leased = await NoEffects(office.engine).lease(now, 16)
    assert [x.topic for x in leased if x.topic in ("notice", "bounce")] == ["notice"]
    assert {x.topic for x in await OnlyBounces(office.engine).lease(now, 16)} == {"bounce"}


async def test_an_ended_declaration_counts_nothing_any_more(office: Office) -> None:
    account = await declare(office)
    await issue(office)
    entry = next(x for x in office.records(account.tenant_id) if isinstance(x, r.StreamDeclared))
    await comes_back(office, dsn(GONE))
    await office.act("adam", "register.end", entry=entry.entry_id, reason="no longer sent")
    assert await looked_up(office) == 0


async def test_an_index_that_is_away_is_asked_again_and_none_at_all_ends_it(office: Office) -> None:
    class Away:
        def find(self, *_: Any) -> Any:
            raise PortError("the index is away")

    await declare(office)
    await issue(office)
    await comes_back(office, dsn(GONE))
    (item,) = waiting(office)
    said = await BounceSearch(Away()).carry(item, office.clock.now())  # type: ignore[arg-type]
    assert isinstance(said, Again)
    assert isinstance(await BounceSearch(None).carry(item, office.clock.now()), Done)


async def test_a_ledger_that_does_not_take_it_keeps_no_mail_waiting(office: Office) -> None:
    await declare(office)
    await issue(office)

    async def call(verb: str, _: Any) -> Any:
        raise PortError(f"no {verb}")

    office.gate._bounces._ledger = type("Broken", (), {"call": staticmethod(call)})()
    await comes_back(office, dsn(GONE))
    assert waiting(office) == []


async def test_who_reads_a_report_in_is_a_named_person(office: Office) -> None:
    with pytest.raises(RefusedError):
        await office.act("adam", "bounce.import", found=[], failed=[])


# --- refused at once --------------------------------------------------------------------------------------------------


async def refused(office: Office, number: int, bad: int, *fields: str) -> None:
    forwards = tuple(ForwardPath(path=parse_forward_path(f"<{x}>".encode())) for x in READERS[1:])
    session = Session(
        id="c_1", door=Door.SMTP, listener="submission", peer_address="127.0.0.1", is_trusted_peer=True,
        login=ALICE, login_source="xclient",
    )  # fmt: skip
    given = Intake(
        session=session,
        envelope=Envelope(reverse_path=None, forward_paths=forwards),
        raw=letter(f"n{number}", *(fields or FIELDS)),
        unknown_recipients=bad,
        bad_addresses=bad,
    )
    assert (await office.gate.enforce(given)).reply is None


async def test_what_the_next_hop_refuses_of_a_stream_counts_once_for_all_tries_of_a_mail(office: Office) -> None:
    await declare(office)
    await refused(office, 1, 0)
    assert counted(office) == []
    await refused(office, 1, 2)
    await refused(office, 1, 2)
    (row,) = counted(office)
    assert (row.is_refused, row.recipients) == (True, 2)
    await refused(office, 2, 1)
    assert [x.recipients for x in counted(office)] == [2, 1]


async def test_of_mail_that_is_of_no_declared_stream_nothing_is_counted(office: Office) -> None:
    await refused(office, 1, 2)
    await declare(office)
    await refused(office, 2, 2, "List-Id: Other <other.cust.example>")
    assert counted(office) == []
