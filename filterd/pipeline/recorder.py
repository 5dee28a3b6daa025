"""One place that tells the event stream, the service log and the metrics what happened to a mail.  HOUSE §4 step 7."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filterd import metrics
from filterd.errors import PortError
from filterd.log import Log
from filterd.log.dns import Asked
from filterd.model.decision import Case, Decision
from filterd.model.exception import Applied
from filterd.model.reply import Reply
from filterd.model.session import Path, Session
from filterd.pipeline.intake import Read
from filterd.ports import Intake


@contextmanager
def _counted() -> Iterator[None]:
    """An outcome that the stream could not take is counted as lost; the mail itself is settled by then."""
    try:
        yield
    except PortError:
        metrics.observe_lost_event()


class Recorder:
    """Tells `Log` and the metrics. Raises PortError when the event stream cannot be written: then the mail waits."""

    def __init__(self, log: Log):
        self._log = log

    def decided(
        self, item: Read, case: Case, decision: Decision, elapsed_s: float, asked: Asked = ()
    ) -> None:
        metrics.observe_message(item.transaction.session.door)
        metrics.observe(case.assessment, decision, case.direction, elapsed_s)
        message_id = item.message.first("message-id")
        elapsed_ms = elapsed_s * 1000
        self._log.decided(
            item.transaction, case, decision, message_id=message_id, elapsed_ms=elapsed_ms, asked=asked
        )

    def delivered(self, transaction_id: str, reply: Reply, refused_recipients: int) -> None:
        metrics.observe_reply(reply)
        with _counted():
            self._log.delivered(transaction_id, reply, refused_recipients)

    def refused(self, transaction_id: str, reply: Reply, refused_recipients: int = 0) -> None:
        with _counted():
            if self._log.refused(transaction_id, reply, refused_recipients) == "next_hop":
                metrics.observe_reply(reply)

    def held(self, transaction_id: str, item_id: str, reply: Reply, queue_id: str | None = None) -> None:
        with _counted():
            self._log.held(transaction_id, item_id, reply, queue_id)

    def relay_failed(self, transaction_id: str, reason: str, *, is_unknown: bool) -> None:
        metrics.observe_relay_failure(is_unknown=is_unknown)
        with _counted():
            self._log.relay_failed(transaction_id, reason, is_unknown=is_unknown)

    def denied(
        self,
        session: Session,
        account_id: str | None,
        reply: Reply,
        reverse_path: Path | None,
        recipient: Path | None,
        because: tuple[Applied, ...] = (),
    ) -> None:
        metrics.observe_denied(session.door)
        self._log.denied(
            session, account_id, reply, reverse_path=reverse_path, recipient=recipient, because=because
        )

    def bypassed(
        self, transaction_id: str, intake: Intake, order_id: str, digest: str, message_id: str | None
    ) -> None:
        """Tell of a mail that passes unjudged; a stream that takes nothing must not stop it."""
        metrics.observe_bypassed(intake.session.door)
        with _counted():
            self._log.bypassed(
                transaction_id, intake.session, intake.envelope, order_id, digest, message_id=message_id
            )

    def troubled(self, transaction_id: str | None, what: str, error: BaseException) -> None:
        """Tell of an error; on a full volume the log's line has to do. Whoever answers 451 for it must get to do so:
        what is raised while an error is told would be a 500 of the library's own, and the mail lost."""
        metrics.observe_trouble(what)
        with _counted():
            self._log.troubled(transaction_id, what, error)
