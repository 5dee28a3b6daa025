"""What goes on: the mail with our fields on top, or what the MTA must do to its own copy.  HOUSE §4, MAIL-PATH §4f."""

from __future__ import annotations

from dataclasses import replace

from filterd.model.decision import Decision
from filterd.model.session import Direction, Door
from filterd.model.verdict import Assessment
from filterd.pipeline.author import Author
from filterd.pipeline.gate_rules import GateRules
from filterd.pipeline.headers import Marking
from filterd.pipeline.intake import Read
from filterd.pipeline.signing import OwnerOf
from filterd.ports import Answer, Intake


async def passed(
    rules: GateRules,
    owner_of: OwnerOf,
    intake: Intake,
    item: Read,
    author: Author,
    direction: Direction,
    decision: Decision,
    assessment: Assessment,
) -> Answer:
    """Mark, and sign or seal, a mail that goes on."""
    rule = rules.listeners[intake.session.listener]
    made = Marking(
        transaction_id=item.transaction.id,
        message_fp=item.transaction.message_fp,
        direction=direction,
        disposition=decision.disposition,
        spam_score=assessment.score("spam"),
        is_complete=assessment.is_complete,
        remove=(rule.attribution.header_name,) if rule.attribution.header_name else (),
        assessment=assessment,
        authserv_id=rule.authserv_id,
        held_id=decision.held_id,
    )
    at, signer = item.transaction.received_at, rules.signer
    if direction is Direction.INBOUND:
        signed = await signer.sealed(item.message, assessment.result("arc"), made.results, at)
    else:
        signed = await signer.signatures(item.message, author.domains, at, owner_of)
    made = replace(made, signed=tuple(signed))
    if intake.session.door is Door.MILTER:
        return Answer(transaction_id=item.transaction.id, reply=None, edits=made.edits(intake.raw))
    return Answer(transaction_id=item.transaction.id, reply=None, raw=made.applied(intake.raw))
