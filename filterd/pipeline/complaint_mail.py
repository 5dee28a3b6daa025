"""Which mail of ours is a complaint about, and who of its recipients complains?  STANDING 5.7-13.

Our own record of the mail says so, as the caller's search found it (cli/complaint_search), and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from filterd.agreement.complaints import unit_of
from filterd.model.principal import Account
from filterd.pipeline.people import Arguments
from filterd.ports import LedgerTxn


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mail:
    """Our own record of a mail. `recipients`, `streams`: keyed hashes."""

    transaction_id: str
    account_id: str
    recipients: tuple[str, ...]
    streams: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Whom a complaint is about, and by which mail. `complainant`: a recipient on the record, None where none is."""

    account: Account
    mail: _Mail
    complainant: str | None

    @property
    def unit(self) -> str:
        """Say who counts as one: the recipient; all who are none, or do not say who they are, together: they may be one
        person, whatever number of mails they name."""
        return unit_of(self.account.account_id, self.complainant or "")


def about_of(txn: LedgerTxn, arguments: Arguments) -> About | None:
    """Say whom our own record of the mail names; nobody where it names none of ours, or more than one."""
    given = arguments.get("complainants") or [arguments.get("complainant")]
    named = [str(x) for x in given if x]
    found = [x for item in arguments.get("found") or () if (x := _mail(item)) is not None]
    # A Message-ID may have been used before, by others, too: it is about the mail that this complainant got.
    found = [x for x in found if not set(named).isdisjoint(x.recipients)] or found
    owners = {x.account_id for x in found}
    account = txn.account(found[0].account_id) if len(owners) == 1 else None
    if account is None:
        return None
    mail = found[0] if not set(named).isdisjoint(found[0].recipients) else found[-1]
    who = next((x for x in named if x in mail.recipients), None)
    if not named and len(mail.recipients) == 1:
        # Who reports often leaves out who it was (RFC 6590); a mail to one person was that one's.
        who = mail.recipients[0]
    return About(account=account, mail=mail, complainant=who)


def _mail(item: Mapping[str, Any]) -> _Mail | None:
    transaction_id, account_id = str(item.get("transaction_id") or ""), str(item.get("account_id") or "")
    if not transaction_id or not account_id:
        return None
    return _Mail(
        transaction_id=transaction_id,
        account_id=account_id,
        recipients=tuple(map(str, item.get("recipients") or ())),
        streams=tuple(map(str, item.get("streams") or ())),
    )
