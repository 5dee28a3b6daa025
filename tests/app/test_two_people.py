"""What takes two people is said loudly by a running node until it has them.  STANDING 5.5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from filterd import metrics
from filterd.agreement.adopted import unraised
from filterd.app.checks import Files, make_lists, make_locked, read_files
from filterd.app.raised import RaisedWatch
from filterd.clients.locked_lists import load_locked
from filterd.clients.term_lists import TermFolder, load_terms
from filterd.config import Config
from filterd.model import records as r
from filterd.model.entry import SITE
from filterd.model.standing import History
from tests.clients.test_locked_lists import GOOD as LOCKED
from tests.clients.test_term_lists import GOOD
from tests.kit.clock import NOON, FrozenClock
from tests.kit.terms import tencent
from tests.pipeline.test_adopting import raise_in


def gauge(name: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name)


async def test_a_list_nobody_approved_is_an_error_line_with_its_command_and_a_metric(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "kites.toml").write_text(GOOD, encoding="utf-8")
    clock = FrozenClock()
    config = Config.model_validate({"terms": {"folder": str(folder)}, "node": {"state_dir": str(tmp_path)}})
    lists = TermFolder(folder, clock, recheck_s=0.0, on_reading=lambda _: None)
    lists.open()
    said: dict[str, str] = {}

    async def adopted() -> Mapping[str, str]:
        return dict(said)

    with capture_logs() as lines:
        made = await make_lists(config, Files(model=None, feed=None, terms=lists), clock, adopted)
    assert made is not None
    (line,) = [x for x in lines if x["event"] == "term_list_not_adopted"]
    assert (line["log_level"], line["list"]) == ("error", "kites")
    assert f"filterd terms propose {folder / 'kites.toml'}" in line["do"]
    assert gauge("filterd_term_lists_unadopted") == 1
    said["kites"] = load_terms(folder, NOON)[0].digest
    assert [x.id for x in await made.current()] == ["kites"]
    assert gauge("filterd_term_lists_unadopted") == 0
    assert await make_lists(config, Files(model=None, feed=None, terms=None), clock, adopted) is None


async def test_a_raised_category_without_two_people_is_said_once_and_again_when_it_changes() -> None:
    terms = raise_in(tencent())
    site = History(account_id=SITE)

    class Txn:
        def history(self, _: str) -> History:
            return site

    async def submit(look: Any) -> Any:
        return look(Txn())

    watch = RaisedWatch(submit, lambda: {terms.id: terms}, FrozenClock())
    with capture_logs() as lines:
        await watch.look()
        await watch.look()
    (line,) = lines
    assert (line["event"], line["category"], line["log_level"]) == ("category_not_raised", "abuse.insult", "error")
    assert "filterd proposal make category.raise" in line["do"]
    assert gauge("filterd_categories_unraised") == 1
    row = r.CategoryRaised(
        at=NOON,
        entry_id="g_1",
        agreement=terms.id,
        policy_digest=terms.digest,
        category="abuse.insult",
        by="a",
        approver="b",
    )
    site = History(account_id=SITE, further=(row,))
    assert unraised(terms, site, NOON) == ()
    with capture_logs() as lines:
        await watch.look()
    assert (lines, gauge("filterd_categories_unraised")) == ([], 0)


async def test_of_locked_lists_the_log_has_numbers_alone(tmp_path: Path) -> None:
    """How a file is called may say what it is about."""
    folder = tmp_path / "secret-things"
    folder.mkdir()
    (folder / "kites.toml").write_text(LOCKED, encoding="utf-8")
    clock = FrozenClock()
    config = Config.model_validate({"terms": {"locked_folder": str(folder)}, "node": {"state_dir": str(tmp_path)}})
    said: dict[str, str] = {}

    async def adopted() -> Mapping[str, str]:
        return dict(said)

    with capture_logs() as lines:
        reader = await make_locked(config, read_files(config, clock), clock, adopted)
    assert reader is not None
    assert [(x["event"], x.get("read"), x.get("lists"), x.get("off")) for x in lines if "locked" in x["event"]] == [
        ("locked_lists", 1, None, None),
        ("locked_lists_not_adopted", None, 1, 1),
    ]
    assert not any(word in str(lines) for word in ("secret", "kites", "pol.", "teapot"))
    assert await reader._lists.current() == ()
    said["kites"] = load_locked(folder, NOON)[0].digest
    assert [x.id for x in await reader._lists.current()] == ["kites"]
    assert await make_locked(config, Files(model=None, feed=None, terms=None), clock, adopted) is None
