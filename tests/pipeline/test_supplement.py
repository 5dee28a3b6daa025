"""A supplement binds who has signed it, from its first day, until its record is withdrawn: on a real ledger."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from filterd.config import Config
from filterd.errors import RefusedError, UsageError
from filterd.ledger.codec import decode_record
from filterd.model import records as r
from filterd.model.entry import Entry
from filterd.pipeline.notice_mail import NoticeDesk, NoticeRequest
from filterd.pipeline.notices import Templates
from filterd.share import path
from tests.agreement.contract import CODES
from tests.kit.house import START, House, letter

pytestmark = pytest.mark.slow

CONFIG = {
    "listener": [{"name": "submission", "attribution": "xclient", "direction": "outbound"}],
    "notices": {"appeals_address": "appeals@provider.example", "merge_s": 60, "sender": "Mail <desk@provider.example>"},
}
ANN = "ann@acme.example"
BOB = "bob@other.example"
VIRUS = "virus.signature.match"
ACME = {"name": "Acme", "domains": "acme.example", "agreement": "aliyun-mail"}
SIGNED = {
    "supplement": "aliyun-supplement",
    "supplement_document": "C-17",
    "supplement_signed_by_provider": "2026-02-01",
    "supplement_signed_by_tenant": "2026-02-20",
}


class Reselling(House):
    """A house with a person in it who brings lists."""

    token = ""

    async def take(self, *rows: dict[str, Any], verb: str = "tenant.import", **more: Any) -> Any:
        if not self.token:
            said = await self.ledger.call("person.add", {"name": "dana", "role": "moderator", "as_root": True})
            self.token = said["token"]
        numbered = [{"line": number, **row} for number, row in enumerate(rows, start=2)]
        return await self.ledger.call(verb, {"token": self.token, "rows": numbered, **more})

    async def shown(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.ledger.call("tenant.show", {"tenant": "acme.example"})
        return found

    def rows(self, *kinds: str) -> list[Entry]:
        found = self.engine.run(lambda txn: txn.recent_entries(500))
        return [x.entry for x in reversed(found) if not kinds or x.entry.kind in kinds]

    def records(self, *kinds: str) -> list[Any]:
        return [decode_record(entry.kind, entry.body) for entry in self.rows(*kinds)]

    async def spread(self, *codes: str, subject: str = "Hello") -> Any:
        self.script.codes = codes or (VIRUS,)
        return await self.send(letter(subject, sender=ANN), BOB, login=ANN)


BREACH = ("incident.opened", "violation.recorded", "strike.issued", "sanction.imposed")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Reselling]:
    config = Config.model_validate({**CONFIG, "node": {"state_dir": str(tmp_path)}})
    opened = Reselling(folder=tmp_path, config=config)
    await opened.open()
    yield opened
    await opened.close()


# --- whom it binds ----------------------------------------------------------------------------------------------------


async def test_random_findings_do_nothing_to_a_tenant_that_signed_nothing(house: Reselling) -> None:
    await house.take(ACME)
    chance, known = random.Random(7), sorted(CODES)
    for number in range(60):
        house.clock.advance(3600 * chance.choice((0, 1, 30)))
        await house.spread(*chance.sample(known, chance.randint(1, 20)), subject=f"n{number}")
    assert house.rows(*BREACH) == []
    # Protection is nobody's sanction: what looks like a stolen account is locked, and a person asked (CLAUSES 0.1).
    assert {x.because for x in house.records("hold.placed")} == {"compromise"}
    assert all(x.warranted == "none" for x in house.records("task.opened"))
    shown = await house.show(ANN)
    assert (shown["standing"], shown["points"]) == ("good", 0)


async def test_a_virus_is_refused_all_the_same(house: Reselling) -> None:
    await house.take(ACME)
    answer = await house.spread(VIRUS)
    assert answer.reply.code == 550
    assert "S2" not in answer.reply.text
    assert house.events("decided")[-1]["principal"]["agreement"] == "aliyun-mail"


async def test_with_both_signatures_the_same_act_is_a_breach_and_after_withdrawal_no_new_one_is(
    house: Reselling,
) -> None:
    await house.take(ACME)
    await house.spread(VIRUS, subject="one")
    assert house.rows(*BREACH) == []

    said = await house.take({"name": "Acme", **SIGNED})
    assert (said["errors"], said["notes"]) == ([], [])
    answer = await house.spread(VIRUS, subject="two")
    assert "under S2" in answer.reply.text
    (found,) = [x for x in house.records("violation.recorded") if isinstance(x, r.ViolationRecorded)]
    assert [(v.category, v.ground.kind, v.ground.ids) for v in found.violations] == [("malware", "supplement", ("S2",))]
    assert found.policy_digest == house.agreements["aliyun-supplement"].digest
    (warning,) = house.records("sanction.imposed")
    assert warning.clauses == ("S2", "S14")
    assert len(await house.engine.pending()) == 1
    assert house.events("decided")[-1]["principal"]["agreement"] == "aliyun-supplement"

    await house.notice_received()
    said = await house.take({"name": "Acme", "supplement": None})
    assert "withdrawn" in said["notes"][0]["message"]
    before = len(house.rows())
    house.clock.advance(3 * 86400)
    answer = await house.spread(VIRUS, subject="three")
    assert answer.reply.code == 550
    assert len(house.rows()) == before
    # What had begun is still there, and can still be undone with its own terms.
    assert (await house.show(ANN))["standing"] == "warned"
    undone = {"sanction": warning.sanction_id, "reason": "no virus", "token": house.token}
    await house.ledger.call("sanction.annul", undone)
    assert (await house.show(ANN))["standing"] == "good"


async def test_an_annulment_after_the_withdrawal_leaves_the_other_case_as_it_was(house: Reselling) -> None:
    """The ladder is replayed under the terms the case was decided by; under the bare ones nothing would be left."""
    await house.take({**ACME, **SIGNED})
    await house.spread(VIRUS, subject="one")
    await house.notice_received()
    house.clock.advance(2 * 86400)
    await house.spread(VIRUS, subject="two")
    await house.notice_received()
    assert (await house.show(ANN))["standing"] == "restricted"
    await house.take({"name": "Acme", "supplement": None})
    second = house.records("sanction.imposed")[-1].sanction_id
    undone = {"sanction": second, "reason": "no virus", "token": house.token}
    await house.ledger.call("sanction.annul", undone)
    shown = await house.show(ANN)
    assert (shown["standing"], shown["points"]) == ("warned", 4)
    assert house.records("sanction.replayed") == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"supplement_signed_by_tenant": None}, "signature of the tenant is missing"),
        (
            {"supplement_signed_by_tenant": None, "supplement_signed_by_provider": None},
            "signature of the provider and of the tenant is missing",
        ),
        ({"supplement_effective_from": "2026-03-20"}, "not in force before 2026-03-20"),
    ],
)
async def test_a_record_that_lacks_something_is_kept_and_said_to_be_without_force(
    house: Reselling, changes: dict[str, Any], words: str
) -> None:
    said = await house.take({**ACME, **SIGNED, **changes})
    assert (said["created"], [note["key"] for note in said["notes"]]) == (1, ["supplement"])
    assert words in said["notes"][0]["message"]
    await house.spread(VIRUS)
    assert house.rows(*BREACH) == []
    shown = await house.shown()
    assert (shown["terms"], shown["supplement"]["is_in_force"]) == ("aliyun-mail", False)
    assert words in shown["supplement"]["why_not"]


async def test_the_first_day_comes_by_itself(house: Reselling) -> None:
    await house.take({**ACME, **SIGNED, "supplement_effective_from": "2026-03-03"})
    await house.spread(VIRUS, subject="one")
    assert house.rows(*BREACH) == []
    house.clock.advance(timedelta(days=1).total_seconds())
    await house.spread(VIRUS, subject="two")
    assert [entry.kind for entry in house.rows("strike.issued")] == ["strike.issued"]
    assert (await house.shown())["terms"] == "aliyun-supplement"


async def test_only_what_was_agreed_on_is_a_breach(house: Reselling) -> None:
    await house.take({**ACME, **SIGNED, "supplement_categories": "spam.outbound spam.advert"})
    await house.spread(VIRUS, subject="one")
    assert house.rows(*BREACH) == []
    answer = await house.spread("content.spam.model", "rate.burst.running", subject="two")
    assert "under S5" in answer.reply.text
    assert [x.category for x in house.records("strike.issued")] == ["spam.outbound"]


async def test_a_worker_that_has_not_heard_of_the_withdrawal_cannot_write_a_breach(house: Reselling) -> None:
    """The ledger asks its own directory, in the transaction that would write."""
    from filterd.model.decision import Case

    await house.take({**ACME, **SIGNED})
    kept: list[Case] = []
    real = house.ledger.decide

    async def late(case: Case) -> Any:
        kept.append(case)
        await house.take({"name": "Acme", "supplement": None})
        return await real(case)

    house.ledger.decide = late  # type: ignore[method-assign]
    answer = await house.spread(VIRUS)
    assert kept[0].policy_digest == house.agreements["aliyun-supplement"].digest
    assert answer.reply.code == 550
    assert house.rows(*BREACH) == []


# --- what a list may say ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "key", "words"),
    [
        ({"agreement": "aliyun-supplement"}, "agreement", "a supplement to 'aliyun-mail'"),
        ({**SIGNED, "supplement": "tencent-exmail"}, "supplement", "has aliyun-supplement"),
        ({**SIGNED, "agreement": "tencent-exmail"}, "supplement", "'tencent-exmail' has none"),
        ({**SIGNED, "supplement_document": ""}, "supplement_document", "signed copy"),
        ({**SIGNED, "supplement_signed_by_tenant": "20260220"}, "supplement_signed_by_tenant", "YYYY-MM-DD"),
        ({**SIGNED, "supplement_signed_by_provider": "2026-02-30"}, "supplement_signed_by_provider", "YYYY-MM-DD"),
        ({**SIGNED, "supplement_effective_from": "soon"}, "supplement_effective_from", "'soon'"),
        ({**SIGNED, "supplement_categories": "malware weather"}, "supplement_categories", "'weather'"),
        ({**SIGNED, "supplement_categories": [1]}, "supplement_categories", "list of text"),
        ({"supplement_document": "C-1"}, "supplement_document", "no supplement"),
        ({**SIGNED, "supplement": ""}, "supplement_document", "no supplement"),
        ({"reseller": "a\nb"}, "reseller", "cannot be printed"),
    ],
)
async def test_a_wrong_cell_is_named_and_nothing_is_taken(
    house: Reselling, row: dict[str, Any], key: str, words: str
) -> None:
    said = await house.take({"name": "Good"}, {**ACME, **row})
    assert [(e["line"], e["key"]) for e in said["errors"]] == [(3, key)]
    assert words in said["errors"][0]["message"]
    assert (said["created"], said["notes"]) == (0, [])
    with pytest.raises(UsageError, match=r"acme\.example"):
        await house.shown()


async def test_a_column_left_out_keeps_its_part_of_the_record(house: Reselling) -> None:
    await house.take({**ACME, **SIGNED, "supplement_signed_by_tenant": None, "supplement_categories": "malware"})
    said = await house.take({"name": "Acme", "supplement_signed_by_tenant": "2026-02-27"})
    assert list(said["changes"][0]["fields"]) == ["supplement"]
    record = (await house.shown())["supplement"]
    assert (record["document"], record["categories"], record["is_in_force"]) == ("C-17", ["malware"], True)
    assert (await house.take({"name": "Acme", "seats": 4}))["changed"] == 1
    assert (await house.shown())["supplement"] == record


async def test_a_tenant_cannot_move_to_an_agreement_its_supplement_does_not_fit(house: Reselling) -> None:
    await house.take({**ACME, **SIGNED})
    said = await house.take({"name": "Acme", "agreement": "tencent-exmail"})
    assert [(e["key"], "'tencent-exmail' has none" in e["message"]) for e in said["errors"]] == [("supplement", True)]
    said = await house.take({"name": "Acme", "agreement": "tencent-exmail", "supplement": None})
    assert said["changed"] == 1


async def test_a_list_declares_domains_and_mail_does_not(house: Reselling) -> None:
    await house.spread("link.redirect.open")
    account = await house.ledger.account_for(ANN, may_create=False)
    assert account is not None
    assert account.domains_declared is False
    await house.take({"name": "acme.example", "seats": 3})
    account = await house.ledger.account_for(ANN, may_create=False)
    assert account is not None
    assert account.domains_declared is False
    said = await house.take({"name": "Acme", "domains": "acme.example"})
    assert said["changes"][0]["fields"]["domains_declared"] == {"from": False, "to": True}
    account = await house.ledger.account_for(ANN, may_create=False)
    assert account is not None
    assert account.domains_declared is True


# --- what the ledger keeps of it --------------------------------------------------------------------------------------


async def test_a_change_leaves_a_row_that_names_nobody(house: Reselling) -> None:
    await house.take({**ACME, "contact": "chief@acme.example"})
    await house.take({
        "name": "Acme", "contact": "boss@acme.example", "reseller": "Hua Xin", "seats": 9, "language": "en",
        "domains": "acme.example acme.test", **SIGNED,
    })  # fmt: skip
    (entry,) = house.rows("tenant.changed")
    (row,) = house.records("tenant.changed")
    assert (row.by, set(row.fields)) == (
        "dana",
        {"contact", "reseller", "seats", "language", "domains", "supplement"},
    )
    assert (row.seats, row.language, row.domains) == (9, "en", ("acme.example", "acme.test"))
    assert (row.supplement.document, row.supplement.signed_by_tenant.isoformat()) == ("C-17", "2026-02-20")
    # What did not change is not said anew.
    assert row.agreement is None
    for word in (b"boss@", b"chief@", b"Hua Xin", b"Acme"):
        assert word not in entry.body
    assert entry.sealed is None
    assert entry.account_id is None
    assert (await house.take({"name": "Acme", "seats": 9}))["unchanged"] == 1
    assert len(house.rows("tenant.changed")) == 1


async def test_a_new_tenant_s_row_holds_its_supplement_and_domains(house: Reselling) -> None:
    await house.take({**ACME, **SIGNED})
    (row,) = house.records("tenant.opened")
    assert (row.supplement.agreement, row.domains) == ("aliyun-supplement", ("acme.example",))


async def test_a_changed_account_leaves_a_row_too(house: Reselling) -> None:
    await house.take(ACME, {"name": "Other", "domains": "other.example"})
    await house.take({"login": ANN}, verb="account.import")
    await house.take({"login": ANN, "contact": "ann@home.example"}, verb="account.import")
    await house.take({"login": ANN, "tenant": "Other", "language": "en"}, verb="account.import")
    first, second = house.records("account.changed")
    assert (first.by, first.fields, first.language) == ("dana", ("contact",), None)
    assert (set(second.fields), second.language) == ({"tenant_id", "language"}, "en")
    other = await house.ledger.call("tenant.show", {"tenant": "Other"})
    assert second.tenant_id == other["tenant_id"] != first.tenant_id
    assert all(b"ann@" not in entry.body for entry in house.rows("account.changed"))
    # The account's own history takes such rows in its stride.
    assert (await house.show(ANN))["standing"] == "good"


async def test_a_dry_run_leaves_no_row(house: Reselling) -> None:
    await house.take(ACME)
    before = len(house.rows())
    said = await house.take({"name": "Acme", **SIGNED, "supplement_signed_by_tenant": None}, dry_run=True)
    assert (said["changed"], len(said["notes"])) == (1, 1)
    assert len(house.rows()) == before


async def test_a_viewer_brings_no_supplement(house: Reselling) -> None:
    await house.take(ACME)
    added = await house.ledger.call("person.add", {"name": "eve", "role": "viewer", "as_root": True})
    house.token = added["token"]
    with pytest.raises(RefusedError, match="viewer"):
        await house.take({"name": "Acme", **SIGNED})


# --- in whose name ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dealer", ["华信科技", None])
async def test_a_notice_carries_the_reseller_s_name(house: Reselling, dealer: str | None) -> None:
    from filterd import app

    await house.take({**ACME, **SIGNED, "reseller": dealer})
    await house.spread(VIRUS)
    house.clock.advance(120)
    (item,) = await house.engine.lease(house.clock.now(), 10)
    desk = NoticeDesk(
        app.desk_rules(house.config, house.agreements),
        Templates(path("policies/notices")),
        app.notice_settings(house.config),
    )
    facts = house.engine.run(lambda txn: desk.gather(txn, NoticeRequest.read(item)))
    assert facts is not None
    (written,) = desk.letters(facts, START)
    sender = message_from_bytes(written.raw, policy=policy.default)["From"].addresses[0]
    assert (sender.display_name, sender.addr_spec) == (dealer or "Mail", "desk@provider.example")
    text = written.notice.text
    assert "service provider" not in text
    assert "服务提供方" not in text
    assert ("on behalf of the reseller 华信科技" in text) == (dealer is not None)
    assert ("代表经销商 华信科技" in text) == (dealer is not None)
    assert "S2: No viruses" in text
    assert "企业邮箱服务合同之补充协议" in text
