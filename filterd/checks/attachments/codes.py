"""What the search can find, by code."""

from __future__ import annotations

from filterd.checks.spec import Code

BLOCKED = "attachment.type.blocked"
DISGUISED = "attachment.type.disguised"
ENCRYPTED = "attachment.archive.encrypted"
UNSCANNABLE = "attachment.archive.unscannable"
MACRO = "attachment.macro.present"
SIGNAL = "attachment"

CODES = (
    Code(code=BLOCKED, signal=SIGNAL, label="A file that a computer runs, or that holds one, by name or by content."),
    Code(code=DISGUISED, signal=SIGNAL, label="A file that a computer runs passes for a document, picture or text."),
    Code(code=ENCRYPTED, signal=SIGNAL, label="An archive or document with a password: nobody looked into it."),
    Code(code=UNSCANNABLE, signal=SIGNAL, label="An archive that is broken, lies about itself or outgrows the limits."),
    Code(code=MACRO, signal=SIGNAL, label="An office document that holds macros."),
)
