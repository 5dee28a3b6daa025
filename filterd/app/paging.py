"""Who is called, put together: the pager, what promises a page, and the last event of webhooks when a site closes."""

from __future__ import annotations

from datetime import timedelta

from filterd import metrics
from filterd.clients.pager import CommandPager, WebhookPager
from filterd.clients.secret import secret_from
from filterd.config import Config
from filterd.errors import ConfigError
from filterd.ledger.engine import LedgerEngine
from filterd.log import service_log
from filterd.model.records import Record, TaskClaimed, TaskClosed, TaskOpened
from filterd.pipeline.effects import promises_of
from filterd.pipeline.urgent import TOPIC, all_of, is_urgent, promise_page
from filterd.ports import FollowUp, LedgerTxn, Pager
from filterd.workers.outbox import Carrier
from filterd.workers.pager import Paging
from filterd.workers.webhook import final_promises


def follow_ups(config: Config) -> FollowUp:
    """Say what rows promise here: nothing that nobody could carry out."""
    parts = [promises_of(config.effectors.names)]
    if config.paging.enabled:
        parts.append(promise_page)
    if config.webhook:
        parts.append(final_promises([item.name for item in config.webhook], f"filterd/{config.node.name}"))
    return all_of(*parts)


def paging_carriers(config: Config, engine: LedgerEngine) -> dict[str, Carrier]:
    """Say who carries pages out, by topic; nobody where nobody is configured. Raises ConfigError for a secret that
    cannot be read."""
    pager = make_pager(config)
    if pager is None:
        return {}
    repeat = timedelta(seconds=config.paging.repeat_s)
    return {TOPIC: Paging(engine.submit, pager, node=config.node.name, repeat=repeat, on_page=metrics.observe_page)}


class UrgentWatch:
    """Says what cannot wait: in the service log at once, and in a metric until somebody has it in hand.

    Where nobody can be called, these are all there is. One a ledger process.
    """

    def __init__(self, *, is_paged: bool):
        self._is_paged = is_paged
        self._waiting: set[str] = set()

    def begin(self, txn: LedgerTxn) -> None:
        """Find what was left by the process before."""
        for subject_id in txn.bearing("w"):
            for row in txn.records(subject_id):
                self._take(row)
        metrics.observe_urgent(len(self._waiting))

    def committed(self, record: Record) -> None:
        """Take a row in."""
        if isinstance(record, TaskOpened) and is_urgent(record):
            service_log().error(
                "urgent",
                task=record.task_id,
                is_paged=self._is_paged,
                due_at=record.due_at.isoformat(),
                do=f"filterd review claim {record.task_id}",
            )
        self._take(record)
        metrics.observe_urgent(len(self._waiting))

    def _take(self, record: Record) -> None:
        match record:
            case TaskOpened() if is_urgent(record):
                self._waiting.add(record.task_id)
            case TaskClaimed() | TaskClosed():
                self._waiting.discard(record.task_id)
            case _:
                pass


def make_pager(config: Config) -> Pager | None:
    """Make the pager of the configuration, None without one."""
    given = config.paging
    if given.command:
        return CommandPager(given.command, timeout_s=given.timeout_s)
    if given.url is None:
        return None
    secrets = secret_from(given.secret_file, None, "paging")
    if secrets is None:
        raise ConfigError("a page that is posted is signed: name a file", key="paging.secret_file")
    # Now rather than in the night.
    secrets()
    return WebhookPager(given.url, secrets, timeout_s=given.timeout_s)
