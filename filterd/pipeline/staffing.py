"""How many people decide here, and what that means for those who are decided about.  STANDING 5.5."""

from __future__ import annotations

from typing import Any

from filterd.agreement.proposal import staffing_of, unkept
from filterd.pipeline.people import Arguments, PlainVerb
from filterd.pipeline.roles import deciders
from filterd.pipeline.verbs import DeskRules
from filterd.ports import LedgerTxn


class StaffingVerbs:
    """The verb that says it. One instance a ledger process."""

    def __init__(self, rules: DeskRules):
        self._rules = rules

    def table(self) -> dict[str, PlainVerb]:
        """Say every verb by name."""
        return {"staffing.show": self.staffing_show}

    def staffing_show(self, txn: LedgerTxn, arguments: Arguments) -> Any:
        """Say the staffing, who counts for it, and which promises it cannot keep."""
        names = deciders(txn)
        staffing = staffing_of(self._rules.staffing, len(names))
        return {
            "staffing": staffing.value,
            "is_set": self._rules.staffing.mode is not None,
            "deciders": list(names),
            "unkept": list(unkept(staffing)),
        }
