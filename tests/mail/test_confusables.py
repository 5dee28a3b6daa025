"""What looks alike: the table against Unicode's own, and names that only share a script."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import pytest

from filterd.mail.confusables import MAX_CHARS, is_lookalike, is_mixed_script, skeleton, to_unicode

# Alchemical, musical and currency signs: IDNA allows none of them in a name, and nobody takes them for letters.
SIGNS = set("🜇🝫🜀🝜🝬₶Ꜩ")


@pytest.mark.parametrize(
    ("host", "protected"),
    [
        ("paypa1.com", "paypal.com"),
        ("PAYPAI.COM", "paypal.com"),
        ("www.rnicrosoft.com", "microsoft.com"),
        ("vvechat.com", "wechat.com"),
        ("tencent-c1oud.com", "tencent-cloud.com"),
        ("t\u0435nc\u0435nt.com", "tencent.com"),
        ("xn--tncnt-zwec.com", "tencent.com"),
        ("tence\u0301nt.com", "tencent.com"),
        ("ten\u200bcent.com", "tencent.com"),
        ("doudflare.com", "cloudflare.com"),
        ("滕讯.中国", "腾讯.中国"),
        ("滕讯.中国", "xn--r70as2s.xn--fiqs8s"),
        ("g00gle.com.", "google.com"),
    ],
)
def test_an_imitation_is_one(host: str, protected: str) -> None:
    assert is_lookalike(host, protected)


@pytest.mark.parametrize(
    ("host", "protected"),
    [
        ("tencent.com", "tencent.com"),
        ("Mail.TENCENT.com.", "tencent.com"),
        ("tencent.cn", "tencent.com"),
        ("tencents.com", "tencent.com"),
        # What browsers take for the very same name (UTS 46) is no imitation of it.
        ("ｔｅｎｃｅｎｔ。com", "tencent.com"),
        ("银行.中国", "tencent.com"),
        ("яндекс.рф", "yandex.ru"),
        ("xn--r70as2s.xn--fiqs8s", "腾讯.中国"),
        ("com", "tencent.com"),
        ("", "tencent.com"),
    ],
)
def test_an_honest_name_is_none(host: str, protected: str) -> None:
    assert not is_lookalike(host, protected)


@pytest.mark.data
def test_every_character_of_the_conformance_table_has_the_skeleton_of_its_letter(data_dir: Path) -> None:
    table = json.loads((data_dir / "conformance" / "unicode" / "confusables.json").read_text(encoding="utf-8"))
    pairs = {
        (look, row["c"])
        for look, rows in table.items()
        for row in rows
        if row["c"].isascii() and row["c"].replace("-", "").isalnum() and not look.isascii()
    }
    wrong = {look for look, letter in pairs if skeleton(look) != skeleton(letter)}
    assert len(pairs) > 1_400
    assert wrong == SIGNS


@pytest.mark.data
def test_any_one_character_exchanged_is_still_caught(data_dir: Path) -> None:
    table = json.loads((data_dir / "conformance" / "unicode" / "confusables.json").read_text(encoding="utf-8"))
    tried = 0
    for at, letter in enumerate("examplebank"):
        looks = [row["c"] for row in table.get(letter, ()) if normalize("NFKC", row["c"]).lower() != letter]
        tried += len(looks)
        for look in looks:
            host = "examplebank"[:at] + look + "examplebank"[at + 1 :]
            assert is_lookalike(f"{host}.com", "examplebank.com"), (letter, look)
    assert tried > 100


def test_the_skeleton_does_not_depend_on_where_a_pair_stands() -> None:
    assert skeleton("vw") == skeleton("wv") == skeleton("vvv")
    assert skeleton("rnn") == skeleton("mn")
    assert skeleton("Tencent 安全") == skeleton("Τεncent 安全".replace("ε", "\u0435"))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("tencent", False),
        ("p\u0430ypal", True),
        ("яндекс", False),
        ("qq邮箱", False),
        ("αβγ", False),
        ("abc\u03b1", True),
        ("test123", False),
        ("münchen", False),
        ("москва2024", False),
    ],
)
def test_latin_with_what_looks_latin_is_mixed(label: str, expected: bool) -> None:
    assert is_mixed_script(label) is expected


@pytest.mark.parametrize(
    "host", ["xn--", "xn--\u4e2d", "xn--99999999999999", "xn--" + "a" * 100_000, ".", "..", "\ud800.com", "a" * 100_000]
)
def test_odd_hosts_do_not_raise(host: str) -> None:
    assert len(to_unicode(host)) <= MAX_CHARS
    assert not is_lookalike(host, "tencent.com")
    assert not is_lookalike("tencent.com", host)


def test_work_is_bounded_by_what_is_looked_at() -> None:
    # U+FDFA becomes 18 characters, and combining marks sort quadratically: both only within MAX_CHARS.
    assert len(skeleton("\ufdfa" * 100_000)) <= 8 * MAX_CHARS
    assert skeleton("a" + "\u0301\u0316" * 100_000) == "a"
