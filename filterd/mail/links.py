"""URLs in running text. Linear, bounded, and as written: what a mail client would make clickable.

Three forms: `http://`, `https://` and `ftp://`; hosts that start with `www.`; and bare domains, only where nothing else
can be meant: under one of a few top-level domains, or with a path, and never inside a mail address or a file name.
In Chinese text a URL often touches the next word: after a host with a dot it ends at the first CJK character.
"""

from __future__ import annotations

import re

MAX_URL_CHARS = 2_048

_ASCII = re.compile(r"[!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]*+")
# Hosts in other scripts, and ASCII hosts with a look-alike letter in them.
_WORD = re.compile(r"[\w.\-]*+")
_WWW = re.compile(r"(?<![\w@.\-/])[wW]{3}\.(?=[\w\-])")
# A dot and what may be a top-level domain, not inside a word or a mail address.
_TOP_LEVEL = re.compile(r"\.([A-Za-z]{2,6})(?![A-Za-z0-9_@\-]|\.[A-Za-z0-9])")
_COMMON_NAMES = "com net org info biz cn top xyz vip club shop site online icu work wang ltd fun store"
_COMMON = frozenset(_COMMON_NAMES.split())
# These are words and file endings too: only with a path.
_RISKY_NAMES = "me io co cc tv ru su de uk eu us in to ly gl gd app link live click buzz win bid pro pw tk ml ga cf gq"
_RISKY = frozenset(_RISKY_NAMES.split())
_HOST_CHARS = ".-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PATH = re.compile(r"/\w")
_AUTHORITY = re.compile(r"(?>(?:(?i:https?|ftp)://)?)([^/?#\\]*+)")
_MAX_HOST = 253
_TRAILING = ".,;:!?'\"*_~"


def find(text: str, limit: int = 1_000) -> tuple[str, ...]:
    """Give the URLs of a text in order, without duplicates, at most `limit`."""
    if "." not in text and "://" not in text:
        return ()
    found = _with_scheme(text, limit)
    if "ww." in text or "WW." in text:
        found += [(m.start(), _url(text, m.start(), m.end())) for m in _WWW.finditer(text)]
    spans = sorted((start, start + len(url), url) for start, url in found if url)
    spans += _bare(text, spans, limit)
    return tuple(dict.fromkeys(url for _, _, url in sorted(spans)))[:limit]


def host(url: str) -> str:
    """Give the host of a URL as `find` gives them: small letters, without user, port and path, else as written."""
    authority = _AUTHORITY.match(url)
    name = authority[1].rpartition("@")[2].lower() if authority else ""
    return name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]


def _with_scheme(text: str, limit: int) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    at = text.find("://")
    while at >= 0 and len(found) < limit:
        before = text[max(0, at - 5) : at].lower()
        scheme = next((s for s in ("https", "http", "ftp") if before.endswith(s)), None)
        if scheme:
            found.append((at - len(scheme), _url(text, at - len(scheme), at + 3)))
        at = text.find("://", at + 3)
    return found


def _url(text: str, start: int, host_at: int) -> str:
    """Cut the URL out of the text; empty when there is no host."""
    last = min(len(text), start + MAX_URL_CHARS)
    end = _end_of_run(_ASCII, text, host_at, last)
    host = text[host_at:end]
    # Beyond ASCII: a host in another script, unless CJK merely follows a complete host.
    if end < last and text[end].isalnum() and not ("." in host and _is_cjk(text[end])) and not set("/?#") & set(host):
        end = _end_of_run(_ASCII, text, _end_of_run(_WORD, text, end, last), last)
    url = _trimmed(text[start:end])
    # A host without dots is a name on somebody's own network, but an address may be written without them.
    return url if len(url) > host_at - start and ("." in url or url[host_at - start] in "[0123456789") else ""


def _trimmed(url: str) -> str:
    """Take off what belongs to the sentence: punctuation, and brackets that were not opened inside."""
    surplus = url.count(")") - url.count("(")
    end = len(url)
    while end and (url[end - 1] in _TRAILING or (url[end - 1] == ")" and surplus > 0)):
        surplus -= url[end - 1] == ")"
        end -= 1
    return url[:end] if "[" in url else url[:end].removesuffix("]")


def _end_of_run(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return match.end() if match else start


def _is_cjk(character: str) -> bool:
    return character >= "\u2e80"


def _bare(text: str, spans: list[tuple[int, int, str]], limit: int) -> list[tuple[int, int, str]]:
    """Find domains without scheme that do not stand inside a URL already found."""
    found: list[tuple[int, int, str]] = []
    known = 0
    for dot in _TOP_LEVEL.finditer(text):
        name = dot[1].lower()
        if name not in _COMMON and not (name in _RISKY and _PATH.match(text, dot.end())):
            continue
        while known < len(spans) and spans[known][1] <= dot.start():
            known += 1
        if known < len(spans) and spans[known][0] <= dot.start():
            continue
        start = _host_start(text, dot.start())
        if start is None:
            continue
        url = _url(text, start, start)
        if url and "@" not in url:
            found.append((start, start + len(url), url))
        if len(found) >= limit:
            break
    return found


def _host_start(text: str, dot: int) -> int | None:
    """Say where the host that has a dot at `dot` begins; None when it is part of something else."""
    window = text[max(0, dot - _MAX_HOST) : dot]
    word = window[len(window.rstrip(_HOST_CHARS)) :]
    start = dot - len(word)
    if not word or word[0] in ".-" or word[-1] == "." or ".." in word or (start and text[start - 1] in "@/_%+\\"):
        return None
    return start
