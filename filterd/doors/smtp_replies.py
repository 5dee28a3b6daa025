"""The SMTP door's own words (RFC 5321 §4.2.2, RFC 3463, RFC 5248). Every reply but greeting and EHLO bears a code."""

from __future__ import annotations

from dataclasses import replace

from filterd.model.reply import Reply

# RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets.
MAX_QUOTED = 400


def _reply(code: int, enhanced: str, text: str) -> Reply:
    return Reply(code=code, enhanced=enhanced, text=text)


OK = _reply(250, "2.0.0", "Ok")
BYE = _reply(221, "2.0.0", "Bye")
GO_AHEAD = Reply(code=354, enhanced=None, text="End data with <CR><LF>.<CR><LF>")
READY_FOR_TLS = _reply(220, "2.0.0", "Ready to start TLS")
HELP = _reply(214, "2.0.0", "EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY; RFC 5321")
CANNOT_VERIFY = _reply(252, "2.5.0", "Cannot verify, but will take mail and attempt delivery")

# --- the client's mistakes
SYNTAX = _reply(500, "5.5.2", "Syntax error")
UNKNOWN_COMMAND = _reply(500, "5.5.1", "Command not recognized")
NOT_IMPLEMENTED = _reply(502, "5.5.1", "Command not implemented")
STRAY_OCTET = _reply(500, "5.5.2", "Stray CR, LF or NUL in a command")
LINE_TOO_LONG = _reply(500, "5.5.2", "Command line too long")
NOT_SMTP = _reply(421, "4.7.0", "This is SMTP")
NEED_HELO = _reply(503, "5.5.1", "Send EHLO first")
NEED_MAIL = _reply(503, "5.5.1", "Need MAIL first")
NESTED_MAIL = _reply(503, "5.5.1", "Nested MAIL command")
IN_TRANSACTION = _reply(503, "5.5.1", "Mail transaction in progress")
NO_RECIPIENTS = _reply(554, "5.5.1", "No valid recipients")
BAD_HELO = _reply(501, "5.5.4", "Need one host name or address literal")
BAD_SIZE = _reply(501, "5.5.4", "Bad SIZE parameter")
TWICE = _reply(501, "5.5.4", "A parameter stands there twice")
NO_ARGUMENT_TAKEN = _reply(501, "5.5.4", "This command takes no argument")
UNTRUSTED = _reply(550, "5.7.1", "Not authorized")
# RFC 2033 §4.1 and §4.2
NEED_LHLO = _reply(503, "5.5.1", "Send LHLO first")
NO_LMTP_RECIPIENTS = _reply(503, "5.5.1", "No valid recipients")
# RFC 3207 §4
NEED_TLS = _reply(530, "5.7.0", "Must issue a STARTTLS command first")
NO_TLS_NOW = _reply(454, "4.7.0", "TLS not available now, try again later")
TLS_ALREADY = _reply(503, "5.5.1", "TLS is already active")
AHEAD_OF_TLS = _reply(503, "5.5.1", "Nothing may follow STARTTLS before the handshake")

# --- limits
TOO_BIG = _reply(552, "5.3.4", "Message too big")
HEADER_TOO_BIG = _reply(554, "5.6.0", "Header too big")
NO_MEMORY = _reply(452, "4.3.1", "Insufficient memory, try again later")
TOO_MANY_RECIPIENTS = _reply(452, "4.5.3", "Too many recipients")
TOO_MANY_CONNECTIONS = _reply(421, "4.3.2", "Too many connections, try again later")
TOO_MANY_ERRORS = _reply(421, "4.7.0", "Too many errors")
TOO_MUCH_JUNK = _reply(421, "4.7.0", "Too many commands without mail")
TIMEOUT = _reply(421, "4.4.2", "Timeout")
SESSION_TOO_LONG = _reply(421, "4.4.2", "Session without mail for too long")
ENVELOPE_TOO_LONG = _reply(421, "4.4.2", "Transaction without message for too long")
SHUTTING_DOWN = _reply(421, "4.3.2", "Shutting down")
LOOP = _reply(554, "5.4.6", "Too many hops: mail loop")
TOO_LATE = _reply(451, "4.3.2", "Not looked through in time, try again later")

# --- the next hop
NO_NEXT_HOP = _reply(451, "4.4.1", "Next hop cannot be reached, try again later")
NEXT_HOP_LOST = _reply(451, "4.4.2", "Connection to the next hop lost, try again later")
NEXT_HOP_CLOSING = _reply(451, "4.3.2", "Next hop not accepting mail now, try again later")


def internal_error(session_id: str) -> Reply:
    """On doubt 451; the id leads to the error in our log, and nothing else is told (HOUSE rule 6.1)."""
    return _reply(451, "4.3.0", f"Internal error, try again later ({session_id})")


def bad_address(text: str, *, is_sender: bool) -> Reply:
    """A path or parameter that does not follow the grammar; `text` says how, and comes from mail/address."""
    return _reply(501, "5.1.7" if is_sender else "5.1.3", text[:1].upper() + text[1:])


def for_all(reply: Reply) -> Reply:
    """One recipient's refusal as everybody's. Too many for this message is for good then: there is no sending the rest
    in another transaction when none of these was taken, and it would have too many for ever."""
    return replace(reply, code=550, enhanced="5.5.3") if (reply.code, reply.enhanced) == (452, "4.5.3") else reply


def handed_on(reply: Reply) -> Reply:
    """The next hop's reply to a command, for our client: words and codes as they are.

    A 421 is about the next hop's connection, not about ours, so it becomes 451. A reply without an enhanced code gets
    the general one of its class, since we have promised codes in EHLO (RFC 2034 §3).
    """
    if reply.code == 421:
        return NEXT_HOP_CLOSING
    if reply.enhanced is None and reply.code // 100 in (2, 4, 5):
        return Reply(code=reply.code, enhanced=f"{reply.code // 100}.0.0", text=reply.text)
    return reply


def accepted(reply: Reply, via: str) -> Reply:
    """The next hop's 250 to the dot, in the words amavis has made customary; they carry its queue id."""
    theirs = " ".join(row for row in (str(reply.code), reply.enhanced, *reply.text.split("\n")) if row)
    return _reply(250, reply.enhanced or "2.0.0", f"from MTA({via}): {theirs[:MAX_QUOTED]}")
