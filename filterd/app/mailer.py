"""Mail that filterd itself writes goes out signed: notices, digests, letters and reports, all by this one way.

Signed for the domain of its From field where `[signing]` has a key for it, or for one above it. The operator has chosen
that sender (`notices.sender`, `notices.notice_from`), so nobody is asked whose the domain is.
"""

from __future__ import annotations

from collections.abc import Callable

from filterd.app.parts import make_signer
from filterd.config.signing import SigningConfig
from filterd.mail.edit import prepend_fields
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.reply import Reply
from filterd.pipeline.signing import Signer
from filterd.ports import Clock, Mailer


class CurrentSigner:
    """Says the keys in force. The files are read once a policy: a key file that goes away later stops no mail."""

    def __init__(self, config: Callable[[], SigningConfig]):
        self._config = config
        self._read: SigningConfig | None = None
        self._signer = Signer()

    def __call__(self) -> Signer:
        """Raises ModelError for a key of no use."""
        said = self._config()
        if said is not self._read:
            self._signer, self._read = make_signer(said), said
        return self._signer


class SigningMailer:
    """Fulfils ports.Mailer by another one."""

    def __init__(self, mailer: Mailer, signer: Callable[[], Signer], clock: Clock):
        self._mailer, self._signer, self._clock = mailer, signer, clock

    async def send(self, raw: bytes, recipient: str, reverse_path: str | None = None) -> Reply:
        """Sign it and hand it on. Raises what the other mailer raises, and ModelError for a key of no use."""
        # What goes over the wire has these line ends, so they are what is signed.
        octets, _ = canonical(raw)
        signatures = await self._signer().letterhead(parse(octets), self._clock.now())
        return await self._mailer.send(prepend_fields(octets, signatures), recipient, reverse_path)
