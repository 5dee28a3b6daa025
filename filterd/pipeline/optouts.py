"""Who asked an account to stop writing to them: filed by people, kept at each recipient.  TX-3.3.2, STANDING 5.7-13.

That one recipient is refused, before there is a message, and the others of the same mail get it. The first refusal
tells the account of the request; mail on a later day to somebody who asked a person to stop is a mode B act (tail-d),
at most one a day and request. Bulk mail to somebody who unsubscribed counts as a complaint once the sender has had the
days of the agreement to honour it. What is refused behind the queue counts for nothing. Addresses are keyed hashes.

Two halves. `OptOuts` is the worker's; `OptOutVerbs` is the ledger's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.complaints import LIST, PERSON, opted_out
from filterd.agreement.sections_registers import RegistersSection
from filterd.checks.complaints import stopped
from filterd.errors import FilterdError, PeerError, RefusedError, UsageError
from filterd.mail.address import parse_forward_path
from filterd.model import records as r
from filterd.model.decision import NO_TEXT, Case, MailFacts
from filterd.model.ids import derived_id, keyed_hash, random_id
from filterd.model.principal import Account, Basis, Principal, Strength
from filterd.model.reply import Reply
from filterd.model.session import Direction, Path, Session
from filterd.model.standing import History
from filterd.model.verdict import Assessment
from filterd.pipeline.author import Known
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.gate_rules import GateRules
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.register_acts import required
from filterd.pipeline.replies import Wording, stopped_reply
from filterd.pipeline.roles import LOOK, permitted, reaches
from filterd.ports import Clock, Keys, Ledger, LedgerTxn

IGNORED = "optout.ignored"
KINDS = (PERSON, LIST)
# Requests that were told of today and need not be told again.
_REMEMBERED = 10_000


class OptOuts:
    """One a process. `on_error` hears what kept a row from being written; the next mail tries again."""

    def __init__(
        self, ledger: Ledger, keys: Keys, clock: Clock, rules: GateRules, on_error: Callable[[BaseException], None]
    ):
        self._ledger, self._keys, self._clock, self._on_error = ledger, keys, clock, on_error
        self._rules = rules
        self._noted: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def of_recipient(self, session: Session, known: Known, forward: Path, words: Wording) -> Reply | None:
        """Refuse one recipient before there is a message. Who tried it is on record where the login of the session is
        what its listener believes (pipeline/attribution), and never behind the queue: the mail may be older than the
        request, and a queue tries it again."""
        rule = self._rules.listeners.get(session.listener)
        is_own = rule is not None and session.is_trusted_peer and session.login_source == rule.attribution.source
        is_strong = is_own and rule is not None and not rule.is_after_queue
        strength = Strength.STRONG if is_strong else Strength.NONE
        return await self.of_mail(known, (forward,), words, strength=strength)

    async def of_mail(
        self, known: Known, forwards: tuple[Path, ...], words: Wording, *, strength: Strength
    ) -> Reply | None:
        """Refuse a whole mail where everybody it goes to asked the account to stop. One that others are to get, too,
        passes where the login was not known before: no recipient can be left out of it any more.

        Args:
            strength: by what it is known whose mail this is; only what is strong is written down (HOUSE rule 7).
        """
        if not known.history.of(r.OptOutFiled):
            # Nearly everybody.
            return None
        if any(self._rules.reach.covers(f, known.account.tenant_domains) for f in forwards):
            return None
        now = self._clock.now()
        hashes = (keyed_hash(self._keys.pseudonym, f.address.lower()) for f in forwards)
        asked = [opted_out(known.history, x, now) for x in hashes]
        if not asked or not all(asked):
            return None
        for one in asked:
            if strength is Strength.STRONG and one is not None:
                await self.note(known, one, now)
        return stopped_reply(words)

    async def note(self, known: Known, asked: r.OptOutFiled, at: datetime) -> None:
        """Have it written down that an account, by its own credential, wrote to somebody who had asked it to stop."""
        today = (asked.optout_id, at.date().isoformat())
        if today in self._noted or known.is_last_word:
            return
        given = {"account_id": known.account.account_id, "optout": asked.optout_id, "at": at.isoformat()}
        try:
            await self._ledger.call(IGNORED, given)
        except FilterdError as err:
            # The refusal stands whatever becomes of the row.
            self._on_error(err)
            return
        self._noted[today] = None
        if len(self._noted) > _REMEMBERED:
            self._noted.popitem(last=False)


# --- the ledger's side ------------------------------------------------------------------------------------------------


class OptOutVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "optout.file": self.file,
            "optout.end": self.end,
            "optout.list": self.listed,
            IGNORED: self.ignored,
        }

    def file(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Write down that a `recipient` asked an `account` to stop: from a `person`, at once; from a `list`, after the
        days of the agreement. Asked twice is asked once."""
        account = self._desk.account(txn, required(arguments, "account"))
        actor = self._desk.permit(txn, arguments, "optout.file", account)
        kind = str(arguments.get("kind") or PERSON)
        if kind not in KINDS:
            raise RefusedError(f"kind is {' or '.join(KINDS)}")
        recipient = _hashed(txn, required(arguments, "recipient"))
        known = next(
            (x for x in _open(txn.history(account.account_id)) if (x.recipient, x.kind) == (recipient, kind)), None
        )
        if known is not None:
            return _row(txn, known)
        rules = self._desk.terms(txn, account).registers or RegistersSection()
        filed = r.OptOutFiled(
            at=txn.now,
            optout_id=random_id("oo", txn.now),
            account_id=account.account_id,
            recipient=recipient,
            kind=kind,
            since=txn.now if kind == PERSON else txn.now + timedelta(days=rules.opt_out_days),
            by=actor.name,
        )
        self._desk.append(txn, account, filed)
        return _row(txn, filed)

    def end(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Let an account write to somebody again (`optout`), with a `reason`: that they said so, or our error."""
        wanted = required(arguments, "optout")
        account = self._desk.account(txn, txn.account_of(wanted) or wanted)
        actor = self._desk.permit(txn, arguments, "optout.end", account)
        if not any(x.optout_id == wanted for x in _open(txn.history(account.account_id))):
            raise UsageError(f"no opt-out {wanted} is in force")
        ended = r.OptOutEnded(
            at=txn.now,
            optout_id=wanted,
            account_id=account.account_id,
            by=actor.name,
            reason=reason_in(arguments),
        )
        incident_ids = _struck(txn, account, wanted)
        self._desk.append(txn, account, ended)
        for incident_id in incident_ids:
            self._reassess(txn, account, wanted, incident_id)
        return {
            "optout_id": wanted,
            "account_id": account.account_id,
            "by": actor.name,
            "reassess": incident_ids,
        }

    def _reassess(self, txn: LedgerTxn, account: Account, optout_id: str, incident_id: str) -> None:
        """Ask a person: what it rests on may have been an error of ours, and nothing is lifted by itself."""
        task = r.TaskOpened(
            at=txn.now,
            task_id=derived_id("w", incident_id, "reassess", optout_id),
            incident_id=incident_id,
            account_id=account.account_id,
            what="reassess: the opt-out it rests on was ended",
            warranted="none",
            imposed="none",
            due_at=txn.now + timedelta(hours=self._desk.terms(txn, account).incident.task_due_hours),
        )
        self._desk.append(txn, account, task)

    def listed(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the opt-outs in force; of one `account`, or those of one `recipient`, whose address no row has."""
        actor = permitted(txn, arguments, LOOK) if arguments.get("token") else None
        only = self._desk.account(txn, str(arguments["account"])).account_id if arguments.get("account") else None
        recipient = _hashed(txn, str(arguments["recipient"])) if arguments.get("recipient") else None
        rows = []
        for account_id in [only] if only is not None else txn.bearing("oo"):
            account = txn.account(account_id)
            tenant = txn.tenant(account.tenant_id) if account is not None else None
            if actor is not None and not reaches(txn, actor, tenant):
                continue
            found = (x for x in _open(txn.history(account_id)) if recipient in (None, x.recipient))
            rows += [_row(txn, x) for x in found]
        return rows

    def ignored(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Write down that a request was not honoured; say whether it was the first time that day.

        The first time of all only tells the account: nobody else has told it that somebody asked.
        """
        account = txn.account(str(arguments["account_id"]))
        at = min(datetime.fromisoformat(str(arguments["at"])), txn.now)
        if account is None:
            return False
        history = txn.history(account.account_id)
        asked = next((x for x in _open(history) if x.optout_id == str(arguments["optout"]) and x.since <= at), None)
        if asked is None or _is_noted(history, asked, at):
            return False
        was_told = any(x.optout_id == asked.optout_id for x in history.of(r.OptOutIgnored))
        row = r.OptOutIgnored(
            at=at,
            optout_id=asked.optout_id,
            account_id=account.account_id,
            recipient=asked.recipient,
            kind=asked.kind,
        )
        self._desk.append(txn, account, row)
        if asked.kind == PERSON and was_told:
            self._desk.mail.decide(txn, self._case(txn, account, asked, at))
        return True

    def _case(self, txn: LedgerTxn, account: Account, asked: r.OptOutFiled, at: datetime) -> Case:
        """Make the case of an act without a message: one recipient, one finding."""
        act = _act_of(asked.optout_id, at)
        return Case(
            transaction_id=act,
            at=at,
            direction=Direction.OUTBOUND,
            principal=Principal(
                account_id=account.account_id,
                tenant_id=account.tenant_id,
                basis=Basis.SASL,
                strength=Strength.STRONG,
            ),
            evidence_key=derived_id("e", act),
            delivery_keys=(derived_id("k", act),),
            text_fp=NO_TEXT,
            facts=MailFacts(
                recipients=1,
                external_recipients=1,
                has_attachments=False,
                has_links=False,
                recipient_hashes=(asked.recipient,),
            ),
            assessment=Assessment(verdicts=(stopped(),)),
            policy_digest=self._desk.terms(txn, account).digest,
        )


def _act_of(optout_id: str, at: datetime) -> str:
    """Say the id that the act of a day stands under, in place of a mail's."""
    return derived_id("t", optout_id, at.date().isoformat())


def _struck(txn: LedgerTxn, account: Account, optout_id: str) -> list[str]:
    """Say the incidents that a request has given a strike in and that still count."""
    history = txn.history(account.account_id)
    acts = {_act_of(optout_id, x.at) for x in history.of(r.OptOutIgnored) if x.optout_id == optout_id}
    if not acts:
        return []
    records = txn.records(account.account_id)
    mine = {x.incident_id for x in records if isinstance(x, r.ViolationRecorded) and x.transaction_id in acts}
    return [x.opened.incident_id for x in history.incidents if x.opened.incident_id in mine and not x.is_void]


def _open(history: History) -> tuple[r.OptOutFiled, ...]:
    ended = {x.optout_id for x in history.of(r.OptOutEnded)}
    return tuple(x for x in history.of(r.OptOutFiled) if x.optout_id not in ended)


def _is_noted(history: History, asked: r.OptOutFiled, at: datetime) -> bool:
    noted = (x for x in history.of(r.OptOutIgnored) if x.optout_id == asked.optout_id)
    return any(x.at.date() == at.date() for x in noted)


def _hashed(txn: LedgerTxn, address: str) -> str:
    """Say by which keyed hash the mail path knows an address. Raises RefusedError for what is none."""
    try:
        path = parse_forward_path(f"<{address.strip()}>".encode("utf-8", "replace"), smtputf8=True)
    except PeerError:
        raise RefusedError("recipient is one mail address") from None
    if not path.domain:
        raise RefusedError("recipient is one mail address")
    return txn.pseudonym(path.address)


def _row(txn: LedgerTxn, filed: r.OptOutFiled) -> dict[str, Any]:
    account = txn.account(filed.account_id)
    return {
        "optout_id": filed.optout_id,
        "account_id": filed.account_id,
        "login": account.login if account is not None else None,
        "kind": filed.kind,
        "filed_at": iso(filed.at),
        "since": iso(filed.since),
        "by": filed.by,
    }
