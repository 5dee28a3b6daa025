"""Look-ups made of entries as they are added: which subject an id belongs to, and who was opened when and how."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, false, func, insert, or_, select, text

from filterd.ledger.codec import storable
from filterd.ledger.schema import ACCOUNT, EVIDENCE, MENTION, OPENING
from filterd.model import records as r
from filterd.model.records import AccountOpened, IncidentOpened, Record

# The id that each kind brings into the world. A strike issued again bears the id it had.
_BRINGS: dict[type[Record], str] = {
    r.IncidentOpened: "incident_id",
    r.ViolationRecorded: "transaction_id",
    r.StrikeIssued: "strike_id",
    r.SanctionImposed: "sanction_id",
    r.HoldPlaced: "hold_id",
    r.TaskOpened: "task_id",
    r.NoticeSent: "notice_id",
    r.ObjectionFiled: "appeal_id",
    r.HoldAttested: "attestation_id",
    r.TenantStepTaken: "step_id",
    r.TenantLocked: "lock_id",
    r.Proposed: "proposal_id",
    r.CureFiled: "cure_id",
    r.MandateGiven: "mandate_id",
    r.ExculpationGranted: "exculpation_id",
    r.AuthorisationGiven: "entry_id",
    r.StreamDeclared: "entry_id",
    r.SenderProtected: "entry_id",
    r.MigrationOpened: "entry_id",
    r.StandingOrderSigned: "entry_id",
    r.NoticeDelayed: "entry_id",
    r.LegalRequestFiled: "entry_id",
    r.ListingNoted: "entry_id",
    r.TermListAdopted: "entry_id",
    r.CategoryRaised: "entry_id",
    r.MaintenanceAnnounced: "window_id",
    r.AutomationFrozen: "freeze_id",
    r.BreakerTripped: "breaker_id",
    r.VerificationNoted: "verification_id",
    r.RightsNoticeFiled: "rights_id",
    r.ReportOpened: "report_id",
    r.ComplaintFiled: "complaint_id",
    r.OptOutFiled: "optout_id",
    r.ChangeAnnounced: "change_id",
}
# Of ids that clocks run for: sanctions and holds. What ids of accounts begin with (model.ids).
_CLOCKED = ("s", "h")
_ACCOUNT_PREFIX = "a_"
FIRST_MAIL = "first_mail"
# What the rows of accounts say that came with a list (pipeline/imports).
LISTED = "import:"
# Of the column; who imported a list may have a longer name, which the row of the ledger has whole.
_SOURCE_CHARS = 40
# SQLite and PostgreSQL both read this.
_INSERT_NEW = text(
    "INSERT INTO mention (id, account_id, digits) VALUES (:id, :account_id, :digits) ON CONFLICT (id) DO NOTHING"
)
_QUOTED = re.compile(r"[0-9a-f]{12,64}")


class Brought:
    """The ids that the rows of one function brought, to be written with them."""

    def __init__(self) -> None:
        self._ids: dict[str, tuple[str, str | None]] = {}

    def note(self, connection: Connection, record: Record, account_id: str) -> None:
        """Take in the ids of a record just added."""
        if (name := _BRINGS.get(type(record))) is not None:
            brought = storable(getattr(record, name))
            digits = brought.rpartition("_")[2] if isinstance(record, IncidentOpened) else None
            self._ids.setdefault(brought, (account_id, digits))
        if isinstance(record, AccountOpened) and opened_at(connection, account_id) is None:
            source = record.source[:_SOURCE_CHARS]
            connection.execute(insert(OPENING), {"account_id": account_id, "source": source, "at": record.at})

    def write(self, connection: Connection) -> None:
        """Write those not known before."""
        ids, self._ids = self._ids, {}
        if ids:
            rows = [{"id": brought, "account_id": owner, "digits": digits} for brought, (owner, digits) in ids.items()]
            connection.execute(_INSERT_NEW, rows)


def owner(connection: Connection, some_id: str) -> str | None:
    """Say which account an id belongs to, or None."""
    return connection.execute(select(MENTION.c.account_id).where(MENTION.c.id == some_id)).scalar()


def quoted_owner(connection: Connection, quoted: str) -> str | None:
    """Say which account an id belongs to, or 12 or more of the first hex digits of an incident's; None when unclear."""
    if (known := owner(connection, quoted)) is not None:
        return known
    digits = quoted.strip().lower().rpartition("_")[2]
    if not _QUOTED.fullmatch(digits):
        return None
    # "g" comes after every hex digit.
    same = select(MENTION.c.account_id).where(MENTION.c.digits >= digits, MENTION.c.digits < digits + "g")
    owners = connection.execute(same.distinct().limit(2)).scalars().all()
    return owners[0] if len(owners) == 1 else None


def opened_at(connection: Connection, account_id: str) -> datetime | None:
    """Say when an account was opened, None when no entry says so."""
    return connection.execute(select(OPENING.c.at).where(OPENING.c.account_id == account_id)).scalar()


def accounts_in_use(connection: Connection, tenant_id: str) -> tuple[int, int]:
    """Say how many accounts of a tenant have a login, and how many of these a list of the operator's has named."""
    is_ours = (ACCOUNT.c.tenant_id == tenant_id, ACCOUNT.c.login_hash.is_not(None))
    known = select(func.count()).select_from(ACCOUNT).where(*is_ours)
    both = ACCOUNT.join(OPENING, OPENING.c.account_id == ACCOUNT.c.account_id)
    listed = select(func.count()).select_from(both).where(*is_ours, OPENING.c.source.startswith(LISTED))
    return connection.execute(known).scalar_one(), connection.execute(listed).scalar_one()


def auto_created_since(connection: Connection, at: datetime) -> int:
    """Say how many accounts were opened by first mail at or after `at`."""
    query = select(func.count()).select_from(OPENING).where(OPENING.c.source == FIRST_MAIL, OPENING.c.at >= at)
    return connection.execute(query).scalar_one()


def bearing(connection: Connection, prefixes: Collection[str]) -> tuple[str, ...]:
    """Say the subjects, by id, that ever had anything whose id begins with one of these (model.ids)."""
    query = select(MENTION.c.account_id).where(_begins(prefixes)).distinct().order_by(MENTION.c.account_id)
    return tuple(connection.execute(query).scalars())


def _begins(prefixes: Collection[str]) -> ColumnElement[bool]:
    # "`" comes after "_": all ids with that prefix.
    return or_(false(), *(and_(MENTION.c.id >= f"{x}_", MENTION.c.id < f"{x}`") for x in prefixes))


def clocked(connection: Connection, after: str, limit: int | None) -> tuple[str, ...]:
    """Say the accounts, by id after `after`, that ever had a sanction or a hold, or have a last day of their own."""
    past = select(MENTION.c.account_id.label("id")).where(_begins(_CLOCKED), MENTION.c.account_id > after)
    ending = select(ACCOUNT.c.account_id.label("id")).where(
        ACCOUNT.c.expires_on.is_not(None), ACCOUNT.c.sealed.is_not(None), ACCOUNT.c.account_id > after
    )
    both = past.union(ending).subquery()
    is_account = both.c.id.startswith(_ACCOUNT_PREFIX, autoescape=True)
    query = select(both.c.id).where(is_account).order_by(both.c.id).limit(limit)
    return tuple(connection.execute(query).scalars())


def still_needed(connection: Connection, transaction_ids: Iterable[str]) -> set[str]:
    """Say which spooled transactions an entry speaks of without their evidence being in the vault."""
    wanted = list(transaction_ids)
    named = set(connection.execute(select(MENTION.c.id).where(MENTION.c.id.in_(wanted))).scalars())
    kept = select(EVIDENCE.c.transaction_id).where(EVIDENCE.c.transaction_id.in_(wanted))
    return named - set(connection.execute(kept).scalars())
