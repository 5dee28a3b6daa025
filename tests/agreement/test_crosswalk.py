"""The table of CLAUSES §4, typed here once more, against the one the shipped agreement comes to."""

from __future__ import annotations

import pytest

from filterd.agreement.crosswalk import crosswalk, rung_reach
from filterd.agreement.load import unmapped
from filterd.checks import ALL_CODES
from filterd.model.sanction import Mode, Preset
from tests.agreement.contract import CODES, CONTENT, LABELS, shipped

pytestmark = pytest.mark.slow

# category: clauses, mode (with that of a single letter), severity, mail, ARF, XARF, DSA
CATEGORIES = {
    "spam.outbound": ("tail-a", "A", "S1-S3", "reject", "abuse", "messaging/spam", "SCAMS_AND_FRAUD"),
    "spam.advert": (
        "tail-c", "B/C2", "S1", "quarantine", "abuse", "messaging/bulk_messaging",
        "CONSUMER_INFORMATION HIDDEN_ADVERTISEMENT",
    ),
    "malware": ("tail-b 3.5.2", "A", "S3", "reject", "virus", "content/malware", "OTHER_VIOLATION_TC OTHER"),
    "phishing.known": (
        "3.5.1 3.5.3 3.5.5", "A", "S3", "reject", "fraud", "content/phishing", "SCAMS_AND_FRAUD PHISHING"
    ),
    "phishing.suspect": (
        "3.5.1 3.5.3", "B", "S2", "quarantine", "fraud", "content/phishing", "SCAMS_AND_FRAUD PHISHING"
    ),
    "fraud.scam": ("3.5.3 3.5.5", "B", "S2", "quarantine", "fraud", "content/fraud", "SCAMS_AND_FRAUD"),
    "fraud.bec": ("3.5.3", "B people", "S3", "quarantine", "fraud", "content/fraud", "SCAMS_AND_FRAUD"),
    "impersonation.exact": (
        "3.5.1", "A", "S2", "reject", "fraud", "content/brand_infringement",
        "SCAMS_AND_FRAUD IMPERSONATION_ACCOUNT_HIJACKING",
    ),
    "impersonation.lookalike": (
        "3.5.1 7.1", "B", "S2", "quarantine", "fraud", "content/brand_infringement",
        "SCAMS_AND_FRAUD IMPERSONATION_ACCOUNT_HIJACKING",
    ),
    "tech.abuse": ("3.4.4", "A people", "S1-S2", "defer", "other", "connection/scraping", "OTHER_VIOLATION_TC"),
    "illegal.gambling": ("(7) (11) 3.5.5", "B/C2", "S2", "quarantine", "other", None, "OTHER_VIOLATION_TC"),
    "illegal.drugs": ("(7) (11) 3.5.5", "B/C2", "S2", "quarantine", "other", None, "OTHER_VIOLATION_TC"),
    "illegal.weapons": ("(7) (11) 3.5.5", "B/C2", "S2", "quarantine", "other", None, "OTHER_VIOLATION_TC"),
    "adult.obscene": (
        "(7) tail-e", "B/C2", "S2", "quarantine", "other", None, "OTHER_VIOLATION_TC ADULT_SEXUAL_MATERIAL"
    ),
    "adult.suggestive": (
        "tail-e", "B/C2", "S1", "quarantine", "other", None, "OTHER_VIOLATION_TC ADULT_SEXUAL_MATERIAL"
    ),
    "illegal.violence": ("(7)", "C2", "S2", "accept", "other", None, "RISK_FOR_PUBLIC_SECURITY"),
    "illegal.terror": ("(7)", "C2", "S4", "accept", "other", None, "RISK_FOR_PUBLIC_SECURITY TERRORIST_CONTENT"),
    "illegal.abet": ("(7)", "C2 people", "S3", "accept", "other", None, "RISK_FOR_PUBLIC_SECURITY"),
    "abuse.harass": (
        "tail-d", "C2", "S2", "accept", "abuse", "messaging/bulk_messaging", "CYBER_VIOLENCE CYBER_HARASSMENT"
    ),
    "abuse.repeated": (
        "tail-d", "B", "S1", "reject", "abuse", "messaging/bulk_messaging", "CYBER_VIOLENCE CYBER_HARASSMENT"
    ),
    "abuse.insult": ("(8)", "C2", "S1", "accept", "abuse", None, "CYBER_VIOLENCE"),
    "hate.slur": ("(4)", "C2", "S2", "accept", "other", None, "ILLEGAL_OR_HARMFUL_SPEECH"),
    "privacy.pii": (
        "tail-g", "C2", "S1", "accept", "other", "content/exposed_data", "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"
    ),
    "tech.client": ("3.4.3", "C2 people", "S1", "accept", "other", None, "OTHER_VIOLATION_TC"),
    "pol.constitution": ("(1)", "C1 people", "decider", "accept", None, None, "ILLEGAL_OR_HARMFUL_SPEECH"),
    "pol.security": ("(2)", "C1 people", "decider", "accept", None, None, "ILLEGAL_OR_HARMFUL_SPEECH"),
    "pol.honour": ("(3)", "C1 people", "decider", "accept", None, None, "ILLEGAL_OR_HARMFUL_SPEECH"),
    "hate.ethnic": ("(4)", "C1 people", "decider", "accept", None, None, "ILLEGAL_OR_HARMFUL_SPEECH"),
    "pol.religion": ("(5)", "C1 people", "decider", "accept", None, None, "ILLEGAL_OR_HARMFUL_SPEECH"),
    "pol.rumour": (
        "(6)", "C1 people", "decider", "accept", None, None, "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS"
    ),
    "pol.assembly": (
        "(9)", "C1 people", "decider", "accept", None, None, "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS"
    ),
    "pol.org": (
        "(10)", "C1 people", "decider", "accept", None, None, "NEGATIVE_EFFECTS_ON_CIVIC_DISCOURSE_OR_ELECTIONS"
    ),
    "rep.defamation": (
        "(8) tail-f", "C1 people", "S2", "accept", "other", None, "ILLEGAL_OR_HARMFUL_SPEECH DEFAMATION"
    ),
    "rights.reputation": (
        "tail-f 3.5.4", "C1 people", "S2", "accept", "other", None, "ILLEGAL_OR_HARMFUL_SPEECH DEFAMATION"
    ),
    "rights.portrait": (
        "tail-f 3.5.4", "C1 people", "S2", "accept", "other", None, "DATA_PROTECTION_AND_PRIVACY_VIOLATIONS"
    ),
    "rights.ip": (
        "tail-f 3.5.4", "C1 people", "S2", "accept", "other", "copyright/copyright",
        "INTELLECTUAL_PROPERTY COPYRIGHT_INFRINGEMENT",
    ),
    "rights.secret": (
        "tail-f 3.5.4", "C1 people", "S2", "accept", "other", None, "INTELLECTUAL_PROPERTY TRADE_SECRET_INFRINGEMENT"
    ),
    "illegal.other": ("(11) 3.5.5", "C1 people", "decider", "accept", "other", None, "OTHER_VIOLATION_TC"),
    "other": ("tail-h 3.4.5 3.5.6 3.5.7", "C1 people", "decider", "accept", "other", None, "OTHER_VIOLATION_TC"),
}  # fmt: skip

# What a classifier's label comes to (CLAUSES §4, last paragraph).
CATEGORIES_OF_LABEL = {
    "spam": {"spam.outbound", "impersonation.exact"},
    "advertising": {"spam.advert"},
    "phishing": {"phishing.suspect", "impersonation.exact"},
    "fraud": {"fraud.scam"},
    "sexual": {"adult.obscene", "adult.suggestive"},
    "gambling": {"illegal.gambling"},
    "drugs": {"illegal.drugs"},
    "weapons": {"illegal.weapons"},
    "violence": {"illegal.violence"},
    "terror": {"illegal.terror"},
    "harassment": {"abuse.harass"},
    "insult": {"abuse.insult"},
    "hate": {"hate.slur"},
}

# Every clause the issue names, and the two means of 4.3.1 and 3.6; 3.4.1 and 3.4.2 are nothing mail can breach.
CLAUSES = {
    "3.1.2",
    *(f"3.3.2 ({n})" for n in range(1, 12)),
    *(f"3.3.2 tail-{letter}" for letter in "abcdefgh"),
    *(f"3.4.{n}" for n in range(1, 6)),
    *(f"3.5.{n}" for n in range(1, 8)),
    "3.6",
    "4.3.1",
    "7.1",
    "8.2.4",
}
# 3.1.2 and 8.2.4 are about who registers.
NOT_IN_MAIL = {"3.1.2", "3.4.1", "3.4.2", "8.2.4"}


def clauses(text: str) -> tuple[str, ...]:
    return tuple(f"3.3.2 {one}" if one.startswith(("(", "tail")) else one for one in text.split())


def test_the_categories_are_those_of_the_crosswalk() -> None:
    assert [c.id for c in shipped().category] == list(CATEGORIES)


@pytest.mark.parametrize("name", CATEGORIES)
def test_each_category_stands_where_it_should(name: str) -> None:
    ground, mode, severity, mail, arf, xarf, dsa = CATEGORIES[name]
    category = shipped().category_of(name)
    said = category.mode.value + (f"/{category.single}" if category.single else "")
    said += " people" if category.people_only else ""
    rows = {row.severity for row in crosswalk(shipped()) if row.category == name}
    assert (category.ground, said, rows) == (clauses(ground), mode, {severity})
    assert (category.disposition.value, category.arf, category.xarf) == (mail, arf, xarf)
    assert category.dsa == tuple(dsa.split())


def test_every_clause_is_there_in_both_languages() -> None:
    terms = shipped()
    assert set(terms.clause) == CLAUSES
    assert {key for key, clause in terms.clause.items() if not clause.in_mail} == NOT_IN_MAIL
    cited = {key for c in terms.category for key in c.ground} | set(terms.sanction_ground)
    assert cited == CLAUSES - NOT_IN_MAIL
    assert all(clause.en.isascii() and not clause.zh.isascii() for clause in terms.clause.values())


def test_every_label_has_its_categories() -> None:
    found: dict[str, set[str]] = {}
    for row in crosswalk(shipped()):
        if row.label in LABELS and row.finding is not None and row.category is not None:
            assert row.finding in CONTENT
            found.setdefault(row.label, set()).add(row.category)
    assert found == CATEGORIES_OF_LABEL
    assert set(CATEGORIES_OF_LABEL) == set(LABELS)


def test_every_code_is_in_the_table() -> None:
    terms = shipped()
    assert unmapped(terms, CODES | ALL_CODES) == ()
    # The one code that is not a row of its own only says that an act is bulk.
    assert {row.finding for row in crosswalk(terms)} - {None} == set(CODES)


def test_every_code_of_a_check_is_known_here() -> None:
    assert set(ALL_CODES) - CODES == set()


def test_a_row_says_what_alone_and_agreeing_are_worth() -> None:
    modes = {(row.finding, row.category): row.mode for row in crosswalk(shipped())}
    assert modes["content.spam.model", "spam.outbound"] == "A agreeing, else B"
    assert modes["rate.burst.running", "spam.outbound"] == "A agreeing, else nothing"
    assert modes["content.gambling.model", "illegal.gambling"] == "B bulk, else C2"
    assert modes["content.phishing.model", "phishing.suspect"] == "B"
    assert modes[None, "pol.honour"] == "C1 (people)"
    assert modes["attachment.type.blocked", None] == "protection"
    assert modes["auth.dmarc.fail", None] == "advisory"


def test_how_far_each_category_goes_with_nobody_on_duty() -> None:
    """STANDING 5.9, rung reach: by mode, computed by the real ladder."""
    by_mode = {
        Mode.A: ("suspend 72 h", "suspend 168 h", "suspend open-ended"),
        Mode.B: ("warn", "restrict 24 h", "restrict 168 h"),
    }
    terms = shipped()
    reached: dict[str, list[str]] = {}
    for one in rung_reach(terms):
        reached.setdefault(one.category, []).append(one.text)
    assert [one.preset for one in rung_reach(terms)[:3]] == list(Preset)
    for category in terms.category:
        nothing = ("nothing",) * 3
        wanted = nothing if category.people_only else by_mode.get(category.mode, nothing)
        assert tuple(reached[category.id]) == wanted, category.id


def test_the_reach_is_computed_and_not_typed() -> None:
    terms = shipped()
    supervised = terms.preset[Preset.SUPERVISED].model_copy(update={"suspend_max_hours": 1, "b_restrict_hours": None})
    changed = terms.model_copy(update={"preset": {**terms.preset, Preset.SUPERVISED: supervised}})
    reached = {one.category: one.text for one in rung_reach(changed) if one.preset is Preset.SUPERVISED}
    assert (reached["malware"], reached["illegal.gambling"]) == ("restrict 168 h", "warn")


@pytest.mark.parametrize(
    ("category", "recipients", "severity", "half_points"),
    [
        ("spam.outbound", 0, 1, 2),
        ("spam.outbound", 99, 1, 2),
        ("spam.outbound", 100, 2, 4),
        ("spam.outbound", 1000, 3, 8),
        ("phishing.known", 1, 3, 8),
        # What nobody has weighed yet weighs nothing (STANDING 5.3: S4 and the decider's).
        ("illegal.terror", 9000, 0, 0),
        ("pol.honour", 9000, 0, 0),
    ],
)
def test_severity_and_what_it_costs(category: str, recipients: int, severity: int, half_points: int) -> None:
    terms = shipped()
    assert terms.category_of(category).severity_of(recipients) == severity
    assert terms.half_points(severity, is_after_notice=False) == half_points


def test_only_terror_is_urgent() -> None:
    assert [c.id for c in shipped().category if c.is_urgent] == ["illegal.terror"]
