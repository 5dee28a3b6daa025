"""The security axis in people's hands: lock, unlock, report, settle.  STANDING 5.4 rows 9-10, 5.7-14.

Verbs as in `pipeline/review`: a JSON-safe dictionary with the person's `token` in, a JSON-safe answer out. Nothing here
gives points, but that a person may say whose doing an incident was. Attesting is in `pipeline/attest`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from filterd.agreement.decide import notices_of
from filterd.agreement.incident import closes_at
from filterd.agreement.lockout import attestation_task
from filterd.agreement.offence import commit_hypothesis, commit_indicator
from filterd.agreement.security import SENDING
from filterd.agreement.takeover import BY_PERSON, COMPROMISE, REGISTRATION, attestable, attestation_number
from filterd.agreement.tenancy import Act, charge
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import knows, milder_of, pinned_by
from filterd.errors import RefusedError, UsageError
from filterd.model import records as r
from filterd.model.ids import derived_id
from filterd.model.principal import Account
from filterd.model.security import WATCHED
from filterd.model.standing import COMPROMISED, MALICIOUS, UNKNOWN, History, IncidentFile
from filterd.pipeline.attest import MODERATORS_ONLY, Attestation
from filterd.pipeline.desk import Desk, iso, reason_in
from filterd.pipeline.effects import revoke
from filterd.pipeline.enterprise import settle_tenant, with_enterprise, write_tenant_rows
from filterd.pipeline.holds import close_task, find_hold, protection_row
from filterd.pipeline.impose import read_features
from filterd.pipeline.people import Actor, Arguments, PlainVerb
from filterd.pipeline.protecting import CREDENTIALS, follow_end, follow_hold
from filterd.pipeline.roles import LOOK, is_tenants_side
from filterd.pipeline.verbs import surroundings
from filterd.ports import LedgerTxn

HYPOTHESES = (UNKNOWN, COMPROMISED, MALICIOUS)
# A year; what should last longer is left open.
MAX_HOURS = 24 * 366


class SecurityVerbs:
    """One instance a ledger process."""

    def __init__(self, desk: Desk):
        self._desk = desk

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {
            "security.show": self.security_show,
            "hold.place": self.hold_place,
            "hold.release": self.hold_release,
            "hold.answer": self.hold_answer,
            "hold.attest": Attestation(self._desk).hold_attest,
            "indicator.report": self.indicator_report,
            "hypothesis.settle": self.hypothesis_settle,
        }

    # --- looking ------------------------------------------------------------------------------------------------------

    def security_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say what protects an account now, what spoke for it, and what somebody may attest."""
        account = self._desk.account(txn, arguments["account"])
        if arguments.get("token"):
            self._desk.permit(txn, arguments, LOOK, account)
        history, terms = txn.history(account.account_id), self._desk.terms(txn, account)
        number = attestation_number(history, terms, txn.now)
        return protection_row(self._desk, txn, account) | {
            "attestable": [h.hold_id for h in attestable(history, txn.now)],
            "attestation_number": number,
            "moderators_only": number >= MODERATORS_ONLY,
            "indicators": [
                {"at": iso(x.at), "indicator": x.indicator, "incident_id": x.incident_id, "by": x.by}
                for x in history.of(r.IndicatorSeen)
            ],
            "incidents": [
                {
                    "incident_id": i.opened.incident_id,
                    "indicators": sorted(i.indicators),
                    "hypothesis": i.hypothesis,
                    "excused_at": iso(i.excused_at),
                }
                for i in history.incidents
                if i.indicators or i.hypothesis != UNKNOWN or i.excused_at is not None
            ],
        }

    # --- placing and ending -------------------------------------------------------------------------------------------

    def hold_place(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Lock an account for protection: sending, or the features named, until released or for `hours`.

        `indicators` say what speaks for a stolen account: then its credentials are to be revoked, and an attestation
        unlocks it.
        """
        account = self._desk.account(txn, arguments["account"])
        actor = self._desk.permit(txn, arguments, "hold.place", account)
        terms = self._desk.terms(txn, account)
        indicators = _known(tuple(arguments.get("indicators") or ()), terms)
        is_stolen = terms.security.speaks(indicators)
        if indicators and not is_stolen:
            raise RefusedError(f"{', '.join(indicators)} alone says nothing of a stolen account")
        hours, texts = arguments.get("hours"), arguments.get("features")
        if is_stolen and (hours is not None or texts):
            raise RefusedError("a stolen account is locked whole, until somebody attests or a moderator releases it")
        hold = r.HoldPlaced(
            at=txn.now,
            hold_id=derived_id("h", account.account_id, actor.name, txn.now.isoformat()),
            incident_id="",
            account_id=account.account_id,
            features=read_features(txn, texts) if texts else (SENDING,),
            starts_at=txn.now,
            ends_at=txn.now + timedelta(hours=_hours(hours)) if hours is not None else None,
            because=COMPROMISE if is_stolen else BY_PERSON,
            indicators=indicators,
            by=actor.name,
        )
        reason_in(arguments)
        if SENDING in self._desk.standing(txn, account).security.scope and SENDING in hold.features:
            raise RefusedError("sending is locked already")
        self._desk.append(txn, account, hold)
        follow_hold(txn, hold)
        if arguments.get("revoke") and not is_stolen:
            if CREDENTIALS not in self._desk.rules.effectors:
                raise RefusedError("no effector configured: [effectors.credentials]")
            work = revoke(hold, account.tenant_id)
            txn.post(work.topic, work.payload, due_at=txn.now, merge_key=work.merge_key)
        if is_stolen:
            self._desk.append(txn, account, attestation_task(hold.hold_id, account.account_id, txn.now, terms))
        return protection_row(self._desk, txn, account) | {"hold_id": hold.hold_id}

    def hold_release(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """End a protective hold early, or the watch after one. After a hold of a stolen account low caps follow, unless
        `clear` says that nothing was stolen."""
        held = find_hold(self._desk, txn, arguments["hold"])
        actor = self._desk.permit(txn, arguments, "hold.release", held.account)
        _refuse_unless_theirs(actor, held.hold, held.terms)
        is_watched = bool(held.hold.indicators) and held.hold.because != WATCHED and not arguments.get("clear")
        caps = held.terms.security
        released = r.HoldReleased(
            at=txn.now,
            hold_id=held.hold.hold_id,
            by=actor.name,
            reason=reason_in(arguments),
            watch_until=txn.now + timedelta(hours=caps.watch_unverified_hours) if is_watched else None,
            watch_features=caps.watch if is_watched else (),
        )
        self._desk.append(txn, held.account, released)
        close_task(self._desk, txn, held.account, held.hold, actor.name, "released")
        follow_end(txn, held.placed, released, "released")
        return protection_row(self._desk, txn, held.account)

    def hold_answer(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Answer an objection to a hold that stays: a person has looked, and the trickle does not come earlier."""
        held = find_hold(self._desk, txn, arguments["hold"])
        person = self._desk.permit(txn, arguments, "hold.answer", held.account).name
        mine = [x for x in held.history.of(r.ObjectionFiled) if x.sanction_id == held.hold.hold_id]
        if not mine:
            raise RefusedError("nobody has objected to this hold")
        reason_in(arguments)
        answered = r.ObjectionAnswered(
            at=txn.now, appeal_id=mine[0].appeal_id, sanction_id=held.hold.hold_id, by=person
        )
        self._desk.append(txn, held.account, answered)
        return protection_row(self._desk, txn, held.account)

    # --- what is known ------------------------------------------------------------------------------------------------

    def indicator_report(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Write down what speaks for a stolen account, by a person or the operator's log watcher.

        With `incident`, or where one is open now, its points become provisional and sending is locked; otherwise it
        speaks for the mail of the hours that follow.
        """
        account = self._desk.account(txn, arguments["account"])
        actor = self._desk.permit(txn, arguments, "indicator.report", account)
        terms, history = self._desk.terms(txn, account), txn.history(account.account_id)
        (indicator,) = _known((str(arguments["indicator"]),), terms)
        incident_id = arguments.get("incident") or _open_case(history, terms, txn.now)
        if incident_id is not None and all(i.opened.incident_id != incident_id for i in history.incidents):
            raise UsageError(f"{account.login} has no incident {incident_id}")
        repeat = timedelta(minutes=terms.security.indicator_repeat_minutes)
        is_known = any(
            x.indicator == indicator and x.incident_id == incident_id and txn.now - x.at < repeat
            for x in history.of(r.IndicatorSeen)
        )
        if is_known:
            return protection_row(self._desk, txn, account) | {"recorded": False}
        seen = r.IndicatorSeen(
            at=txn.now,
            account_id=account.account_id,
            indicator=indicator,
            by=actor.name,
            incident_id=incident_id,
        )
        self._write(txn, account, commit_indicator(history, seen, terms).records)
        # Points in doubt weigh less for the tenant, too.
        settle_tenant(txn, account, terms)
        return protection_row(self._desk, txn, account) | {"recorded": True}

    def hypothesis_settle(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say whose doing an incident was. Malicious: its points are final at once, and the ladder follows."""
        incident_id, hypothesis = str(arguments["incident"]), str(arguments["hypothesis"])
        if hypothesis not in HYPOTHESES:
            raise RefusedError(f"hypothesis is one of {', '.join(HYPOTHESES)}")
        account_id = txn.account_of(incident_id)
        account = txn.account(account_id) if account_id is not None else None
        history = txn.history(account.account_id) if account is not None else None
        incident = next((i for i in history.incidents if _is_meant(i, incident_id)), None) if history else None
        if account is None or history is None or incident is None:
            raise UsageError(f"no incident {incident_id}")
        person = self._desk.permit(txn, arguments, "hypothesis.settle", account).name
        if incident.is_void:
            raise RefusedError("this incident counts for nothing any more")
        settled = r.HypothesisSettled(
            at=txn.now,
            account_id=account.account_id,
            incident_id=incident.opened.incident_id,
            hypothesis=hypothesis,
            by=person,
            reason=reason_in(arguments),
        )
        tenant = txn.tenant(account.tenant_id)
        records = txn.records(account.account_id)
        terms = self._desk.rules.terms_of_incident(records, settled.incident_id, tenant, txn.now)
        # By the versions its acts were weighed by and by what has become of them: the milder counts (5.7-7).
        acts = [x for x in records if isinstance(x, r.ViolationRecorded) and x.incident_id == settled.incident_id]
        between = [x for act in acts for x in pinned_by(act, terms, self._desk.rules.by_digest.get)] or [terms]
        now = self._desk.rules.at_act(between[0], tenant, txn.now)
        between += [now] if all(knows(now, act) for act in acts) else []
        terms, outcome = milder_of(
            lambda x: commit_hypothesis(history, settled, x, self._desk.rules.preset),
            {x.digest: x for x in between}.values(),
        )
        self._write(txn, account, outcome.records)
        around = surroundings(txn, account.account_id, account.tenant_id)
        act = Act(
            at=txn.now,
            tenant_id=account.tenant_id,
            incident_id=settled.incident_id,
            decision_id=derived_id("d", settled.incident_id, hypothesis, txn.now.isoformat()),
            text_fp="",
        )
        around = with_enterprise(txn, around, account.account_id, account.tenant_id)
        rows = charge(txn.history(account.account_id), around, terms, act)
        write_tenant_rows(txn, rows, account.tenant_id, terms)
        return protection_row(self._desk, txn, account)

    # --- shared -------------------------------------------------------------------------------------------------------

    def _write(self, txn: LedgerTxn, account: Account, records: tuple[r.Record, ...]) -> None:
        """Append what an act brings, and promise its notices and effects."""
        for record in records:
            self._desk.append(txn, account, record)
            if isinstance(record, r.HoldPlaced):
                follow_hold(txn, record)
        for notice in notices_of(records):
            self._desk.mail.announce(txn, notice, account.tenant_id)


def _refuse_unless_theirs(actor: Actor, hold: r.HoldPlaced, terms: Agreement) -> None:
    """A tenant's administrator ends what protects a feature for a day, and what they placed themself; a stolen account
    takes an attestation, and anything else a moderator (STANDING 5.4 rows 6 and 10)."""
    if not is_tenants_side(actor, terms.enforcing_party) or hold.by == actor.name:
        return
    if hold.indicators:
        raise RefusedError("attest that the password was reset and all sessions were revoked; then it unlocks")
    if hold.because in (BY_PERSON, REGISTRATION) or hold.ends_at is None:
        raise RefusedError("a moderator unlocks this")


def _known(codes: tuple[str, ...], terms: Agreement) -> tuple[str, ...]:
    unknown = [code for code in codes if code not in terms.security.codes]
    if unknown:
        known = ", ".join(sorted(terms.security.codes))
        raise RefusedError(f"agreement {terms.id} has no indicator {unknown[0]!r}; it has {known}")
    return tuple(dict.fromkeys(codes))


def _hours(given: Any) -> int:
    if not isinstance(given, int) or not 1 <= given <= MAX_HOURS:
        raise RefusedError(f"a hold lasts 1 to {MAX_HOURS} hours, or is open")
    return given


def _open_case(history: History, terms: Agreement, at: datetime) -> str | None:
    """Say the newest incident that still takes something in; None when none does."""
    open_now = [i for i in history.incidents if not i.is_void and i.strike is not None and at <= closes_at(i, terms)]
    return open_now[-1].opened.incident_id if open_now else None


def _is_meant(incident: IncidentFile, text: str) -> bool:
    prefix = text.split("_", 1)[-1]
    return bool(prefix) and incident.opened.incident_id.split("_", 1)[-1].startswith(prefix)
