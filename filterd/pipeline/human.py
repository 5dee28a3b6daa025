"""Every verb of people, in one table: what the ledger offers to the command line, and later to the console.

A line here adds a group of verbs, or an act that takes two people.
"""

from __future__ import annotations

from filterd.pipeline import mandates, person_acts, tenant_history
from filterd.pipeline.accounts import AccountVerbs
from filterd.pipeline.adopting import ADOPT_TERMS, RAISE_CATEGORY
from filterd.pipeline.appeals import AppealVerbs
from filterd.pipeline.automation import AutomationVerbs
from filterd.pipeline.bounces import BounceVerbs
from filterd.pipeline.changes import ChangeVerbs
from filterd.pipeline.claims import REPORTED, ClaimVerbs
from filterd.pipeline.complaints import ComplaintVerbs
from filterd.pipeline.cure import CureVerbs
from filterd.pipeline.decommission import DECOMMISSION
from filterd.pipeline.desk import Desk
from filterd.pipeline.effect_verbs import EffectVerbs
from filterd.pipeline.exporting import EXPORT_EVIDENCE, ExportVerbs
from filterd.pipeline.locked import VERB as LOCKED_NOTE
from filterd.pipeline.locked import LockedNotes
from filterd.pipeline.locked_acts import ADOPT_LOCKED, ENABLE_LOCKED
from filterd.pipeline.locked_cases import LockedCaseVerbs
from filterd.pipeline.notifiers import MUTE_NOTIFIER, NotifierVerbs
from filterd.pipeline.optouts import OptOutVerbs
from filterd.pipeline.people import PlainVerb
from filterd.pipeline.proposals import Acts, ProposalVerbs
from filterd.pipeline.purge import PURGE
from filterd.pipeline.quarantine_acts import QuarantineVerbs
from filterd.pipeline.queue import QueueVerbs
from filterd.pipeline.recall import RECALL, RecallVerbs
from filterd.pipeline.register_acts import REGISTER_ACTS
from filterd.pipeline.registers import RegisterVerbs
from filterd.pipeline.registration_acts import CONFIRM_REGISTRATION, RegistrationVerbs
from filterd.pipeline.requests import RequestVerbs
from filterd.pipeline.review import ReviewVerbs
from filterd.pipeline.security import SecurityVerbs
from filterd.pipeline.service_verbs import ServiceVerbs
from filterd.pipeline.staffing import StaffingVerbs
from filterd.pipeline.standing_orders import OrderVerbs
from filterd.pipeline.tenancy import TenancyVerbs
from filterd.pipeline.tenant_acts import SUSPEND_TENANT
from filterd.pipeline.tenant_end import REINSTATE_TENANT, TERMINATE_TENANT
from filterd.pipeline.terminations import REINSTATE, TERMINATE
from filterd.pipeline.urgent import UrgentVerbs
from filterd.pipeline.verbs import DeskRules, MailVerbs

# What takes two people (STANDING 5.5).
ACTS = (
    TERMINATE,
    REINSTATE,
    SUSPEND_TENANT,
    TERMINATE_TENANT,
    REINSTATE_TENANT,
    CONFIRM_REGISTRATION,
    PURGE,
    DECOMMISSION,
    RECALL,
    ADOPT_TERMS,
    RAISE_CATEGORY,
    ENABLE_LOCKED,
    ADOPT_LOCKED,
    EXPORT_EVIDENCE,
    REPORTED,
    MUTE_NOTIFIER,
    *REGISTER_ACTS,
)


def human_verbs(rules: DeskRules, mail: MailVerbs) -> dict[str, PlainVerb]:
    """Say the verbs by name."""
    desk = Desk(rules, mail)
    review = ReviewVerbs(desk).table()
    groups = (
        AccountVerbs(desk).table(),
        review,
        QueueVerbs(desk, review).table(),
        LockedCaseVerbs(desk).table(),
        {LOCKED_NOTE: LockedNotes(rules).note},
        QuarantineVerbs(desk, review).table(),
        ProposalVerbs(desk, Acts(*ACTS)).table(),
        CureVerbs(desk).table(),
        AppealVerbs(desk).table(),
        AutomationVerbs(desk).table(),
        RecallVerbs(desk).table(),
        SecurityVerbs(desk).table(),
        EffectVerbs(desk).table(),
        TenancyVerbs(desk).table(),
        RegisterVerbs(desk).table(),
        RegistrationVerbs(desk).table(),
        OrderVerbs(desk).table(),
        ExportVerbs(desk).table(),
        mandates.table(),
        person_acts.table(),
        tenant_history.table(),
        ClaimVerbs(desk).table(),
        ComplaintVerbs(desk).table(),
        BounceVerbs(desk).table(),
        NotifierVerbs(desk).table(),
        OptOutVerbs(desk).table(),
        ChangeVerbs(rules).table(),
        RequestVerbs(desk).table(),
        UrgentVerbs(desk).table(),
        StaffingVerbs(rules).table(),
        ServiceVerbs(rules, is_settable=rules.is_clock_settable).table(),
    )
    return {name: verb for group in groups for name, verb in group.items()}
