"""What happens to the mail itself?  MAIL-PATH §4g, STANDING 5.11 (scopes and their replies).

Only about this mail: standing is the ladder's matter. The strongest reason wins and all are kept.
"""

from __future__ import annotations

from dataclasses import replace

from filterd.agreement.protection import own_mail
from filterd.agreement.tenant_steps import REGISTRATION
from filterd.agreement.terms import Agreement
from filterd.agreement.violations import is_refused_without_points
from filterd.agreement.when import Mail
from filterd.model.decision import STRENGTH, Case, Decision, Disposition, MailFacts, Reason
from filterd.model.sanction import RECIPIENT, Feature, Rung, Violation
from filterd.model.session import Direction
from filterd.model.standing import History, Standing
from filterd.model.verdict import FailMode, Outcome

SENDING = Feature(name="sending")
# "Bulk" in the mail path: a message to more recipients than this. People write to ten; lists write to fifty.
BULK_RECIPIENTS = 10

# Features whose facts take a question to the ledger, or a look for traces (pipeline/facts).
FROM_OWN, STRANGERS, AUTO_FORWARD = "from_own", "strangers", "auto_forward"
# What one account may write to outside recipients in a day, and what all accounts of its tenant together may.
EXTERNAL_DAY, TENANT_EXTERNAL_DAY = "external_recipients_per_day", "tenant_external_per_day"
# What can be refused recipient by recipient, before the message: the others of the same mail still get it. Of
# `from_own` that is the envelope sender; From is seen in the message only.
REFUSED_BY_RECIPIENT = frozenset({"external_recipients", RECIPIENT, "recipients_per_message", FROM_OWN, STRANGERS})
# What is a number an hour or a day: it is waited out.
RATES = frozenset(
    {
        "messages_per_hour",
        "messages_per_day",
        "recipients_per_hour",
        "recipients_per_day",
        EXTERNAL_DAY,
        TENANT_EXTERNAL_DAY,
    }
)


_OF_FAILURE = {
    FailMode.DEFER: Disposition.DEFER,
    FailMode.QUARANTINE: Disposition.QUARANTINE,
    FailMode.ACCEPT: Disposition.ACCEPT,
}


def reasons(
    case: Case, terms: Agreement, standing: Standing | None, violations: tuple[Violation, ...]
) -> tuple[Reason, ...]:
    """Say every reason not simply to accept the mail, in the order: standing, checks, categories, protection."""
    out: list[Reason] = []
    if standing is not None and case.direction is not Direction.INBOUND:
        out += _by_standing(case.facts, standing)
    for name, mode in case.assessment.fail_modes:
        failed = next(v for v in case.assessment.verdicts if v.check == name)
        if failed.outcome in (Outcome.TEMPERROR, Outcome.PERMERROR):
            effect = _OF_FAILURE[mode]
            out.append(Reason(code=f"check.{name}.{failed.outcome.value}", disposition=effect))
    for violation in violations:
        category = terms.category_of(violation.category)
        effect = category.effect(violation.mode)
        out.append(Reason(code=f"category.{category.id}", disposition=effect, ids=category.ground))
    if case.direction is not Direction.INBOUND and case.principal.account_id is not None:
        for category in is_refused_without_points(terms, case.assessment, Mail.of(case)):
            out.append(Reason(code=f"refused.{category.id}", disposition=Disposition.REJECT, ids=category.ground))
        out += own_mail(terms, case.assessment, case.direction)
    return tuple(out)


def strongest(found: tuple[Reason, ...]) -> Disposition:
    """Say the strongest disposition among the reasons; accept when there are none."""
    return max((r.disposition for r in found), key=STRENGTH.index, default=Disposition.ACCEPT)


def without_bounce(decision: Decision, history: History | None) -> Decision:
    """Say the decision for mail behind the queue, where a refusal would bounce to an address nobody has checked.

    What the ledger has on record is discarded with that record; what it has not waits with 451 (MAIL-PATH §4c). So
    does what is on record as an error only: a person has said that this was no breach, and nobody gets a notice of it.
    """
    if decision.disposition is not Disposition.REJECT:
        return decision
    annulled = {i.opened.incident_id for i in history.incidents if i.is_annulled} if history is not None else set()
    is_recorded = (decision.is_recorded or decision.is_retry) and decision.incident_id not in annulled
    effect = Disposition.DISCARD if is_recorded else Disposition.DEFER
    reasons = (*decision.reasons, Reason(code="after_queue", disposition=effect))
    return replace(decision, disposition=effect, reasons=reasons)


def refused_features(facts: MailFacts, standing: Standing) -> tuple[tuple[Feature, Disposition], ...]:
    """Say which switched-off features this mail would use, and what each does to it."""
    found = ((f, _refuses(f, facts)) for f in standing.features)
    return tuple((f, effect) for f, effect in found if effect is not None)


def _by_standing(facts: MailFacts, standing: Standing) -> list[Reason]:
    if 0 < facts.recipients <= facts.reachable_recipients:
        # No sanction keeps anybody from writing to those who can end it.
        return []
    if not standing.may_send:
        return [_stopped(standing)]
    return [
        Reason(code=f"feature.{f.name}", disposition=effect, ids=owners(standing, f))
        for f, effect in refused_features(facts, standing)
    ]


def _stopped(standing: Standing) -> Reason:
    """Say why nothing may be sent: its own suspension, else its own hold, else what is in force against its tenant."""
    sanctions = tuple(s.sanction_id for s in standing.sanctions if s.rung is standing.rung and s.rung >= Rung.SUSPEND)
    holds = tuple(h.hold_id for h in standing.holds if SENDING in h.features)
    limits = tuple(x.limit_id for x in standing.tenant_limits if SENDING in x.features)
    if sanctions:
        return Reason(code="standing.suspended", disposition=Disposition.REJECT, ids=sanctions)
    if holds or not limits:
        return Reason(code="standing.hold", disposition=Disposition.REJECT, ids=holds)
    # Until a person has looked at a registration, mail waits with its sender.
    is_waiting = all(x.kind == REGISTRATION for x in standing.tenant_limits if SENDING in x.features)
    return Reason(
        code="standing.tenant", disposition=Disposition.DEFER if is_waiting else Disposition.REJECT, ids=limits
    )


def owners(standing: Standing, feature: Feature) -> tuple[str, ...]:
    """Say which sanctions, holds and limits of the tenant switched a feature off, by id; of a rate, those with the
    limit in force."""
    sanctions = [s.sanction_id for s in standing.sanctions if feature in s.features]
    holds = [h.hold_id for h in standing.holds if feature in h.features]
    return (*sanctions, *holds, *(x.limit_id for x in standing.tenant_limits if feature in x.features))


def _refuses(feature: Feature, facts: MailFacts) -> Disposition | None:
    """Say what a switched-off feature does to this mail; a rate defers, the rest refuse (STANDING 5.11).

    Recipients that are always reachable neither make a mail external nor count.
    """
    limit = feature.limit or 0
    recipients = facts.recipients - facts.reachable_recipients
    is_external = facts.external_recipients > facts.reachable_external
    match feature.name:
        case "bulk":
            return Disposition.REJECT if recipients > BULK_RECIPIENTS else None
        case "attachments":
            return Disposition.REJECT if facts.has_attachments else None
        case "links":
            return Disposition.REJECT if facts.has_links else None
        case "external_recipients":
            return Disposition.REJECT if is_external else None
        case "recipient":
            return Disposition.REJECT if feature.value in facts.recipient_hashes else None
        case "recipients_per_message":
            return Disposition.REJECT if recipients > limit else None
        case "messages_per_hour":
            return Disposition.DEFER if facts.counts.messages_hour > limit else None
        case "messages_per_day":
            return Disposition.DEFER if facts.counts.messages_day > limit else None
        case "recipients_per_hour":
            return Disposition.DEFER if facts.counts.recipients_hour > limit else None
        case "recipients_per_day":
            return Disposition.DEFER if facts.counts.recipients_day > limit else None
        case "external_recipients_per_day":
            return Disposition.DEFER if is_external and facts.counts.external_day > limit else None
        case "tenant_external_per_day":
            return Disposition.DEFER if is_external and facts.counts.tenant_external_day > limit else None
        case "from_own":
            return Disposition.REJECT if facts.is_from_another else None
        case "strangers":
            return Disposition.REJECT if facts.strangers else None
        case "auto_forward":
            return Disposition.REJECT if facts.is_by_rule else None
    return None
