"""A rule's `when`: what it may say, what is refused at load, and what happens where it cannot be computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from filterd.agreement.crosswalk import crosswalk
from filterd.agreement.decide import decide
from filterd.agreement.load import load
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import RULE_ERRORED, asks_for_a_person
from filterd.agreement.when import MAX_LENGTH, NAMES, fault
from filterd.errors import ConfigError
from filterd.model.decision import Decision, Disposition, MailFacts
from filterd.model.sanction import Mode, Preset, Rung
from filterd.model.session import Direction
from filterd.model.standing import History
from tests.agreement.cases import MEDIUM, STRONG, case, finding
from tests.agreement.contract import CODES, shipped
from tests.agreement.test_load import KNOWN, TEXT

pytestmark = pytest.mark.slow

# No example of the file is about it.
WEAPONS = '[[rule]]\nfinding = "content.weapons.model"\ncategory = "illegal.weapons"\n'
FACTS = MailFacts(recipients=30, external_recipients=20, has_attachments=False, has_links=True, size_bytes=4000)


def with_when(text: str) -> str:
    """The shipped agreement, whose rule for gambling now also asks this."""
    assert WEAPONS in TEXT
    return TEXT.replace(WEAPONS, f"{WEAPONS}when = '''{text}'''\n", 1)


def conditional(text: str, category: str = "illegal.gambling", **changes: Any) -> Agreement:
    """The same without loading, so that what the loader refuses can be seen at work, too."""
    rules = tuple(
        rule.model_copy(update={"when": text, **changes}) if rule.category == category else rule
        for rule in shipped().rule
    )
    return shipped().model_copy(update={"rule": rules})


def judged(when: str, *found: str, facts: MailFacts = FACTS, **said: Any) -> Decision:
    item = case([finding(code, 0.8) for code in found], facts=facts, **said)
    return decide(item, conditional(when), Preset.SUPERVISED, History(account_id="a_1"), ("k_1",))


def breached(when: str, *found: str, **said: Any) -> list[str]:
    return [v.category for v in judged(when, *found, **said).violations]


RUN = ("content.gambling.model", "rate.message.bulk")


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("recipients >= 30", True),
        ("recipients > 30", False),
        ("external_recipients == 20 && has_links && !has_attachments", True),
        ("size_bytes > 4000 || bulk", True),
        ("direction == 'internal'", False),
        ('strength == "strong"', True),
        ("confidence >= 0.8", True),
        ("confidence > 0.8", False),
        ("'rate.message.bulk' in codes", True),
        ("'rate.burst.running' in codes", False),
        ("size(codes) == 2", True),
        ("double(external_recipients) / double(recipients) > 0.6", True),
        ("recipients in [1, 30]", True),
        ("has_links ? recipients > 29 : false", True),
    ],
)
def test_a_rule_speaks_where_its_condition_holds(when: str, holds: bool) -> None:
    assert breached(when, *RUN) == (["illegal.gambling"] if holds else [])
    # And it is a condition that may stand in a file.
    assert fault(when, KNOWN) is None


def test_confidence_is_that_of_the_finding_the_rule_is_about() -> None:
    """Another finding of the mail being surer changes nothing."""
    sure = [finding("content.gambling.model", 0.6), finding("rate.message.bulk", 1.0)]
    item = case(sure, facts=FACTS)
    terms = conditional("confidence >= 0.7")
    assert decide(item, terms, Preset.SUPERVISED, History(account_id="a_1"), ("k_1",)).violations == ()


def test_without_a_condition_nothing_has_changed() -> None:
    assert breached("recipients > 1000", *RUN) == []
    plain = decide(case(RUN, facts=FACTS), shipped(), Preset.SUPERVISED, History(account_id="a_1"), ("k_1",))
    assert [v.category for v in plain.violations] == ["illegal.gambling"]


# (what is written, what the error says)
REFUSED = [
    ("recipients >= 20 && strikes_90d > 2", "unknown name 'strikes_90d'"),
    ("points > 3", "nothing of standing"),
    ("rung == 'warn'", "unknown name 'rung'"),
    ("recipeints > 1", "unknown name 'recipeints'"),
    ("codes.exists(c, c == 'content.spam.model')", "no loops: '.exists'"),
    ("codes.all(direction, direction == 'outbound')", "no loops: '.all'"),
    ("codes . \n map (c, c) == codes", "no loops: '.map'"),
    ("size(codes.filter(codes, true)) > 0", "no loops: '.filter'"),
    ("codes.exists_one(bulk, bulk)", "no loops: '.exists_one'"),
    ("direction.matches('outbound')", "'.matches' cannot stand"),
    ("matches(direction, 'outbound')", "no function 'matches'"),
    ("dyn(recipients) > 1", "no function 'dyn'"),
    ("recipients(1) > 1", "no function 'recipients'"),
    ("has(codes.x)", "no function 'has'"),
    ("size > 1", "unknown name 'size'"),
    ("codes[0] == 'content.spam.model'", "'_[_]' cannot stand"),
    ("recipients > 1 // && has_links", "'/' cannot stand"),
    ("{'outbound': true}[direction]", "'{' cannot stand"),
    ("direction == 'outbond'", "it would never match"),
    ("'content.spam.modle' in codes", "'content.spam.modle' is no finding any check gives"),
    ("direction == 'out\\bound'", "cannot stand in a when"),
    ("b'outbound' == direction", "unknown name 'b'"),
    ("recipients >", "is no expression: "),
    ("(" * 150 + "has_links" + ")" * 150, "is no expression: "),
    ("", "is no expression: "),
    ("1 < 2", "depends on nothing"),
    ("recipients", "says 1 and not true or false"),
    ("recipients > 'outbound'", "cannot be computed for a mail with recipients 1: "),
    ("has_links && direction > 3", "cannot be computed"),
    ("!has_links || direction > 3", "cannot be computed"),
    ("recipients / external_recipients > 2", "cannot be computed"),
    ("has_links && " * 40 + "has_links", f"longer than {MAX_LENGTH}"),
]


@pytest.mark.parametrize(("when", "says"), REFUSED, ids=[when[:30] for when, _ in REFUSED])
def test_what_may_not_stand_in_a_when_is_refused_with_file_line_and_key(when: str, says: str) -> None:
    text = with_when(when)
    with pytest.raises(ConfigError) as caught:
        load(text.encode(), "terms.toml", KNOWN)
    assert says in str(caught.value)
    assert str(caught.value).startswith("terms.toml:")
    assert caught.value.key is not None
    assert caught.value.key.startswith("rule.")
    assert caught.value.key.endswith(".when")
    assert caught.value.line == text[: text.index("when = '''")].count("\n") + 1


def test_a_condition_has_400_characters_and_no_more() -> None:
    assert fault("has_links".ljust(400), ()) is None
    assert fault("has_links".ljust(401), ()) == "is longer than 400 characters: make two rules of it"


def test_a_loop_over_a_declared_name_never_reaches_the_compiler() -> None:
    """`references()` says nothing of the macro, and nested ones run for minutes: the text alone has to refuse it."""
    nested = "codes.map(codes, codes.map(codes, codes))"
    import cel

    assert set(cel.compile(nested).references()["variables"]) <= set(NAMES)
    assert fault(f"size({nested}) > 0", KNOWN) == "names are flat and there are no loops: '.map' cannot stand in a when"


def test_a_file_with_a_condition_loads_and_runs_its_examples() -> None:
    example = """
[[example]]
name = "a small run of mail about weapons is left alone, a large one is not"
acts = [
  { hour = 0, findings = ["content.weapons.model", "rate.message.bulk"], recipients = 9 },
  { hour = 1, findings = ["content.weapons.model", "rate.message.bulk"], recipients = 90, size_bytes = 2999 },
]
points = 1
rung = "warn"
at_hour = 2
disposition = "quarantine"
incidents = 1
violations = ["illegal.weapons"]
"""
    text = with_when("recipients >= 50 && size_bytes < 3000") + example
    terms = load(text.encode(), "terms.toml", KNOWN)
    assert [row.when for row in crosswalk(terms) if row.when] == ["recipients >= 50 && size_bytes < 3000"]
    with pytest.raises(ConfigError, match="does not come out"):
        load(text.replace("recipients = 90", "recipients = 49").encode(), "terms.toml", KNOWN)


# What the loader cannot foresee: it comes out for the sample mails and not for this one.
DIVIDES = "recipients / (size_bytes - 4000) > 0"


def test_a_condition_that_cannot_be_computed_is_told_and_is_no_violation() -> None:
    assert fault(DIVIDES, KNOWN) is None
    said = judged(DIVIDES, *RUN)
    assert said.advisory == (f"{RULE_ERRORED}content.gambling.model",)
    assert [code for code in said.advisory if asks_for_a_person(code)] == list(said.advisory)
    assert (said.violations, said.records, said.notices, said.disposition) == ((), (), (), Disposition.ACCEPT)
    # Another mail is no trouble.
    assert breached(DIVIDES, *RUN, facts=replace(FACTS, size_bytes=4001)) == ["illegal.gambling"]


def test_a_rule_that_errored_takes_no_other_rule_along() -> None:
    said = judged(DIVIDES, *RUN, "virus.signature.match")
    assert [v.category for v in said.violations] == ["malware"]
    assert said.rung_after is Rung.WARN
    assert f"{RULE_ERRORED}content.gambling.model" in said.advisory


def test_a_rule_that_errored_refuses_nothing() -> None:
    terms = conditional(DIVIDES, "impersonation.exact")
    item = case(["sender.from.other_tenant"], facts=FACTS)
    said = decide(item, terms, Preset.SUPERVISED, History(account_id="a_1"), ("k_1",))
    refused = "refused.impersonation.exact"
    assert refused not in {reason.code for reason in said.reasons}
    assert said.advisory == (f"{RULE_ERRORED}sender.from.other_tenant",)
    sound = decide(item, shipped(), Preset.SUPERVISED, History(account_id="a_1"), ("k_1",))
    assert refused in {reason.code for reason in sound.reasons}


def test_what_a_text_says_that_nobody_loaded_has_errored_as_well() -> None:
    for broken in ("recipients >", "nobody_knows > 1", "recipients"):
        assert judged(broken, *RUN).advisory == (f"{RULE_ERRORED}content.gambling.model",)


def test_of_strangers_mail_no_rule_is_asked() -> None:
    assert judged(DIVIDES, *RUN, direction=Direction.INBOUND).advisory == ()
    # Of mail known only by its network a person is told: nothing else would follow from it either.
    assert judged(DIVIDES, *RUN, principal=MEDIUM).advisory == (f"{RULE_ERRORED}content.gambling.model",)
    assert judged(DIVIDES, *RUN, principal=STRONG).advisory != ()


def test_a_locked_category_is_not_told_of_even_where_its_rule_errored() -> None:
    """The loader refuses such a rule; if it did not, there would still be no trace of it."""
    rule = next(x for x in shipped().rule if x.category == "illegal.gambling")
    locked = rule.model_copy(update={"category": "pol.security", "when": DIVIDES})
    terms = shipped().model_copy(update={"rule": (*shipped().rule, locked)})
    assert terms.category_of("pol.security").mode is Mode.C1
    said = decide(case(RUN, facts=FACTS), terms, Preset.SUPERVISED, History(account_id="a_1"), ("k_1",))
    assert said.advisory == ()


def test_every_name_has_a_value_at_run_time() -> None:
    """A name that the lint knows and the evaluation does not would error in every mail."""
    asks = {"codes": "size(codes) > 0", "direction": "direction != 'internal'", "strength": "strength != 'medium'"}
    flags = {"has_attachments", "has_links", "bulk"}
    for name in NAMES:
        when = asks.get(name) or (f"{name} || !{name}" if name in flags else f"{name} >= 0")
        assert fault(when, CODES) is None, name
        assert breached(when, *RUN) == ["illegal.gambling"], name
