"""The page behind the signed link: where an account stands, and one form to object with.  STANDING 5.6.

No log-in, no script, nothing loaded from anywhere, one case of one account. `AppealPage` checks the link, asks the
ledger and words the answer; the door (doors/http) only speaks HTTP. A form is taken when it carries the mark of its own
page and does not come from elsewhere (Fetch Metadata, Origin), and neither too often.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from filterd.errors import LedgerUnavailable, PeerError, PortError, RefusedError, UsageError
from filterd.pipeline import appeal_texts as say
from filterd.pipeline.appeal_link import form_mark, is_form_mark, read
from filterd.pipeline.texts import CATALOGUE, OF_FEATURE, Text
from filterd.ports import Clock, Ledger

# 2000 characters of nine octets each as a form writes them, and the rest of the form.
BODY_MAX_BYTES = 20 * 1024
# One person with one case; whoever needs more has the appeals address.
FORMS_AN_HOUR = 6
LOOKS_AN_HOUR = 120
# All that one node answers; a token nobody has is looked up in no ledger.
LOOKS_A_MINUTE = 600
REFUSALS_SHOWN = 50

_STYLE = (
    "body{font-family:sans-serif;line-height:1.5;max-width:44em;margin:2em auto;padding:0 1em}"
    "textarea{width:100%;min-height:9em;font:inherit}button{font:inherit;padding:.4em 1.2em}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
FIELDS = (
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'",
    ),
    # The address is what opens the case; it goes to nobody else. With `no-referrer` a browser would not say where the
    # form comes from either (Fetch, append a request `Origin` header).
    ("Referrer-Policy", "same-origin"),
    ("X-Robots-Tag", "noindex"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Vary", "Accept-Language"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer. `fields`: on top of FIELDS."""

    status: int
    body: bytes = b""
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Mail of the account that its standing refused: when, and how many recipients."""

    at: datetime
    recipients: int


# Says what was refused of an account since an instant, the latest first.
Refusals = Callable[[str, datetime], Awaitable[tuple[Refusal, ...]]]


class Pace:
    """At most so many of one key within a window; forgets keys whose window is over."""

    def __init__(self, at_most: int, window: timedelta, keys_max: int = 10_000):
        self._at_most, self._window, self._keys_max = at_most, window, keys_max
        self._seen: dict[str, tuple[datetime, int]] = {}

    def allows(self, key: str, now: datetime) -> bool:
        began, count = self._seen.get(key, (now, 0))
        if not timedelta() <= now - began < self._window:
            began, count = now, 0
        if count >= self._at_most:
            return False
        if key not in self._seen and len(self._seen) >= self._keys_max:
            self._seen = {k: x for k, x in self._seen.items() if now - x[0] < self._window}
            if len(self._seen) >= self._keys_max:
                return False
        self._seen[key] = (began, count + 1)
        return True


class AppealPage:
    """Answers GET and POST of the page. One a node."""

    def __init__(
        self,
        ledger: Ledger,
        key: bytes,
        clock: Clock,
        *,
        appeals_address: str | None = None,
        refusals: Refusals | None = None,
    ):
        """`key`: ports.Keys.token. `refusals` None: nobody keeps a list of what was refused."""
        self._ledger, self._key, self._clock = ledger, key, clock
        self._appeals_address, self._refusals = appeals_address, refusals
        self._all = Pace(LOOKS_A_MINUTE, timedelta(minutes=1))
        self._looks = Pace(LOOKS_AN_HOUR, timedelta(hours=1))
        self._forms = Pace(FORMS_AN_HOUR, timedelta(hours=1))

    async def get(self, token: str, fields: Mapping[str, str]) -> Page:
        """Show the case of a token."""
        language = chosen_language(fields.get("accept-language", ""))
        now = self._clock.now()
        if not self._all.allows("", now):
            return _told(429, say.TOO_OFTEN, language)
        try:
            bound = read(self._key, token, now)
        except PeerError:
            return self._bad_link(language)
        if not self._looks.allows(bound.account_id, now):
            return _told(429, say.TOO_OFTEN, language)
        asked = {"account_id": bound.account_id, "incident_id": bound.incident_id}
        try:
            said = await self._ledger.call("appeal.look_online", asked)
        except (UsageError, RefusedError):
            return self._bad_link(language)
        except LedgerUnavailable:
            return _told(503, say.LATER, language)
        refused = await self._refused(bound.account_id, said["refused_since"])
        return Page(status=200, body=_case_page(said, refused, form_mark(self._key, token), language))

    async def post(self, token: str, fields: Mapping[str, str], body: bytes) -> Page:
        """File the objection; says 303 back to the page."""
        language = chosen_language(fields.get("accept-language", ""))
        now = self._clock.now()
        try:
            bound = read(self._key, token, now)
            if not is_own_form(fields):
                raise PeerError("a form from elsewhere")
            form = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=4, strict_parsing=True)
        except (PeerError, UnicodeDecodeError, ValueError):
            return self._bad_link(language)
        if not is_form_mark(self._key, token, form.get("mark", [""])[0]):
            return self._bad_link(language)
        if not self._all.allows("", now) or not self._forms.allows(bound.account_id, now):
            return _told(429, say.TOO_OFTEN, language)
        asked = {
            "account_id": bound.account_id,
            "incident_id": bound.incident_id,
            "text": form.get("text", [""])[0].replace("\r\n", "\n"),
        }
        try:
            await self._ledger.call("appeal.file_online", asked)
        except RefusedError:
            return _told(400, say.TOO_LONG, language)
        except UsageError:
            return self._bad_link(language)
        except LedgerUnavailable:
            return _told(503, say.LATER, language)
        # Relative, whatever path a proxy has put in front.
        return Page(status=303, fields=(("Location", token),))

    def _bad_link(self, language: str) -> Page:
        address = self._appeals_address or _in(say.NO_ADDRESS, language)
        return _told(404, say.BAD_LINK, language, address=address)

    async def _refused(self, account_id: str, since: str | None) -> tuple[Refusal, ...]:
        if self._refusals is None or since is None:
            return ()
        try:
            return (await self._refusals(account_id, datetime.fromisoformat(since)))[:REFUSALS_SHOWN]
        except PortError:
            # The list is a courtesy; the form is a right.
            return ()


def chosen_language(accepted: str) -> str:
    """Say which of our languages an Accept-Language field asks for first (RFC 9110 §12.5.4); Chinese for neither."""
    ranked = []
    for place, item in enumerate(accepted.split(",")[:20]):
        tag, *parameters = [x.strip().lower() for x in item.split(";")]
        weight = next((x[2:] for x in parameters if x.startswith("q=")), "1")
        try:
            ranked.append((-float(weight), place, tag))
        except ValueError:
            continue
    for wanted, _, tag in sorted(ranked):
        if wanted < 0 and tag.partition("-")[0] in ("zh", "en"):
            return tag.partition("-")[0]
    return "zh"


def is_own_form(fields: Mapping[str, str]) -> bool:
    """Say whether nothing shows that a form comes from another site: by Fetch Metadata, else by Origin. What is too old
    to say either is held by the mark in the form."""
    site = fields.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = fields.get("origin")
    return origin is None or origin.partition("://")[2] == fields.get("host", "")


# --- words ------------------------------------------------------------------------------------------------------------


def _case_page(said: Mapping[str, Any], refused: tuple[Refusal, ...], mark: str, language: str) -> bytes:
    def words(text: Text, **values: object) -> str:
        return escape(_in(text, language).format(**values))

    def when(instant: str | datetime) -> str:
        at = datetime.fromisoformat(instant) if isinstance(instant, str) else instant
        return f"{at.astimezone(ZoneInfo(said['zone'])):%Y-%m-%d %H:%M} ({said['zone']})"

    def rung(name: str) -> str:
        return _in(say.RUNGS[name], language)

    title = said["agreement"].get("zh-Hans" if language == "zh" else "en") or next(iter(said["agreement"].values()))
    parts = []
    if said["is_annulled"]:
        parts.append(f"<p><strong>{words(say.ANNULLED)}</strong></p>")
    status = [rung(said["standing"]), *([_in(say.HELD, language)] if said["is_held"] else [])]
    parts.append(f"<h2>{words(say.STANDING)}</h2><p>{escape('; '.join(status))}</p>")
    if said["clauses"]:
        clauses = ", ".join(said["clauses"])
        parts.append(f"<p>{words(say.CLAUSES, clauses=clauses, title=title)}</p>")
    rows = []
    for item in said["sanctions"]:
        until = words(say.UNTIL, at=when(item["until"])) if item["until"] else words(say.OPEN_ENDED)
        meant = [OF_FEATURE[name] for x in item["features"] if (name := x.partition(":")[0]) in OF_FEATURE]
        off = " ".join(escape(_in(CATALOGUE[why].meaning, language)) for why in dict.fromkeys(meant))
        rows.append(f"<li>{escape(rung(item['rung']))}, {until} {off}</li>")
    listed = f"<ul>{''.join(rows)}</ul>" if rows else f"<p>{words(say.NOTHING)}</p>"
    parts.append(f"<h2>{words(say.IN_FORCE)}</h2>{listed}")
    fades = "".join(
        f"<li>{words(say.FADES, points=_points(x['points']), at=when(x['at']))}</li>" for x in said["fades"]
    )
    parts.append(f"<h2>{words(say.POINTS)}: {_points(said['points'])}</h2><ul>{fades}</ul>")
    if said["next_rung"] is not None:
        next_rung = words(say.NEXT, points=_points(said["next_points"]), rung=rung(said["next_rung"]))
        parts.append(f"<p>{next_rung}</p>")
    if said["refused_since"] is not None:
        rows = [f"<li>{words(say.REFUSED_ROW, at=when(x.at), count=x.recipients)}</li>" for x in refused]
        listed = f"<ul>{''.join(rows)}</ul>" if rows else f"<p>{words(say.REFUSED_NONE)}</p>"
        parts.append(f"<h2>{words(say.REFUSED)}</h2>{listed}")
    parts.append(f"<h2>{words(say.APPEALS)}</h2>")
    for item in said["appeals"]:
        at, due = when(item["filed_at"]), when(item["decide_by"])
        if item["outcome"] in say.OUTCOMES:
            parts.append(f"<p>{words(say.DECIDED, at=at, outcome=_in(say.OUTCOMES[item['outcome']], language))}</p>")
        elif item["state"] != "moot":
            parts.append(f"<p>{words(say.FILED, at=at, due=due)}</p>")
    parts.append(_form(said, mark, language, when))
    return _document(words(say.TITLE, case=said["case"]), "".join(parts), language)


def _form(said: Mapping[str, Any], mark: str, language: str, when: Callable[[str], str]) -> str:
    """The form, while something can be filed or answered. It is sent to where the page is."""
    if not said["can_file"] and not said["can_add"]:
        return "" if said["appeals"] else f"<p>{escape(_in(say.CLOSED, language))}</p>"
    intro = _in(say.FORM if said["can_file"] else say.ASKED, language)
    button = _in(say.SEND if said["can_file"] else say.ANSWER, language)
    closes = ""
    if said["can_file"] and said["closes_at"]:
        closes = f"<p>{escape(_in(say.CLOSES, language).format(at=when(said['closes_at'])))}</p>"
    return (
        f'<p>{escape(intro)}</p>{closes}<form method="post" accept-charset="utf-8">'
        f'<input type="hidden" name="mark" value="{escape(mark)}">'
        f'<label for="text">{escape(_in(say.LABEL, language))}</label>'
        f'<textarea id="text" name="text" maxlength="2000"></textarea>'
        f'<p><button type="submit">{escape(button)}</button></p></form>'
    )


def _told(status: int, text: Text, language: str, **values: object) -> Page:
    paragraph = f"<p>{escape(_in(text, language).format(**values))}</p>"
    return Page(status=status, body=_document("filterd", paragraph, language))


def _in(text: Text, language: str) -> str:
    return text.zh if language == "zh" else text.en


def _points(points: float) -> str:
    return f"{points:g}"


def _document(title: str, body: str, language: str) -> bytes:
    tag = "zh-Hans" if language == "zh" else "en"
    return (
        f'<!DOCTYPE html>\n<html lang="{tag}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1>{body}</body></html>\n"
    ).encode()
