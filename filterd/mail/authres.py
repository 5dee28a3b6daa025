"""Authentication-Results: what our checks found out, written, and fields that pretend to be ours, known.  RFC 8601.

Two jobs. `value_of` writes one field for what was checked. `is_own` says whether a field claims our authserv-id, as
loosely as the loosest reader behind us might read it (§5, FAULTS 36): a forged field that survives is believed, while
a stranger's broken field that goes with it costs nothing. ARC-Authentication-Results is another field.

    edit.remove_where(raw, lambda name, field: authres.is_own(field, authserv_id))
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from filterd.errors import PeerError, UsageError
from filterd.mail.names import canonical_domain
from filterd.mail.words import decode
from filterd.model.verdict import Assessment, AuthResult

FIELD = "Authentication-Results"

# In the order in which readers expect them; other methods follow.
METHODS = ("spf", "dkim", "dmarc", "arc")
# Ten DKIM signatures, the other methods, and room.
MAX_RESULTS = 24
# A domain has at most 253 characters; no word may make a line of more than 998.
MAX_VALUE = 256

_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_PROPERTY = re.compile(r"[A-Za-z0-9-]+\.[A-Za-z0-9_-]+")
# RFC 2045 §5.1 token: printable ASCII but blanks and tspecials.
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+")
# RFC 8601 §2.2 pvalue: a domain behind an `@`, with a dot-atom before it or nothing.
_ATOM, _LABEL = r"[!#$%&'*+^_`{|}~0-9A-Za-z-]++", r"[0-9A-Za-z_-]++"
_ADDRESS = re.compile(rf"(?:{_ATOM}(?>(?:\.{_ATOM})*))?@{_LABEL}(?>(?:\.{_LABEL})*)")
# `=?` would make an encoded word of the whole value.
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]|(?<==)\?")
_NOT_COMMENT = re.compile(r"[^\x20-\x7e]|[()\\]|(?<==)\?")

_NAME = re.compile(rb"authentication-results[ \t]*+:", re.IGNORECASE)
# Up to the next octet that matters while an authserv-id is looked for.
_PIECE = re.compile(rb'[^()"\\;]++|\\.?|[()";]', re.DOTALL)
_FOLD = re.compile(rb"\r?\n[ \t]++")
_ODD = re.compile(rb'[()"\\]|=\?|^[ \t]*;')
# Control characters; soft hyphen, zero-width and bidi marks, word joiner, byte order mark in UTF-8.
_INVISIBLE = re.compile(
    rb"[\x00-\x08\x0e-\x1f\x7f]|\xc2\xad|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xa4]|\xef\xbb\xbf"
)
_PHRASES = re.compile("[\u3300-\u33ff\ufdf0-\ufdff]")
# No honest field has a tenth of it; who hides an id behind that much is not read, he is removed.
_MAX_FIELD_BYTES = 32_768


def value_of(authserv_id: str, results: Iterable[AuthResult]) -> str:
    """Write the value of one field; `mail/edit.render_field` folds it.

    Args:
        authserv_id: ours, from the configuration.
        results: in the order to be written; beyond `MAX_RESULTS` they are left out.

    Raises:
        UsageError: an authserv-id, method, result or property name that is none.
    """
    said = [_result(result) for result in list(results)[:MAX_RESULTS]]
    return "; ".join((_authserv(authserv_id), *(said or ("none",))))


def results_of(assessment: Assessment) -> tuple[AuthResult, ...]:
    """Say the results of all checks: spf, dkim, dmarc, arc, then others, each method's own in the order it has them."""
    found = [result for verdict in assessment.verdicts for result in verdict.results]
    rank = {method: number for number, method in enumerate(METHODS)}
    return tuple(sorted(found, key=lambda result: rank.get(result.method, len(METHODS))))


def is_own(raw_field: bytes, authserv_id: str) -> bool:
    """Say whether a whole raw field is an Authentication-Results field that claims our authserv-id.

    Sees through letter case, comments and their nesting, folds, quoted strings and quoted pairs, a version, dots at the
    end, both forms of an internationalised domain, encoded words, invisible characters, and octets or words that stand
    before the id where they may not. Where comments or quotes do not end, any mention of the id counts, and a field of
    more than 32 kB is never somebody else's. Linear.
    """
    name = _NAME.match(raw_field)
    if name is None:
        return False
    if len(raw_field) > _MAX_FIELD_BYTES:
        return True
    pattern = _pattern(authserv_id)
    # An unfolding that drops the blanks too would put an id together that is folded in the middle.
    joined = _FOLD.sub(b"", raw_field[name.end() :])
    written = raw_field[name.end() :]
    return _is_own(joined, pattern) or (len(joined) < len(written) and _is_own(written, pattern))


def _is_own(written: bytes, pattern: re.Pattern[bytes]) -> bool:
    value = _INVISIBLE.sub(b"", written.replace(b"\r", b"").replace(b"\n", b""))
    # Who compares domains maps them first: wide letters, composed letters, other dots (UTS 46 §4).
    return _mentions(value, pattern) or (not value.isascii() and _mentions(_mapped(value), pattern))


def _mapped(value: bytes) -> bytes:
    # Whole phrases in one character, up to 18 letters of Arabic: in no name, and dear in a field full of them.
    text = _PHRASES.sub("?", value.decode("utf-8", "replace"))
    return _INVISIBLE.sub(b"", unicodedata.normalize("NFKC", text).lower().replace("\u3002", ".").encode("utf-8"))


def _mentions(value: bytes, pattern: re.Pattern[bytes]) -> bool:
    if not _ODD.search(value):
        return pattern.search(value.partition(b";")[0]) is not None
    # A reader may look at the octets as they are, or decode first and parse then.
    return _claims(value, pattern) or (b"=?" in value and _is_claimed_once_decoded(value, pattern))


def _is_claimed_once_decoded(value: bytes, pattern: re.Pattern[bytes]) -> bool:
    decoded = decode(value).encode("utf-8", "replace")
    return _claims(decoded, pattern) or _claims(_mapped(decoded), pattern)


def _claims(value: bytes, pattern: re.Pattern[bytes]) -> bool:
    parted, is_whole = _first_segment(value, b" ")
    if not is_whole:
        # Who knows where a reader thinks that the comment or string ended.
        return pattern.search(value) is not None
    joined, _ = _first_segment(value, b"")
    return pattern.search(parted) is not None or pattern.search(joined) is not None


def _first_segment(value: bytes, comment: bytes) -> tuple[bytes, bool]:
    """Give what stands before the first semicolon, unquoted, with `comment` for each comment.

    Segments without a word are stepped over. False: a comment or a quoted string does not end.
    """
    out: list[bytes] = []
    depth, is_quoted = 0, False
    for piece in _PIECE.findall(value):
        if is_quoted:
            if piece == b'"':
                is_quoted = False
            else:
                out.append(piece[1:] if piece.startswith(b"\\") else piece)
        elif piece == b"(":
            depth += 1
        elif piece == b")":
            if not depth:
                return b"", False
            depth -= 1
            out.append(comment)
        elif depth:
            continue
        elif piece == b'"':
            is_quoted = True
        elif piece == b";":
            if b"".join(out).strip():
                break
            out.clear()
        else:
            out.append(piece[1:] if piece.startswith(b"\\") else piece)
    return b"".join(out), not (depth or is_quoted)


@lru_cache(maxsize=64)
def _pattern(authserv_id: str) -> re.Pattern[bytes]:
    """Make the expression that finds an authserv-id as a word of its own, whatever stands around it."""
    plain = authserv_id.strip().rstrip(".").lower()
    forms = {plain}
    try:
        ascii_form = canonical_domain(plain)
        forms.add(ascii_form)
        forms.add(".".join(map(_u_label, ascii_form.split("."))))
    except (PeerError, UnicodeError):
        # An id need not be a domain.
        pass
    octets = sorted({form.encode("utf-8") for form in forms} | {form.upper().encode("utf-8") for form in forms})
    # Inside a longer name it is somebody else's: a label before it or after it.
    return re.compile(rb"(?i)(?<![a-z0-9_.-])(?:%b)\.*+(?![a-z0-9_-])" % b"|".join(map(re.escape, octets)))


def _u_label(label: str) -> str:
    return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label


def _authserv(authserv_id: str) -> str:
    text = authserv_id.strip()
    if not text.isascii():
        try:
            text = canonical_domain(text)
        except PeerError as err:
            raise UsageError(f"not an authserv-id: {authserv_id!r}") from err
    if not text or len(text) > MAX_VALUE or not text.isprintable():
        raise UsageError(f"not an authserv-id: {authserv_id!r}")
    return _quoted(text)


def _result(result: AuthResult) -> str:
    if not _KEYWORD.fullmatch(result.method) or not _KEYWORD.fullmatch(result.result):
        raise UsageError(f"not a result: {result.method!r}={result.result!r}")
    said = [f"{result.method}={result.result}"]
    if result.comment and (comment := _NOT_COMMENT.sub("", result.comment)[:MAX_VALUE].strip()):
        said.append(f"({comment})")
    for name, value in result.properties:
        if not _PROPERTY.fullmatch(name):
            raise UsageError(f"not a property: {name!r}")
        text = _ascii(value)
        # A value that had to be cut would name another thing.
        if 0 < len(text) <= MAX_VALUE:
            said.append(f"{name}={_quoted(text)}")
    return " ".join(said)


def _ascii(value: str) -> str:
    """Give a value in printable ASCII: a domain, bare or behind an `@`, as A-labels, what else is not ASCII as `_`."""
    if value.isascii():
        return _UNPRINTABLE.sub("_", value)
    local_part, at, domain = value.rpartition("@")
    try:
        return _UNPRINTABLE.sub("_", local_part) + at + canonical_domain(domain)
    except (PeerError, UnicodeError):
        return _UNPRINTABLE.sub("_", value)


def _quoted(text: str) -> str:
    """Write a value: as it is when it is a token or an address of plain words, else as a quoted string."""
    if _TOKEN.fullmatch(text) or _ADDRESS.fullmatch(text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
