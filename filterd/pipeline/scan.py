"""What would become of this mail?  One walk through the real gate, with nothing behind it that remembers or acts.

The effectors are inert by type (HOUSE rule 14): the ledger knows one fresh account in good standing and forgets at once,
the spool keeps nothing, nothing is relayed. There are no counters, so what looks at behaviour over time is skipped.
What the mail can do is in the result; only a bug of ours raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from filterd.agreement.decide import decide
from filterd.agreement.terms import Agreement
from filterd.checks.spec import Check
from filterd.errors import LedgerUnavailable
from filterd.log.facts import check_facts, decision_facts, locked_codes
from filterd.mail.address import canonical_domain
from filterd.mail.lines import canonical
from filterd.model.decision import Case, Counts, Decision
from filterd.model.ids import random_id
from filterd.model.reply import Reply
from filterd.model.session import Door, Envelope, ForwardPath, Path, Session
from filterd.model.standing import History
from filterd.pipeline.attribution import AttributionRule
from filterd.pipeline.gate import GateRules, ListenerRule, MailGate
from filterd.pipeline.intake import Read
from filterd.pipeline.recorder import Recorder
from filterd.ports import AccountRef, Clock, CountRequest, Intake, Keys

_LISTENER = "scan"
_ACCOUNT, _TENANT = "a_scan", "n_scan"
# Nobody, or an account by the strongest credential there is.
_RULES = {
    True: ListenerRule(attribution=AttributionRule(source="xclient"), direction="outbound"),
    False: ListenerRule(attribution=AttributionRule(), direction="inbound"),
}
