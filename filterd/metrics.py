"""How much, how fast, how well?  The Prometheus registry; ops/docs/METRICS.md.  STANDING 5.8, LIBRARIES §14.

Labels are bounded: enums, names of our own checks, and categories that `allow` was told. Never an account, a domain, a
tenant or a term. A locked category (C1) is never allowed, so that nothing here moves when one is hit.

With several processes the supervisor empties the folder before this is imported, and calls `mark_dead` after each end;
any of them can then say `exposition` for all. prometheus_client looks at PROMETHEUS_MULTIPROC_DIR when it is imported,
so processes are started afresh (spawn, exec) or the folder is prepared before this module is first imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

import filterd
from filterd.model.decision import Decision
from filterd.model.held import FOR_PERSON
from filterd.model.records import (
    AppealDecided,
    BreakerTripped,
    ComplaintFiled,
    HeldMailMoved,
    IncidentOpened,
    MailHeld,
    OptOutIgnored,
    Record,
    RootActed,
    SanctionImposed,
    StrikeAnnulled,
    StrikeIssued,
    ViolationRecorded,
)
from filterd.model.reply import Reply
from filterd.model.sanction import Mode
from filterd.model.session import Direction, Door
from filterd.model.verdict import Assessment, Outcome

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_DIR = "PROMETHEUS_MULTIPROC_DIR"

# MAIL-PATH §4h: 30 s is the hard end of the whole chain.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REGISTRY = CollectorRegistry()
# When a series began is in the events; here it would double the number of series. The function is not annotated.
disable_created_metrics()  # type: ignore[no-untyped-call]

MESSAGES = Counter(
    "filterd_messages", "Mail objects received after the dot, by front door.", ["door"], registry=REGISTRY
)
MESSAGE_SECONDS = Histogram(
    "filterd_message_seconds", "From the dot to the decision.", buckets=_SECONDS, registry=REGISTRY
)
VERDICTS = Counter("filterd_verdicts", "Verdicts, by check and outcome.", ["check", "outcome"], registry=REGISTRY)
CHECK_SECONDS = Histogram(
    "filterd_check_seconds", "Time a check took for one mail.", ["check"], buckets=_SECONDS, registry=REGISTRY
)
PARTIAL = Counter(
    "filterd_partial_assessments", "Mail for which at least one check ended in an error.", registry=REGISTRY
)
DECISIONS = Counter(
    "filterd_decisions", "Decisions, by what happens to the mail.", ["disposition", "direction"], registry=REGISTRY
)
NEXT_HOP_REPLIES = Counter(
    "filterd_next_hop_replies", "How relaying ended: 2xx, 4xx, 5xx, broken, unknown.", ["class"], registry=REGISTRY
)
DENIED = Counter("filterd_denied", "Recipients or mail refused by standing alone.", ["door"], registry=REGISTRY)
TROUBLES = Counter("filterd_troubles", "Errors caught where mail could go on or wait.", ["where"], registry=REGISTRY)
LOST_EVENTS = Counter(
    "filterd_lost_events", "Events the stream could not take after the client had its answer.", registry=REGISTRY
)
BYPASSED = Counter(
    "filterd_bypassed_messages", "Mail that passed unjudged under a bypass order.", registry=REGISTRY
)
BYPASS_ACTIVE = Gauge(
    "filterd_bypass_active",
    "1 while a bypass order lets all mail pass unjudged.",
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
SCANNER_UP = Gauge(
    "filterd_scanner_up",
    "1 when the scanner's last answer was one, 0 when it failed.",
    ["scanner"],
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
VIOLATIONS = Counter("filterd_violations", "Breaches recorded in the ledger.", ["category", "mode"], registry=REGISTRY)
INCIDENTS = Counter("filterd_incidents", "Incidents opened, by family of categories.", ["family"], registry=REGISTRY)
STRIKES = Counter("filterd_strikes", "Strikes issued, reissues included.", ["category"], registry=REGISTRY)
STRIKES_ANNULLED = Counter("filterd_strikes_annulled", "Strikes taken back as our error.", registry=REGISTRY)
SANCTIONS = Counter(
    "filterd_sanctions", "Sanctions imposed, by rung and by whom.", ["rung", "origin"], registry=REGISTRY
)
COMPLAINTS = Counter(
    "filterd_complaints", "Cases of complaints, by kind and by how they came.", ["kind", "channel"], registry=REGISTRY
)
OPT_OUTS_IGNORED = Counter(
    "filterd_opt_outs_ignored", "Days on which somebody who had asked for it to stop was written to.", registry=REGISTRY
)
APPEALS = Counter("filterd_appeals_decided", "Appeals decided, by outcome.", ["outcome"], registry=REGISTRY)
ROOT_ACTS = Counter(
    "filterd_root_acts", "Acts of the system's administrator without a person's name.", registry=REGISTRY
)
BREAKERS_TRIPPED = Counter(
    "filterd_breakers_tripped", "Rules or signals that wanted to sanction too many at once.", registry=REGISTRY
)
LEDGER_COMMITS = Counter(
    "filterd_ledger_commits", "Transactions of the ledger, by result.", ["result"], registry=REGISTRY
)
LEDGER_COMMIT_SECONDS = Histogram(
    "filterd_ledger_commit_seconds", "From the request to durable.", buckets=_SECONDS, registry=REGISTRY
)
OUTBOX_PENDING = Gauge(
    "filterd_outbox_pending", "Promised work not yet done.", multiprocess_mode="livemax", registry=REGISTRY
)
OUTBOX_OLDEST_SECONDS = Gauge(
    "filterd_outbox_oldest_seconds",
    "Age of the oldest promised work that is due.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
LEDGER_STORE_UP = Gauge(
    "filterd_ledger_store_up",
    "1 while the ledger's database answers, 0 while standing is enforced as it was last known.",
    multiprocess_mode="livemin",
    registry=REGISTRY,
)
LEDGER_TIMERS = Gauge(
    "filterd_ledger_timers",
    "1 on the node that sends notices and keeps house for all that share a database.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
OUTBOX_RESULTS = Counter("filterd_outbox_results", "Attempts of the outbox.", ["result"], registry=REGISTRY)
CLOCK_STRIKES = Counter(
    "filterd_clock_strikes", "What time has done and was made known, by clock.", ["result"], registry=REGISTRY
)
CLOCKS_FROZEN = Gauge(
    "filterd_clocks_frozen",
    "1 while nothing strikes because the clock cannot be believed.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
RETENTION = Counter(
    "filterd_retention", "What was erased because its time was over, by kind.", ["result"], registry=REGISTRY
)
RETENTION_FROZEN = Gauge(
    "filterd_retention_frozen",
    "1 while nothing is erased because the clock cannot be believed.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
TERM_LISTS_UNADOPTED = Gauge(
    "filterd_term_lists_unadopted",
    "Term lists whose file two people have not approved: held back, or off.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
CATEGORIES_UNRAISED = Gauge(
    "filterd_categories_unraised",
    "Categories a text raises without two people's approval: they act as not raised.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
MAILS_HELD = Counter("filterd_mails_held", "Mails taken into quarantine.", ["direction"], registry=REGISTRY)
HELD_MOVED = Counter(
    "filterd_held_mails_moved", "Steps of held mails, by the state they came to.", ["state"], registry=REGISTRY
)
HELD_WAITING = Gauge(
    "filterd_held_mails",
    "Mails in quarantine: nobody has decided, on their way on, on their way back.",
    ["state"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
HELD_OLDEST_SECONDS = Gauge(
    "filterd_held_oldest_seconds",
    "For how long the oldest held mail has waited for a person.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
EFFECTS = Counter(
    "filterd_effects",
    "What effectors were asked outside, by act and how it went.",
    ["effector", "act", "outcome"],
    registry=REGISTRY,
)
EFFECT_FAILURES = Counter("filterd_effect_failures", "Attempts of effectors that failed.", registry=REGISTRY)
PAGES = Counter("filterd_pages", "Attempts to call whoever is on call.", ["outcome"], registry=REGISTRY)
URGENT_WAITING = Gauge(
    "filterd_urgent_waiting", "Urgent tasks that nobody has looked at yet.", registry=REGISTRY
)
RELOADS = Counter("filterd_reloads", "Reloads of the policy: taken, or refused.", ["result"], registry=REGISTRY)
PROCESS_ENDS = Counter(
    "filterd_process_ends", "Processes that ended unasked or hung, by role.", ["role", "outcome"], registry=REGISTRY
)
PROCESSES_FAILING = Gauge(
    "filterd_processes_failing",
    "Processes that end again and again.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
BUILD_INFO = Gauge(
    "filterd_build_info",
    "Always 1; the label says which filterd runs.",
    ["version"],
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
BUILD_INFO.labels(filterd.__version__).set(1)
# prometheus_client forgets values at a fork.
os.register_at_fork(after_in_child=lambda: BUILD_INFO.labels(filterd.__version__).set(1))

# Checks that ask a program outside.
SCANNERS = ("clamd",)

# Categories and families that may be labels. Empty until `allow`: what nobody allowed is not counted by name.
_allowed: set[str] = set()


def allow(names: Iterable[str]) -> None:
    """Say which categories and families may be labels: those of the agreements in force, not the locked ones (C1)."""
    _allowed.clear()
    _allowed.update(names)


# --- the mail path ----------------------------------------------------------------------------------------------------


def observe_message(door: Door) -> None:
    MESSAGES.labels(door.value).inc()


def observe(assessment: Assessment, decision: Decision, direction: Direction, elapsed_s: float) -> None:
    """Count one decision with everything that led to it."""
    for verdict in assessment.verdicts:
        _verdicts_of(verdict.check, verdict.outcome).inc()
        if verdict.outcome is Outcome.SKIPPED:
            continue
        _seconds_of(verdict.check).observe(verdict.elapsed_ms / 1000)
        if verdict.check in SCANNERS:
            observe_scanner(verdict.check, is_up=verdict.outcome is not Outcome.TEMPERROR)
    if not assessment.is_complete:
        PARTIAL.inc()
    DECISIONS.labels(decision.disposition.value, direction.value).inc()
    MESSAGE_SECONDS.observe(elapsed_s)


# A mail has some 25 verdicts, and finding a series by its labels takes longer than counting in it.
@lru_cache(maxsize=1024)
def _verdicts_of(check: str, outcome: Outcome) -> Counter:
    return VERDICTS.labels(check, outcome.value)


@lru_cache(maxsize=256)
def _seconds_of(check: str) -> Histogram:
    return CHECK_SECONDS.labels(check)


def observe_reply(reply: Reply) -> None:
    """Count the next hop's reply after the dot."""
    NEXT_HOP_REPLIES.labels(f"{reply.code // 100}xx").inc()


def observe_relay_failure(*, is_unknown: bool) -> None:
    NEXT_HOP_REPLIES.labels("unknown" if is_unknown else "broken").inc()


def observe_denied(door: Door) -> None:
    DENIED.labels(door.value).inc()


def observe_bypassed(door: Door) -> None:
    MESSAGES.labels(door.value).inc()
    BYPASSED.inc()


def observe_bypass(*, is_active: bool) -> None:
    """Say whether a bypass order is in force."""
    BYPASS_ACTIVE.set(1 if is_active else 0)


def observe_trouble(where: str) -> None:
    """Count a caught error; `where` is the name of a check or a room, never text of the error."""
    TROUBLES.labels(where).inc()


def observe_lost_event() -> None:
    LOST_EVENTS.inc()


def observe_scanner(scanner: str, *, is_up: bool) -> None:
    SCANNER_UP.labels(scanner).set(1 if is_up else 0)


# --- the ledger -------------------------------------------------------------------------------------------------------


def observe_record(record: Record) -> None:
    """Count a record that was committed; those nobody graphs are no metric."""
    match record:
        case IncidentOpened():
            if record.family in _allowed:
                INCIDENTS.labels(record.family).inc()
        case ViolationRecorded():
            for violation in record.violations:
                if violation.mode is not Mode.C1 and violation.category in _allowed:
                    VIOLATIONS.labels(violation.category, violation.mode.value).inc()
        case StrikeIssued():
            if record.category in _allowed:
                STRIKES.labels(record.category).inc()
        case StrikeAnnulled():
            STRIKES_ANNULLED.inc()
        case SanctionImposed():
            SANCTIONS.labels(record.rung.word, "automatic" if record.is_automatic else "person").inc()
        case AppealDecided():
            APPEALS.labels(record.outcome).inc()
        case ComplaintFiled():
            COMPLAINTS.labels(record.kind, record.channel).inc()
        case OptOutIgnored():
            OPT_OUTS_IGNORED.inc()
        case RootActed():
            ROOT_ACTS.inc()
        case MailHeld(reason=reason) | HeldMailMoved(reason=reason) if reason == FOR_PERSON:
            # What locked lists hold is in no metric (HOUSE rule 9).
            pass
        case MailHeld():
            MAILS_HELD.labels(record.direction).inc()
        case HeldMailMoved():
            HELD_MOVED.labels(record.state).inc()
        case BreakerTripped():
            BREAKERS_TRIPPED.inc()
        case _:
            pass


def observe_commit(elapsed_s: float, *, is_committed: bool) -> None:
    """Count a transaction of the ledger, committed or undone."""
    LEDGER_COMMITS.labels("committed" if is_committed else "undone").inc()
    if is_committed:
        LEDGER_COMMIT_SECONDS.observe(elapsed_s)


def observe_outbox(pending: int, oldest_s: float) -> None:
    """Say how much work waits and for how long the oldest has been due; 0 when there is none."""
    OUTBOX_PENDING.set(pending)
    OUTBOX_OLDEST_SECONDS.set(oldest_s)


def observe_held(waiting: Mapping[str, int], oldest_s: float) -> None:
    """Say how many mails are in quarantine, by state, and for how long the oldest has waited."""
    for state, count in waiting.items():
        HELD_WAITING.labels(state).set(count)
    HELD_OLDEST_SECONDS.set(oldest_s)


def observe_retention(counts: Mapping[str, int], *, is_frozen: bool) -> None:
    """Count what a run of the retention worker erased, by kind, or say that it may not."""
    for result, count in counts.items():
        RETENTION.labels(result).inc(count)
    RETENTION_FROZEN.set(is_frozen)


def observe_clocks(struck: Iterable[str], *, is_frozen: bool) -> None:
    """Count the clocks that struck, or say that none may."""
    for clock in struck:
        CLOCK_STRIKES.labels(clock).inc()
    CLOCKS_FROZEN.set(is_frozen)


def observe_unadopted(lists: int) -> None:
    TERM_LISTS_UNADOPTED.set(lists)


def observe_unraised(categories: int) -> None:
    CATEGORIES_UNRAISED.set(categories)


def observe_effect(effector: str, act: str, outcome: str) -> None:
    """Count a row about an effector."""
    EFFECTS.labels(effector, act, outcome).inc()


def observe_effect_failure() -> None:
    EFFECT_FAILURES.inc()


def observe_page(outcome: str) -> None:
    """Count an attempt to call somebody: `sent` or `failed`."""
    PAGES.labels(outcome).inc()


def observe_urgent(waiting: int) -> None:
    """Say how many urgent tasks wait for a first look."""
    URGENT_WAITING.set(waiting)


def observe_store(*, is_there: bool, has_timers: bool) -> None:
    """Say whether the ledger's database answers, and whether this node keeps the timers."""
    LEDGER_STORE_UP.set(is_there)
    LEDGER_TIMERS.set(has_timers)


def observe_outbox_result(*, is_done: bool, is_final: bool = True) -> None:
    OUTBOX_RESULTS.labels("done" if is_done else "given_up" if is_final else "failed").inc()


# --- the processes ----------------------------------------------------------------------------------------------------


def observe_reload(*, is_taken: bool) -> None:
    RELOADS.labels("taken" if is_taken else "refused").inc()


def observe_process_end(role: str, *, has_hung: bool) -> None:
    """Count a process that the supervisor starts again; `role` is `ledger`, `worker` or `sink`."""
    PROCESS_ENDS.labels(role, "hung" if has_hung else "ended").inc()


def observe_processes_failing(count: int) -> None:
    PROCESSES_FAILING.set(count)


# --- several processes ------------------------------------------------------------------------------------------------


def prepare_dir(directory: Path) -> None:
    """Make the folder the processes share, without what earlier runs left there, and name it in the environment.

    Best on tmpfs: it is written at every observation and worth nothing after a restart.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in directory.glob("*.db"):
        old.unlink()
    os.environ[_DIR] = str(directory)


def mark_dead(pid: int) -> None:
    """Forget the gauges of a process that has ended; what it counted stays. Does nothing for a process alone."""
    if directory := os.environ.get(_DIR):
        # prometheus_client annotates most of itself, but not this.
        mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """Say all metrics in Prometheus text format, of all processes when they share a folder."""
    if _DIR not in os.environ:
        return generate_latest(REGISTRY)
    shared = CollectorRegistry()
    # As above.
    MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    return generate_latest(shared)
