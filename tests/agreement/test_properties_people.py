"""prop_two_people: every act of the four-eyes list has two identities, bound to what was read.  STANDING 5.5, 7.1."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.model.about import EVERYTHING
from filterd.pipeline.clockwork import begin, strike_tenant
from filterd.pipeline.human import ACTS
from filterd.pipeline.proposals import Act
from tests.pipeline.people import ALICE, VIRUS, Office, open_office

TWO = ("ana", "bo")


async def _suspended(office: Office) -> tuple[str, dict[str, Any]]:
    await office.suspend("ana")
    return ALICE, {"clauses": ["4.3.1"], "clause": "4.3.1"}


async def _terminated(office: Office) -> tuple[str, dict[str, Any]]:
    subject, terms = await _suspended(office)
    made = await propose(office, "ana", "account.terminate", subject, terms)
    await approve(office, "bo", made)
    await office.told(await office.mailbox(), "account", "tenant")
    office.clock.advance(days=9)
    return ALICE, {}


async def _tenant(office: Office) -> tuple[str, dict[str, Any]]:
    return (await office.mailbox()).tenant_id, {}


async def _suspended_tenant(office: Office) -> tuple[str, dict[str, Any]]:
    subject, _ = await _tenant(office)
    await approve(office, "bo", await propose(office, "ana", "tenant.suspend", subject, {}))
    return subject, {}


async def _terminated_tenant(office: Office) -> tuple[str, dict[str, Any]]:
    subject, _ = await _suspended_tenant(office)
    await approve(office, "bo", await propose(office, "ana", "tenant.terminate", subject, {}))
    office.told_tenant(subject, "tenant", "second")
    office.clock.advance(days=9)
    return subject, {}


async def _known_again(office: Office) -> tuple[str, dict[str, Any]]:
    """A tenant in which an organisation is seen again whose service was ended."""
    subject, _ = await _tenant(office)
    matched = r.RegistrationMatched(
        at=office.clock.now(), match_id="rm_1", tenant_id=subject, file_ids=("rg_1",), matched_tenant_ids=("n_0",),
        kinds=("domain",), clauses=("8.2.4",),
    )  # fmt: skip
    office.engine.run(lambda txn: txn.append(matched, account_id=None, tenant_id=subject))
    return subject, {}


async def _over(office: Office) -> tuple[str, dict[str, Any]]:
    """A tenant whose service ended long ago."""
    account = await office.mailbox()
    await office.act("ana", "service.end", tenant="cust.example", because="insolvency", reason="gone")
    # Nothing is erased before two readings a day apart.
    for days in (60, 2):
        office.clock.advance(days=days)
        await office.engine.submit(
            lambda txn: strike_tenant(txn, account.tenant_id, office.rules, txn.now, since=begin(txn)), EVERYTHING
        )
    return "", {"subjects": [account.tenant_id]}


async def _shutdown(office: Office) -> tuple[str, dict[str, Any]]:
    await office.mailbox()
    return "", {"closes_on": "2026-06-01", "erased_on": "2026-07-01"}


async def _wrong_rule(office: Office) -> tuple[str, dict[str, Any]]:
    await office.spread()
    since = office.clock.now().isoformat()
    office.clock.advance(hours=2)
    return "", {"rule": VIRUS, "since": since, "until": office.clock.now().isoformat()}


async def _drill(office: Office) -> tuple[str, dict[str, Any]]:
    subject, _ = await _tenant(office)
    return subject, {"clauses": ["3.5.1"], "recipient_domains": ["x.example"], "days": 3, "document": "D-1"}


async def _hospital(office: Office) -> tuple[str, dict[str, Any]]:
    await office.mailbox()
    return ALICE, {"kind": "hospital"}


async def _order(office: Office) -> tuple[str, dict[str, Any]]:
    return "", {"agreement": "tencent-exmail", "categories": "malware", "days": 30}


async def _delay(office: Office) -> tuple[str, dict[str, Any]]:
    await office.mailbox()
    return ALICE, {"ground": "an authority's order", "document": "D-2", "days": 30}


async def _kites(office: Office) -> tuple[str, dict[str, Any]]:
    said = {"list": "kites", "list_digest": "a" * 64, "label": "gambling", "entries": "3", "days": 90}
    return "", {**said, "legal_basis": "House rule 12 of 2026-05-01"}


async def _locked(office: Office) -> tuple[str, dict[str, Any]]:
    return "", {"legal_basis": "Kite Act, section 3"}


async def _locked_kites(office: Office) -> tuple[str, dict[str, Any]]:
    said = {"list": "kites", "list_digest": "a" * 64, "category": "pol.security", "entries": "3", "days": 90}
    return "", {**said, "legal_basis": "Kite Act, section 3", "scope": "mail that leaves the house"}


async def _insults(office: Office) -> tuple[str, dict[str, Any]]:
    terms = office.terms()
    raised = (x.model_copy(update={"raised": x.id == "abuse.insult"}) for x in terms.category)
    office.swap_terms(terms.model_copy(update={"category": tuple(raised)}))
    return "", {"agreement": terms.id, "category": "abuse.insult", "rehearsal": "on the mail of March"}


async def _request(office: Office) -> tuple[str, dict[str, Any]]:
    await office.mailbox()
    said = {"authority_kind": "legal_process", "document": "D-3", "document_digest": "d" * 64, "scope": "March"}
    return ALICE, said


async def _handed_out(office: Office) -> tuple[str, dict[str, Any]]:
    await office.spread()
    account = await office.mailbox()
    at = office.clock.now()
    order = r.LegalRequestFiled(
        at=at, entry_id="g_order", account_id=account.account_id, authority_kind="legal_process", document="D-4",
        document_digest="e" * 64, scope="March", by="ana", approver="bo",
    )  # fmt: skip
    office.engine.run(lambda txn: txn.append(order, account_id=account.account_id, tenant_id=account.tenant_id))
    (mail,) = [x for x in office.records(account.account_id) if isinstance(x, r.ViolationRecorded)]
    return ALICE, {"case": mail.transaction_id, "order": "g_order", "to": "District court 3"}


async def _reported(office: Office) -> tuple[str, dict[str, Any]]:
    given = {"authority": "telecom", "ground": "Anti-Telecom-Fraud Law, article 23", "due": "2027-03-04"}
    opened = await office.act("ana", "report.open", **given)
    return "", {"report": opened["report_id"], "document": "letter of 3 March"}


async def _without_cause(office: Office) -> tuple[str, dict[str, Any]]:
    """Somebody who was warned and has complained again without cause."""
    notifier = office.engine.run(lambda txn: txn.pseudonym("zoe@victim.example"))

    async def unfounded() -> str:
        said = await office.act("ana", "complaint.file", kind="spam", complainant=notifier)
        case = str(said["complaint_id"])
        await office.act("ana", "complaint.close", complaint=case, outcome="unfounded", reason="nothing in it")
        return case

    given = {"notifier": notifier, "answer_to": "zoe@victim.example", "reason": "nothing in it"}
    await office.act("ana", "complaint.warn", complaint=await unfounded(), **given)
    office.clock.advance(hours=1)
    return "site", {"notifier": notifier, "complaint": await unfounded(), "days": 30}


Ready = Callable[[Office], Awaitable[tuple[str, dict[str, Any]]]]
# What a proposal of each act takes: the subject and the terms, once the house is ready for it.
READY: dict[str, Ready] = {
    "account.terminate": _suspended,
    "account.reinstate": _terminated,
    "tenant.suspend": _tenant,
    "tenant.terminate": _suspended_tenant,
    "tenant.reinstate": _terminated_tenant,
    "tenant.registration": _known_again,
    "data.purge": _over,
    "site.decommission": _shutdown,
    "rule.recall": _wrong_rule,
    "terms.adopt": _kites,
    "category.raise": _insults,
    "locked_lists.enable": _locked,
    "locked_list.adopt": _locked_kites,
    "evidence.export": _handed_out,
    "report.made": _reported,
    "notifier.mute": _without_cause,
    "register.authorise": _drill,
    "register.protect": _hospital,
    "register.order": _order,
    "register.delay_notice": _delay,
    "register.legal_request": _request,
}
# STANDING 5.5: whoever is alone cannot do these, not even a day later; lists of locked categories they cannot even
# propose (tests/pipeline/test_locked_acts.py).
LOCKED = {"locked_lists.enable", "locked_list.adopt"}
NEVER_ALONE = {"register.order", "register.legal_request", "evidence.export", "report.made", *LOCKED}


async def propose(office: Office, who: str, act: str, subject: str, terms: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = await office.act(
        who, "proposal.make", act=act, subject=subject, **{"reason": "because", **terms}
    )
    return said


async def approve(office: Office, who: str, made: dict[str, Any], digest: str | None = None) -> dict[str, Any]:
    said: dict[str, Any] = await office.act(
        who, "proposal.approve", proposal=made["proposal_id"], digest=digest or made["digest"]
    )
    return said


def carried_out(office: Office, made: dict[str, Any]) -> list[r.Approved]:
    rows = office.records(made["subject_id"])
    return [x for x in rows if isinstance(x, r.Approved) and x.proposal_id == made["proposal_id"]]


def test_every_act_of_the_table_is_tried_here() -> None:
    assert sorted(READY) == sorted(act.name for act in ACTS)


@pytest.mark.slow
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
async def test_prop_two_people_every_act(tmp_path: Path, act: Act) -> None:
    async with open_office(tmp_path) as office:
        await office.hire(*TWO)
        await office.hire("prog", role="service")
        subject, terms = await READY[act.name](office)
        made = await propose(office, "ana", act.name, subject, terms)
        # Not alone, not a program, not unread.
        for who, digest in (("ana", None), ("prog", None), ("bo", "0" * 64)):
            with pytest.raises(RefusedError):
                await approve(office, who, made, digest)
        assert carried_out(office, made) == []
        office.clock.advance(hours=1)
        said = await approve(office, "bo", made)
        assert (said["by"], said["approver"], said["is_self_review"]) == ("ana", "bo", False)
        (approved,) = carried_out(office, made)
        assert (approved.by, approved.digest) == ("bo", made["digest"])
        with pytest.raises(RefusedError):
            await approve(office, "bo", made)


@pytest.mark.slow
async def test_prop_two_people_alone_only_a_day_later_and_marked(tmp_path: Path) -> None:
    """Solo: the same person looks again a day later, and it is marked; some acts not even so."""
    async with open_office(tmp_path) as office:
        await office.hire("ana")
        for act in ACTS:
            if act.name not in ("register.protect", *NEVER_ALONE):
                continue
            subject, terms = await READY[act.name](office)
            if act.name in LOCKED:
                with pytest.raises(RefusedError, match="take two people"):
                    await propose(office, "ana", act.name, subject, terms)
                continue
            made = await propose(office, "ana", act.name, subject, terms)
            office.clock.advance(hours=23)
            with pytest.raises(RefusedError):
                await approve(office, "ana", made)
            office.clock.advance(hours=2)
            if act.name in NEVER_ALONE:
                with pytest.raises(RefusedError):
                    await approve(office, "ana", made)
                assert carried_out(office, made) == []
            else:
                assert (await approve(office, "ana", made))["is_self_review"] is True
    assert {act.name for act in ACTS if not act.can_be_alone} == NEVER_ALONE
