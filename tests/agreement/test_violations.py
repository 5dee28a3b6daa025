"""What findings come to under the shipped agreement: violations, hints for people, nothing."""

from __future__ import annotations

import pytest

from filterd.agreement.violations import advisory, is_refused_without_points, violations
from filterd.model.sanction import Mode
from filterd.model.session import Direction
from filterd.model.verdict import Finding, Outcome
from tests.agreement.cases import assessed, finding
from tests.agreement.contract import shipped

BELOW_A = finding("content.spam.model", why=(("gate", "B"),))


def breached(*found: Finding | str, direction: Direction = Direction.OUTBOUND) -> list[tuple[str, str]]:
    acts = violations(shipped(), assessed(*found), direction, is_attributed=True)
    return [(v.category, v.mode.value) for v in acts]


def shown(*found: Finding | str, direction: Direction = Direction.OUTBOUND, is_attributed: bool = True) -> list[str]:
    return list(
        advisory(shipped(), assessed(*found), direction, has_account=True, is_attributed=is_attributed)
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["content.spam.model"], [("spam.outbound", "B")]),
        (["content.spam.model", "rate.messages.high"], [("spam.outbound", "A")]),
        # A score below its gate for mode A speaks, but does not help to reach it (STANDING 5.7-24).
        ([BELOW_A, "rate.messages.high"], [("spam.outbound", "B")]),
        # Two signs of one group are one.
        (["rate.messages.high", "rate.recipients.high", "rate.burst.running"], []),
        # Volume and stale addresses alone are mode B.
        (["rate.recipients.high", "rate.unknown.high"], [("spam.outbound", "B")]),
        # Behaviour makes no act of a text that only its own category may judge.
        (["content.gambling.model"], []),
        (["content.gambling.model", "rate.messages.high"], []),
        (["content.gambling.model", "rate.message.bulk"], [("illegal.gambling", "B")]),
        (["content.gambling.model", "rate.burst.running"], [("illegal.gambling", "B")]),
        # One finding, two categories, by how sure it is; the bound itself is the higher one.
        ([finding("content.sexual.model", 0.9), "rate.message.bulk"], [("adult.obscene", "B")]),
        ([finding("content.sexual.model", 0.89), "rate.message.bulk"], [("adult.suggestive", "B")]),
        # An identity that answers elsewhere is a second sign of its own.
        (["sender.from.other_tenant", "sender.reply_to.mismatch"], [("impersonation.exact", "A")]),
        # Links of every kind, and nothing else.
        (["link.text.mismatch", "link.host.address", "link.userinfo.present", "link.redirect.open"], []),
        # C2 however much agrees.
        (["content.insult.model", "content.insult.terms", "rate.burst.running", "rate.message.bulk"], []),
    ],
)
def test_what_findings_come_to(found: list[Finding | str], expected: list[tuple[str, str]]) -> None:
    assert breached(*found) == expected


def test_what_made_it_bulk_is_part_of_why() -> None:
    (act,) = violations(
        shipped(),
        assessed("content.drugs.model", "rate.burst.running"),
        Direction.INTERNAL,
        is_attributed=True,
    )
    assert act.finding_codes == ("content.drugs.model", "rate.burst.running")
    assert (act.severity, act.ground.ids, act.is_burst) == (2, ("3.3.2 (7)", "3.3.2 (11)", "3.5.5"), True)


def test_an_error_is_not_a_finding() -> None:
    for outcome in (Outcome.TEMPERROR, Outcome.PERMERROR, Outcome.SKIPPED):
        heard = assessed("virus.signature.match", "content.insult.model", "auth.spf.fail", outcome=outcome)
        assert violations(shipped(), heard, Direction.OUTBOUND, is_attributed=True) == ()
        assert advisory(shipped(), heard, Direction.OUTBOUND, has_account=True, is_attributed=True) == ()


def test_strangers_breach_nothing_and_no_category_is_shown_of_them() -> None:
    found = ("virus.signature.match", "content.insult.model", "auth.spf.fail")
    assert breached(*found, direction=Direction.INBOUND) == []
    assert shown(*found, direction=Direction.INBOUND) == ["auth.spf.fail"]
    nobody = advisory(shipped(), assessed(*found), Direction.OUTBOUND, has_account=False, is_attributed=False)
    assert nobody == ("auth.spf.fail",)


def test_people_see_categories_then_codes_each_once() -> None:
    found = ("auth.spf.fail", "auth.spf.fail", "pii.card.bulk", "pii.iban.bulk", "content.insult.model")
    assert shown(*found) == ["abuse.insult", "privacy.pii", "auth.spf.fail"]


def test_what_acts_is_not_advice_unless_we_do_not_know_whose_it_is() -> None:
    assert shown("content.spam.model") == []
    assert shown("content.spam.model", is_attributed=False) == ["spam.outbound"]
    # Too little for an act is too little for advice.
    assert shown("rate.messages.high", is_attributed=False) == []


def test_another_tenant_s_name_alone_is_refused_and_nothing_else_is() -> None:
    def refused(*found: str) -> list[str]:
        return [c.id for c in is_refused_without_points(shipped(), assessed(*found))]

    assert refused("sender.from.other_tenant") == ["impersonation.exact"]
    assert refused("content.gambling.model", "link.text.mismatch", "rate.messages.high") == []


def test_two_groups_do_not_raise_a_c2_category() -> None:
    """Its mode is the ceiling, also when somebody writes agreeing_groups beside it."""
    terms = shipped()
    insult = terms.category_of("abuse.insult").model_copy(update={"agreeing_groups": 2})
    others = tuple(insult if c.id == insult.id else c for c in terms.category)
    changed = terms.model_copy(update={"category": others})
    heard = assessed("content.insult.model")
    assert violations(changed, heard, Direction.OUTBOUND, is_attributed=True) == ()
    assert insult.mode is Mode.C2
