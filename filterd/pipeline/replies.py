"""What does the sending client read?  MAIL-PATH §4g, STANDING 5.10 and 5.11.

Public texts: class, clause, case id and where to object; never a rule, a score or a term. The case id is not a secret
and opens nothing by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from filterd.model.decision import Decision, Disposition, Reason
from filterd.model.reply import Reply
from filterd.model.standing import Standing

INTERNAL_ERROR = Reply(code=451, enhanced="4.3.0", text="Temporary failure here, please try again later")
UNREADABLE_LOGIN = Reply(code=451, enhanced="4.7.1", text="The login of this session cannot be read")
LEDGER_AWAY = Reply(code=451, enhanced="4.3.2", text="Policy service is not available, please try again later")

_FEATURE_WORDS = {
    "bulk": "Mail to many recipients",
    "attachments": "Sending attachments",
    "links": "Sending links",
    "external_recipients": "Mail to outside recipients",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyStyle:
    """What replies may point at. `object_url` is a prefix the case id is put behind, None when there is no page."""

    appeals_address: str
    object_url: str | None = None


def case_id(incident_id: str | None, transaction_id: str) -> str:
    """Say the short id people quote: twelve hex digits of the incident, or the transaction's own id."""
    return incident_id.split("_", 1)[1][:12] if incident_id else transaction_id


def pointer(case: str, style: ReplyStyle) -> str:
    """Say where to object, with the case id."""
    where = f"{style.object_url}{case}" if style.object_url else f"write to {style.appeals_address}"
    return f"{where} (case {case})"


def standing_reply(standing: Standing, clauses: tuple[str, ...], zone: ZoneInfo, style: ReplyStyle) -> Reply:
    """Refuse by standing alone: 550 5.7.13, in a hold's own words or a suspension's."""
    sanction = next((s for s in standing.sanctions if s.rung is standing.rung and s.rung >= 3), None)
    if sanction is None:
        case = case_id(standing.holds[0].incident_id if standing.holds else None, standing.account_id)
        text = f"Sending is locked to protect this account. Your administrator can unlock it. {pointer(case, style)}"
        return Reply(code=550, enhanced="5.7.13", text=text)
    until = _until(standing.until, zone)
    text = (
        f"Sending is suspended {until} under {', '.join(clauses)}. "
        f"Object free of charge: {pointer(case_id(sanction.incident_id, standing.account_id), style)}"
    )
    return Reply(code=550, enhanced="5.7.13", text=text)


def decision_reply(decision: Decision, numbers: tuple[str, ...], zone: ZoneInfo, style: ReplyStyle) -> Reply | None:
    """Say the reply a decision asks for, or None when the mail is to be relayed.

    Args:
        numbers: clause numbers as the agreement prints them, for `decision.clauses`.
    """
    match decision.disposition:
        case Disposition.ACCEPT | Disposition.TAG:
            return None
        case Disposition.DISCARD:
            case = case_id(decision.incident_id, decision.transaction_id)
            return Reply(
                code=250, enhanced="2.0.0", text=f"Discarded, on record as {decision.transaction_id} (case {case})"
            )
        case Disposition.DEFER:
            return _deferral(_first(decision, Disposition.DEFER), decision, zone, style)
        case Disposition.REJECT:
            return _refusal(_first(decision, Disposition.REJECT), decision, numbers, zone, style)


def _first(decision: Decision, disposition: Disposition) -> Reason:
    return next(r for r in decision.reasons if r.disposition is disposition)


def _deferral(reason: Reason, decision: Decision, zone: ZoneInfo, style: ReplyStyle) -> Reply:
    if reason.code.startswith("feature."):
        case = case_id(decision.incident_id, decision.transaction_id)
        text = f"Sending is limited {_until(decision.ends_at, zone)}, please send less. {pointer(case, style)}"
        return Reply(code=451, enhanced="4.7.28", text=text)
    return Reply(
        code=451,
        enhanced="4.7.1",
        text=f"Mail could not be checked, please try again later ({decision.transaction_id})",
    )


def _refusal(reason: Reason, decision: Decision, numbers: tuple[str, ...], zone: ZoneInfo, style: ReplyStyle) -> Reply:
    case = case_id(decision.incident_id, decision.transaction_id)
    under = f" under {', '.join(numbers)}" if numbers else ""
    area, _, rest = reason.code.partition(".")
    if area == "feature":
        if rest == "recipients_per_message":
            return Reply(code=550, enhanced="5.5.3", text=f"Too many recipients{under}. {pointer(case, style)}")
        words = _FEATURE_WORDS.get(rest, "This kind of mail")
        return Reply(
            code=550,
            enhanced="5.7.1",
            text=f"{words} is off {_until(decision.ends_at, zone)}{under}. {pointer(case, style)}",
        )
    if area == "refused":
        return Reply(
            code=550,
            enhanced="5.7.1",
            text=f"The From domain is another customer's{under}; nothing counts against you. {pointer(case, style)}",
        )
    kind = "a virus" if rest in ("malware", "virus") else "prohibited content"
    return Reply(code=550, enhanced="5.7.1", text=f"Message refused: {kind}{under}. {pointer(case, style)}")


def _until(end: datetime | None, zone: ZoneInfo) -> str:
    return f"until {end.astimezone(zone):%Y-%m-%d %H:%M %Z}" if end is not None else "until further notice"
