"""May this be sent at all?  HOUSE §4 step 0, STANDING 5.11: what standing and service say, before anything is judged.

Before DATA at MAIL and at each RCPT, where the door knows the login; after the dot for those it knows only then.
Nothing here counts or judges; the first refusal of a case is written down (pipeline/shown). What is said at MAIL:
ops/decisions/0020-terminated-at-mail.md.
"""

from __future__ import annotations

from filterd.agreement.disposition import REFUSED_BY_RECIPIENT, refused_features
from filterd.agreement.terms import Agreement
from filterd.errors import LedgerUnavailable, PeerError
from filterd.mail.address import canonical_login
from filterd.model.reply import Reply
from filterd.model.sanction import Rung
from filterd.model.session import Path, Session
from filterd.model.standing import Standing
from filterd.pipeline.author import Authors, Known
from filterd.pipeline.exceptions import ExceptionDesk
from filterd.pipeline.facts import FactFinder
from filterd.pipeline.gate_rules import GateRules
from filterd.pipeline.optouts import OptOuts
from filterd.pipeline.recorder import Recorder
from filterd.pipeline.refusal_notes import RefusalNotes
from filterd.pipeline.replies import (
    APART,
    LEDGER_AWAY,
    Wording,
    feature_reply,
    listed_reply,
    service_reply,
    standing_reply,
    waiting,
    wording,
)
from filterd.pipeline.service import ServiceDesk
from filterd.pipeline.shown import Shown
from filterd.ports import AccountState, Clock


class Admission:
    """What the gate asks before DATA, and again after the dot."""

    def __init__(
        self,
        *,
        authors: Authors,
        service: ServiceDesk,
        facts: FactFinder,
        rules: GateRules,
        default_terms: Agreement,
        recorder: Recorder,
        clock: Clock,
        shown: Shown,
        notes: RefusalNotes,
        optouts: OptOuts,
        exceptions: ExceptionDesk,
    ):
        self._authors, self._service, self._facts = authors, service, facts
        self._rules, self._default_terms = rules, default_terms
        self._notes, self._exceptions = notes, exceptions
        self._recorder, self._clock, self._shown = recorder, clock, shown
        self._optouts = optouts

    # --- before DATA --------------------------------------------------------------------------------------------------

    async def of_sender(self, session: Session, reverse_path: Path | None) -> Reply | None:
        """Refuse all mail of an account that people have terminated, whatever its recipients."""
        known = await self._known(session)
        if not isinstance(known, Known) or not is_terminated(known.standing(self._clock.now())):
            # What is not known at MAIL is asked again at RCPT.
            return None
        reply = self._said(session, standing_reply(known.standing(self._clock.now()), self.wording(known)))
        self._recorder.denied(session, known.account.account_id, reply, reverse_path, None)
        await self._shown.note(known, reply, self._clock.now())
        return reply

    async def of_recipient(
        self, session: Session, reverse_path: Path | None, forward: Path, accepted: int
    ) -> Reply | None:
        """Refuse one recipient by standing, by what is out of service, and by the operator's lists."""
        unserved = await self._unserved(forward)
        if unserved is not None:
            unserved = self._said(session, unserved)
            self._recorder.denied(session, None, unserved, reverse_path, forward)
            return unserved
        known = await self._known(session)
        if known is None:
            return await self._listed(session, reverse_path, forward, None, accepted)
        if not isinstance(known, Known):
            return known
        try:
            reply = await self._refused_recipient(known, reverse_path, forward, accepted)
        except LedgerUnavailable:
            return LEDGER_AWAY
        if reply is None and known.is_last_word and not known.is_good(self._clock.now()):
            return LEDGER_AWAY
        if reply is not None:
            reply = self._said(session, reply)
            self._recorder.denied(session, known.account.account_id, reply, reverse_path, forward)
            self._notes.note(known.account.account_id, session.id, (forward.address,), reply, self._clock.now())
            await self._shown.note(known, reply, self._clock.now())
            return reply
        # Somebody's wish and no sanction: nothing of it is listed where one is taken back, and it is final behind the
        # queue, too, for no mail waits until a wish ends.
        stopped = await self._optouts.of_recipient(session, known, forward, self.wording(known))
        if stopped is not None:
            self._recorder.denied(session, known.account.account_id, stopped, reverse_path, forward)
            return stopped
        return await self._listed(session, reverse_path, forward, known, accepted)

    async def of_stranger(self, session: Session, reverse_path: Path | None, forward: Path) -> Reply | None:
        """Refuse one recipient of mail that nobody of ours answers for, by the operator's lists."""
        return await self._listed(session, reverse_path, forward, None, 0)

    async def _listed(
        self, session: Session, reverse_path: Path | None, forward: Path, known: Known | None, accepted: int
    ) -> Reply | None:
        """Say what the operator's lists have against this recipient. Standing has been asked before."""
        now = self._clock.now()
        said = await self._exceptions.screen(session, reverse_path, forward, now, known=known, accepted=accepted)
        if said is None:
            return None
        reply = APART if said.is_apart else listed_reply(said.entries[0], session.id, self.wording(known))
        account_id = known.account.account_id if known is not None else None
        self._recorder.denied(session, account_id, reply, reverse_path, forward, said.entries)
        return reply

    async def of_account(self, login: str) -> AccountState | None:
        """Say how the account behind a canonical login stands, None for nobody's. Raises LedgerUnavailable."""
        now = self._clock.now()
        known = await self._authors.look_up(login, may_create=False)
        if known is None:
            return None
        if known.is_last_word and not known.is_good(now):
            raise LedgerUnavailable("standing is of before the ledger went away")
        standing = known.standing(now)
        words = self.wording(known)
        refusal = None
        if standing.lifecycle.is_over:
            refusal = service_reply(standing.lifecycle, words)
        elif not standing.may_send or is_terminated(standing):
            refusal = standing_reply(standing, words)
        return AccountState(login=known.account.login, state=state_word(standing), refusal=refusal)

    async def _known(self, session: Session) -> Known | Reply | None:
        """Say whose session it is; None for nobody's that is known, a reply where it cannot be said just now."""
        if session.login is None:
            return None
        rule = self._rules.listeners.get(session.listener)
        try:
            login = canonical_login(session.login, rule.attribution.login_domain if rule else None)
        except PeerError:
            return None
        try:
            return await self._authors.look_up(login, may_create=False)
        except LedgerUnavailable:
            return LEDGER_AWAY

    async def _unserved(self, forward: Path) -> Reply | None:
        """Say why nobody's mail to this recipient is taken now (STANDING 5.11)."""
        now = self._clock.now()
        return await self._service.of_site(now) or await self._service.of_recipient(forward, now)

    async def _refused_recipient(
        self, known: Known, reverse_path: Path | None, forward: Path, accepted: int
    ) -> Reply | None:
        """Say why this recipient cannot be written to; what is seen only in the message waits for the message."""
        now = self._clock.now()
        refusal = self.of_recipients(known, (forward,))
        if refusal is not None or self._rules.reach.covers(forward, known.account.tenant_domains):
            return refusal
        standing = known.standing(now)
        facts = await self._facts.of_recipient(reverse_path, forward, accepted, known, now)
        for feature, _ in refused_features(facts, standing):
            if feature.name in REFUSED_BY_RECIPIENT:
                return feature_reply(feature, standing, self.wording(known), is_before_data=True)
        return None

    def _said(self, session: Session, reply: Reply) -> Reply:
        """Behind the queue mail stays in it until a sanction ends (STANDING 5.7-20)."""
        rule = self._rules.listeners.get(session.listener)
        return waiting(reply) if rule is not None and rule.is_after_queue else reply

    # --- and after the dot --------------------------------------------------------------------------------------------

    def of_recipients(self, known: Known, forwards: tuple[Path, ...]) -> Reply | None:
        """Say why this account may write to none of these now."""
        standing = known.standing(self._clock.now())
        words = self.wording(known)
        if is_terminated(standing):
            return standing_reply(standing, words)
        is_over = standing.lifecycle.is_over
        if standing.may_send and not is_over:
            return None
        if all(self._rules.reach.covers(f, known.account.tenant_domains) for f in forwards):
            return None
        return service_reply(standing.lifecycle, words) if is_over else standing_reply(standing, words)

    def wording(self, known: Known | None) -> Wording:
        """Say how to speak to an account, or to nobody in particular."""
        if known is None:
            return wording(self._rules.style, self._default_terms, None)
        return wording(self._rules.style, known.terms, known.account.language)


def state_word(standing: Standing) -> str:
    """Say in a word what the account may do."""
    if standing.lifecycle.is_over:
        return "unserved"
    if standing.rung >= Rung.SUSPEND:
        return "terminated" if is_terminated(standing) else "suspended"
    if not standing.may_send:
        return "locked"
    return "restricted" if standing.features else "good"


def is_terminated(standing: Standing) -> bool:
    """Say whether people have ended the account. A termination by standing order keeps the mail effect of a suspension
    (STANDING 5.9)."""
    return any(s.rung is Rung.TERMINATE and not s.is_automatic for s in standing.sanctions)
