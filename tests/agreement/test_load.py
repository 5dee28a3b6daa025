"""An agreement file is whole, or refused with file, line and key."""

from __future__ import annotations

import re

import pytest

from filterd.agreement.load import load, unmapped
from filterd.checks import ALL_CODES
from filterd.errors import ConfigError
from filterd.share import path
from tests.kit.terms import tencent

TEXT = path("policies/agreements/tencent-exmail.toml").read_text(encoding="utf-8")

# (what is changed, into what, what the error says, the key it names)
FAULTS = [
    ("probation_days = 30", "probation_dais = 30", "unknown key", "probation_dais"),
    ("probation_days = 30", "probation_days = -1", "greater than or equal to 0", "probation_days"),
    ('finding = "virus.signature.match"', 'finding = "virus.signatur.match"', "no check gives", "rule.6.finding"),
    ('category = "malware"\n', 'category = "malwear"\n', "which the file does not have", None),
    ('ground = ["3.5.1"]', 'ground = ["3.5.9"]', "stands on clause '3.5.9'", None),
    ('scope = ["attachments"]', 'scope = ["attachmints"]', "unknown feature", "category.1.scope"),
    ('scope = ["attachments"]', 'scope = ["messages_per_hour"]', "needs limit", "category.1.scope"),
    ('sanction_ground = ["3.6", "4.3.1"]', 'sanction_ground = ["3.7"]', "sanction_ground names clause", None),
    ("at = 3\n", "at = 6\n", "ladder steps start above 0 and rise", None),
    ("points = 4\n", "points = 3\n", "does not come out: points is 4.0, not 3.0", "example.4.name"),
    ("[preset.attended]", "[preset.atended]", "preset", "preset.atended.[key]"),
    ("version = ", "version == ", "Invalid value", None),
]


@pytest.mark.parametrize(("old", "new", "says", "key"), FAULTS, ids=[f[1][:40] for f in FAULTS])
def test_a_fault_is_named_with_file_line_and_key(old: str, new: str, says: str, key: str | None) -> None:
    assert old in TEXT
    broken = TEXT.replace(old, new, 1)
    with pytest.raises(ConfigError) as caught:
        load(broken.encode(), "terms.toml", ALL_CODES)
    assert says in str(caught.value)
    assert str(caught.value).startswith("terms.toml")
    if key is not None:
        assert caught.value.key == key
        assert caught.value.line is not None


def test_the_line_named_is_the_line_at_fault() -> None:
    broken = TEXT.replace('finding = "virus.signature.match"', 'finding = "virus.signatur.match"', 1)
    wanted = broken[: broken.index("virus.signatur.match")].count("\n") + 1
    with pytest.raises(ConfigError) as caught:
        load(broken.encode(), "terms.toml", ALL_CODES)
    assert caught.value.line == wanted


@pytest.mark.parametrize("mode", ["C1", "C2"])
def test_a_locked_category_cannot_touch_mail(mode: str) -> None:
    block = TEXT[TEXT.index('id = "malware"') : TEXT.index('id = "impersonation.exact"')]
    raised = TEXT.replace(block, block.replace('mode = "A"', f'mode = "{mode}"'))
    with pytest.raises(ConfigError, match="cannot touch mail"):
        load(raised.encode(), "terms.toml", ALL_CODES)


def test_every_rule_is_needed_by_an_example() -> None:
    """Taking a mapped rule away makes an example fail, so that no clause is enforced by accident."""
    rules = [m.start() for m in re.finditer(r"^\[\[rule\]\]", TEXT, re.M)]
    ends = [*rules[1:], TEXT.index("\n[[example]]")]
    needed = []
    for start, end in zip(rules, ends, strict=True):
        without = TEXT[:start] + TEXT[end:]
        name = re.search(r'finding = "([^"]+)"\s+category = "([^"]+)"', TEXT[start:end])
        assert name is not None
        try:
            load(without.encode(), "terms.toml", ALL_CODES)
        except ConfigError:
            needed.append(name.groups())
    assert ("content.spam.model", "spam.outbound") in needed
    assert ("virus.signature.match", "malware") in needed
    assert ("sender.from.other_tenant", "impersonation.exact") in needed
    assert ("rate.burst.running", "spam.outbound") in needed


def test_a_code_is_mapped_or_listed_as_advisory() -> None:
    assert unmapped(tencent(), ALL_CODES) == ()


def test_the_digest_follows_the_octets() -> None:
    other = load(TEXT.replace("# The Tencent", "# the Tencent").encode(), "terms.toml", ALL_CODES)
    assert other.digest != tencent().digest
