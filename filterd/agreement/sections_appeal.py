"""The `[appeal]` table of an agreement file: how fast appeals are decided, and what one is worth.  STANDING 5.6, 5.7.

Optional, and so is every key: what is left out is as STANDING has it. How long a sanction can be appealed stands in
`[lifecycle]`, with the other clocks; how soon a person looks is `objection_hours` of `[incident]`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from filterd.agreement.sections import Hours, Section

Days = Annotated[int, Field(ge=1, le=3660)]
Percent = Annotated[int, Field(ge=1, le=100)]


class AppealSection(Section):
    """`[appeal]`: what is promised to whoever objects.

    Args:
        decide_hours: a decision within so many hours, or within half of the time the sanction has left if that is less.
        decide_min_hours: never less time than this to decide.
        evidence_days: so long after the strike's end lost evidence is our loss, not the account's (STANDING 5.7-22).
        exculpation_days: for so long what was once found to be no breach gives no points again (STANDING 5.7-5).
        similarity_percent: from this share of the same recipients on, bulk mail is the same bulk mail.
        pattern_recipients: of how many different recipients an act is bulk that can be known again.
    """

    decide_hours: Hours = 168
    decide_min_hours: Hours = 24
    evidence_days: Days = 30
    exculpation_days: Days = 180
    similarity_percent: Percent = 70
    pattern_recipients: Annotated[int, Field(ge=2, le=100_000)] = 50

    @model_validator(mode="after")
    def _order(self) -> AppealSection:
        if self.decide_min_hours > self.decide_hours:
            raise ValueError("decide_min_hours is not above decide_hours")
        return self
