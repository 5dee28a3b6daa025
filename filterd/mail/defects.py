"""Defects: what can be wrong with a mail, each code with its sentence; and which of them make it ambiguous.

A mail is ambiguous when two careful readers could see different mail (FAULTS 46). Then `mime.ambiguous` is added, every
other reading at hand is read too, and what only they show stands in `Message.parts` under a path that starts with `~`.
Codes are area.subject.state; none carries words of the mail.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

AMBIGUOUS: Final = "mime.ambiguous"
FAILED: Final = "mime.parse.failed"

DEFECTS: Final = MappingProxyType(
    {
        "header.bytes.exceeded": "The header is longer than the limit; fields beyond it were not read.",
        "header.fields.exceeded": "There are more fields than the limit; the rest was not read.",
        "header.first.folded": "The mail starts with a continuation line. Everything is body, as Postfix has it.",
        "header.line.blank": "A line of blanks stands in the header: some readers take it for the end.",
        "header.line.broken": "A line in the header is no field. The body starts there, as Postfix has it.",
        "header.mbox.from": "A `From ` line of a mailbox file stands above the header.",
        "header.name.space": "Blanks stand between a field name and its colon.",
        "header.octet.null": "A header holds NUL.",
        "header.octets.eightbit": "A header holds octets over 127.",
        "lines.ends.stray": "Lines end in something else than CRLF: not the canonical form.",
        "mime.ambiguous": "Two careful readers could see different mail; all readings at hand were read.",
        "mime.base64.absent": "Text that claims to be base64 and is not; it was also decoded.",
        "mime.base64.broken": "Base64 with foreign characters or a wrong length; decoded leniently.",
        "mime.base64.continued": "Base64 goes on after its padding; both readings were read.",
        "mime.boundary.continued": "Parts follow the closing delimiter; they were read.",
        "mime.boundary.duplicate": "There are several boundary parameters with different values.",
        "mime.boundary.missing": "A multipart without a boundary parameter.",
        "mime.boundary.trailing": "Text follows a delimiter on its line.",
        "mime.boundary.unclosed": "A multipart without its closing delimiter.",
        "mime.boundary.unmatched": "No line of the body is the delimiter that the header announces.",
        "mime.charset.duplicate": "There are several charset parameters with different values.",
        "mime.content.exceeded": "The decoded parts are larger than the limit; the rest was not kept.",
        "mime.depth.exceeded": "Parts are nested deeper than the limit; what lies deeper was read as text.",
        "mime.encoding.composite": "A multipart or attached message is itself encoded.",
        "mime.encoding.duplicate": "There are several Content-Transfer-Encoding fields with different values.",
        "mime.encoding.odd": "Content-Transfer-Encoding is written with comments, quotes or the like.",
        "mime.encoding.unknown": "Content-Transfer-Encoding is none that the standard knows.",
        "mime.field.odd": "A Content- field is written so that readers differ (blank before the colon, NUL).",
        "mime.filename.duplicate": "The file names given for one part differ in their extension.",
        "mime.filename.long": "A file name over 1,024 characters; its middle was dropped.",
        "mime.message.partial": "A fragment of a mail (message/partial): its content cannot be judged.",
        "mime.parameter.odd": "Parameters with open quotes, or the same name twice.",
        "mime.parse.failed": "The reader itself failed; only the raw octets were read.",
        "mime.parts.exceeded": "There are more parts than the limit; the rest was not read.",
        "mime.type.broken": "Content-Type is no type/subtype; read as text.",
        "mime.type.duplicate": "There are several Content-Type fields with different values.",
        "mime.uuencode.broken": "uuencoded content with broken lines; decoded leniently.",
        "text.charset.broken": "Octets that are not of the declared charset; another was used or marks were put in.",
        "text.charset.unknown": "A charset that is unknown or no charset; it was guessed.",
        "text.size.exceeded": "There is more text than the limit; the rest was not read.",
    }
)

_AMBIGUOUS_ALONE = frozenset(
    {
        "header.first.folded",
        "header.line.blank",
        "header.line.broken",
        "mime.base64.absent",
        "mime.base64.continued",
        "mime.boundary.continued",
        "mime.boundary.duplicate",
        "mime.boundary.missing",
        "mime.boundary.trailing",
        "mime.boundary.unmatched",
        "mime.charset.duplicate",
        "mime.encoding.composite",
        "mime.encoding.duplicate",
        "mime.encoding.odd",
        "mime.encoding.unknown",
        "mime.field.odd",
        "mime.filename.duplicate",
        "mime.parameter.odd",
        "mime.parse.failed",
        "mime.type.duplicate",
    }
)


def is_ambiguous(defects: Iterable[str]) -> bool:
    """Say whether one of the defects lets readers differ."""
    return not _AMBIGUOUS_ALONE.isdisjoint(defects)
