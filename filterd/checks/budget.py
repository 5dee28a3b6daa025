"""What a mail says that asks for more of DNS than a mail gets: the one finding of all that ask.  FAULTS 13.

It stands beside a temporary error and is nobody's failure: whoever was to be asked next may have said yes.
"""

from __future__ import annotations

from filterd.checks.spec import Code
from filterd.model.verdict import Finding

SPENT = Code(code="dns.budget.spent", label="The mail asks for more DNS answers than a mail gets.")


def spent(where: str) -> Finding:
    """Make the finding. `where`: which part of the mail makes us ask."""
    return Finding(code=SPENT.code, confidence=1.0, where=where)
