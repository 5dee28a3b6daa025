"""Subject keys: one an account or tenant, wrapped under the node's key. Without its key a subject's data is noise.

Erasure destroys the wrapped key and leaves the row, so that no second key is ever made for the same subject. SQLite
overwrites what it deletes (secure_delete); copies in backups and in a WAL not yet reset live as long as those do.
"""

from __future__ import annotations

import os
from datetime import datetime

from sqlalchemy import Connection, bindparam, insert, select, update

from filterd.ledger.layers import Layers
from filterd.ledger.schema import SUBJECT_KEY
from filterd.ledger.seal import KEY_BYTES, seal, unseal

_ERASED = b""
_FIND = select(SUBJECT_KEY.c.wrapped).where(SUBJECT_KEY.c.subject_id == bindparam("subject_id"))
_INSERT = insert(SUBJECT_KEY)


class SubjectKeys:
    """The keys, unwrapped and warm. Only the writer thread asks."""

    def __init__(self, wrap_key: bytes, bound: int):
        self._wrap_key = wrap_key
        self.layers: Layers[str, bytes] = Layers(bound)

    def find(self, connection: Connection, subject_id: str) -> bytes | None:
        """Say the subject's key, None when it has none or is erased."""
        return self._known(connection, subject_id) or None

    def find_or_make(self, connection: Connection, subject_id: str) -> bytes | None:
        """Say the subject's key, making it at first use; None when the subject is erased."""
        known = self._known(connection, subject_id)
        if known is not None:
            return known or None
        key = os.urandom(KEY_BYTES)
        wrapped = seal(self._wrap_key, key, "subject", subject_id)
        connection.execute(_INSERT, {"subject_id": subject_id, "wrapped": wrapped})
        self.layers.set(subject_id, key)
        return key

    def destroy(self, connection: Connection, subject_id: str, at: datetime) -> bool:
        """Erase the subject; say whether there was a key."""
        known = self._known(connection, subject_id)
        if known is None:
            connection.execute(_INSERT, {"subject_id": subject_id, "destroyed_at": at})
        elif known != _ERASED:
            row = SUBJECT_KEY.c.subject_id == subject_id
            connection.execute(update(SUBJECT_KEY).where(row).values(wrapped=None, destroyed_at=at))
        self.layers.set(subject_id, _ERASED)
        return bool(known)

    def _known(self, connection: Connection, subject_id: str) -> bytes | None:
        """Say the key, `_ERASED`, or None for a subject never heard of."""
        warm = self.layers.inside(subject_id)
        if warm is not None:
            return warm
        row = connection.execute(_FIND, {"subject_id": subject_id}).first()
        if row is None:
            return None
        key = _ERASED if row.wrapped is None else unseal(self._wrap_key, row.wrapped, "subject", subject_id)
        self.layers.warm(subject_id, key)
        return key
