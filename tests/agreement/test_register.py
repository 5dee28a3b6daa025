"""The clause register: every clause is there, is held by tests that can fail, and fits the agreements.  CLAUSES §8."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from filterd.agreement.category import Category, Protection, Rule
from filterd.agreement.clause_faults import clauses_cited, faults, modes_of
from filterd.agreement.clauses import Register, load_register
from filterd.agreement.decide import decide
from filterd.agreement.supplement import effective_terms
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.model.decision import Disposition
from filterd.model.principal import Supplement
from filterd.model.sanction import Mode, Preset
from filterd.model.standing import History
from filterd.share import path
from tests.agreement.cases import NOON, case
from tests.agreement.contract import CODES
from tests.agreement.mutants import SHIPPED, refusal, shipped, text_of, without_clause, without_rules

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
REGISTERED = ("aliyun-mail", "tencent-exmail")
# CLAUSES §2, every row, typed here once more; 2.1.2 and 3.2.1 are in no row and oblige nobody.
TENCENT = """
1.1 1.2 2.1.1 2.1.2 2.1.3 2.1.4 2.1.5 2.2.1 2.2.2 2.2.3 3.1.1 3.1.2 3.1.3 3.1.4 3.2.1 3.2.2 3.2.3 3.3.1
3.4 3.4.1 3.4.2 3.4.3 3.4.4 3.4.5 3.5 3.5.1 3.5.2 3.5.3 3.5.4 3.5.5 3.5.6 3.5.7 3.6
4.1.1 4.1.2 4.1.3 4.1.4 4.2.1 4.2.2 4.2.3 4.3.1 4.3.2 4.3.3 4.4.1 4.4.2 4.4.3 4.4.4 5.1 5.2 5.3 5.4 5.5
6.1 6.2 6.3 7.1 7.2 8.1 8.2.1 8.2.2 8.2.3 8.2.4 8.2.5 8.2.6 8.2.7 8.2.8 8.2.9 8.3 9.1 9.2 9.3 9.4 9.5 9.6
"""
PROHIBITED = {*(f"3.3.2 ({n})" for n in range(1, 12)), *(f"3.3.2 tail-{letter}" for letter in "abcdefgh")}
ALIYUN = "1.1 1.2 1.3 2.1 2.2 3.1 3.2 4.1 4.2 5.1 5.2 6.1 6.2 6.3 7.1 7.2 8.1 9.1 9.2"
CLAUSES = {"tencent-exmail": {*TENCENT.split(), *PROHIBITED}, "aliyun-mail": {*ALIYUN.split()}}
# CLAUSES §2 and §3: the rows marked N.
TENCENT_N = "2.1.2 3.1.3 3.2.1 3.4.1 3.4.2 4.1.1 4.1.2 8.1 8.2.2 8.2.6 9.2 9.4 9.5"
NOT_ACTIONABLE = {"tencent-exmail": {*TENCENT_N.split()}, "aliyun-mail": {"5.1", "6.2", "8.1"}}
# CLAUSES §2.2: content that no machine decides on.
ONLY_C1 = {*(f"3.3.2 ({n})" for n in (1, 2, 3, 5, 6, 9, 10)), "3.3.2 tail-f", "3.3.2 tail-h"}


def file_of(name: str) -> Path:
    return path(f"policies/clauses/{name}.toml")


@cache
def register(name: str) -> Register:
    return load_register(file_of(name).read_bytes(), f"{name}.toml")


def registers() -> dict[str, Register]:
    return {name: register(name) for name in REGISTERED}


def agreements() -> dict[str, Agreement]:
    return {name: shipped(name) for name in SHIPPED}


@cache
def templates() -> dict[str, str]:
    folder = path("policies/notices")
    return {str(f.relative_to(folder)): f.read_text(encoding="utf-8") for f in sorted(folder.rglob("*.j2"))}


def said(**changed: object) -> list[str]:
    """What does not fit once something has been changed."""
    parts: dict[str, object] = {
        "registers": registers(),
        "agreements": agreements(),
        "templates": templates(),
        "known_codes": ALL_CODES | CODES,
    }
    return [str(fault) for fault in faults(**(parts | changed))]  # type: ignore[arg-type]


# --- what is there ----------------------------------------------------------------------------------------------------


def test_every_shipped_register_is_looked_at_here() -> None:
    assert sorted(f.stem for f in path("policies/clauses").glob("*.toml")) == sorted(REGISTERED)


@pytest.mark.parametrize("name", REGISTERED)
def test_every_clause_of_the_agreement_is_in_its_register(name: str) -> None:
    entries = register(name).clause
    assert register(name).agreement == name
    assert {entry.id for entry in entries} == CLAUSES[name]
    assert {entry.id for entry in entries if not entry.is_actionable} == NOT_ACTIONABLE[name]
    assert all(entry.paraphrase_en.isascii() and not entry.paraphrase_zh.isascii() for entry in entries)


def test_what_only_people_decide_is_c1_and_nothing_else() -> None:
    entries = register("tencent-exmail").clause
    assert {entry.id for entry in entries if entry.mode == ("C1",)} >= ONLY_C1


def test_registers_agreements_and_templates_fit() -> None:
    assert said() == []


@pytest.mark.parametrize("name", REGISTERED)
def test_what_no_test_holds_yet_is_said_aloud(name: str) -> None:
    for entry in register(name).pending:
        held = "held in part" if entry.tests else "held by no test"
        warnings.warn(f"{name} {entry.id} is {held}: {entry.pending}", stacklevel=1)
    assert all(entry.tests or entry.pending for entry in register(name).clause if entry.is_actionable)


@cache
def functions(file: str) -> frozenset[str]:
    """Say which tests a file has, without running it."""
    if not (ROOT / file).is_file():
        return frozenset()
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in found if node.name.startswith("test_"))


@pytest.mark.parametrize("name", REGISTERED)
def test_every_test_a_clause_names_is_there(name: str) -> None:
    named = {(entry.id, test) for entry in register(name).clause for test in entry.tests}
    assert named
    assert [(c, test) for c, test in sorted(named) if test.split("::")[1] not in functions(test.split("::")[0])] == []


def test_no_test_names_a_clause_that_is_not_there() -> None:
    known = {"TX": CLAUSES["tencent-exmail"], "AL": CLAUSES["aliyun-mail"]}
    pattern = re.compile(r"\bT-(TX|AL)-(\d+(?:\.\d+)*(?: \(\d+\)| tail-[a-z])?)")
    found = [
        (str(file.relative_to(ROOT)), short, clause)
        for file in sorted((ROOT / "tests").rglob("*.py"))
        for short, clause in pattern.findall(file.read_text(encoding="utf-8"))
    ]
    assert found
    # A whole article, 3.3.2 for instance, may be meant with all its items.
    wrong = [x for x in found if not any(c == x[2] or c.startswith((f"{x[2]} ", f"{x[2]}.")) for c in known[x[1]])]
    assert wrong == []


# --- a register that is wrong by itself -------------------------------------------------------------------------------

MINUTES = "tests/agreement/test_statement.py::test_an_annulment_says_what_was_in_force_for_how_many_minutes"
TESTS = f'tests = [\n  "{MINUTES}",\n]\n'
ENTRY = 'mode = ["E"]\n' + TESTS
# (what is changed, into what, what the error says, the key it names)
WRONG = [
    ('duties = ["E"]', 'dutis = ["E"]', "unknown key", "clause.0.dutis"),
    ('duties = ["E"]', 'duties = ["DO"]', "Input should be 'DET'", "clause.0.duties.0"),
    ('id = "1.2"', 'id = "1.1"', "is there twice", "clause.1.id"),
    ('id = "1.2"', 'id = "one"', "should match pattern", "clause.1.id"),
    (TESTS, "", "name a test that fails without it", "clause.15"),
    (TESTS, 'tests = ["tests/agreement/test_statement.py"]\n', "should match pattern", "clause.15.tests.0"),
    (ENTRY, ENTRY.replace('"E"', '"E", "N"'), "take the other modes away", "clause.15"),
    (ENTRY, 'mode = ["N"]\n', "has no duties", "clause.15"),
    (ENTRY, ENTRY + 'categories = ["malware"]\n', "of mode A, B, C1 or C2", "clause.15"),
    (ENTRY, ENTRY.replace('"E"', '"E", "E"'), "mode says something twice", "clause.15"),
    ('duties = ["EVD"]\n' + ENTRY, ENTRY, "say what it asks of us", "clause.15"),
    ("mode = [", "mode == [", "Invalid value", None),
    ('agreement = "aliyun-mail"', "", "Field required", "agreement"),
]


@pytest.mark.parametrize(("old", "new", "says", "key"), WRONG, ids=[w[2][:30] for w in WRONG])
def test_a_wrong_register_is_refused_with_file_line_and_key(old: str, new: str, says: str, key: str | None) -> None:
    text = file_of("aliyun-mail").read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ConfigError) as caught:
        load_register(text.replace(old, new, 1).encode(), "clauses.toml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("clauses.toml")
    if key is not None:
        assert caught.value.key == key
        assert caught.value.line is not None or key == "agreement"


# --- registers and agreements that do not fit -------------------------------------------------------------------------


def entry_changed(name: str, clause: str, **changes: object) -> dict[str, Register]:
    whole = register(name)
    assert whole.find(clause) is not None
    entries = tuple(e.model_copy(update=changes) if e.id == clause else e for e in whole.clause)
    return registers() | {name: whole.model_copy(update={"clause": entries})}


def category_changed(name: str, category: str, **changes: object) -> dict[str, Agreement]:
    terms = shipped(name)
    assert terms.find_category(category) is not None
    items = tuple(c.model_copy(update=changes) if c.id == category else c for c in terms.category)
    return agreements() | {name: terms.model_copy(update={"category": items})}


def rule_added(name: str, finding: str, category: str, alone: str = "B") -> dict[str, Agreement]:
    # Past the loader, which refuses such a rule.
    rule = Rule(finding=finding, category=category, alone=alone)
    return agreements() | {name: shipped(name).model_copy(update={"rule": (*shipped(name).rule, rule)})}


def less(name: str, clause: str) -> dict[str, Register]:
    whole = register(name)
    return registers() | {name: whole.model_copy(update={"clause": tuple(e for e in whole.clause if e.id != clause)})}


def less_clause(name: str, clause: str) -> dict[str, Agreement]:
    kept = {key: value for key, value in shipped(name).clause.items() if key != clause}
    return agreements() | {name: shipped(name).model_copy(update={"clause": kept})}


def out_of_mail(name: str, clause: str) -> dict[str, Agreement]:
    terms = shipped(name)
    quiet = terms.clause[clause].model_copy(update={"in_mail": False})
    return agreements() | {name: terms.model_copy(update={"clause": {**terms.clause, clause: quiet}})}


TX = "tencent-exmail"
UNFIT: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    # (a), (d): the register and the file speak of the same clauses, categories and words.
    "clause missing in the register": (lambda: {"registers": less(TX, "3.5.2")}, "3.5.2: is in the agreement file and"),
    "clause missing in the file": (lambda: {"agreements": less_clause(TX, "3.5.2")}, "3.5.2: is cited as a ground and"),
    "sanction ground missing": (lambda: {"agreements": less_clause(TX, "4.3.1")}, "4.3.1: is cited as a ground and"),
    "category forgotten": (
        lambda: {"registers": entry_changed(TX, "3.3.2 tail-b", categories=())},
        "tail-b: has categories none; by the agreement file malware",
    ),
    "category invented": (
        lambda: {"registers": entry_changed(TX, "3.3.2 tail-g", categories=("privacy.pii", "spam.advert"))},
        "tail-g: has categories privacy.pii, spam.advert; by",
    ),
    "other words": (
        lambda: {"registers": entry_changed(TX, "3.6", paraphrase_en="Something else altogether.")},
        "3.6: has another paraphrase",
    ),
    "nothing stands on it": (
        lambda: {"agreements": category_changed(TX, "privacy.pii", ground=("3.5.7",))},
        "tail-g: can be breached by mail, and no category",
    ),
    "not in mail": (lambda: {"agreements": out_of_mail(TX, "3.5.2")}, "3.5.2: cannot be breached by mail"),
    "register of nothing": (
        lambda: {"agreements": {n: a for n, a in agreements().items() if n != TX}},
        "tencent-exmail: has a register and no agreement file",
    ),
    # (e): what is locked stays locked, whoever made the agreement.
    "mode raised": (
        lambda: {"agreements": category_changed(TX, "pol.security", mode=Mode.B)},
        "3.3.2 (2): is not of mode B, and category 'pol.security' is",
    ),
    "rule to C1": (
        lambda: {"agreements": rule_added(TX, "content.hate.model", "pol.security")},
        "'pol.security' is C1, and a rule leads to it from content.hate.model",
    ),
    "C1 refuses": (
        lambda: {"agreements": category_changed(TX, "pol.security", disposition=Disposition.REJECT)},
        "'pol.security' is C1 and has an effect",
    ),
    "C1 open to checks": (
        lambda: {"agreements": category_changed(TX, "pol.security", people_only=False)},
        "'pol.security' is C1 and not for people only",
    ),
    "C1 restricts": (
        lambda: {"agreements": category_changed(TX, "pol.security", scope=("bulk",))},
        "'pol.security' is C1 and has an effect",
    ),
    "C2 refuses": (
        lambda: {"agreements": category_changed("aliyun-supplement", "abuse.insult", disposition=Disposition.REJECT)},
        "aliyun-supplement: category 'abuse.insult' is C2 and goes beyond holding",
    ),
    "C2 restricts": (
        lambda: {"agreements": category_changed("house-aup", "abuse.insult", scope=("links",))},
        "house-aup: category 'abuse.insult' is C2 and restricts",
    ),
    "C2 refuses by a rule": (
        lambda: {"agreements": rule_added(TX, "content.insult.advisory", "abuse.insult", "refuse")},
        "'abuse.insult' is C2, and content.insult.advisory alone refuses",
    ),
    # (f): labels.
    "label nobody maps": (
        lambda: {"known_codes": ALL_CODES | CODES | {"content.weather.model"}},
        "house-aup: label 'weather' is unmapped: content.weather.model",
    ),
    "code nobody maps": (
        lambda: {"known_codes": ALL_CODES | CODES | {"auth.new.fail"}},
        "aliyun-mail: auth.new.fail is in no rule",
    ),
    # (c): notices.
    "foreign number in a template": (
        lambda: {"templates": {"en/x.j2": "You breached 4.3.1 of {{ title }}."}},
        "aliyun-mail, clause 4.3.1: is cited by template en/x.j2",
    ),
    "foreign number in a tag": (
        lambda: {"templates": {"en/x.j2": "{{ 'see 3.3.2 (7)' if main }}"}},
        "house-aup, clause 3.3.2 (7): is cited by template",
    ),
    # (g): a supplement to nothing.
    "supplement to nothing": (
        lambda: {
            "agreements": {n: a for n, a in agreements().items() if n != "aliyun-mail"},
            "registers": {TX: register(TX)},
        },
        "aliyun-supplement supplements 'aliyun-mail', which is no agreement here",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
def test_what_does_not_fit_is_said(what: str) -> None:
    change, wanted = UNFIT[what]
    found = said(**change())
    assert [line for line in found if wanted in line], found


def test_a_category_comes_out_in_every_mode_its_rules_allow() -> None:
    terms = shipped(TX)
    modes = {name: modes_of(terms.category_of(name), terms) for name in ("spam.outbound", "illegal.drugs", "malware")}
    assert modes == {"spam.outbound": {"A", "B"}, "illegal.drugs": {"B", "C2"}, "malware": {"A"}}


@pytest.mark.parametrize(
    ("template", "cited"),
    [
        ("by {{ c.number }}: refused with 550 5.7.1", ()),
        ("{# as 4.3.1 says #}{{ x if y }}", ()),
        ("under 4.3.1 and 3.3.2 (7); 4.3.1", ("4.3.1", "3.3.2 (7)")),
        ('{% if rung == "S14" %}', ("S14",)),
        ("依据 7.1 条", ("7.1",)),
    ],
)
def test_numbers_of_clauses_are_found_in_templates(template: str, cited: tuple[str, ...]) -> None:
    assert clauses_cited(template) == cited


# --- removal: each rule, each clause ----------------------------------------------------------------------------------

CLAUSED = [
    (name, key)
    for name in SHIPPED
    for key in shipped(name).clause
    if any(key in category.ground for category in shipped(name).category)
]
# The supplement has the rules of the Tencent agreement (test_aliyun holds it to that) and few examples of its own.
RULED = [
    (name, key)
    for name, key in CLAUSED
    if shipped(name).supplements is None
    and {c.id for c in shipped(name).category if key in c.ground} & {rule.category for rule in shipped(name).rule}
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clause"), RULED)
def test_without_its_rules_a_clause_loses_an_example(name: str, clause: str) -> None:
    """All rules of all its categories at once; each alone: test_clauses and test_house_aup."""
    categories = {c.id for c in shipped(name).category if clause in c.ground}
    mutant = without_rules(text_of(name), categories)
    assert mutant != text_of(name)
    assert "does not come out" in refusal(mutant)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "clause"), CLAUSED)
def test_a_clause_that_categories_stand_on_cannot_be_taken_away(name: str, clause: str) -> None:
    assert f"clause '{clause}', which the file does not have" in refusal(without_clause(text_of(name), clause))


# --- signatures, and mail sent elsewhere: CLAUSES §8 (g), (h) ---------------------------------------------------------

SIGNED = Supplement(
    agreement="aliyun-supplement",
    document="C-17",
    signed_by_provider=date(2026, 1, 10),
    signed_by_tenant=date(2026, 1, 12),
    effective_from=date(2026, 2, 1),
)
VIRUS = ("virus.signature.match",)


@pytest.mark.parametrize(
    ("record", "is_in_force"),
    [
        (None, False),
        (replace(SIGNED, signed_by_provider=None), False),
        (replace(SIGNED, signed_by_tenant=None), False),
        (replace(SIGNED, signed_by_provider=None, signed_by_tenant=None), False),
        (SIGNED, True),
    ],
    ids=["no record", "reseller missing", "customer missing", "both missing", "both there"],
)
def test_a_supplement_without_both_signatures_is_not_in_force(record: Supplement | None, is_in_force: bool) -> None:
    """T-AL-9.1, T-AL-9.2: the same virus is a breach with two signatures, and without one nothing but refused."""
    terms = effective_terms(agreements(), "aliyun-mail", record, NOON)
    decision = decide(case(VIRUS), terms, Preset.STANDING_ORDER, History(account_id="a_1"), ("k_1",))
    assert decision.disposition is Disposition.REJECT
    assert [v.ground.kind for v in decision.violations] == (["supplement"] if is_in_force else [])
    assert bool(decision.records) is is_in_force


@pytest.mark.parametrize("word", ["redirect", "bcc", "forward_to", "copy_to"])
@pytest.mark.parametrize(
    ("table", "after"),
    [
        ("category", 'id = "illegal.terror"\n'),
        ("rule", 'finding = "content.hate.model"\n'),
        ("protection", 'finding = "attachment.type.blocked"\noutbound = "reject"\n'),
    ],
)
def test_no_word_of_the_language_sends_mail_elsewhere(word: str, table: str, after: str) -> None:
    """T-TX-4.2.3, T-AL-4.2: to send a mail, or a copy of it, to somebody else would disclose it."""
    text = text_of(TX).replace(after, f'{after}{word} = "desk@example.com"\n', 1)
    assert text != text_of(TX)
    assert "unknown key" in refusal(text)


def test_no_disposition_sends_mail_elsewhere() -> None:
    """T-TX-4.2.3: every word for what happens to a mail leaves it where it was going, or stops it."""
    assert not {"redirect", "bcc", "forward", "copy"} & {one.value for one in Disposition}
    text = text_of(TX).replace('disposition = "reject"', 'disposition = "redirect"', 1)
    assert "Input should be" in refusal(text)
    assert not {"redirect", "bcc"} & {name for model in (Category, Rule, Protection) for name in model.model_fields}
