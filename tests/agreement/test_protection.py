"""Protection without ground and points: our own accounts' mail by the agreement, strangers' by the operator."""

from __future__ import annotations

from dataclasses import fields

import pytest

from filterd.agreement.decide import decide
from filterd.agreement.protection import InboundChoices, own_mail, protect
from filterd.model.decision import Disposition
from filterd.model.sanction import Preset
from filterd.model.session import Direction
from filterd.model.standing import History
from filterd.model.verdict import Finding, Outcome
from tests.agreement.cases import MEDIUM, STRANGER, assessed, case, finding
from tests.agreement.contract import shipped

ACCEPT, TAG, REJECT = Disposition.ACCEPT, Disposition.TAG, Disposition.REJECT
DMARC_REJECT = finding("auth.dmarc.fail", why=(("policy", "reject"), ("disposition", "reject")))
DMARC_QUARANTINE = finding("auth.dmarc.fail", why=(("policy", "reject"), ("disposition", "quarantine")))
DMARC_NONE = finding("auth.dmarc.fail", why=(("policy", "quarantine"), ("disposition", "none")))
GROUPS = {
    "virus": ("virus.signature.match", REJECT),
    "attachments": ("attachment.type.blocked", REJECT),
    "phishing": ("link.feed.match", TAG),
    "spam": ("content.spam.model", TAG),
    "impersonation": ("sender.from.lookalike", TAG),
    "dmarc": (DMARC_REJECT, TAG),
}


def said(*found: Finding | str, direction: Direction = Direction.INBOUND, **choices: Disposition) -> dict[str, str]:
    reasons = protect(assessed(*found), direction, InboundChoices(**choices))
    return {reason.code: reason.disposition.value for reason in reasons}


@pytest.mark.parametrize("group", GROUPS)
def test_each_group_has_a_default_and_follows_its_choice(group: str) -> None:
    found, default = GROUPS[group]
    assert said(found) == {f"inbound.{group}": default.value}
    for choice in (TAG, REJECT):
        assert said(found, **{group: choice}) == {f"inbound.{group}": choice.value}
    assert said(found, **{group: ACCEPT}) == {}


def test_the_groups_are_all_the_choices() -> None:
    assert {field.name for field in fields(InboundChoices)} == set(GROUPS)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], {}),
        (["attachment.type.disguised"], {"inbound.attachments": "reject"}),
        # Archives and macros are ordinary mail.
        (["attachment.archive.encrypted", "attachment.macro.present", "attachment.archive.unscannable"], {}),
        (["content.phishing.model"], {"inbound.phishing": "tag"}),
        (["content.phishing.advisory", "content.spam.advisory", "link.text.mismatch"], {}),
        (["sender.name.protected"], {"inbound.impersonation": "tag"}),
        ([DMARC_QUARANTINE], {"inbound.dmarc": "tag"}),
        # Its owner asks for nothing to be done, or nobody can say who the owner is.
        ([DMARC_NONE], {}),
        (["auth.dmarc.fail", "auth.dmarc.ambiguous", "auth.spf.fail"], {}),
        # What is wrong with strangers' words is not ours to judge.
        (["content.insult.model", "content.gambling.model", "pii.card.bulk"], {}),
    ],
)
def test_what_is_done_to_strangers_mail(found: list[Finding | str], expected: dict[str, str]) -> None:
    assert said(*found) == expected


def test_reasons_name_the_findings_and_the_worst_comes_first() -> None:
    reasons = protect(
        assessed("content.spam.model", "virus.signature.match", "attachment.type.blocked", "attachment.type.disguised"),
        Direction.INBOUND,
        InboundChoices(),
    )
    assert [(r.code, r.ids) for r in reasons] == [
        ("inbound.virus", ("virus.signature.match",)),
        ("inbound.attachments", ("attachment.type.blocked", "attachment.type.disguised")),
        ("inbound.spam", ("content.spam.model",)),
    ]


def test_nobody_s_outgoing_mail_is_not_held_to_its_dns() -> None:
    """TX-3.1.4: wrong DNS is the customer's own risk."""
    found = (DMARC_REJECT, "sender.from.lookalike", "virus.signature.match")
    assert said(*found, direction=Direction.OUTBOUND) == {"outbound.virus": "reject"}


def test_an_error_protects_from_nothing() -> None:
    heard = assessed("virus.signature.match", outcome=Outcome.TEMPERROR)
    assert protect(heard, Direction.INBOUND, InboundChoices()) == ()
    assert own_mail(shipped(), heard, Direction.OUTBOUND) == ()


def test_own_mail_follows_the_agreement_by_direction() -> None:
    terms = shipped()
    blocked = terms.protection[2].model_copy(update={"internal": Disposition.TAG})
    assert blocked.finding == "attachment.type.blocked"
    changed = terms.model_copy(update={"protection": (blocked,)})
    heard = assessed("attachment.type.blocked", "virus.signature.match")
    got = {way: [r.disposition for r in own_mail(changed, heard, way)] for way in Direction}
    assert got == {Direction.OUTBOUND: [REJECT], Direction.INTERNAL: [TAG], Direction.INBOUND: []}


@pytest.mark.parametrize("code", ["sender.from.foreign", "sender.from.protected", "attachment.type.blocked"])
def test_protection_leaves_standing_alone(code: str) -> None:
    decision = decide(case([code]), shipped(), Preset.STANDING_ORDER, History(account_id="a_1"), ("k_1",))
    assert (decision.disposition, decision.violations, decision.records) == (REJECT, (), ())
    assert (decision.clauses, decision.incident_id, decision.notices) == ((), None, ())
    assert [r.code for r in decision.reasons] == [f"protection.{code}"]


def test_a_virus_from_a_known_network_is_stopped_although_nobody_is_charged() -> None:
    item = case(["virus.signature.match"], principal=MEDIUM)
    decision = decide(item, shipped(), Preset.SUPERVISED, History(account_id="a_1"), ("k_1",))
    assert (decision.disposition, decision.records) == (REJECT, ())


def test_the_agreement_says_nothing_about_nobody_s_mail() -> None:
    item = case(["virus.signature.match"], principal=STRANGER, direction=Direction.INBOUND)
    decision = decide(item, shipped(), Preset.SUPERVISED, None, ())
    assert (decision.disposition, decision.reasons) == (ACCEPT, ())
