"""Effectors: what the configuration has of them, and the worker that uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import parseaddr
from functools import partial

from filterd import metrics
from filterd.app.parts import gate_rules
from filterd.clients.credentials import CommandCredentials, WebhookCredentials
from filterd.clients.delivery_log import CommandDeliveryLog
from filterd.clients.mail_store import CommandMailStore, WebhookMailStore
from filterd.clients.mta_queue import PostfixQueue
from filterd.clients.secret import secret_from
from filterd.clients.verdict_index import open_index
from filterd.config import Config
from filterd.config.effectors import HookConfig
from filterd.errors import PortError
from filterd.ledger.engine import LedgerEngine
from filterd.log import pseudonym, service_log
from filterd.model.about import About
from filterd.model.records import EffectReported
from filterd.pipeline.bounces import TOPIC as BOUNCE
from filterd.pipeline.campaign import Sample, summary
from filterd.pipeline.copies import CLAW_BACK, UNAVAILABLE, CopiesDesk
from filterd.pipeline.effects import EffectDesk
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.protecting import EFFECT
from filterd.pipeline.verbs import DeskRules
from filterd.ports import (
    Clock,
    Credentials,
    DeliveryLog,
    LedgerTxn,
    Mailer,
    MailStore,
    OutboxItem,
    QueuedMail,
    VerdictIndex,
)
from filterd.workers.bounces import BounceSearch
from filterd.workers.claw_back import ClawBacks
from filterd.workers.effects import EffectsWorker
from filterd.workers.mta_held import DROP_TOPIC
from filterd.workers.outbox import OutboxWorker
from filterd.workers.releasing import RELEASE_TOPIC
from filterd.workers.returning import RETURN_TOPIC

# What becomes of held mail has a worker of its own, too.
HELD_TOPICS = (RELEASE_TOPIC, RETURN_TOPIC, DROP_TOPIC)


class NoEffects:
    """The outbox without what other workers carry out: neither an MTA that is slow nor a flood of delivery reports may
    keep notices waiting."""

    def __init__(self, engine: LedgerEngine):
        self._engine = engine

    async def lease(self, now: datetime, limit: int) -> tuple[OutboxItem, ...]:
        return await self._engine.lease(now, limit, without=(EFFECT, CLAW_BACK, BOUNCE, *HELD_TOPICS))

    async def done(self, item_id: str, function: Callable[[LedgerTxn], object], about: About) -> bool:
        return await self._engine.done(item_id, function, about)

    async def retry(self, item_id: str, due_at: datetime, error: str) -> bool:
        return await self._engine.retry(item_id, due_at, error)


class OnlyClawBacks(NoEffects):
    """The outbox with nothing but what the mail store is asked: one that hangs keeps nothing else waiting."""

    async def lease(self, now: datetime, limit: int) -> tuple[OutboxItem, ...]:
        return await self._engine.lease(now, limit, only=(CLAW_BACK,))


class OnlyBounces(NoEffects):
    """The outbox with nothing but the delivery reports about declared streams."""

    async def lease(self, now: datetime, limit: int) -> tuple[OutboxItem, ...]:
        return await self._engine.lease(now, limit, only=(BOUNCE,))


def bounce_worker(config: Config, engine: LedgerEngine, desk: NoticeDesk, clock: Clock, mailer: Mailer) -> OutboxWorker:
    """Make the worker that looks up what delivery reports are about."""
    return OutboxWorker(
        OnlyBounces(engine),
        engine.submit,
        desk,
        mailer,
        clock,
        carriers={BOUNCE: BounceSearch(_index(config))},
        on_error=lambda item, error: service_log().error("bounces", item=item, error=error),
        limit=4,
        poll_s=2.0,
    )


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
        index=_index(config),
        write_letter=partial(_write, config.notices.sender, mailer, clock),
        log=_delivery_log(config),
        mailer=mailer,
        sender=config.notices.sender,
        appeals=config.notices.appeals_address,
        look_s=config.effectors.mta_queue.look_s,
        on_report=_reported,
        on_error=_failed,
        # Without an effector there is nothing to be quick about.
        poll_s=1.0 if config.effectors.names else 30.0,
    )


def claw_back_worker(
    config: Config,
    engine: LedgerEngine,
    rules: Callable[[], DeskRules],
    desk: NoticeDesk,
    clock: Clock,
    mailer: Mailer,
    *,
    pseudonym_key: bytes,
) -> OutboxWorker:
    """Make the worker that has the mail store asked. Raises ConfigError for a secret that cannot be read."""
    copies = CopiesDesk(partial(pseudonym, pseudonym_key), lambda: rules().effectors)
    carrier = ClawBacks(engine.submit, copies, _mail_store(config), _reported)
    return OutboxWorker(
        OnlyClawBacks(engine),
        engine.submit,
        desk,
        mailer,
        clock,
        carriers={CLAW_BACK: carrier},
        on_error=_not_taken_back,
        limit=4,
        poll_s=2.0 if CLAW_BACK in config.effectors.names else 30.0,
    )


def mta_queue(config: Config) -> PostfixQueue | None:
    """Say how the MTA's queue is reached, None where it is not."""
    given = config.effectors.mta_queue
    if not given.enabled:
        return None
    return PostfixQueue(postqueue=given.postqueue, postsuper=given.postsuper, timeout_s=given.timeout_s)


async def _write(
    sender: str,
    mailer: Mailer,
    clock: Clock,
    login: str,
    copies: Sequence[QueuedMail],
    sample: Sample | None,
    letter_id: str,
) -> None:
    """Send the letter about campaign copies. Raises PortError when the next hop does not take it."""
    name, address = parseaddr(sender)
    message_id = f"<{letter_id}.copies@{address.rpartition('@')[2]}>"
    raw = summary(
        login, copies, sample, sender=address, sender_name=name or None, message_id=message_id, at=clock.now()
    )
    reply = await mailer.send(raw, login)
    if not reply.is_positive:
        raise PortError(f"the letter about campaign copies was not taken: {reply.code}", temporary=True)


def _credentials(config: Config) -> Credentials | None:
    given = config.effectors.credentials
    if given.command:
        return CommandCredentials(given.command, timeout_s=given.timeout_s)
    if given.url is None:
        return None
    return WebhookCredentials(given.url, _secrets(given, "effectors.credentials"), timeout_s=given.timeout_s)


def _mail_store(config: Config) -> MailStore | None:
    given = config.effectors.claw_back
    if given.command:
        return CommandMailStore(given.command, timeout_s=given.timeout_s)
    if given.url is None:
        return None
    return WebhookMailStore(given.url, _secrets(given, "effectors.claw_back"), timeout_s=given.timeout_s)


def _secrets(given: HookConfig, key: str) -> Callable[[], str] | None:
    secrets = secret_from(given.secret_file, None, key)
    if secrets is not None:
        # Now rather than at the first stolen account.
        secrets()
    return secrets


def _index(config: Config) -> VerdictIndex | None:
    return open_index(config.node.state_dir, url=config.index.url) if config.index.enabled else None


def _delivery_log(config: Config) -> DeliveryLog | None:
    given = config.effectors.delivery_log
    return CommandDeliveryLog(given.command, timeout_s=given.timeout_s) if given.command else None


def _reported(row: EffectReported) -> None:
    metrics.observe_effect(row.effector, row.act, row.outcome)
    if row.outcome == UNAVAILABLE:
        do = "take them out of mailboxes by hand, and configure [effectors.claw_back]"
        service_log().error("claw_back", account=row.account_id, copies=row.count, error=row.detail, do=do)


def _failed(item_id: str, error: str) -> None:
    metrics.observe_effect_failure()
    service_log().error("effector", item=item_id, error=error, do="until it is mended, mail in the queue goes its way")


def _not_taken_back(item_id: str, error: str) -> None:
    metrics.observe_effect_failure()
    service_log().error("claw_back", item=item_id, error=error, do="until it is mended, a copy stays in a mailbox")
