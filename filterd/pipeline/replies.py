"""What does the sending client read?  MAIL-PATH §4g, STANDING 5.10 and 5.11.

Public texts: what happened, under which clause, until when, what still works, where to object, and the short code that
leads to all this in both languages (pipeline/texts). Never a rule, a score or a term. The case id is not a secret and
opens nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from filterd.agreement.disposition import BULK_RECIPIENTS, RATES, SENDING, owners
from filterd.agreement.holding import WAITING
from filterd.agreement.tenant_steps import REGISTRATION, SUSPEND
from filterd.agreement.terms import Agreement
from filterd.model.decision import Decision, Disposition, Reason
from filterd.model.exception import Applied, Denial
from filterd.model.lifecycle import EXPIRY, Lifecycle
from filterd.model.reply import Reply
from filterd.model.sanction import Conduct, Feature, Rung
from filterd.model.session import Direction
from filterd.model.standing import Standing, TenantLimit
from filterd.pipeline.texts import CATALOGUE, OF_AREA, OF_FEATURE, OF_GROUP, OF_LISTS, Text, Why, known_language

# Reasons of protection against mail nobody of ours answers for are named for the mail's direction.
_DIRECTIONS = frozenset(d.value for d in Direction)
# Of a mail that waits for a person (pipeline/locked). The door says it in the next hop's words (RelaySession.taken).
TAKEN = Reply(code=250, enhanced="2.0.0", text="Ok")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyStyle:
    """What replies may point at.

    Args:
        object_url: a prefix the case id is put behind, None when there is no page.
        why_url: a prefix the short code is put behind (the page /why/ of the HTTP door), None when nobody outside can
            open it.
    """

    appeals_address: str
    object_url: str | None = None
    why_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """To whom a reply speaks. `language` None: nobody knows, and both are said where both can be."""

    style: ReplyStyle
    terms: Agreement
    language: str | None = None


def wording(style: ReplyStyle, terms: Agreement, language: str | None) -> Wording:
    """Say how to speak to an account: its own or its tenant's language, else the agreement's if it has but one."""
    if language is not None:
        return Wording(style=style, terms=terms, language=known_language(language))
    return Wording(style=style, terms=terms, language=terms.languages[0] if len(terms.languages) == 1 else None)


def case_id(incident_id: str | None, transaction_id: str) -> str:
    """Say the short id people quote: twelve hex digits of the incident, or the transaction's own id."""
    return incident_id.split("_", 1)[1][:12] if incident_id else transaction_id


def waiting(refusal: Reply) -> Reply:
    """The same words as a deferral: behind the queue mail waits there until a sanction ends (STANDING 5.7-20)."""
    return refusal if refusal.code < 500 else replace(refusal, code=451, enhanced="4.7.1")


# --- by standing ------------------------------------------------------------------------------------------------------


def standing_reply(standing: Standing, words: Wording) -> Reply:
    """Refuse by standing alone: 550 5.7.13, in a hold's own words or a suspension's."""
    sanction = next((s for s in standing.sanctions if s.rung is standing.rung and s.rung >= Rung.SUSPEND), None)
    if sanction is None:
        hold = next((h for h in standing.holds if SENDING in h.features), None)
        whole = [x for x in standing.tenant_limits if SENDING in x.features]
        if hold is None and whole:
            return _tenant_reply(whole, standing, words)
        case = case_id(hold.incident_id if hold else None, standing.account_id)
        until = _until(hold.ends_at, words) if hold and hold.ends_at else Text(en="", zh="")
        return _reply(550, "5.7.13", Why.LOCKED, words, ask=_case(case, words), until=until)
    cited = tuple(c for s in standing.sanctions if s.rung is standing.rung for c in s.clauses)
    is_closed = any(s.rung is Rung.TERMINATE and not s.is_automatic for s in standing.sanctions)
    return _reply(
        550,
        "5.7.13",
        Why.TERMINATED if is_closed else Why.SUSPENDED,
        words,
        ask=_objection(case_id(sanction.incident_id, standing.account_id), words),
        until=_until(standing.until, words),
        under=_under(cited, words),
        desk=_same(words.style.appeals_address),
    )


def _tenant_reply(limits: list[TenantLimit], standing: Standing, words: Wording) -> Reply:
    """Refuse for what is in force against the whole organisation: nothing in it is about a colleague, and whoever has
    done nothing reads that, too (STANDING 5.7-15)."""
    clauses = tuple(c for x in limits for c in x.clauses)
    is_suspended = any(x.kind == SUSPEND for x in limits)
    refusal = _reply(
        550,
        "5.7.13",
        Why.TENANT_SUSPENDED if is_suspended else Why.TENANT_LOCKED,
        words,
        ask=_ask_administrator(limits, words),
        until=_until(_latest([x.ends_at for x in limits]), words),
        under=_under(clauses, words),
        own=_own(standing),
        desk=_same(words.style.appeals_address),
    )
    # Nothing is refused for good before a person has looked at the registration (TX-8.2.4).
    return waiting(refusal) if all(x.kind == REGISTRATION for x in limits) else refusal


def _ask_administrator(limits: list[TenantLimit], words: Wording) -> Text:
    case = _case(case_id(limits[0].limit_id, ""), words)
    return _join(Text(en="Ask your administrator, or ", zh="请向管理员询问，或 "), case)


def _own(standing: Standing) -> Text:
    """Say that the account's own standing is good, where it is."""
    if standing.conduct is not Conduct.GOOD or standing.holds:
        return Text(en="", zh="")
    return Text(en="this account's own standing is good; ", zh="该账号自身状态良好；")


def feature_reply(feature: Feature, standing: Standing, words: Wording, *, is_before_data: bool = False) -> Reply:
    """Refuse what a switched-off feature stops, and nothing else.

    Args:
        is_before_data: one recipient is being refused, not the message: then too many of them is 452 4.5.3, which asks
            the client to send the rest in another transaction (RFC 5321 §4.5.3.1.10).
    """
    if feature.name in RATES:
        code, enhanced = 451, "4.7.28"
    elif feature.name == "recipients_per_message":
        code, enhanced = (452, "4.5.3") if is_before_data else (550, "5.5.3")
    else:
        code, enhanced = 550, "5.7.1"
    ids = owners(standing, feature)
    sanctions = [s for s in standing.sanctions if s.sanction_id in ids]
    holds = [h for h in standing.holds if h.hold_id in ids]
    incidents = [*(s.incident_id for s in sanctions), *(h.incident_id for h in holds)]
    case = case_id(next(iter(incidents), None), standing.account_id)
    until = _until(_latest([*(s.ends_at for s in sanctions), *(h.ends_at for h in holds)]), words)
    limits = [x for x in standing.tenant_limits if x.limit_id in ids]
    if limits and not sanctions and not holds:
        until = _until(_latest([x.ends_at for x in limits]), words)
        under = _under(tuple(c for x in limits for c in x.clauses), words)
        own = _own(standing)
        off = Text(
            en=f"is off for your whole organisation {until.en}{under.en}{'; ' if own.en else ''}{own.en[:-2]}",
            zh=f"已对本单位整体停用{until.zh}{under.zh}{'；' if own.zh else ''}{own.zh[:-1]}",
        )
        ask = _ask_administrator(limits, words)
    elif sanctions or not holds:
        under = _under(tuple(c for s in sanctions for c in s.clauses), words)
        off = Text(en=f"is off {until.en}{under.en}", zh=f"已停用{until.zh}{under.zh}")
        ask = _objection(case, words)
    else:
        off = Text(en=f"is locked {until.en} to protect this account", zh=f"已锁定{until.zh}以保护该账号")
        ask = _join(Text(en="Your administrator can unlock it. ", zh="请联系管理员解锁。"), _case(case, words))
    return _reply(
        code,
        enhanced,
        OF_FEATURE.get(feature.name, Why.OTHER_FEATURE),
        words,
        ask=ask,
        off=off,
        also=_also(feature, standing),
        limit=_same(str(BULK_RECIPIENTS if feature.name == "bulk" else feature.limit)),
        whom=Text(en="this recipient", zh="该收件人")
        if is_before_data
        else Text(en="one of the recipients", zh="其中一个收件人"),
    )


def _also(feature: Feature, standing: Standing) -> Text:
    """What else is off: the sender must not read 'mail without links still works' and learn the rest one by one."""
    codes = dict.fromkeys(OF_FEATURE[f.name].value for f in standing.features if f.name in OF_FEATURE)
    codes.pop(OF_FEATURE.get(feature.name, Why.OTHER_FEATURE).value, None)
    if not codes:
        return Text(en="", zh="")
    return Text(en=f" (limited besides: {', '.join(codes)})", zh=f"（另有限制：{'、'.join(codes)}）")


# --- by the contract --------------------------------------------------------------------------------------------------


def service_reply(life: Lifecycle, words: Wording) -> Reply:
    """Refuse one recipient of somebody whose service is over: 550 5.7.13 with words of its own (STANDING 5.10)."""
    why = Why.EXPIRED if life.because == EXPIRY else Why.ENDED
    return _reply(550, "5.7.13", why, words)


def unserved_reply(*, is_waiting: bool) -> Reply:
    """Answer mail to an address whose service is over: it waits for some days, then it is refused (STANDING 5.11)."""
    code, enhanced = (450, "4.2.1") if is_waiting else (550, "5.2.1")
    return _reply(code, enhanced, Why.UNSERVED, None)


def stopped_reply(words: Wording) -> Reply:
    """Refuse mail to somebody who asked the account to stop, and no other (CLAUSES tail-d)."""
    return _reply(550, "5.7.1", Why.STOPPED, words)


# --- by decision ------------------------------------------------------------------------------------------------------


def decision_reply(decision: Decision, standing: Standing | None, words: Wording) -> Reply | None:
    """Say the reply a decision asks for, or None when the mail is to be relayed.

    Args:
        standing: the account's at the instant of the decision, None when nobody answers for the mail.
    """
    match decision.disposition:
        case Disposition.ACCEPT | Disposition.TAG:
            return None
        case Disposition.DISCARD:
            case = case_id(decision.incident_id, decision.transaction_id)
            return _reply(
                250,
                "2.0.0",
                Why.DISCARDED,
                words,
                ask=_objection(case, words),
                under=_under(decision.clauses, words),
                id=_same(decision.transaction_id),
            )
        case Disposition.QUARANTINE:
            return _held_reply(decision, words)
        case Disposition.REJECT:
            return _by_reason(_first(decision, Disposition.REJECT, words), decision, standing, words)
        case Disposition.DEFER:
            return waiting(_by_reason(_waited_for(decision, words), decision, standing, words))


def _held_reply(decision: Decision, words: Wording) -> Reply:
    """Say that it was taken and who decides: 250, for it is durable by now (HOUSE rule 1). Without an item it is not:
    then it waits."""
    if decision.held_id is None:
        return _reply(451, "4.7.1", Why.UNCHECKED, words, id=_same(decision.transaction_id))
    held_id = _same(decision.held_id)
    if decision.held_until is None:
        return _reply(250, "2.0.0", Why.HELD_INBOUND, words, id=held_id)
    case = case_id(decision.incident_id, decision.transaction_id)
    until = _until(decision.held_until, words)
    return _reply(250, "2.0.0", Why.HELD, words, ask=_objection(case, words), id=held_id, until=until)


def _first(decision: Decision, disposition: Disposition, words: Wording) -> Reason:
    """The reason to be told: the gravest thing the mail breached, before what its account may not use."""
    found = [r for r in decision.reasons if r.disposition is disposition]
    return min(found, key=lambda r: (r.code.startswith("feature."), -_gravity(r, words)))


def _gravity(reason: Reason, words: Wording) -> int:
    """Say the severity of what a reason names: one phishing mail is no bulk mail, even if it reads like that too."""
    area, _, name = reason.code.partition(".")
    category = words.terms.find_category(name) if area == "category" else None
    return category.severity_of(1) if category is not None else 0


def _waited_for(decision: Decision, words: Wording) -> Reason:
    """What made the mail wait: behind the queue, what would have refused it."""
    if any(r.code == "after_queue" for r in decision.reasons):
        return _first(decision, Disposition.REJECT, words)
    copies = next((x for x in decision.reasons if x.code == WAITING), None)
    return copies or _first(decision, Disposition.DEFER, words)


def _by_reason(reason: Reason, decision: Decision, standing: Standing | None, words: Wording) -> Reply:
    case = case_id(decision.incident_id, decision.transaction_id)
    area, _, rest = reason.code.partition(".")
    if area == "exception":
        entry = next(x for x in decision.exceptions if x.is_followed and x.entry_id in reason.ids)
        return listed_reply(entry, case, words)
    if area == "campaign":
        return _reply(451, "4.7.1", Why.COPIES, words, ask=_objection(case, words))
    if standing is not None and area == "standing":
        return standing_reply(standing, words)
    if standing is not None and area == "feature":
        return feature_reply(_feature_of(reason, rest, standing), standing, words)
    if area == "check":
        return _reply(451, "4.7.1", Why.UNCHECKED, words, id=_same(decision.transaction_id))
    if area == "protection":
        what = OF_AREA.get(rest.partition(".")[0], OF_AREA["content"])
        return _reply(550, "5.7.1", Why.UNCOUNTED, words, ask=_objection(case, words), what=what)
    if area in _DIRECTIONS:
        # RFC 7372 §3.3: several authentication checks failed.
        enhanced = "5.7.26" if rest == "dmarc" else "5.7.1"
        why = Why.VIRUS if rest == "virus" else Why.INBOUND
        others = Text(en="other mail is not touched", zh="其他邮件不受影响")
        what = OF_GROUP.get(rest, OF_GROUP["spam"])
        return _reply(550, enhanced, why, words, ask=_objection(case, words), others=others, what=what)
    category = words.terms.find_category(rest)
    what = Text(en=category.en, zh=category.zh) if category else Text(en="prohibited content", zh="违规内容")
    why = Why.UNCOUNTED if area == "refused" else Why.VIRUS if rest == "malware" else Why.CONTENT
    # What the reason itself stands on; the decision's clauses are those of everything found.
    under = _under(reason.ids or decision.clauses, words)
    rest_of_it = (
        Text(en="other mail still works", zh="其他邮件仍可发送")
        if decision.rung_after < Rung.SUSPEND
        else Text(en="a notice says what follows", zh="后续处理另行通知")
    )
    return _reply(550, "5.7.1", why, words, ask=_objection(case, words), under=under, what=what, others=rest_of_it)


def listed_reply(entry: Applied, case: str, words: Wording) -> Reply:
    """Refuse by an entry of the operator's lists, in its own words where it has some."""
    denial = entry.denial or Denial()
    what = _same(f"{denial.text.rstrip('.')}.") if denial.text else OF_LISTS
    return _reply(
        550 if denial.is_final else 451, denial.enhanced, Why.LISTED, words, ask=_case(case, words), what=what
    )


def _feature_of(reason: Reason, name: str, standing: Standing) -> Feature:
    """Find the feature a reason is about; of several locked recipients the one with the same owners."""
    named = [f for f in standing.features if f.name == name]
    same = [f for f in named if owners(standing, f) == reason.ids]
    return next(iter((*same, *named)), Feature(name=name))


# --- words ------------------------------------------------------------------------------------------------------------


def _reply(
    code: int, enhanced: str, why: Why, words: Wording | None, *, ask: Text | None = None, **blanks: Text
) -> Reply:
    """Fill a text of the catalogue. What is not said is left out: a virus without a clause names none."""
    entry, nothing = CATALOGUE[why], {"under": "", "until": "", "also": ""}
    english = _tidy(entry.reply.en.format_map(nothing | {name: text.en for name, text in blanks.items()}))
    chinese = entry.reply.zh.format_map(nothing | {name: text.zh for name, text in blanks.items()})
    url = words.style.why_url if words is not None else None
    en = [why.value, english, *([ask.en] if ask else []), *([f"Explained: {url}{why}"] if url else [])]
    zh = [why.value, chinese + (ask.zh if ask else ""), *([f"说明：{url}{why}"] if url else [])]
    text = " ".join(en)
    has_chinese = words is None or words.language != "en"
    return Reply(code=code, enhanced=enhanced, text=text, utf8_text=f"{text}\n{' '.join(zh)}" if has_chinese else None)


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _same(value: str) -> Text:
    return Text(en=value, zh=value)


def _join(left: Text, right: Text) -> Text:
    return Text(en=left.en + right.en, zh=left.zh + right.zh)


def _case(case: str, words: Wording) -> Text:
    """Where to ask, with the case id."""
    style = words.style
    if style.object_url:
        where = _same(f"{style.object_url}{case}")
    else:
        where = Text(en=f"write to {style.appeals_address}", zh=f"请致信 {style.appeals_address}")
    return Text(en=f"{where.en} (case {case})", zh=f"{where.zh} （编号 {case}）")


def _objection(case: str, words: Wording) -> Text:
    return _join(Text(en="Object free of charge: ", zh="可免费申诉："), _case(case, words))


def _under(clauses: tuple[str, ...], words: Wording) -> Text:
    """Cite clauses by the numbers the agreement prints."""
    known = words.terms.clause
    numbers = list(dict.fromkeys(known[c].number for c in clauses if c in known))
    if not numbers:
        return Text(en="", zh="")
    return Text(en=f" under {', '.join(numbers)}", zh=f"（依据{'、'.join(numbers)}）")


def _until(end: datetime | None, words: Wording) -> Text:
    if end is None:
        return Text(en="until further notice", zh="，恢复时间另行通知")
    zone = words.terms.timezone
    at = end.astimezone(ZoneInfo(zone))
    name = "北京时间" if zone == "Asia/Shanghai" else f"{zone} 时间"
    # Not the zone's letters: CST is also a time in America.
    offset = at.isoformat()[-6:]
    return Text(en=f"until {at:%Y-%m-%d %H:%M} {offset}", zh=f"至{at:%Y-%m-%d %H:%M}（{name}）")


def _latest(ends: list[datetime | None]) -> datetime | None:
    """Say the latest end; None when one is open or there is none."""
    return max((e for e in ends if e is not None), default=None) if None not in ends else None


UNREADABLE_LOGIN = _reply(451, "4.7.1", Why.LOGIN, None)
LEDGER_AWAY = _reply(451, "4.3.2", Why.LEDGER, None)
# RFC 5321 §4.5.3.1.10: the client sends the rest in another transaction.
APART = _reply(452, "4.5.3", Why.APART, None)
MAINTENANCE = _reply(451, "4.3.2", Why.MAINTENANCE, None)
# RFC 5321 §3.8: the service closes.
CLOSED = _reply(421, "4.3.2", Why.CLOSED, None)
