"""The registry: documented, bounded, silent about locked categories, and one for all processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from filterd import metrics
from filterd.model.decision import Decision, Disposition
from filterd.model.records import (
    AppealDecided,
    IncidentOpened,
    PersonAdded,
    SanctionImposed,
    StrikeAnnulled,
    StrikeIssued,
    ViolationRecorded,
)
from filterd.model.reply import Reply
from filterd.model.sanction import Ground, Mode, Rung, Violation
from filterd.model.session import Direction, Door
from filterd.model.verdict import Assessment, Outcome, Verdict
from tests.kit.clock import NOON

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture(autouse=True)
def allowed() -> Iterator[None]:
    metrics.allow(("malware", "spam.outbound"))
    yield
    metrics.allow(())


def violation(category: str, mode: Mode) -> Violation:
    return Violation(
        category=category,
        family=category,
        mode=mode,
        severity=1,
        ground=Ground(kind="clause", ids=()),
        finding_codes=(),
    )


def recorded(*violations: Violation) -> ViolationRecorded:
    return ViolationRecorded(
        at=NOON, incident_id="i", decision_id="d", transaction_id="t", evidence_key="e", text_fp="x",
        violations=violations, delivery_keys=(), policy_digest="p",
    )  # fmt: skip


def opened(family: str) -> IncidentOpened:
    return IncidentOpened(
        at=NOON, incident_id="i", account_id="a", tenant_id="t", family=family, evidence_key="e",
        is_after_notice=False, is_first=True,
    )  # fmt: skip


def strike(category: str) -> StrikeIssued:
    return StrikeIssued(
        at=NOON, strike_id="s", incident_id="i", decision_id="d", category=category, severity=1, a_half_points=2,
        b_half_points=0, provisional_until=None, provisional_cap=2, expires_at=NOON + timedelta(days=90),
    )  # fmt: skip


def sanction(rung: Rung, is_automatic: bool) -> SanctionImposed:
    return SanctionImposed(
        at=NOON, sanction_id="s", incident_id="i", decision_id="d", account_id="a", rung=rung, step=1, features=(),
        category="malware", clauses=(), starts_at=NOON, ends_at=None, lapses_at=None, step_down_features=(),
        is_automatic=is_automatic, by="system", warranted=rung,
    )  # fmt: skip


# --- Every metric is documented -------------------------------------------------------------------------------------


def names() -> dict[str, set[str]]:
    """Metric as it is scraped → its labels."""
    ours = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            name = metric._name + ("_total" if isinstance(metric, Counter) else "")
            ours[name] = set(metric._labelnames)
    return ours


def test_every_metric_and_label_has_its_paragraph_and_no_other_has() -> None:
    text = (ROOT / "ops/docs/METRICS.md").read_text()
    paragraphs = re.findall(r"^### `([a-z_]+)`\n([^#]+)", text, flags=re.MULTILINE)
    assert {name for name, _ in paragraphs} == set(names())
    for name, paragraph in paragraphs:
        assert [label for label in names()[name] if f"`{label}`" not in paragraph] == [], name
        assert len(paragraph) > 40, name


def test_all_metrics_are_ours_and_in_our_registry() -> None:
    assert all(name.startswith("filterd_") for name in names())
    assert {family.name for family in metrics.REGISTRY.collect()} == {n.removesuffix("_total") for n in names()}


def test_no_label_could_name_a_customer_or_a_term() -> None:
    assert set().union(*names().values()) == {
        "act", "category", "channel", "check", "class", "direction", "disposition", "door", "effector", "family",
        "kind", "mode", "origin", "outcome",
        "result", "role", "rung", "scanner", "state", "version", "where",
    }  # fmt: skip


# --- One function an event ------------------------------------------------------------------------------------------


def test_a_decision_counts_verdicts_times_and_itself() -> None:
    verdicts = (
        Verdict(check="clamd", version="1", outcome=Outcome.TEMPERROR, elapsed_ms=30.0),
        Verdict(check="rate", version="1", outcome=Outcome.SKIPPED),
    )
    decision = Decision(decision_id="d", transaction_id="t", disposition=Disposition.DEFER)
    watched: tuple[tuple[str, dict[str, str], float], ...] = (
        ("filterd_verdicts_total", {"check": "clamd", "outcome": "temperror"}, 1),
        ("filterd_verdicts_total", {"check": "rate", "outcome": "skipped"}, 1),
        ("filterd_check_seconds_sum", {"check": "clamd"}, 0.03),
        ("filterd_check_seconds_count", {"check": "rate"}, 0),
        ("filterd_partial_assessments_total", {}, 1),
        ("filterd_decisions_total", {"disposition": "defer", "direction": "outbound"}, 1),
        ("filterd_message_seconds_count", {}, 1),
    )
    before = [value(name, **labels) for name, labels, _ in watched]
    metrics.observe(Assessment(verdicts=verdicts, is_complete=False), decision, Direction.OUTBOUND, 0.05)
    after = [value(name, **labels) for name, labels, _ in watched]
    assert [a - b for a, b in zip(after, before, strict=True)] == pytest.approx([rise for _, _, rise in watched])


@pytest.mark.parametrize(("outcome", "up"), [(Outcome.CLEAN, 1), (Outcome.TEMPERROR, 0), (Outcome.FOUND, 1)])
def test_the_scanner_s_last_answer_says_whether_it_is_up(outcome: Outcome, up: float) -> None:
    decision = Decision(decision_id="d", transaction_id="t", disposition=Disposition.ACCEPT)
    verdict = Verdict(check="clamd", version="1", outcome=outcome)
    metrics.observe(Assessment(verdicts=(verdict,)), decision, Direction.OUTBOUND, 0.05)
    assert value("filterd_scanner_up", scanner="clamd") == up


def rise(what: Any, name: str, **labels: str) -> float:
    """Say by how much calling `what` raises a series."""
    before = value(name, **labels)
    what()
    return value(name, **labels) - before


def test_the_mail_path() -> None:
    yes = Reply(code=250, enhanced="2.0.0", text="Ok")
    assert rise(lambda: metrics.observe_message(Door.SMTP), "filterd_messages_total", door="smtp") == 1
    assert rise(lambda: metrics.observe_reply(yes), "filterd_next_hop_replies_total", **{"class": "2xx"}) == 1
    for is_unknown, label in ((True, "unknown"), (False, "broken")):
        fail = lambda is_unknown=is_unknown: metrics.observe_relay_failure(is_unknown=is_unknown)  # noqa: E731
        assert rise(fail, "filterd_next_hop_replies_total", **{"class": label}) == 1
    assert rise(lambda: metrics.observe_denied(Door.POLICY), "filterd_denied_total", door="policy") == 1
    assert rise(lambda: metrics.observe_trouble("ledger"), "filterd_troubles_total", where="ledger") == 1
    assert rise(metrics.observe_lost_event, "filterd_lost_events_total") == 1
    for is_taken, label in ((True, "taken"), (False, "refused")):
        reload = lambda is_taken=is_taken: metrics.observe_reload(is_taken=is_taken)  # noqa: E731
        assert rise(reload, "filterd_reloads_total", result=label) == 1
    hung = rise(
        lambda: metrics.observe_process_end("worker", has_hung=True),
        "filterd_process_ends_total",
        role="worker",
        outcome="hung",
    )
    assert hung == 1
    metrics.observe_processes_failing(2)
    assert value("filterd_processes_failing") == 2
    metrics.observe_processes_failing(0)
    metrics.observe_scanner("clamd", is_up=False)
    assert value("filterd_scanner_up", scanner="clamd") == 0
    metrics.observe_scanner("clamd", is_up=True)
    assert value("filterd_scanner_up", scanner="clamd") == 1


@pytest.mark.parametrize(
    ("record", "name", "labels"),
    [
        (opened("malware"), "filterd_incidents_total", {"family": "malware"}),
        (recorded(violation("malware", Mode.A)), "filterd_violations_total", {"category": "malware", "mode": "A"}),
        (strike("spam.outbound"), "filterd_strikes_total", {"category": "spam.outbound"}),
        (
            StrikeAnnulled(at=NOON, strike_id="s", incident_id="i", by="x", reason="y"),
            "filterd_strikes_annulled_total",
            {},
        ),
        (sanction(Rung.SUSPEND, True), "filterd_sanctions_total", {"rung": "suspend", "origin": "automatic"}),
        (sanction(Rung.WARN, False), "filterd_sanctions_total", {"rung": "warn", "origin": "person"}),
        (
            AppealDecided(at=NOON, appeal_id="a", incident_id="i", outcome="granted", by="x", reason="y"),
            "filterd_appeals_decided_total",
            {"outcome": "granted"},
        ),
    ],
)
def test_records(record: Any, name: str, labels: dict[str, str]) -> None:
    assert rise(lambda: metrics.observe_record(record), name, **labels) == 1


@pytest.mark.parametrize(
    "record",
    [
        recorded(violation("malware", Mode.C1)),
        recorded(violation("politics.list", Mode.B)),
        opened("lists"),
        strike("politics.list"),
        PersonAdded(at=NOON, person="x", role="moderator", by="y"),
    ],
)
def test_locked_and_undeclared_categories_move_nothing(record: Any) -> None:
    before = metrics.exposition()
    metrics.observe_record(record)
    assert metrics.exposition() == before


def test_ledger_and_outbox() -> None:
    def commit() -> None:
        metrics.observe_commit(0.01, is_committed=True)

    assert rise(commit, "filterd_ledger_commits_total", result="committed") == 1
    assert rise(commit, "filterd_ledger_commit_seconds_count") == 1

    def undo() -> None:
        metrics.observe_commit(0.01, is_committed=False)

    assert rise(undo, "filterd_ledger_commits_total", result="undone") == 1
    metrics.observe_outbox(3, 61.5)
    assert (value("filterd_outbox_pending"), value("filterd_outbox_oldest_seconds")) == (3, 61.5)
    for is_done, is_final, label in ((True, True, "done"), (False, False, "failed"), (False, True, "given_up")):
        metrics.observe_outbox_result(is_done=is_done, is_final=is_final)
        assert value("filterd_outbox_results_total", result=label) >= 1


def test_exposition_names_the_build() -> None:
    assert re.search(rb'^filterd_build_info\{version="[^"]+"\} 1\.0$', metrics.exposition(), re.MULTILINE)


# --- Several processes ----------------------------------------------------------------------------------------------

WORKER = """
import os, sys
from filterd import metrics
from filterd.model.session import Door
metrics.observe_message(Door.SMTP)
metrics.observe_outbox(int(sys.argv[1]), 0)
metrics.observe_scanner("clamd", is_up=sys.argv[1] == "2")
print(os.getpid())
"""

READER = "from filterd import metrics; print(metrics.exposition().decode())"


def run(program: str, folder: Path, *arguments: str) -> str:
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_processes_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "metrics"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    metrics.prepare_dir(folder)
    (folder / "counter_1.db").write_bytes(b"")
    (folder / "keep.txt").touch()
    metrics.prepare_dir(folder)
    assert [path.name for path in folder.iterdir()] == ["keep.txt"]
    assert os.environ["PROMETHEUS_MULTIPROC_DIR"] == str(folder)
    pids = [int(run(WORKER, folder, pending)) for pending in ("1", "2")]
    said = run(READER, folder)
    assert 'filterd_messages_total{door="smtp"} 2.0' in said
    assert "filterd_outbox_pending 2.0" in said
    assert 'filterd_scanner_up{scanner="clamd"} 1.0' in said
    assert metrics.exposition().decode().count("filterd_messages_total{") == 1
    for pid in pids:
        metrics.mark_dead(pid)
    said = run(READER, folder)
    assert 'filterd_messages_total{door="smtp"} 2.0' in said
    assert "filterd_outbox_pending 2.0" not in said


def test_process_alone_has_nobody_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    metrics.mark_dead(1)
