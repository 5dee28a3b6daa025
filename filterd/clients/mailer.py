"""Mail that filterd itself writes: notices.

With the null reverse-path (RFC 5321 §4.5.5), so that nothing bounces back to us; or with one of the operator's, to
which delivery reports come.
"""

from __future__ import annotations

from filterd.mail.address import parse_forward_path
from filterd.mail.lines import canonical
from filterd.model.reply import Reply
from filterd.model.session import ForwardPath
from filterd.ports import Relay


class RelayMailer:
    """Fulfils ports.Mailer on any Relay."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        """Send one mail to one recipient; says the last reply: of the dot, or of the command that was refused.

        Args:
            raw: the whole mail; lone CR or LF are mended on the way out.
            recipient: an address without brackets.
            reverse_path: where reports go, without brackets; None: the null one.

        Raises PeerError for an address that is none, PortError when the next hop cannot be had or breaks; after a break
        behind the dot (`is_after_dot`) sending again may make a second copy.
        """
        octets = recipient.encode("utf-8")
        is_utf8 = not octets.isascii()
        path = parse_forward_path(b"<" + octets + b">", smtputf8=is_utf8)
        back = parse_forward_path(f"<{reverse_path}>".encode(), smtputf8=is_utf8) if reverse_path is not None else None
        lease = await self._relay.lease()
        try:
            # RFC 6152 and RFC 6531; a next hop that lacks them answers for itself.
            parameters: tuple[bytes, ...] = (
                (b"BODY=8BITMIME",) if not raw.isascii() and "8BITMIME" in lease.extensions else ()
            )
            parameters += (b"SMTPUTF8",) if is_utf8 else ()
            reply = await lease.mail(back, parameters)
            if reply.is_positive:
                reply = await lease.rcpt(ForwardPath(path=path))
            if reply.is_positive:
                (reply,) = await lease.data(canonical(raw)[0])
            return reply
        finally:
            await lease.close()
