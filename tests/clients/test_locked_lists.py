"""Files of lists of locked categories: what loads, and that nothing raises them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from filterd.clients.clock import SystemClock
from filterd.clients.locked_lists import LockedFolder, load_locked, read_locked
from filterd.clients.term_lists import LABELS, Reading, load_terms
from filterd.config import Config
from filterd.errors import ConfigError
from tests.clients.test_term_lists import write
from tests.kit.clock import NOON, FrozenClock

pytestmark = pytest.mark.slow

GOOD = """\
id = "kites"
category = "pol.security"
languages = ["zh", "en"]
legal_basis = "Order 7 of 2026-10-02 of the ministry of kites"
scope = "mail that leaves our tenants' domains"
expires_at = 2027-03-01
terms = [
    "蓝色风筝",
    "velvet teapot",
]
patterns = ['teapots? [0-9]+']
"""


def test_a_list_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    (one,) = load_locked(tmp_path, NOON)
    assert (one.id, one.category, one.at_least, one.file) == ("kites", "pol.security", 1, file)
    assert (one.terms, one.patterns) == (("蓝色风筝", "velvet teapot"), ("teapots? [0-9]+",))
    assert one.expires_at == datetime(2027, 3, 1, tzinfo=UTC)
    # No check can take it for one of its own.
    assert not {"label", "confidence"} & set(type(one).__slots__)


@pytest.mark.parametrize(
    ("on_hit", "said"),
    [("deliver", "deliver"), (None, "deliver"), ("hold_for_person", "hold_for_person")],
)
def test_mail_is_delivered_or_waits_for_a_person(tmp_path: Path, on_hit: str | None, said: str) -> None:
    write(tmp_path, GOOD if on_hit is None else GOOD.replace("terms", f'on_hit = "{on_hit}"\nterms', 1))
    (one,) = load_locked(tmp_path, NOON)
    assert one.on_hit == said


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("on_hit = 4", "on_hit", "no file can give it one"),
        *((f'on_hit = "{x}"', "on_hit", "no file can give it one") for x in ("reject", "quarantine", "tag", "strike")),
        ("on_hit = true", "on_hit", "no file can give it one"),
        ('label = "gambling"', "label", "unknown key"),
        ("confidence = 0.9", "confidence", "unknown key"),
        ('disposition = "reject"', "disposition", "unknown key"),
        ("points = 1", "points", "unknown key"),
        ("raised = true", "raised", "unknown key"),
    ],
)
def test_no_file_gives_a_locked_list_an_effect(tmp_path: Path, line: str, key: str, words: str) -> None:
    write(tmp_path, GOOD.replace("terms", f"{line}\nterms", 1))
    with pytest.raises(ConfigError, match=words) as caught:
        load_locked(tmp_path, NOON)
    assert (caught.value.key, caught.value.line) == (key, 7)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('legal_basis = "Order 7 of 2026-10-02 of the ministry of kites"\n', "", "Field required"),
        ('scope = "mail that leaves our tenants\' domains"\n', "", "Field required"),
        ('category = "pol.security"\n', "", "Field required"),
        ("2027-03-01", "2027-06-01", "at most 180 days ahead"),
        ("velvet teapot", "ab", "too short"),
    ],
)
def test_what_every_list_needs_this_one_needs(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=words) as caught:
        load_locked(tmp_path, NOON)
    assert "teapot" not in str(caught.value).replace(str(tmp_path), "")


def test_neither_kind_of_list_loads_as_the_other(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with pytest.raises(ConfigError):
        load_terms(tmp_path, NOON)
    for label in (*LABELS, "pol.security", "political"):
        file = write(tmp_path, GOOD.replace('category = "pol.security"', f'label = "{label}"'))
        with pytest.raises(ConfigError):
            read_locked(file, NOON)


def test_the_example_for_operators_loads(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "ops/docs/TERM-LISTS.md"
    (example,) = [x for x in page.read_text(encoding="utf-8").split("```toml\n") if "category = " in x]
    write(tmp_path, example.partition("```")[0])
    (one,) = load_locked(tmp_path, NOON)
    assert (one.category, one.at_least, len(one.terms)) == ("pol.security", 2, 3)


def test_filterd_ships_none_and_the_subsystem_is_off() -> None:
    assert Config.model_validate({}).terms.locked_folder is None


async def test_a_faulty_change_leaves_what_was_read(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    heard: list[Reading] = []
    lists = LockedFolder(tmp_path, FrozenClock(), load=load_locked, recheck_s=0, on_reading=heard.append)
    lists.open()
    first = await lists.current()
    write(tmp_path, GOOD.replace("terms", 'on_hit = "reject"\nterms', 1))
    assert await lists.current() is first
    assert [x.error is None for x in heard] == [True, False]


def test_only_categories_that_an_agreement_leaves_to_people_load(tmp_path: Path) -> None:
    """By a start and by every reload: filterd.app.policy."""
    from filterd.app.parts import load_agreements
    from filterd.app.policy import check_locked

    clock = SystemClock()
    config = Config.model_validate({"terms": {"locked_folder": str(tmp_path)}})
    agreements = load_agreements(config)
    text = GOOD.replace("2027-03-01", clock.now().date().isoformat())
    write(tmp_path, text)
    check_locked(config, agreements, clock)
    for category in ("malware", "spam.outbound", "abuse.insult", "illegal.terror", "pol.nothing"):
        write(tmp_path, text.replace("pol.security", category))
        with pytest.raises(ConfigError, match="is no locked category") as caught:
            check_locked(config, agreements, clock)
        assert (caught.value.key, caught.value.line) == ("category", 2)
