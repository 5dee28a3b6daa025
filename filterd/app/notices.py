"""Notices, put together: the verbs, the webhooks, and the worker that carries the outbox out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from filterd import metrics
from filterd.app.effects import NoEffects
from filterd.clients.secret import secret_from
from filterd.clients.webhook import Endpoint, post
from filterd.config import Config
from filterd.errors import ConfigError
from filterd.ledger.engine import LedgerEngine
from filterd.ledger.link import Verb
from filterd.log import service_log
from filterd.pipeline import locking
from filterd.pipeline.notice_mail import NoticeDesk
from filterd.pipeline.notice_verbs import NoticeVerbs
from filterd.ports import Clock, Mailer
from filterd.workers.outbox import Carrier, OutboxWorker
from filterd.workers.webhook import TOPIC, Webhooks


def notice_verbs(desk: Callable[[], NoticeDesk]) -> dict[str, Verb]:
    """Say the verbs about notices, by name. `desk` says the one in force."""
    return {
        name: Verb(request=None, response=None, run=run, about=partial(locking.of_verb, name))
        for name, run in NoticeVerbs(desk).table().items()
    }


def outbox_worker(
    config: Config,
    engine: LedgerEngine,
    desk: NoticeDesk,
    mailer: Mailer,
    clock: Clock,
    carriers: Mapping[str, Carrier] | None = None,
) -> OutboxWorker:
    """Make the worker. `carriers` by topic: what is promised besides notices and webhooks."""
    hooks = _webhooks(config, clock)
    mine: dict[str, Carrier] = {TOPIC: hooks} if hooks is not None else {}
    return OutboxWorker(
        NoEffects(engine),
        engine.submit,
        desk,
        mailer,
        clock,
        carriers={**mine, **(carriers or {})},
        herald=hooks,
        on_notice=lambda sent: metrics.observe_outbox_result(
            is_done=sent.outcome == "accepted", is_final=sent.deemed_at is None
        ),
        on_error=lambda item, error: service_log().error("outbox", item=item, error=error),
    )


def _webhooks(config: Config, clock: Clock) -> Webhooks | None:
    """None: the operator has none. Raises ConfigError for a secret that cannot be read."""
    if not config.webhook:
        return None
    endpoints = []
    for item in config.webhook:
        secrets = secret_from(item.secret_file, None, f"webhook.{item.name}")
        if secrets is None:
            raise ConfigError("names no file", key=f"webhook.{item.name}.secret_file")
        # Now rather than at the first notice.
        secrets()
        endpoints.append(
            Endpoint(
                name=item.name,
                url=item.url,
                secrets=secrets,
                timeout_s=item.timeout_s,
                counts_as_notice=item.counts_as_notice,
            )
        )
    return Webhooks(
        endpoints,
        post,
        clock,
        source=f"filterd/{config.node.name}",
        on_closed=lambda name: service_log().error("webhook_gone", endpoint=name, do="take it out of the file"),
    )
