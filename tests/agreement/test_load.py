"""An agreement file is whole, or refused with file, line and key."""

from __future__ import annotations

import pytest

from filterd.agreement.load import load, unmapped
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.share import path
from tests.agreement.contract import CODES, shipped

pytestmark = pytest.mark.slow

KNOWN = ALL_CODES | CODES
TEXT = path("policies/agreements/tencent-exmail.toml").read_text(encoding="utf-8")

PROTECTED = '[[protection]]\nfinding = "attachment.type.blocked"\noutbound = "reject"\ninternal = "reject"\n'


def rule(label: str, category: str, more: str = "") -> str:
    lines = ["[[rule]]", f'finding = "content.{label}.model"', f'category = "{category}"', *([more] if more else [])]
    return "\n".join(lines) + "\n"


def category_text(category: str) -> str:
    start = TEXT.index(f'[[category]]\nid = "{category}"')
    return TEXT[start : TEXT.index("\n\n", start)]


def table_text(name: str) -> str:
    start = TEXT.index(f"[{name}]\n")
    return TEXT[start : TEXT.index("\n\n", start)]


HONOUR, MALWARE = category_text("pol.honour"), category_text("malware")
REGISTRATION, LIFECYCLE = table_text("tenant.registration"), table_text("lifecycle")
CURE = '[cure]\nclause = "7.9"\n\n'
LAST_STEP = '[[ladder]]\nat = 90\nrung = "suspend"\npropose_termination = true\n'
FIRST_STEP = '[[ladder]]\nat = 0.5\nrung = "warn"'
ATTENDED = "[preset.attended]\nrestrict_lapse_hours = 72\nsuspend_max_hours = 168\nsuspend_lapse_hours = 72\n"


# (what is changed, into what, what the error says, the key it names)
FAULTS = [
    ("probation_days = 30", "probation_dais = 30", "unknown key", "probation_dais"),
    ("probation_days = 30", "probation_days = -1", "greater than or equal to 0", "probation_days"),
    ('finding = "virus.signature.match"', 'finding = "virus.signatur.match"', "no check gives", "rule.9.finding"),
    ('category = "malware"\n', 'category = "malwear"\n', "which the file does not have", None),
    ('ground = ["3.5.1"]', 'ground = ["3.5.9"]', "stands on clause '3.5.9'", None),
    ('scope = ["attachments"]', 'scope = ["attachmints"]', "unknown feature", "category.2.scope"),
    ('scope = ["attachments"]', 'scope = ["messages_per_hour"]', "needs limit", "category.2.scope"),
    ('sanction_ground = ["3.6", "4.3.1"]', 'sanction_ground = ["3.7"]', "sanction_ground names clause", None),
    ("at = 3\n", "at = 6\n", "ladder steps start above 0 and rise", None),
    ("points = 4\n", "points = 3\n", "does not come out: points is 4.0, not 3.0", "example.4.name"),
    ("[preset.attended]", "[preset.atended]", "preset", "preset.atended.[key]"),
    ("version = ", "version == ", "Invalid value", None),
    # What a locked or contextual category could do wrong.
    (rule("insult", "abuse.insult"), rule("insult", "pol.honour"), "for people only", None),
    (rule("insult", "abuse.insult"), rule("insult", "abuse.insult", 'alone = "refuse"'), "cannot refuse mail", None),
    (rule("drugs", "illegal.drugs"), rule("drugs", "illegal.drugs", 'alone = "refuse"'), "cannot refuse mail", None),
    (HONOUR, HONOUR.replace("people_only = true\n", ""), "people_only = true", "category.26"),
    (HONOUR, HONOUR.replace('mode = "C1"', 'mode = "B"'), "must be C1 or C2", "category.26"),
    # What a model or a list alone can never be (HOUSE rule 3).
    (rule("drugs", "illegal.drugs"), rule("drugs", "malware"), "alone is never mode A", None),
    (rule("drugs", "illegal.drugs"), rule("drugs", "illegal.drugs", 'group = "other"'), "always of the group", None),
    ('finding = "content.drugs.terms"', 'finding = "content.drugs.model"', "two rules lead from the same", None),
    ("below_confidence = 0.9", "below_confidence = 0", "must be above min_confidence", None),
    ('requires = "sender.from.other_tenant"', 'requires = "sender.from.foreign"', "no rule leads from it", None),
    ('bulk = ["rate.burst.running", ', 'bulk = ["rate.burst.runing", ', "no check gives", "bulk.0"),
    (
        'bulk = ["rate.burst.running", "rate.recipients.high", "rate.message.bulk", "rate.drip.slow"]',
        "",
        "says of no finding",
        None,
    ),
    ('single = "C2"', 'single = "C1"', "Input should be 'C2'", "category.1.single"),
    ('  "auth.spf.fail",', '  "auth.spf.fails",', "no check gives", "advisory.15"),
    (PROTECTED, PROTECTED.replace("blocked", "bloked"), "no check gives", "protection.2.finding"),
    (PROTECTED, PROTECTED.replace("reject", "accept"), "list the finding as advisory", "protection.2"),
    (PROTECTED, PROTECTED.replace("reject", "discard"), "protection never discards", "protection.2"),
    (PROTECTED, PROTECTED + "\n" + PROTECTED, "two protections for the same finding", None),
    ('ground = ["3.4.3"]', 'ground = ["3.4.2"]', "which mail cannot breach", None),
    ('advisory = ["abuse.insult"]', 'advisory = ["hate.slur"]', "advisory is abuse.insult, not hate.slur", None),
    # Clauses that a table stands on, and what it takes its days from.
    ('ground = ["8.2.4"]', 'ground = ["8.2.9"]', "tenant.registration.ground names clause '8.2.9'", None),
    ('clauses = ["3.6", "4.3.1"]', 'clauses = ["3.7"]', "termination.clauses names clause '3.7'", None),
    (REGISTRATION, CURE + REGISTRATION, "cure.clause names clause '7.9'", None),
    (LIFECYCLE, "", "[tenant.registration] takes its years from [lifecycle]", None),
    ("decide_min_hours = 24", "decide_min_hours = 169", "decide_min_hours is not above decide_hours", "appeal"),
    ('timezone = "Asia/Shanghai"', 'timezone = "Asia/Nowhere"', "no time zone 'Asia/Nowhere'", "timezone"),
    ('timezone = "Asia/Shanghai"', 'timezone = "/etc/passwd"', "no time zone", "timezone"),
    ('timezone = "Asia/Shanghai"', 'timezone = "Asia"', "no time zone 'Asia'", "timezone"),
    # What a category can only say in one way.
    ('id = "malware"', 'id = "phishing.known"', "two categories bear the same id", None),
    ('scope = ["attachments"]', 'scope = ["recipient:a@b.example"]', "for a person to say", "category.2.scope"),
    (MALWARE, MALWARE.replace("severity = 3\n", ""), "either severity or severity_by_recipients", "category.2"),
    (MALWARE, MALWARE.replace("severity = 3\n", "severity = 4\n"), "give no automatic points", "category.2"),
    (MALWARE, MALWARE.replace('"reject"', '"discard"'), "write 'reject'", "category.2"),
    (MALWARE, MALWARE.replace("severity = 3\n", 'severity = 3\nsingle = "C2"\n'), "single is for mode B", "category.2"),
    ("{ recipients = 1, severity = 1 }", "{ recipients = 2, severity = 1 }", "starts at 1 and rises", "category.0"),
    # A ladder only ever goes up.
    ("at = 0.5\n", "at = 0\n", "ladder steps start above 0 and rise", None),
    (FIRST_STEP, FIRST_STEP.replace('"warn"', '"suspend"'), "ladder rungs never fall", None),
    ('dsa = ["CYBER_VIOLENCE"]', 'dsa = ["cyber violence"]', "should match pattern", "category.20.dsa.0"),
    (ATTENDED, "", "preset 'attended' is missing", None),
]


@pytest.mark.parametrize(("old", "new", "says", "key"), FAULTS, ids=[f[1][:40] for f in FAULTS])
def test_a_fault_is_named_with_file_line_and_key(old: str, new: str, says: str, key: str | None) -> None:
    assert old in TEXT
    broken = TEXT.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        load(broken.encode(), "terms.toml", KNOWN)
    assert says in str(caught.value)
    assert str(caught.value).startswith("terms.toml")
    if key is not None:
        assert caught.value.key == key
        assert caught.value.line is not None


def test_the_line_named_is_the_line_at_fault() -> None:
    broken = TEXT.replace('finding = "virus.signature.match"', 'finding = "virus.signatur.match"', 1)
    wanted = broken[: broken.index("virus.signatur.match")].count("\n") + 1
    with pytest.raises(ConfigError) as caught:
        load(broken.encode(), "terms.toml", KNOWN)
    assert caught.value.line == wanted


@pytest.mark.parametrize("table", ["", CURE.replace("7.9", "3.6")], ids=["termination", "termination and cure"])
def test_what_counts_days_needs_the_table_that_has_them(table: str) -> None:
    broken = TEXT.replace(LIFECYCLE, table).replace(REGISTRATION, "")
    with pytest.raises(ConfigError, match=r"take their days from \[lifecycle\]"):
        load(broken.encode(), "terms.toml", KNOWN)


def test_what_holds_mail_needs_the_clocks_of_held_mail() -> None:
    broken = TEXT.replace(LIFECYCLE, "").replace(REGISTRATION, "").replace(table_text("termination"), "")
    with pytest.raises(ConfigError, match=r"holds mail, whose clocks are in \[lifecycle\]"):
        load(broken.encode(), "terms.toml", KNOWN)


def test_no_category_stands_on_a_clause_that_only_a_person_can_cite() -> None:
    head = '[clause."3.5.1"]\n'
    assert head in TEXT
    broken = TEXT.replace(head, head + 'needs = "verification"\n')
    with pytest.raises(ConfigError, match=r"stands on clause '3\.5\.1', which only a person can cite"):
        load(broken.encode(), "terms.toml", KNOWN)


@pytest.mark.parametrize("mode", ["C1", "C2"])
def test_a_locked_category_cannot_touch_mail(mode: str) -> None:
    block = TEXT[TEXT.index('id = "malware"') : TEXT.index('id = "phishing.known"')]
    raised = TEXT.replace(block, block.replace('mode = "A"', f'mode = "{mode}"'))
    with pytest.raises(ConfigError, match="cannot touch mail"):
        load(raised.encode(), "terms.toml", KNOWN)


@pytest.mark.parametrize("mode", ["C1", "C2"])
def test_a_locked_category_cannot_restrict_anything(mode: str) -> None:
    block = TEXT[TEXT.index('id = "malware"') : TEXT.index('id = "phishing.known"')]
    quiet = block.replace('mode = "A"', f'mode = "{mode}"').replace('disposition = "reject"', 'disposition = "accept"')
    with pytest.raises(ConfigError, match="cannot restrict anything"):
        load(TEXT.replace(block, quiet).encode(), "terms.toml", KNOWN)


def test_the_ladder_of_a_supplement_ends_with_a_suspension() -> None:
    text = path("policies/agreements/aliyun-supplement.toml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="take propose_termination away"):
        load((text + "\n" + LAST_STEP).encode(), "terms.toml", KNOWN)


def test_a_code_nobody_names_is_told() -> None:
    assert unmapped(shipped(), KNOWN) == ()
    assert unmapped(shipped(), KNOWN | {"content.new.model"}) == ("content.new.model",)


def test_the_digest_follows_the_octets() -> None:
    other = load(TEXT.replace("# The Tencent", "# the Tencent").encode(), "terms.toml", KNOWN)
    assert other.digest != shipped().digest


def test_octets_that_were_read_before_are_the_same_agreement_and_others_are_read() -> None:
    data = TEXT.encode()
    first = load(data, "a.toml", KNOWN)
    assert load(bytes(bytearray(data)), "a.toml", list(KNOWN)) is first
    other = load(data + b"# new\n", "a.toml", KNOWN)
    assert (other.id, other.digest == first.digest) == (first.id, False)
    # A fault is a fault each time, in the file that has it, and what one check does not give is one, too.
    for name in ("a.toml", "a.toml", "b.toml"):
        with pytest.raises(ConfigError, match=name):
            load(data + b"[[rule]]\n", name, KNOWN)
    with pytest.raises(ConfigError, match="no check gives"):
        load(data, "a.toml", KNOWN - {"virus.signature.match"})
