r"""Line ends: one canonical form of a mail, made once at intake, and the dots of SMTP DATA.  RFC 5321 §2.3.8, §4.5.2.

Reads stray octets as Postfix 3.9 does with its defaults: a lone LF ends a line (`smtpd_forbid_bare_newline =
normalize`), a lone CR becomes a space (`cleanup_replace_stray_cr_lf = yes`). So CR CR LF is a space and a line end, and
no reader after us can find an end of data that we did not see. NUL is kept: it ends nothing.

    client                              canonical
    a CR LF b                           the same object
    a LF b                              a CR LF b
    a CR b                              a SP b
    a LF CR b                           a CR LF SP b      (a folded line: it cannot start a field)
    CR LF . LF x                        CR LF . CR LF x   (content; dot_stuff doubles the dot)
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """How many stray octets were replaced. False when there were none."""

    bare_lf: int = 0
    bare_cr: int = 0

    def __bool__(self) -> bool:
        return bool(self.bare_lf or self.bare_cr)


UNCHANGED = Changes()


def canonical(data: bytes) -> tuple[bytes, Changes]:
    """Give the mail with CRLF as its only line end, and say what was replaced.

    Returns:
        The very same object and `UNCHANGED` when nothing is stray. Idempotent. A missing last CRLF is not added.
    """
    pairs = data.count(b"\r\n")
    changes = Changes(bare_lf=data.count(b"\n") - pairs, bare_cr=data.count(b"\r") - pairs)
    if not changes:
        return data, UNCHANGED
    # Of CR CR LF the second CR belongs to the LF: taking out the pairs first leaves just the stray ones.
    return data.replace(b"\r\n", b"\n").replace(b"\r", b" ").replace(b"\n", b"\r\n"), changes


def dot_stuff(data: bytes) -> bytes:
    """Double the dot that starts a line.  RFC 5321 §4.5.2. Wants canonical data."""
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def dot_unstuff(data: bytes) -> bytes:
    """Take one dot off each line that starts with one; the inverse of `dot_stuff` on canonical data.

    Works on the octets between 354 and the final CRLF.CRLF, before `canonical`: only a line that began after CRLF can
    have been stuffed by the rule of the standard.
    """
    plain = data.replace(b"\r\n.", b"\r\n")
    return plain[1:] if plain.startswith(b".") else plain


def data_block(data: bytes) -> bytes:
    """Give what goes on the wire after 354: stuffed lines, then the end of data.

    SMTP cannot carry a last line without CRLF; one is added here, and only here, when it is missing.
    """
    tail = b".\r\n" if not data or data.endswith(b"\r\n") else b"\r\n.\r\n"
    return dot_stuff(data) + tail
