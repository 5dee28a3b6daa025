"""Effectors: what the configuration has of them, and the worker that uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import parseaddr
from functools import partial

from filterd import metrics
from filterd.app.parts import gate_rules
from filterd.clients.credentials import CommandCredentials, WebhookCredentials
from filterd.clients.mta_queue import PostfixQueue
from filterd.clients.secret import secret_from
from filterd.clients.verdict_index import open_index
from filterd.config import Config
from filterd.errors import PortError
from filterd.ledger.engine import LedgerEngine
from filterd.log import pseudonym, service_log
from filterd.model.about import About
from filterd.model.records import EffectReported
from filterd.pipeline.campaign import summary
from filterd.pipeline.effects import EffectDesk
from filterd.pipeline.protecting import EFFECT
from filterd.pipeline.verbs import DeskRules
from filterd.ports import Clock, Credentials, LedgerTxn, Mailer, OutboxItem, QueuedMail
from filterd.workers.effects import EffectsWorker
from filterd.workers.mta_held import DROP_TOPIC
from filterd.workers.releasing import RELEASE_TOPIC
from filterd.workers.returning import RETURN_TOPIC

# What becomes of held mail has a worker of its own, too.
HELD_TOPICS = (RELEASE_TOPIC, RETURN_TOPIC, DROP_TOPIC)


class NoEffects:
    """The outbox without what other workers carry out: an MTA that is slow must not keep notices waiting."""

    def __init__(self, engine: LedgerEngine):
        self._engine = engine

    async def lease(self, now: datetime, limit: int) -> tuple[OutboxItem, ...]:
        return await self._engine.lease(now, limit, without=(EFFECT, *HELD_TOPICS))

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool:
        return await self._engine.done(item_id, function, about)

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool:
        return await self._engine.retry(item_id, due_at, error)


def effects_worker(
    config: Config,
    engine: LedgerEngine,
    rules: Callable[[], DeskRules],
    clock: Clock,
    mailer: Mailer,
    *,
    pseudonym_key: bytes,
) -> EffectsWorker:
    """Make the worker; what no effector is configured for it takes out of the outbox. Raises ConfigError for a secret
    that cannot be read."""
    return EffectsWorker(
        engine,
        engine.submit,
        EffectDesk(rules, gate_rules(config).reach, partial(pseudonym, pseudonym_key)),
        clock,
        queue=mta_queue(config),
        credentials=_credentials(config),
        index=open_index(config.node.state_dir, url=config.index.url) if config.index.enabled else None,
        write_letter=partial(_write, config.notices.sender, mailer, clock),
        mailer=mailer,
        sender=config.notices.sender,
        appeals=config.notices.appeals_address,
        look_s=config.effectors.mta_queue.look_s,
        on_report=_reported,
        on_error=_failed,
        # Without an effector there is nothing to be quick about.
        poll_s=1.0 if config.effectors.names else 30.0,
    )


def mta_queue(config: Config) -> PostfixQueue | None:
    """Say how the MTA's queue is reached, None where it is not."""
    given = config.effectors.mta_queue
    if not given.enabled:
        return None
    return PostfixQueue(postqueue=given.postqueue, postsuper=given.postsuper, timeout_s=given.timeout_s)


async def _write(
    sender: str, mailer: Mailer, clock: Clock, login: str, copies: Sequence[QueuedMail], letter_id: str
) -> None:
    """Send the letter about campaign copies. Raises PortError when the next hop does not take it."""
    name, address = parseaddr(sender)
    message_id = f"<{letter_id}.copies@{address.rpartition('@')[2]}>"
    raw = summary(login, copies, sender=address, sender_name=name or None, message_id=message_id, at=clock.now())
    reply = await mailer.send(raw, login)
    if not reply.is_positive:
        raise PortError(f"the letter about campaign copies was not taken: {reply.code}", temporary=True)


def _credentials(config: Config) -> Credentials | None:
    given = config.effectors.credentials
    if given.command:
        return CommandCredentials(given.command, timeout_s=given.timeout_s)
    if given.url is None:
        return None
    secrets = secret_from(given.secret_file, None, "effectors.credentials")
    if secrets is not None:
        # Now rather than at the first stolen account.
        secrets()
    return WebhookCredentials(given.url, secrets, timeout_s=given.timeout_s)


def _reported(row: EffectReported) -> None:
    metrics.observe_effect(row.effector, row.act, row.outcome)


def _failed(item_id: str, error: str) -> None:
    metrics.observe_effect_failure()
    service_log().error("effector", item=item_id, error=error, do="until it is mended, mail in the queue goes its way")
