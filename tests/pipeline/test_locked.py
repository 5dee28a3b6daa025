"""Lists of locked categories: what they find is sealed, the mail is delivered, a person has a case.  TX-3.3.2 (2).

HOUSE rule 9, STANDING 5.5 and 5.8. Who may let them run is test_locked_acts'.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from filterd.clients import bypass_file
from filterd.errors import LedgerUnavailable, RefusedError, UsageError
from filterd.model import records as r
from filterd.model.principal import Basis, Strength
from filterd.pipeline import author, bypass
from filterd.pipeline.locked import KEPT_FOR
from tests.pipeline.locked_rig import LIST, adopt, cases, mail, read_by_gate, running, write
from tests.pipeline.people import ALICE, BOB, Office, open_office

pytestmark = pytest.mark.slow

INSIDE = "zoe@cust.example"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path) as opened:
        await opened.hire("dana", "erin", "fritz")
        yield opened


async def sent(office: Office, *recipients: str, raw: bytes | None = None, **more: Any) -> Any:
    """Send a mail of Alice's, and wait until whatever looks at it has."""
    answer = await office.send(raw or mail(), *(recipients or (BOB,)), **{"login": ALICE, **more})
    await office.gate.flush()
    return answer


async def waiting(office: Office, who: str = "dana") -> list[dict[str, Any]]:
    rows = await office.act(who, "review.list")
    return [row for row in rows if row["kind"] == "sealed"]


# --- TX-3.3.2 (2) -----------------------------------------------------------------------------------------------------


async def test_a_hit_of_an_operator_s_list_is_sealed_the_mail_is_delivered_and_a_person_has_a_case(
    office: Office,
) -> None:
    await running(office)
    answer = await sent(office)
    assert answer.reply is None
    assert answer.raw.endswith(mail())
    (case,) = cases(office)
    (row,) = await waiting(office)
    assert (row["id"], row["what"], row["login"], row["subject_id"]) == (case.transaction_id, "sealed case", None, None)
    read = await office.act("dana", "locked.open", case=row["id"], reason="my turn")
    assert [(x["list"], x["category"], x["entries"]) for x in read["lists"]] == [("kites", "pol.security", ["t1"])]
    assert (read["login"], read["transaction_id"]) == (ALICE, answer.transaction_id)
    assert base64.b64decode(read["mail"]) == mail()


async def test_other_mail_makes_no_case(office: Office) -> None:
    await running(office)
    await sent(office, raw=mail("a velvet kettle"))
    assert cases(office) == ()
    assert await waiting(office) == []


async def test_what_is_sealed_stands_nowhere_in_the_clear(office: Office) -> None:
    """Not in any file of the node but the lists and their copies: no log, no event, no row of the store."""
    await running(office)
    # Nothing but the mail's own words could tell: the subject is in no file of ours either.
    await sent(office)
    (case,) = cases(office)
    told = [b"velvet teapot", case.transaction_id.encode()]
    for file in office.folder.rglob("*"):
        if not file.is_file() or file.parent.name in ("locked", "copies"):
            continue
        octets = file.read_bytes()
        assert told[0] not in octets, file
        # The id of the case stands in the table of the store that the vault goes by, and nowhere else.
        assert told[1] not in octets or file.name.startswith("ledger"), file


async def test_a_hit_writes_no_row_and_promises_nothing(office: Office) -> None:
    await running(office)
    await sent(office, raw=mail("hello"))
    account = await office.mailbox()
    before = (office.records("site"), office.records(account.account_id), office.promised())
    await sent(office)
    assert len(cases(office)) == 1
    assert (office.records("site"), office.records(account.account_id), office.promised()) == before
    assert await office.standing() == "good"


# --- which mail -------------------------------------------------------------------------------------------------------


async def test_lists_never_run_on_mail_of_strangers_nor_within_a_tenant(office: Office) -> None:
    lists = await read_counted(office)
    await sent(office, INSIDE)
    await sent(office, ALICE, raw=mail(sender="eve@else.example"), login=None)
    await sent(office, "appeals@provider.example")
    assert (lists.asked, cases(office)) == (0, ())
    await sent(office, INSIDE, BOB)
    # Does one want mail held, and then: what do they find?
    assert (lists.asked, len(cases(office))) == (2, 1)


async def test_lists_never_run_where_nobody_proved_who_sent_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    lists = await read_counted(office)
    monkeypatch.setitem(author._STRENGTH, Basis.XCLIENT, Strength.MEDIUM)
    await sent(office)
    assert (lists.asked, cases(office)) == (0, ())


class Counted:
    """How often a mail was looked at."""

    def __init__(self, lists: Any):
        self._lists, self.asked = lists, 0

    async def current(self) -> Any:
        self.asked += 1
        return await self._lists.current()


async def read_counted(office: Office) -> Counted:
    await running(office)
    reader: Any = office.gate._locked
    reader._lists = Counted(reader._lists)
    return reader._lists


async def test_the_same_mail_tried_again_is_one_case_and_is_not_kept_longer(office: Office) -> None:
    await running(office)
    await sent(office)
    (first,) = cases(office)
    office.clock.advance(hours=3)
    await sent(office)
    assert cases(office) == (first,)
    assert first.retention_until == first.stored_at + KEPT_FOR


@pytest.mark.parametrize(("said", "kept"), [(9, timedelta(days=9)), (None, KEPT_FOR)])
async def test_a_hit_is_kept_as_long_as_the_agreement_says(office: Office, said: int | None, kept: timedelta) -> None:
    await running(office)
    terms = office.terms()
    assert terms.lifecycle is not None
    lifecycle = None if said is None else terms.lifecycle.model_copy(update={"locked_hit_days": said})
    office.swap_terms(terms.model_copy(update={"lifecycle": lifecycle}))
    await sent(office)
    (hit,) = cases(office)
    assert hit.retention_until == hit.stored_at + kept


async def test_a_category_that_the_account_s_agreement_has_not_locked_is_not_looked_for(office: Office) -> None:
    await running(office)
    terms = office.terms()
    without = tuple(x for x in terms.category if x.id != "pol.security")
    office.swap_terms(terms.model_copy(update={"category": without}))
    await sent(office)
    assert cases(office) == ()


# --- who let it run ---------------------------------------------------------------------------------------------------


async def test_nothing_runs_while_two_people_have_not_let_such_lists_run(office: Office) -> None:
    file = write(office)
    await adopt(office, file)
    lists = await read_by_gate(office)
    assert await lists.current() == ()
    await sent(office)
    assert cases(office) == ()


async def test_one_person_switches_all_of_it_off_at_once(office: Office) -> None:
    entry = await running(office)
    await office.act("fritz", "register.end", entry=entry, reason="a mistake")
    await sent(office)
    assert cases(office) == ()


async def test_an_edited_file_changes_nothing_and_the_approved_version_goes_on(office: Office) -> None:
    await running(office)
    await sent(office)
    write(office, LIST.replace("velvet teapot", "paper dragon"))
    await sent(office, raw=mail("a paper dragon"))
    await sent(office, raw=mail("another velvet teapot"))
    assert len(cases(office)) == 2


async def test_the_ledger_takes_no_hit_of_what_nobody_approved(office: Office) -> None:
    """A worker that believes otherwise, or that was told to, cannot make a case."""
    entry = await running(office)
    account = await office.mailbox()
    digest = next(x.digest for x in office.site(r.LockedListAdopted))
    wrong = [["kites", "f" * 64, "pol.security"], ["other", digest, "pol.security"], ["kites", digest, "pol.honour"]]
    right = ["kites", digest, "pol.security"]
    for number, item in enumerate(wrong):
        office.engine.spool.put(f"lh_{number}", b"{}\n")
        for lists in ([item], [right, item]):
            given = {"case": f"lh_{number}", "account": account.account_id, "lists": lists}
            assert await office.ledger.call("locked.note", given) is False
    office.engine.spool.put("lh_9", b"{}\n")
    given = {"case": "lh_9", "account": account.account_id, "lists": [right]}
    await office.act("erin", "register.end", entry=entry, reason="off")
    assert await office.ledger.call("locked.note", given) is False
    assert cases(office) == ()


async def test_with_one_person_left_no_hit_is_taken(tmp_path: Path) -> None:
    async with open_office(tmp_path) as office:
        await office.hire("dana", "erin")
        await running(office)
        await office.hire("erin", role="viewer")
        await sent(office)
        assert cases(office) == ()
        await office.hire("fritz")
        await sent(office)
        assert len(cases(office)) == 1


async def test_a_hit_waits_in_silence_while_the_ledger_is_away(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await running(office)
    call, is_away = office.ledger.call, True

    async def away(verb: str, arguments: Any) -> Any:
        if verb == "locked.note" and is_away:
            raise LedgerUnavailable("away")
        return await call(verb, arguments)

    monkeypatch.setattr(office.ledger, "call", away)
    assert (await sent(office)).reply is None
    assert cases(office) == ()
    assert office.events("trouble") == []
    is_away = False
    await office.gate.flush()
    assert len(cases(office)) == 1


async def test_lists_that_cannot_be_compiled_cost_no_mail(office: Office) -> None:
    pattern = "patterns = [" + ", ".join(f"'x{number}.{{0,1000}}y'" for number in range(60)) + "]\n"
    await running(office, LIST + pattern)
    assert (await sent(office)).reply is None
    assert cases(office) == ()


# --- who reads --------------------------------------------------------------------------------------------------------


async def test_reading_is_a_row_with_who_and_why_and_no_account_and_no_category(office: Office) -> None:
    await running(office)
    await sent(office)
    (case,) = cases(office)
    with pytest.raises(RefusedError, match="say why"):
        await office.act("dana", "locked.open", case=case.transaction_id)
    assert office.site(r.LockedCaseOpened) == []
    await office.act("dana", "locked.open", case=case.transaction_id, reason="my turn")
    (row,) = office.site(r.LockedCaseOpened)
    assert (row.case_id, row.by, row.reason) == (case.transaction_id, "dana", "my turn")
    assert not {"category", "account_id", "list_id"} & set(row.__slots__)


@pytest.mark.parametrize("role", ["viewer", "reviewer", "policy_editor", "auditor", "admin", "service"])
async def test_who_does_not_decide_about_accounts_neither_reads_a_case_nor_learns_of_it(
    office: Office, role: str
) -> None:
    await running(office)
    await sent(office)
    (case,) = cases(office)
    await office.hire("otto", role=role)
    assert await waiting(office, "otto") == []
    with pytest.raises(RefusedError, match="has role"):
        await office.act("otto", "locked.open", case=case.transaction_id, reason="curious")


async def test_nobody_reads_without_a_name(office: Office) -> None:
    """Neither root, nor whoever may use the socket, nor a tenant's people."""
    await running(office)
    await sent(office)
    (case,) = cases(office)
    assert [x for x in await office.ledger.call("review.list", {}) if x["kind"] == "sealed"] == []
    for given in ({}, {"as_root": True}):
        with pytest.raises(RefusedError):
            await office.ledger.call("locked.open", {"case": case.transaction_id, "reason": "r", **given})
    await office.hire("tina", role="tenant_admin", tenant="cust.example")
    assert await waiting(office, "tina") == []
    with pytest.raises(RefusedError):
        await office.act("tina", "locked.open", case=case.transaction_id, reason="r")


async def test_nobody_reads_their_own_case(office: Office) -> None:
    await running(office)
    await sent(office)
    (case,) = cases(office)
    await office.hire("alice", account=ALICE)
    assert await waiting(office, "alice") == []
    with pytest.raises(RefusedError, match="own mailbox"):
        await office.act("alice", "locked.open", case=case.transaction_id, reason="r")


async def test_a_case_is_no_evidence_of_the_account_and_no_way_leads_to_it_by_another_verb(office: Office) -> None:
    await running(office)
    await sent(office)
    (case,) = cases(office)
    account = await office.mailbox()
    assert office.engine.run(lambda txn: txn.evidence_of(account.account_id)) == ()
    for verb in ("evidence.show", "evidence.read"):
        with pytest.raises((UsageError, RefusedError)):
            await office.act("dana", verb, target=case.transaction_id, reason="r")
    await office.act("dana", "locked.open", case=case.transaction_id, reason="r")
    for verb in ("evidence.show", "evidence.read"):
        with pytest.raises((UsageError, RefusedError)):
            await office.act("dana", verb, target=case.transaction_id, reason="r")


# --- the end of it ----------------------------------------------------------------------------------------------------


async def test_what_came_to_nothing_is_erased(office: Office) -> None:
    await running(office)
    await sent(office)
    (case,) = cases(office)
    given = {"case": case.transaction_id, "outcome": "nothing", "reason": "a kettle"}
    with pytest.raises(RefusedError, match="has not read it"):
        await office.act("dana", "locked.close", **given)
    await office.act("dana", "locked.open", case=case.transaction_id, reason="my turn")
    with pytest.raises(RefusedError, match="erin has not read it"):
        await office.act("erin", "locked.close", **given)
    await office.act("dana", "locked.close", **given)
    assert await waiting(office) == []
    with pytest.raises(RefusedError, match="closed"):
        await office.act("erin", "locked.open", case=case.transaction_id, reason="r")
    office.clock.advance(hours=1)
    await retain(office)
    assert cases(office) == ()
    assert await office.standing() == "good"


async def test_acted_names_what_a_person_decided_and_does_nothing_itself(office: Office) -> None:
    await running(office)
    await sent(office)
    (case,) = cases(office)
    await office.act("dana", "locked.open", case=case.transaction_id, reason="my turn")
    given = {"case": case.transaction_id, "outcome": "acted", "reason": "warned"}
    for decision in ("", "s_none"):
        with pytest.raises(RefusedError, match="--decision"):
            await office.act("dana", "locked.close", **given, decision=decision)
    assert await office.standing() == "good"
    wanted = {"account": ALICE, "rung": "warn", "clause": "3.3.2 (2)", "reason": "a person's own judgement"}
    decided = await office.act("dana", "sanction.impose", **wanted)
    await office.act("dana", "locked.close", **given, decision=decided["sanction_id"])
    (row,) = office.site(r.LockedCaseClosed)
    assert (row.outcome, row.decision) == ("acted", decided["sanction_id"])
    office.clock.advance(days=394)
    await retain(office)
    assert len(cases(office)) == 1
    office.clock.advance(days=2)
    await retain(office)
    assert cases(office) == ()


async def test_what_nobody_reads_is_gone_after_thirty_days_and_what_somebody_reads_is_not(office: Office) -> None:
    await running(office)
    await sent(office)
    await sent(office, raw=mail("one more velvet teapot"))
    first, second = cases(office)
    await office.act("dana", "locked.open", case=second.transaction_id, reason="my turn")
    office.clock.advance(days=30, hours=1)
    await retain(office)
    assert [x.transaction_id for x in cases(office)] == [second.transaction_id]
    assert first.transaction_id != second.transaction_id


async def test_it_goes_with_the_account(office: Office) -> None:
    await running(office)
    await sent(office)
    account = await office.mailbox()
    office.engine.run(lambda txn: txn.erase_subject(account.account_id))
    assert cases(office) == ()


async def retain(office: Office) -> None:
    """What the retention worker does each hour, by the house's clock."""
    await office.engine.retention.expire(office.clock.now())


# --- the operator's ceiling, and the wiring ---------------------------------------------------------------------------


@pytest.mark.parametrize(("at_most", "kept"), [("none", b""), ("hash", b""), ("headers", mail().partition(b"Dear")[0])])
async def test_no_more_of_the_mail_is_sealed_than_the_operator_lets_be_kept(
    tmp_path: Path, at_most: str, kept: bytes
) -> None:
    async with open_office(tmp_path, evidence={"at_most": at_most}) as office:
        await office.hire("dana", "erin")
        await running(office)
        await sent(office)
        (case,) = cases(office)
        read = await office.act("dana", "locked.open", case=case.transaction_id, reason="r")
        assert (read["kept"], base64.b64decode(read["mail"])) == (at_most, kept)
        assert [x["list"] for x in read["lists"]] == ["kites"]


async def test_a_reload_without_the_folder_reads_no_more_mail(office: Office) -> None:
    await running(office)
    gate = office.gate
    same = {"terms": office.agreements, "default_terms": office.terms(), "checks": gate._checks, "rules": gate._rules}
    office.gate = gate.adopt(**same, resolver=None, locked=gate._locked)
    await sent(office)
    assert len(cases(office)) == 1
    office.gate = gate.adopt(**same, resolver=None)
    await sent(office, raw=mail("one more velvet teapot"))
    assert len(cases(office)) == 1


async def test_a_bypass_lets_mail_pass_that_no_list_reads(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bypass_file, "LOOK_EVERY_S", 0.0)
    lists = await read_counted(office)
    order = bypass.order_for(office.clock.now(), timedelta(minutes=5), by="dana", reason="trouble")
    bypass_file.write_order(office.folder / bypass_file.FILE_NAME, order)
    assert (await sent(office)).reply is None
    assert (lists.asked, cases(office)) == (0, ())
