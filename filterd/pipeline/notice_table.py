"""The register of general notices: what each is called, who reads it, and which facts it needs.  CLAUSES §7.

Notices about one incident and its sanctions (warning, restriction, suspension, hold, annulled, objection received) rest
on a statement of reasons instead (agreement/statement). Facts here are codes, ids, numbers, instants and dates by
type: no row can carry an address, a name, a term or a word of a mail. A question mark behind a type: may be None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Audience(StrEnum):
    """Who reads a copy.

    `contact` is an address of the account's user outside the mailbox, `second` the tenant's second contact, `party` the
    desk of whoever enforces the agreement, `dealer` the desk of the dealer it was bought from, `co_users` every other
    account of the tenant, `other` somebody outside who wrote to us, such as a complainant.
    """

    ACCOUNT = "account"
    CONTACT = "contact"
    TENANT = "tenant"
    SECOND = "second"
    PARTY = "party"
    DEALER = "dealer"
    CO_USERS = "co_users"
    OTHER = "other"


# What a notice may be about: an account, a tenant, either of them, or nobody of ours.
ACCOUNT, TENANT, EITHER, NOBODY = "account", "tenant", "either", "nobody"

_USER = (Audience.ACCOUNT, Audience.CONTACT)
_ADMIN = (Audience.TENANT, Audience.SECOND)
_ALL = (*_USER, Audience.TENANT)
_EVERYBODY = _USER + _ADMIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One kind of notice.

    Args:
        about: ACCOUNT, TENANT, EITHER or NOBODY.
        to: who gets a copy, as far as the directory has an address.
        facts: type by name: code, id, number, instant, date, flag, codes, ids, clauses or features.
        is_sanction: it says the points, the next step, when strikes fade and how to object; no limit applies to it.
        can_object: it says how to object, without points.
        is_security: no link goes to the mailbox it is about, and the second contact is told besides.
        is_private: for nobody else's eyes: where its reader cannot be reached, nobody is told instead.
        every: at most one in such a time for a subject, with all that happened in it; None: each by itself, at once.
    """

    about: str
    to: tuple[Audience, ...]
    facts: Mapping[str, str]
    is_sanction: bool = False
    can_object: bool = False
    is_security: bool = False
    is_private: bool = False
    every: timedelta | None = None

    @property
    def is_listing(self) -> bool:
        """Say whether one notice tells of several."""
        return self.every is not None


def _of(spec: str) -> dict[str, str]:
    return dict(item.split(":") for item in spec.split())


def _sanction(spec: str) -> Event:
    return Event(about=ACCOUNT, to=_ALL, facts=_of(spec), is_sanction=True, can_object=True)


def _appeal(spec: str) -> Event:
    """About a decision against an account, or of a tenant's side about a step: that one has no points."""
    return Event(about=EITHER, to=_ALL, facts=_of(spec), is_sanction=True, can_object=True)


def _tenant(spec: str, *, can_object: bool = False, is_security: bool = False) -> Event:
    return Event(about=TENANT, to=_ADMIN, facts=_of(spec), can_object=can_object, is_security=is_security)


def _service(spec: str) -> Event:
    return Event(about=EITHER, to=_EVERYBODY, facts=_of(spec))


# The day's list of what strangers have sent and is held.
DIGEST = "quarantine_digest"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

EVENTS: Mapping[str, Event] = {
    # One message. The refusal itself is the notice; this one tells of several.
    "message_refused": Event(
        about=ACCOUNT, to=_USER, facts=_of("at:instant because:code recipients:number"), can_object=True, every=_HOUR
    ),
    "message_held": Event(
        about=ACCOUNT,
        to=_USER,
        facts=_of("held_id:id held_at:instant decide_by:instant return_at:instant recipients:number"),
        can_object=True,
    ),
    "message_returned": Event(
        about=ACCOUNT,
        to=_USER,
        facts=_of("held_id:id held_at:instant returned_at:instant copies:number recipients:number"),
        can_object=True,
    ),
    DIGEST: Event(
        about=ACCOUNT,
        to=(Audience.ACCOUNT,),
        facts=_of("held_id:id held_at:instant because:code remove_on:date"),
        every=_DAY,
    ),
    "advice": Event(about=EITHER, to=_ALL, facts=_of("code:code count:number since:instant"), every=_DAY),
    "recipient_warning": Event(
        about=ACCOUNT, to=(Audience.ACCOUNT,), facts=_of("received_at:instant kind:code is_taken_back:flag")
    ),
    # What became of a sanction.
    "stepped_down": _sanction(
        "incident_id:id sanction_id:id at:instant from_rung:code to_rung:code until:instant? features:features"
    ),
    "sanction_lifted": _sanction("incident_id:id sanction_id:id rung:code at:instant because:code"),
    "sanction_expired": _sanction("incident_id:id sanction_id:id rung:code at:instant probation_until:instant?"),
    "sanction_lapsed": _sanction("incident_id:id sanction_id:id rung:code at:instant"),
    "termination_proposed": _sanction(
        "incident_id:id proposal_id:id proposed_at:instant earliest_at:instant is_by_order:flag"
    ),
    "termination_withdrawn": _sanction("incident_id:id proposal_id:id at:instant because:code"),
    "terminated": _sanction("incident_id:id sanction_id:id at:instant kept_until:date?"),
    "reinstated": _sanction("at:instant sanction_id:id is_empty:flag"),
    # Appeals.
    "appeal_acknowledged": _appeal("appeal_id:id incident_id:id filed_at:instant decide_by:instant"),
    "appeal_info_requested": _appeal("appeal_id:id incident_id:id asked_at:instant answer_by:instant?"),
    "appeal_decided": _appeal("appeal_id:id incident_id:id outcome:code decided_at:instant can_reopen:flag"),
    "appeal_reopened": _appeal("appeal_id:id incident_id:id at:instant decide_by:instant"),
    # Breach in writing, and its cure.
    "breach_notice": Event(
        about=TENANT,
        to=_ADMIN,
        facts=_of("clauses:clauses incident_id:id? account_id:id? issued_at:instant suspension_from:instant?"),
        can_object=True,
    ),
    "cure_received": Event(
        about=EITHER,
        to=_ALL,
        facts=_of("cure_id:id sanction_id:id filed_at:instant answer_by:instant missing:codes"),
        can_object=True,
    ),
    "cure_accepted": Event(
        about=EITHER,
        to=_ALL,
        facts=_of("cure_id:id sanction_id:id at:instant probation_until:instant?"),
        can_object=True,
    ),
    "cure_refused": Event(
        about=EITHER,
        to=_ALL,
        facts=_of("cure_id:id sanction_id:id at:instant missing:codes"),
        can_object=True,
    ),
    # Protection.
    "security_hold": Event(
        about=ACCOUNT,
        to=_EVERYBODY,
        facts=_of("hold_id:id because:code starts_at:instant ends_at:instant? features:features is_reminder:flag"),
        can_object=True,
        is_security=True,
    ),
    "protection_ended": Event(
        about=ACCOUNT,
        to=_EVERYBODY,
        facts=_of("hold_id:id at:instant because:code watch_until:instant? watch_features:features"),
        is_security=True,
    ),
    "custody_warning": _tenant(
        "incident_id:id at:instant half_points:number expires_at:instant attestations:number", can_object=True
    ),
    "registration_hold": _tenant("hold_id:id at:instant reasons:codes", can_object=True),
    # The tenant.
    "tenant_warning": _tenant(
        "step_id:id at:instant score_milli:number next_milli:number? accounts:number incidents:number clauses:clauses",
        can_object=True,
    ),
    "tenant_quota": _tenant(
        "step_id:id starts_at:instant ends_at:instant? quota:number score_milli:number? is_technical:flag"
        " clauses:clauses",
        can_object=True,
    ),
    "tenant_suspension_proposed": _tenant(
        "proposal_id:id proposed_at:instant score_milli:number clauses:clauses", can_object=True
    ),
    "tenant_suspended": _tenant(
        "step_id:id starts_at:instant ends_at:instant? clauses:clauses", can_object=True
    ),
    "tenant_termination_proposed": _tenant(
        "step_id:id proposal_id:id proposed_at:instant earliest_at:instant clauses:clauses", can_object=True
    ),
    "tenant_termination_withdrawn": _tenant("step_id:id at:instant because:code"),
    "tenant_terminated": _tenant("step_id:id at:instant clauses:clauses", can_object=True),
    "tenant_reinstated": _tenant("step_id:id at:instant because:code is_empty:flag"),
    "tenant_step_ended": _tenant("step_id:id step:code at:instant because:code"),
    "tenant_locked": _tenant("lock_id:id at:instant until:instant", can_object=True, is_security=True),
    "tenant_unlocked": _tenant("lock_id:id at:instant", is_security=True),
    # To everybody else of the tenant; nothing in it is about a colleague.
    "co_user": Event(
        about=TENANT,
        to=(Audience.CO_USERS,),
        facts=_of("step:code starts_at:instant ends_at:instant? quota:number? except_ids:ids"),
    ),
    # The contract and its clocks: none of it is misconduct.
    "renewal_due": _service("expires_on:date kept_until:date"),
    "service_renewed": _service("at:instant expires_on:date"),
    "service_stopped": _service("stopped_on:date kept_until:date"),
    "mx_warning": _service("first_bad_on:date ends_on:date"),
    "service_ended": _service("because:code ended_on:date cleared_from:date copy_until:date"),
    "law_change": _service("ends_on:date"),
    "service_change": _service("change_id:id what:code effective_at:instant document:code"),
    "deletion_imminent": _service("because:code delete_on:date"),
    "deletion_complete": _service("at:instant purge_id:id evidence:number held_mails:number"),
    "maintenance": _service("window_id:id since:instant until:instant is_emergency:flag"),
    "maintenance_cancelled": _service("window_id:id at:instant"),
    "terms_change": _service("agreement:code version:code effective_from:instant"),
    "product_shutdown": _service("mail_ends_on:date export_until:date delete_on:date"),
    # Declared bulk mail.
    "stream_on_notice": Event(
        about=ACCOUNT,
        to=_ALL,
        facts=_of(
            "entry_id:id condition:code repair_by:instant delivered:number? complainants:number? bounced:number?"
        ),
        can_object=True,
    ),
    "stream_undeclared": Event(
        about=ACCOUNT, to=_ALL, facts=_of("entry_id:id condition:code at:instant"), can_object=True
    ),
    # Whoever complained; never who was complained about, never what was done to them.
    "complaint_acknowledged": Event(
        about=NOBODY, to=(Audience.OTHER,), facts=_of("complaint_id:id received_at:instant")
    ),
    "complaint_closed": Event(
        about=NOBODY, to=(Audience.OTHER,), facts=_of("complaint_id:id outcome:code closed_at:instant")
    ),
    "notifier_warned": Event(about=NOBODY, to=(Audience.OTHER,), facts=_of("complaint_id:id warned_at:instant")),
    # A rights holder whose notice lacks something: what, and of which of the rights (TX-3.3.2 tail-f).
    "rights_incomplete": Event(
        about=NOBODY, to=(Audience.OTHER,), facts=_of("rights_id:id right:code missing:codes received_at:instant")
    ),
    # Care for whoever may come to harm: where help is found (STANDING 5.7-25).
    "care": Event(about=ACCOUNT, to=(Audience.ACCOUNT,), facts=_of("at:instant"), is_private=True),
    # The enforcing party's own desk.
    "desk_task": Event(
        about=EITHER, to=(Audience.PARTY,), facts=_of("task_id:id what:code due_at:instant"), every=_HOUR
    ),
}
