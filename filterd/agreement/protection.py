"""Technical protection of the mail flow: which findings stop or mark a message, with no ground and no points?

HOUSE rule 8: without a ground there is at most protection. Two sides. `own_mail` is for mail of our own accounts and
follows the agreement's `[[protection]]` tables. `protect` is for mail nobody of ours answers for, strangers' first of
all: that breaches nothing (CLAUSES 0.13), and what happens to it is the operator's choice, `[inbound]`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from filterd.agreement.terms import Agreement
from filterd.model.decision import Disposition, Reason
from filterd.model.session import Direction
from filterd.model.verdict import Assessment, Finding, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundChoices:
    """What the operator wants done with strangers' mail, a choice for each group: reject, quarantine, tag or accept.

    Args:
        virus: a signature matched.
        spam: the text model says so, beyond its gate.
        phishing: a listed link, or the text model beyond its gate.
        attachments: types nobody mails for good reason, plain or under another name; not archives or macros.
        impersonation: a From domain or a display name made to look like one of ours.
        dmarc: the From domain's owner asks receivers to reject or quarantine mail that fails as this one does.
    """

    virus: Disposition = Disposition.REJECT
    spam: Disposition = Disposition.TAG
    phishing: Disposition = Disposition.TAG
    attachments: Disposition = Disposition.REJECT
    impersonation: Disposition = Disposition.TAG
    dmarc: Disposition = Disposition.TAG


def own_mail(terms: Agreement, assessment: Assessment, direction: Direction) -> tuple[Reason, ...]:
    """Say what the agreement's protections do to mail of one of our accounts, however well we know whose it is."""
    if direction is Direction.INBOUND:
        return ()
    codes = {finding.code for finding in _found(assessment)}
    if not codes:
        return ()
    chosen = (
        (item.finding, item.outbound if direction is Direction.OUTBOUND else item.internal)
        for item in terms.protection
        if item.finding in codes
    )
    return tuple(
        Reason(code=f"protection.{finding}", disposition=effect)
        for finding, effect in chosen
        if effect is not Disposition.ACCEPT
    )


def protect(assessment: Assessment, direction: Direction, choices: InboundChoices) -> tuple[Reason, ...]:
    """Say what the operator's choices do to mail nobody of ours answers for.

    Returns:
        One reason a group, `inbound.virus` for instance, its ids the findings. Nothing for what is simply accepted.
        Who a mail claims to be from matters only in mail that comes in: our own domain's DNS is advice (TX-3.1.4).
    """
    found = _found(assessment)
    out = []
    for group, choice, is_meant in _groups(choices):
        if direction is not Direction.INBOUND and group in _CLAIMS:
            continue
        codes = tuple(dict.fromkeys(f.code for f in found if is_meant(f)))
        if codes and choice is not Disposition.ACCEPT:
            out.append(Reason(code=f"{direction.value}.{group}", disposition=choice, ids=codes))
    return tuple(out)


def shipped_effect(code: str) -> Disposition:
    """Say what filterd ships for the group of a reason such as `inbound.spam`: done where mail that was to be held
    cannot be. What a check could not look into waits."""
    area, _, group = code.partition(".")
    if area == "check":
        return Disposition.DEFER
    effect = getattr(InboundChoices(), group, Disposition.REJECT)
    return effect if isinstance(effect, Disposition) else Disposition.REJECT


def is_harmful(code: str) -> bool:
    """Say whether what a reason speaks of would harm whoever opens it."""
    return code.partition(".")[2] in ("virus", "attachments", "phishing")


def _one_of(*codes: str) -> Callable[[Finding], bool]:
    return lambda finding: finding.code in codes


def _owner_objects(finding: Finding) -> bool:
    """A failure the owner only wants to hear of (p=none), or is still testing for (t=y), is none to act on."""
    return finding.code == "auth.dmarc.fail" and dict(finding.why).get("disposition") in ("reject", "quarantine")


def _groups(choices: InboundChoices) -> tuple[tuple[str, Disposition, Callable[[Finding], bool]], ...]:
    """In the order in which reasons are given; the first of the strongest is what the reply speaks of."""
    return (
        ("virus", choices.virus, _one_of("virus.signature.match")),
        ("attachments", choices.attachments, _one_of("attachment.type.blocked", "attachment.type.disguised")),
        ("phishing", choices.phishing, _one_of("link.feed.match", "content.phishing.model")),
        ("spam", choices.spam, _one_of("content.spam.model")),
        ("impersonation", choices.impersonation, _one_of("sender.from.lookalike", "sender.name.protected")),
        ("dmarc", choices.dmarc, _owner_objects),
    )


# Said of mail that comes in; our own customers' names are the agreement's matter.
_CLAIMS = ("impersonation", "dmarc")


def _found(assessment: Assessment) -> list[Finding]:
    return [f for v in assessment.verdicts if v.outcome is Outcome.FOUND for f in v.findings]
