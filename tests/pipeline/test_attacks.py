"""What somebody would try who wants to go on, to see more than is theirs, or to do alone what takes two.

STANDING 5.5, 5.7-12, 5.7-14; CLAUSES TX-2.1.5, 0.15, §7 (notice.delayed).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.verdict import Finding
from filterd.pipeline.received import Carried, came_first
from tests.kit.house import letter
from tests.pipeline.people import ALICE, BOB, DAY, VIRUS, Office, open_office

pytestmark = pytest.mark.slow

FEED = "link.feed.match"
SEEN, EVIL = "https://shop.example/out", "https://evil.example/login"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        yield opened


async def dealing(office: Office) -> None:
    """Have a dealer of the first agreement's: he sold it, and does not enforce it (TX-2.1.5)."""
    await office.mailbox(ALICE)
    row = {"line": 2, "name": "cust.example", "reseller": "Jiang Ltd"}
    assert (await office.act("dana", "tenant.import", rows=[row]))["errors"] == []
    await office.hire("jiang", role="reseller", dealer="Jiang Ltd")


# --- a dealer who does not enforce ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["sanction.lift", "sanction.annul"])
async def test_a_dealer_who_does_not_enforce_undoes_nothing(office: Office, verb: str) -> None:
    await dealing(office)
    sanction = await office.suspend("dana")
    with pytest.raises(RefusedError, match="not enforced by a reseller"):
        await office.act("jiang", verb, sanction=sanction, reason="a good customer")
    assert await office.standing() == "suspended"


async def test_nor_grants_appeals_freezes_automation_locks_or_opens_windows(office: Office) -> None:
    await dealing(office)
    await office.suspend("dana")
    (appeal,) = (await office.act("dana", "appeal.file", target=ALICE))["appeals"]
    tenant = "cust.example"
    for verb, given in (
        ("appeal.decide", {"appeal": appeal["appeal_id"], "outcome": "granted"}),
        ("automation.freeze", {"tenant": tenant, "hours": 24}),
        ("register.migrate", {"tenant": tenant, "days": 30}),
        ("tenant.lock", {"tenant": tenant, "hours": 1}),
    ):
        with pytest.raises(RefusedError, match="not enforced by a reseller"):
            await office.act("jiang", verb, reason="a good customer", **given)


async def test_a_dealer_looks_and_helps_as_an_administrator_does(office: Office) -> None:
    await dealing(office)
    await office.suspend("dana")
    assert [row["login"] for row in await office.act("jiang", "account.list")] == [ALICE]
    assert (await office.act("jiang", "appeal.file", target=ALICE))["filed"] == 1


async def test_a_dealer_attests_no_more_often_than_an_administrator(office: Office) -> None:
    await dealing(office)
    office.clock.advance(40 * DAY)
    placed = await office.act("dana", "hold.place", account=ALICE, indicators=["clients.many"], reason="r")
    # One mailbox: who stands behind it attests for themself.
    with pytest.raises(RefusedError, match="a moderator attests"):
        await office.act("jiang", "hold.attest", hold=placed["hold_id"], reason="reset")


async def test_whoever_may_be_the_holder_attests_for_nobody(office: Office) -> None:
    await office.mailbox(ALICE)
    row = {"line": 2, "name": "cust.example", "contact": ALICE, "seats": 5}
    assert (await office.act("dana", "tenant.import", rows=[row]))["errors"] == []
    await office.hire("anna", role="tenant_admin", tenant="cust.example")
    office.clock.advance(40 * DAY)
    placed = await office.act("dana", "hold.place", account=ALICE, indicators=["clients.many"], reason="r")
    with pytest.raises(RefusedError, match="cannot attest for it"):
        await office.act("anna", "hold.attest", hold=placed["hold_id"], reason="reset")
    # Whose mailbox is another one's, as somebody has said, is not this one's holder.
    await office.mailbox("anna@cust.example")
    await office.hire("anna", role="tenant_admin", tenant="cust.example", account="anna@cust.example")
    assert (await office.act("anna", "hold.attest", hold=placed["hold_id"], reason="reset"))["number"] == 1


# --- an account that has moved ----------------------------------------------------------------------------------------


async def test_an_error_is_taken_back_from_the_tenant_that_answered_for_it(office: Office) -> None:
    await office.spread()
    account = await office.mailbox(ALICE)
    assert [x.account_id for x in office.records(account.tenant_id) if isinstance(x, r.TenantCharged)]
    new = (await office.mailbox("bob@new.example")).tenant_id
    office.engine.run(lambda txn: txn.put_account(replace(account, tenant_id=new)))
    warning = (await office.show(ALICE))["sanctions"][0]["sanction_id"]
    await office.act("dana", "sanction.annul", sanction=warning, reason="our error")
    assert [x.because for x in office.records(account.tenant_id) if isinstance(x, r.TenantDischarged)] == ["annulled"]
    assert not [x for x in office.records(new) if isinstance(x, r.TenantDischarged)]


# --- what an authority keeps from being told --------------------------------------------------------------------------


async def silenced(office: Office) -> str:
    """Have two people sign that a notice waits, as an authority demands; say the entry. Another such waits itself."""
    await office.mailbox(ALICE)
    said = {"authority_kind": "legal_process", "document": "GA-2026-7", "scope": "told so", "document_digest": "d" * 64}
    await office.act("dana", "proposal.make", act="register.legal_request", subject=ALICE, reason="told so", **said)
    said = {"ground": "order 7", "document": "GA-2026-7", "days": 30}
    made = await office.act(
        "dana", "proposal.make", act="register.delay_notice", subject=ALICE, reason="told so", **said
    )
    done = await office.act("erin", "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    return str(done["entry_id"])


async def test_the_tenants_people_do_not_learn_what_an_authority_keeps_from_them(office: Office) -> None:
    entry_id = await silenced(office)
    await dealing(office)
    await office.hire("anna", role="tenant_admin", tenant="cust.example")
    for name in ("anna", "jiang"):
        seen = [
            await office.act(name, "register.list", all=True),
            await office.act(name, "proposal.list", all=True),
            await office.act(name, "account.history", account=ALICE),
            await office.act(name, "review.list"),
        ]
        assert not any(x in str(seen) for x in ("GA-2026-7", entry_id, "delay", "legal", "order 7", "told so")), seen
        proposal = office.records((await office.mailbox(ALICE)).account_id)
        asked = next(x for x in proposal if isinstance(x, r.Proposed))
        with pytest.raises(UsageError, match="no proposal"):
            await office.act(name, "proposal.show", proposal=asked.proposal_id)
        with pytest.raises(RefusedError, match="no entry"):
            await office.act(name, "register.end", entry=entry_id, reason="curious")
    assert [row["entry_id"] for row in await office.act("fritz", "register.list")] == [entry_id]
    assert [row["what"] for row in await office.act("fritz", "review.list")] == ["register.legal_request"]


async def test_a_tenants_people_do_not_learn_rules_and_recipients_from_the_rows(office: Office) -> None:
    await office.spread()
    await office.hire("anna", role="tenant_admin", tenant="cust.example")
    keys = {key for row in await office.act("anna", "account.history", account=ALICE) for key in row}
    assert not keys & {"signals", "recipient_marks", "approver", "reviewer"}


# --- passing on -------------------------------------------------------------------------------------------------------


def mail(number: int, words: str, *, sender: str = ALICE, file: bytes = b"") -> bytes:
    """A letter with words, and a file in it."""
    head = letter(f"n{number}", sender=sender).partition(b"\r\n\r\n")[0]
    if not file:
        return head + b"\r\n\r\n" + words.encode() + b"\r\n"
    return b"\r\n".join(
        [
            head,
            b"MIME-Version: 1.0",
            b"Content-Type: multipart/mixed; boundary=b",
            b"",
            b"--b",
            b"Content-Type: text/plain",
            b"",
            words.encode(),
            b"--b",
            b"Content-Type: application/octet-stream",
            b"Content-Disposition: attachment; filename=f.bin",
            b"",
            file,
            b"--b--",
            b"",
        ]
    )


async def arrives(office: Office, raw: bytes) -> None:
    office.script.codes = ()
    assert (await office.send(raw, ALICE, listener="inbound")).reply is None
    await office.gate.flush()


async def counted(office: Office, raw: bytes, *codes: str) -> int:
    office.script.codes = codes
    assert (await office.send(raw, BOB, login=ALICE)).reply is not None
    return len((await office.show(ALICE))["incidents"])


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Office]:
    listeners = [
        {"name": "submission", "attribution": "xclient", "direction": "outbound"},
        {"name": "inbound", "direction": "inbound", "port": 10029},
    ]
    async with open_office(tmp_path, listener=listeners) as opened:
        await opened.hire("dana")
        await opened.mailbox(ALICE)
        yield opened


async def test_a_link_everybody_is_sent_does_not_launder_a_virus(inbox: Office) -> None:
    await arrives(inbox, mail(1, f"unsubscribe {SEEN}", sender="shop@shop.example"))
    assert await counted(inbox, mail(2, f"see {SEEN}", file=b"MZ-mine"), VIRUS) == 1


async def test_a_virus_a_stranger_sent_is_passed_on_without_points(inbox: Office) -> None:
    await arrives(inbox, mail(1, "invoice", sender="shop@shop.example", file=b"MZ-theirs"))
    assert await counted(inbox, mail(2, "is this real?", file=b"MZ-theirs"), VIRUS) == 0


async def test_a_received_file_beside_ones_own_launders_nothing(inbox: Office) -> None:
    await arrives(inbox, mail(1, "logo", sender="shop@shop.example", file=b"PNG"))
    both = mail(2, "see", file=b"PNG").replace(
        b"--b--",
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n\r\nMZ-mine\r\n--b--",
    )
    assert await counted(inbox, both, VIRUS) == 1


async def test_a_link_everybody_is_sent_does_not_launder_a_phish(inbox: Office) -> None:
    await arrives(inbox, mail(1, f"unsubscribe {SEEN}", sender="shop@shop.example"))
    assert await counted(inbox, mail(2, f"your mailbox is full {EVIL} and {SEEN}"), FEED) == 1


def test_ones_own_link_beside_a_strangers_phish_costs_nothing() -> None:
    what = Carried(links=(("login.evil.example", "theirs"), ("cust.example", "ours")))
    found = Finding(code=FEED, confidence=1.0, why=(("domain", "evil.example"),))
    assert came_first(what, {"theirs"}, [found])
    assert not came_first(what, {"ours"}, [found])
    # The same domain, another page of it: nobody has sent that one.
    more = Carried(links=(*what.links, ("evil.example", "another")))
    assert not came_first(more, {"theirs", "ours"}, [found])


async def test_a_greeting_is_nobodys_text(inbox: Office) -> None:
    await arrives(inbox, mail(1, "Hello 12345", sender="shop@shop.example"))
    assert await counted(inbox, mail(2, "Hello 98765"), "content.gambling.model", "rate.burst.running") == 1
