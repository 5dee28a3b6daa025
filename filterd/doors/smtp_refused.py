"""How a command ends that does not end well."""

from __future__ import annotations

from filterd.errors import PeerError
from filterd.model.reply import Reply


class Refused(PeerError):
    """What the client did, as the reply it gets. `is_final`: the connection is closed behind that reply."""

    def __init__(self, reply: Reply, *, is_final: bool = False) -> None:
        super().__init__(reply.text)
        self.reply, self.is_final = reply, is_final


class HangUp(ConnectionResetError):
    """The session is over and nothing more is to be said. aiosmtpd's command loop ends on its base class."""
