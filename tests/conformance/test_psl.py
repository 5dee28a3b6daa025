"""The vectors of publicsuffix.org: all 78, against the dated list they came with."""

from __future__ import annotations

import re
from pathlib import Path

from filterd.checks.psl import SuffixList, load

_VECTOR = re.compile(r"checkPublicSuffix\((null|'[^']*'), (null|'[^']*')\);")


def answers(data_dir: Path) -> list[tuple[str, str | None, str | None]]:
    """Give every vector: what was asked, what is expected, what we say."""
    folder = data_dir / "conformance" / "psl"
    suffixes = SuffixList((folder / "public_suffix_list.txt").read_text(encoding="utf-8").splitlines())
    text = (folder / "test_psl.txt").read_text(encoding="utf-8")
    vectors = [match.groups() for line in text.splitlines() if (match := _VECTOR.fullmatch(line.strip()))]
    found = []
    for asked, expected in vectors:
        actual = suffixes.registrable("" if asked == "null" else asked.strip("'"))
        found.append((asked, None if expected == "null" else expected.strip("'"), actual))
    return found


def test_every_vector_on_the_list_it_was_made_for(data_dir: Path) -> None:
    found = answers(data_dir)
    assert len(found) == 78
    assert [row for row in found if row[1] != row[2]] == []


def test_the_list_of_the_package_knows_what_does_not_change() -> None:
    suffixes = load()
    assert suffixes.registrable("a.b.example.co.uk") == "example.co.uk"
    assert suffixes.registrable("www.食狮.公司.cn") == "食狮.公司.cn"
    assert suffixes.registrable("www.xn--85x722f.xn--55qx5d.cn") == "xn--85x722f.xn--55qx5d.cn"
    assert [suffixes.is_public_suffix(name) for name in ("com", "co.uk", "example.com", "", "a..b")] == [
        True,
        True,
        False,
        False,
        False,
    ]
