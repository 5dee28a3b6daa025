"""The people who write: several crews, each with the script of one account after the other, two connections a crew.

A crew sends the mails of a stage over both its connections at once, each until it is taken or refused for good, and
begins the next stage when all are settled. Nobody runs ahead of the kills: see `allow`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Sequence

from tests.chaos.facts import Try
from tests.chaos.letters import Mail
from tests.kit.client import GONE, Letter, Reply, Sender
from tests.kit.postfix import PASSWORD
from tests.kit.waiting import PATIENCE_S

# Each crew's.
CONNECTIONS = 2
# A client tries again almost at once, then a little later; a mail server would wait for minutes.
_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.3
_PATIENCE_S = 600.0
# A sanction is heard by every worker within a second (MAIL-PATH 4e); who is quicker may meet one that has not heard.
_HEARD_S = 1.0


class Senders:
    """The crews, as threads. What they have seen is in `tries` and `begun`."""

    def __init__(self, *, crews: int, submission: int, mx: int):
        self.tries: list[Try] = []
        self.begun: dict[str, Mail] = {}
        self._crews, self._submission, self._mx = crews, submission, mx
        self._allowed = 0
        self._lock = threading.Lock()
        self._gate = threading.Condition(self._lock)
        self._settled = 0
        self._is_over = False
        self._threads: list[threading.Thread] = []
        self.trouble: list[str] = []

    # --- for whoever kills --------------------------------------------------------------------------------------------

    def start(self, scripts: Iterable[Sequence[Sequence[Mail]]], strangers: Iterable[Mail]) -> None:
        """Begin: each crew takes the next script when it is done with one; one connection brings strangers' mail."""
        shared = iter(list(scripts))
        work = [lambda: self._crew(shared) for _ in range(self._crews)]
        work.append(lambda: self._outsider(iter(list(strangers))))
        for task in work:
            thread = threading.Thread(target=self._guarded, args=(task,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def allow(self, mails: int) -> None:
        """Let so many mails be begun, counted from the start; more wait."""
        with self._gate:
            self._allowed = max(self._allowed, mails)
            self._gate.notify_all()

    def stop(self) -> None:
        """Begin no further mail."""
        with self._gate:
            self._is_over = True
            self._gate.notify_all()

    @property
    def settled(self) -> int:
        return self._settled

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def wait(self, patience_s: float) -> bool:
        """Wait until all have ended; False when some have not."""
        deadline = time.monotonic() + patience_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return self.is_done

    # --- the crews ----------------------------------------------------------------------------------------------------

    def _guarded(self, task: object) -> None:
        try:
            task()  # type: ignore[operator]
        except Exception as err:
            self.trouble.append(f"{type(err).__name__}: {err}")

    def _crew(self, scripts: Iterable[Sequence[Sequence[Mail]]]) -> None:
        while (stages := self._next(scripts)) is not None:
            login = next(mail.login for stage in stages for mail in stage)
            port = self._submission
            senders = [
                _Whole(port=port, login=login, password=PASSWORD, patience_s=PATIENCE_S) for _ in range(CONNECTIONS)
            ]
            for stage in stages:
                if any(mail.is_after_suspension for mail in stage):
                    time.sleep(_HEARD_S)
                piles = [stage[n::CONNECTIONS] for n in range(CONNECTIONS)]
                others = [
                    threading.Thread(target=self._guarded, args=(lambda s=s, p=p: self._send(s, p),), daemon=True)
                    for s, p in itertools.islice(zip(senders, piles, strict=True), 1, None)
                    if p
                ]
                for other in others:
                    other.start()
                self._send(senders[0], piles[0])
                for other in others:
                    other.join()
            for sender in senders:
                _close(sender)

    def _next(self, scripts: Iterable[Sequence[Sequence[Mail]]]) -> Sequence[Sequence[Mail]] | None:
        with self._lock:
            return None if self._is_over else next(iter(scripts), None)

    def _outsider(self, mails: Iterable[Mail]) -> None:
        sender = _Whole(port=self._mx, patience_s=PATIENCE_S)
        for mail in mails:
            if self._is_over:
                break
            self._send(sender, [mail])
        _close(sender)

    def _send(self, sender: Sender, mails: Sequence[Mail]) -> None:
        for mail in mails:
            with self._gate:
                self._gate.wait_for(lambda: len(self.begun) < self._allowed or self._is_over)
                if self._is_over:
                    return
                self.begun[mail.ident] = mail
            deadline, pause_s = time.monotonic() + _PATIENCE_S, _FIRST_PAUSE_S
            while time.monotonic() < deadline:
                began_at = time.time()
                reply = sender.send(mail.letter)
                sender.replies.clear()
                tried = Try(ident=mail.ident, began_at=began_at, ended_at=time.time(), code=reply.code, text=str(reply))
                self.tries.append(tried)
                if tried.is_settled:
                    self._settled += 1
                    break
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


class _Whole(Sender):
    """A sender that hands a mail in for all its recipients or for none, so that one reply speaks for the whole mail."""

    def _once(self, letter: Letter) -> Reply:
        try:
            client = self.connect()
            replies = client.envelope(letter)
            refused = [reply for reply in replies if not reply.is_positive]
            # One that may be taken later puts the whole mail off.
            reply = min(refused, key=lambda r: r.code) if refused else client.data(letter.raw)
            if reply.code not in (0, 421) and reply.after != ".":
                client.ask("RSET")
        except OSError as err:
            reply = Reply(code=GONE.code, text=str(err), after="CONNECT")
        if reply.code in (0, 421) and self._client is not None:
            self._client.close()
            self._client = None
        return reply


def _close(sender: Sender) -> None:
    try:
        sender.close()
    except OSError:
        return
