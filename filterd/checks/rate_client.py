"""Did a program log in here, and not somebody's mail program?  TX-3.4.3 (C2: for the security axis alone).

Says yes only to what no mail program for people does: it names itself as a library or a tool for scripts, greets with a
name that only password guessers greet with, or leaves out both fields that every mail program writes (RFC 5322 §3.6
asks for Date; Message-ID is what replies refer to). No field and a name that is not known are no sign of anything: most
telephones say nothing of themselves. A device or a script of one's own is lawful use; so this is nothing anybody
breached. A moderator sees it beside the signs of a stolen account, and it decides nothing: who sends chooses what he
calls himself (agreement/sections_security).
"""

from __future__ import annotations

from filterd.model.message import Message
from filterd.model.session import Session

# What libraries and command-line tools call themselves in X-Mailer or User-Agent, in lower case, up to the first
# character that belongs to a version. Each as its own documentation or source has it.
_TOOLS = (
    "phpmailer", "php", "swiftmailer", "swift mailer", "symfony mailer", "nodemailer", "swaks", "python", "mime::lite",
    "mail::sender", "sendemail", "blat", "microsoft cdo", "jmail", "aspemail", "mailsend", "smtp-cli", "go-mail",
    "curl",
)  # fmt: skip
_VERSION = frozenset(" /-_v.(0123456789")
# EHLO names of password guessers, long known to operators of mail servers; no mail program greets with them.
_GUESSERS = frozenset({"ylmf-pc", "masscan"})
_READ = frozenset({"x-mailer", "user-agent", "date", "message-id"})
# A field longer than this is no name of a program.
_NAME_CHARS = 80


def automated(message: Message, session: Session) -> tuple[str, str] | None:
    """Say by what a program is known, as (`fact`, `value`) without a word of the mail; None: it may be anybody's."""
    said = {field.key: field.value for field in message.fields if field.key in _READ}
    for name in ("x-mailer", "user-agent"):
        if (tool := _tool(said.get(name))) is not None:
            return "tool", tool
    if session.helo is not None and session.helo.lower() in _GUESSERS:
        return "helo", session.helo.lower()
    if message.fields and said.keys().isdisjoint(("date", "message-id")):
        return "fields", "none"
    return None


def _tool(field: str | None) -> str | None:
    said = (field or "").strip().lower()[:_NAME_CHARS]
    return next((x for x in _TOOLS if said.startswith(x) and (said[len(x) :][:1] or " ") in _VERSION), None)
