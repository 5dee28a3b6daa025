"""Warm histories: the records of each subject (account, tenant, the site) folded once and kept up as rows are added."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, bindparam, select

from filterd.ledger.codec import decode_record
from filterd.ledger.layers import Layers
from filterd.ledger.schema import ENTRY
from filterd.model.entry import SITE
from filterd.model.records import Record
from filterd.model.standing import History

Apply = Callable[[History, Record, str], History]

_ROWS = select(ENTRY.c.kind, ENTRY.c.body).order_by(ENTRY.c.written_at, ENTRY.c.writer, ENTRY.c.seq)
_NOT_OF_ACCOUNT = ENTRY.c.account_id.is_(None)
_OF_ACCOUNT = _ROWS.where(ENTRY.c.account_id == bindparam("subject_id"))
_OF_TENANT = _ROWS.where(_NOT_OF_ACCOUNT, ENTRY.c.tenant_id == bindparam("subject_id"))
_OF_SITE = _ROWS.where(_NOT_OF_ACCOUNT, ENTRY.c.tenant_id.is_(None))
# What random ids of tenants begin with (model.ids).
_TENANT_PREFIX = "n_"


class Histories:
    """The folds, at most `bound` of them warm."""

    def __init__(self, apply: Apply, bound: int):
        self.apply = apply
        self.layers: Layers[str, History] = Layers(bound)
        # Of whoever keeps copies for longer than they are warm here; asked on the writer thread.
        self.followers: tuple[Callable[[str], bool], ...] = ()

    def find(self, connection: Connection, account_id: str) -> History:
        """Say the history as the running function sees it; an account without rows has an empty one."""
        warm = self.layers.inside(account_id)
        if warm is not None:
            return warm
        history = self.fold(connection, account_id)
        self.layers.warm(account_id, history)
        return history

    def fold(self, connection: Connection, account_id: str) -> History:
        """Fold the account's rows from the store."""
        history = History(account_id=account_id)
        for record in self.records(connection, account_id):
            history = self.apply(history, record, account_id)
        return history

    def records(self, connection: Connection, subject_id: str) -> Iterator[Record]:
        """Say the subject's own records in the order written."""
        if subject_id == SITE:
            found = connection.execute(_OF_SITE)
        else:
            query = _OF_TENANT if subject_id.startswith(_TENANT_PREFIX) else _OF_ACCOUNT
            found = connection.execute(query, {"subject_id": subject_id})
        for kind, body in found:
            yield decode_record(kind, body)

    def is_followed(self, account_id: str) -> bool:
        """Say whether anybody has a copy that gets old when another node writes."""
        return self.layers.committed(account_id) is not None or any(has(account_id) for has in self.followers)

    def tell_anew(self, connection: Connection, account_id: str) -> None:
        """Have the group's end tell what the history is now."""
        self.layers.set(account_id, self.find(connection, account_id))

    def add(self, before: History, record: Record) -> None:
        """Take in a row just added; `before` is what `find` said before it was."""
        self.layers.set(before.account_id, self.apply(before, record, before.account_id))
