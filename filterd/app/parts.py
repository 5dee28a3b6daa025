"""The parts that are made of the configuration alone: rules, verbs, clock, log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from filterd import metrics
from filterd.agreement.fold import apply
from filterd.agreement.load import load
from filterd.agreement.protection import InboundChoices
from filterd.agreement.supplement import misbound, unfounded
from filterd.agreement.terms import Agreement
from filterd.agreement.versions import conflict, shelved, versions
from filterd.app.reads import READS_VERB, evidence_reads
from filterd.checks import ALL_CODES
from filterd.checks.dkim.sign import SigningKey
from filterd.cli.chain import ledger_rows
from filterd.clients.bypass_file import FILE_NAME as BYPASS_FILE
from filterd.clients.bypass_file import BypassFile
from filterd.clients.clock import FILE_NAME as CLOCK_FILE
from filterd.clients.clock import SettableClock, SystemClock
from filterd.clients.signing_keys import load_private_key
from filterd.config import Config
from filterd.config.signing import SealConfig, SigningConfig, SigningKeyConfig
from filterd.doors.milter import LISTENER, LOCAL_LISTENER
from filterd.errors import ConfigError, PortError
from filterd.ledger import backup_copy
from filterd.ledger.link import Verb
from filterd.log import EventStream, Log, service_log
from filterd.model.about import EVERYTHING
from filterd.model.decision import Case, Decision, Disposition
from filterd.model.evidence import kept
from filterd.model.held import InboundHold, LockedHold
from filterd.model.records import Record
from filterd.model.sanction import Preset
from filterd.model.staffing import Staffing, StaffingRules
from filterd.model.standing import History
from filterd.pipeline import adviser, bypass, evidence, locking, quarantine, refusal_notes, senders, shown
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.gate import GateRules, ListenerRule
from filterd.pipeline.human import human_verbs
from filterd.pipeline.imports import ImportVerbs
from filterd.pipeline.locked import HOLD as LOCKED_HOLD
from filterd.pipeline.locked import Keeping
from filterd.pipeline.locked_hold import LockedHolds
from filterd.pipeline.notices import NoticeSettings
from filterd.pipeline.people import guarded
from filterd.pipeline.reach import Reach
from filterd.pipeline.replies import ReplyStyle
from filterd.pipeline.signing import Signer
from filterd.pipeline.verbs import AccountQuery, DeskRules, MailVerbs, Objection
from filterd.ports import AccountRef, Clock, Keys
from filterd.share import path

KEY_FILE = "master.key"
SOCKET_FILE = "ledger.sock"
EVENTS_DIR = "events"


# STANDING 5.7-23: a site that has ordered everything beforehand has nobody on duty who would look.
_HOLDS = {"attended": "hold", "supervised": "hold", "standing_order": "reject"}


def socket_path(config: Config) -> Path:
    """Say where the ledger listens."""
    return config.node.state_dir / SOCKET_FILE


def bypass_file(config: Config) -> BypassFile:
    """Say where the order lies that lets all mail pass."""
    return BypassFile(config.node.state_dir / BYPASS_FILE)


def load_agreements(config: Config, now: datetime | None = None) -> dict[str, Agreement]:
    """Read every agreement file, by id; of several versions the one in force `now`, which knows the others.

    Raises ConfigError with file, line and key for the first thing wrong.
    """
    folder = config.agreement.directory or path("policies/agreements")
    found: list[Agreement] = []
    for file in sorted(folder.glob("*.toml")):
        terms = load(file.read_bytes(), str(file), ALL_CODES)
        if wrong := conflict([*(x for x in found if x.id == terms.id), terms]):
            raise ConfigError(wrong, file=file, key="effective_from")
        found.append(terms)
    agreements = shelved(found, now or datetime.now(UTC))
    if config.agreement.default not in agreements:
        raise ConfigError(f"no agreement {config.agreement.default!r} in {folder}", key="agreement.default")
    if wrong := unfounded(agreements):
        raise ConfigError(wrong, file=folder, key="supplements")
    if wrong := misbound(agreements, config.agreement.default, None):
        raise ConfigError(f"a tenant by default {wrong}", key="agreement.default")
    return agreements


def make_clock(config: Config) -> Clock:
    """Make the clock. A settable one exists only with the sink as next hop (HOUSE rule 14); config sees to it."""
    if config.node.clock == "settable":
        return SettableClock(config.node.state_dir / CLOCK_FILE)
    return SystemClock()


def desk_rules(
    config: Config, agreements: Mapping[str, Agreement], by_digest: Mapping[str, Agreement] | None = None
) -> DeskRules:
    """Collect what the ledger's half needs of the configuration.

    Args:
        by_digest: with the agreements of the last reload; None: these alone.
    """
    return DeskRules(
        terms=agreements,
        by_digest=by_digest or {a.digest: a for head in agreements.values() for a in versions(head)},
        preset=Preset(config.agreement.preset),
        default_agreement=config.agreement.default,
        auto_create_per_day=config.accounts.max_auto_created_per_day if config.accounts.auto_create else 0,
        notice_merge=timedelta(seconds=config.notices.merge_s),
        evidence_at_most=kept(config.evidence.at_most),
        excerpt_bytes=config.evidence.excerpt_bytes,
        is_clock_settable=config.node.clock == "settable",
        effectors=config.effectors.names,
        has_pager=config.paging.enabled,
        hotline=_hotline(config),
        holds_outbound=(config.agreement.hold_outbound or _HOLDS[config.agreement.preset]) == "hold",
        staffing=StaffingRules(
            mode=Staffing(config.staffing.mode) if config.staffing.mode is not None else None,
            approval_hours=config.staffing.approval_hours,
            second_look_hours=config.staffing.second_look_hours,
            lease_minutes=config.staffing.lease_minutes,
        ),
    )


def verbs(rules: DeskRules) -> dict[str, Verb]:
    """Everything the ledger can be asked to do, by name."""
    mail = MailVerbs(rules)
    table = {
        "account_for": Verb(
            request=None,
            response=AccountRef | None,
            run=lambda txn, given: mail.account_for(txn, AccountQuery(**given)),
            about=locking.of_login,
        ),
        "decide": Verb(
            request=Case,
            response=Decision,
            # The rows stay here: of them, a worker needs to know only that there are some.
            run=lambda txn, case: replace(mail.decide(txn, case), records=()),
            about=locking.of_case,
        ),
        "hold_inbound": Verb(
            request=InboundHold, response=str | None, run=mail.hold_inbound, about=locking.of_recipients
        ),
        LOCKED_HOLD: Verb(request=LockedHold, response=bool, run=LockedHolds(rules).hold, about=lambda _: EVERYTHING),
        "object_by_mail": Verb(
            request=None,
            response=None,
            run=lambda txn, given: mail.object_by_mail(txn, Objection(**given)),
            about=locking.of_account,
        ),
    }
    table |= {
        shown.VERB: Verb(
            request=None, response=None, run=shown.note_shown, about=locking.of_account
        )
    }
    plain = human_verbs(rules, mail) | ImportVerbs(rules).table() | bypass.table()
    plain |= evidence.table() | quarantine.table() | senders.table() | adviser.table()
    plain |= refusal_notes.table()
    plain |= {READS_VERB: evidence_reads, "ledger.rows": ledger_rows, backup_copy.VERB: backup_copy.copy_store}
    plain |= {backup_copy.NAMED_VERB: backup_copy.still_named}
    return table | {
        name: Verb(request=None, response=None, run=guarded(name, run), about=partial(locking.of_verb, name))
        for name, run in plain.items()
    }


def gate_rules(config: Config) -> GateRules:
    """Collect what the walk of a mail needs of the configuration."""
    return GateRules(
        listeners={
            item.name: ListenerRule(
                attribution=AttributionRule(
                    source=item.attribution,
                    received_by=item.received_by,
                    header_name=item.header_name,
                    login_domain=item.login_domain,
                ),
                direction=item.direction,
                is_after_queue=item.after_queue,
                authserv_id=item.authserv_id or item.hostname,
                is_selective=item.selective_rcpt,
            )
            for item in config.listener
        }
        | _milter_rules(config),
        reach=Reach(
            appeals_address=config.notices.appeals_address,
            addresses=frozenset(a.lower() for a in config.always_reachable.addresses),
            local_parts=frozenset(p.lower() for p in config.always_reachable.local_parts),
        ),
        style=ReplyStyle(
            appeals_address=config.notices.appeals_address,
            object_url=config.notices.object_url,
            why_url=config.notices.why_url,
        ),
        preset=Preset(config.agreement.preset),
        inbound=InboundChoices(**{name: Disposition(x) for name, x in config.inbound.model_dump().items()}),
        report_address=config.notices.report_address,
        keeping=Keeping(at_most=kept(config.evidence.at_most), excerpt_bytes=config.evidence.excerpt_bytes),
    )


def mail_rules(config: Config) -> GateRules:
    """Collect what the mail path needs: the rules, and the keys that sign. Raises ModelError for a key of no use."""
    return replace(gate_rules(config), signer=make_signer(config.signing))


def make_signer(config: SigningConfig) -> Signer:
    """Read the private keys. Raises ModelError naming the file."""
    seal = config.seal
    return Signer(
        [_signing_key(x, x.since) for x in config.key],
        _signing_key(seal) if seal is not None else None,
    )


def _signing_key(said: SigningKeyConfig | SealConfig, since: date | None = None) -> SigningKey:
    private = load_private_key(said.file)
    return SigningKey(domain=said.domain, selector=said.selector, private=private, since=since)


def _milter_rules(config: Config) -> dict[str, ListenerRule]:
    """Mail of local programmes is already in the MTA's queue: a refusal would be a bounce."""
    door = config.milter
    rule = ListenerRule(
        attribution=AttributionRule(source="sasl", login_domain=door.login_domain),
        direction=door.direction,
        authserv_id=door.authserv_id or door.hostname,
    )
    # Programmes show no login; a reverse-path is all they say of themselves.
    senders = AttributionRule(source="sender", login_domain=door.login_domain, senders=door.local_senders)
    return {LISTENER: rule, LOCAL_LISTENER: replace(rule, attribution=senders, is_after_queue=True)}


def notice_settings(config: Config) -> NoticeSettings:
    return NoticeSettings(
        sender=config.notices.sender,
        appeals_address=config.notices.appeals_address,
        object_url=config.notices.object_url,
        always_reachable=config.always_reachable.addresses,
        reachable_local_parts=config.always_reachable.local_parts,
        copy_to_tenant=config.notices.copy_to_tenant,
        notice_from=config.notices.notice_from,
        desk_address=config.notices.desk_address,
        reseller_desks=config.notices.reseller_desks,
        report_address=config.notices.report_address,
        hotline=_hotline(config),
    )


def _hotline(config: Config) -> dict[str, str]:
    return {"en": config.paging.hotline_en, "zh-Hans": config.paging.hotline_zh}


def make_log(config: Config, name: str, keys: Keys, clock: Clock) -> Log:
    """Open the event stream of one process."""
    stream = EventStream(config.node.state_dir / EVENTS_DIR, f"{config.node.name}.{name}", clock.now)
    return Log(stream, pseudonym_key=keys.pseudonym)


def record(write: Callable[[], None]) -> None:
    """Write an event about what has happened already: a full volume undoes nothing."""
    try:
        write()
    except PortError as err:
        metrics.observe_lost_event()
        service_log().error("stream_behind", error=type(err).__name__)


def fold(history: History, record: Record, account_id: str) -> History:
    """Fold one record, as the ledger wants to call it."""
    return apply(history, record)
