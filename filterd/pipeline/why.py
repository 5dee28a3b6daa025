"""The page behind a short code: what it means, what still works, how to object.  STANDING 5.10.

Static, without a word about any case or account, both languages side by side, no script, nothing loaded from anywhere.
Whoever reads it needs no log-in.
"""

from __future__ import annotations

import base64
import hashlib
import html

from filterd.pipeline.texts import CATALOGUE, OBJECTION, Entry, Text, Why

_STYLE = (
    "body{font-family:sans-serif;line-height:1.5;max-width:60em;margin:2em auto;padding:0 1em}"
    "main{display:flex;flex-wrap:wrap;gap:2em}section{flex:1 1 20em}h1{font-family:monospace}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

# Nothing but our own style; the page can be neither framed nor made to send anything anywhere.
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_MEANING = Text(en="What it means", zh="含义")
_WORKS = Text(en="What still works", zh="仍可使用")
_OBJECT = Text(en="If you disagree", zh="如有异议")
_APPEALS = Text(en="Appeals address: ", zh="申诉地址：")


def find(code: str) -> Why | None:
    """Say the code meant, however its letters are cased, or None."""
    return next((why for why in Why if why.value == code.upper()), None)


def said(why: Why, appeals_address: str | None = None) -> tuple[tuple[Text, Text], ...]:
    """Say a code as (heading, paragraph) pairs, in the order they are read."""
    entry: Entry = CATALOGUE[why]
    objection = OBJECTION[entry.kind]
    if appeals_address:
        objection = Text(
            en=f"{objection.en} {_APPEALS.en}{appeals_address}", zh=f"{objection.zh}{_APPEALS.zh}{appeals_address}"
        )
    return ((_MEANING, entry.meaning), (_WORKS, entry.works), (_OBJECT, objection))


def page(code: str, appeals_address: str | None = None) -> bytes | None:
    """Say the page of a code as HTML, the list of all codes for "", None for what is no code of ours."""
    if code == "":
        rows = "".join(f'<li><a href="/why/{w}"><code>{w}</code></a> {_both(CATALOGUE[w].meaning)}</li>' for w in Why)
        return _document("filterd", f"<ul>{rows}</ul>")
    why = find(code)
    if why is None:
        return None
    parts = said(why, appeals_address)
    columns = "".join(
        f'<section lang="{tag}">'
        + "".join(f"<h2>{html.escape(getattr(h, name))}</h2><p>{html.escape(getattr(p, name))}</p>" for h, p in parts)
        + "</section>"
        for tag, name in (("zh-Hans", "zh"), ("en", "en"))
    )
    return _document(why.value, f"<main>{columns}</main>")


def _both(text: Text) -> str:
    return f'<span lang="zh-Hans">{html.escape(text.zh)}</span> <span lang="en">{html.escape(text.en)}</span>'


def _document(title: str, body: str) -> bytes:
    return (
        f'<!DOCTYPE html>\n<html lang="zh-Hans"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    ).encode()
