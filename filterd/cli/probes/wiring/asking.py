"""Faults of the policy service: whether Postfix asks how an account stands, where, and what if nobody answers.

MAIL-PATH 4e, 4i. Pure. A port whose milter is ours needs no policy service.
"""

from __future__ import annotations

from collections.abc import Iterator

from filterd.cli.probes.wiring.case import LATE_LISTS, Case, Question
from filterd.cli.probes.wiring.fault import Change, Fault, breaks, warns
from filterd.cli.probes.wiring.postfix import Postfix, Service
from filterd.cli.probes.wiring.text import items, seconds
from filterd.doors.policyd import IDLE_S

POLICY_PORT = breaks(
    "policy-port", "filterd's policy service is not there; Postfix puts all mail off, or asks nobody at all"
)
POLICY_MISSING = warns("policy-missing", "a suspended account is refused only after its mail was sent, or by a bounce")
POLICY_NEVER = breaks(
    "policy-never", "who has logged in is permitted before it, so it is never asked: suspended accounts are not refused"
)
POLICY_LATE = warns(
    "policy-late", "it is asked after the recipients: a suspended account cannot reach the desks that stay open"
)
POLICY_DUNNO = warns("policy-dunno", "while filterd is away, suspended accounts send")
POLICY_TIMEOUT = warns("policy-timeout", "a moment's pause counts as no answer, and mail is put off for nothing")
POLICY_IDLE = warns(
    "policy-idle", "filterd has closed the connection when Postfix asks again; now and then mail is put off (450)"
)
KINDS = (POLICY_PORT, POLICY_MISSING, POLICY_NEVER, POLICY_LATE, POLICY_DUNNO, POLICY_TIMEOUT, POLICY_IDLE)

_PERMITS = ("permit_sasl_authenticated", "permit")
_PASSES = ("DUNNO", "OK", "PERMIT", "PERMIT_AUTH_DESTINATION", "INFO", "WARN")
_DEFER = "DEFER_IF_PERMIT"
_RECIPIENT = "smtpd_recipient_restrictions"
_NAME = "filterd_policy"
_DEFAULT = "smtpd_policy_service_default_action"
_TIMEOUT, _MAX_IDLE = "smtpd_policy_service_timeout", "smtpd_policy_service_max_idle"
_LEAST_S, _USUAL_S = 2, 5


def asked(case: Case) -> Iterator[Fault]:
    """Is the service asked, at each recipient, about everybody who logged in?"""
    for service in _needing(case):
        here = [question for question in case.questions if question.service is service]
        ours = [question for question in here if question.is_ours]
        if any(case.is_hidden_by_chroot(question.address) for question in here):
            continue
        astray = [q for q in here if not q.is_ours and case.is_like_ours(q.address, service, q.list_name, q.asked)]
        if not ours and astray and case.policy is not None:
            first = astray[0]
            new = f"inet:{case.policy.text}"
            change = case.postfix.set_words(service, first.list_name, first.address, new)
            said = f"{service.name} asks {first.address}, filterd's policy service is on {case.policy.text}"
            yield Fault(kind=POLICY_PORT, said=said, change=change)
        elif not ours:
            said = f"{service.name} takes logins and asks no policy service of filterd's"
            yield Fault(kind=POLICY_MISSING, said=said, change=_ask_first(case, service))
        elif all(question.list_name in LATE_LISTS for question in ours):
            said = f"{service.name}: check_policy_service only in {ours[0].list_name}"
            yield Fault(kind=POLICY_LATE, said=said, change=_ask_first(case, service))
        elif all(_is_behind_a_permit(question) for question in ours):
            said = f"{service.name}: check_policy_service behind {_PERMITS[0]} in {ours[0].list_name}"
            yield Fault(kind=POLICY_NEVER, said=said, change=_move_first(case, ours[0]))


def answers(case: Case) -> Iterator[Fault]:
    """What does Postfix do when no answer comes, and how long does it wait for one?"""
    for service in _needing(case):
        for question in case.questions:
            if question.service is service and question.is_ours:
                yield from _answers(case.postfix, question)


def _answers(postfix: Postfix, question: Question) -> Iterator[Fault]:
    attributes, service = dict(question.attributes), question.service
    own = attributes.get("default_action")
    action = own or postfix.value(_DEFAULT, service)
    if action.split(" ")[0].upper() in _PASSES:
        change = (
            postfix.set_where_set(service, _DEFAULT, _DEFER) if own is None
            else postfix.set_words(service, question.list_name, f"default_action={own}", f"default_action={_DEFER}")
        )  # fmt: skip
        yield Fault(kind=POLICY_DUNNO, said=f"default_action={action} for {question.address}", change=change)
    limit = attributes.get("timeout")
    wait = seconds(limit or postfix.value(_TIMEOUT, service))
    if wait is not None and wait < _LEAST_S:
        change = (
            postfix.set_where_set(service, _TIMEOUT, f"{_USUAL_S}s") if limit is None
            else postfix.set_words(service, question.list_name, f"timeout={limit}", f"timeout={_USUAL_S}s")
        )  # fmt: skip
        yield Fault(kind=POLICY_TIMEOUT, said=f"timeout of {wait} s for {question.address}", change=change)
    idle = seconds(postfix.value(_MAX_IDLE, service))
    if idle is not None and idle >= IDLE_S:
        change = postfix.set_where_set(service, _MAX_IDLE, "300s")
        yield Fault(kind=POLICY_IDLE, said=f"{_MAX_IDLE}={idle}s, filterd closes after {IDLE_S:g} s", change=change)


JUDGES = (asked, answers)


def _needing(case: Case) -> list[Service]:
    """Say which services take logins and give mail to a listener; a milter knows the login itself."""
    if case.policy is None:
        return []
    by_milter = {feed.service.name for feed in case.fed if feed.way == "milter"}
    named = {feed.service.name: feed.service for feed in case.fed if case.takes_logins(feed.service)}
    return [service for name, service in named.items() if name not in by_milter]


def _is_behind_a_permit(question: Question) -> bool:
    return any(word in _PERMITS for word in question.before)


def _ask_first(case: Case, service: Service) -> Change:
    setting = case.postfix.raw(_RECIPIENT, service)
    rest = [] if setting is None else items(setting.value)
    return case.postfix.set_option(service, _RECIPIENT, ",".join([*_ask(case), *rest]))


def _move_first(case: Case, question: Question) -> Change:
    setting = case.postfix.raw(question.list_name, question.service)
    words = items(setting.value) if setting is not None else []
    mine = _ask(case)
    # Either the name of the whole, or the two words of it.
    at = next((n for n, word in enumerate(words) if case.postfix.expand(word).startswith("check_policy_service")), None)
    if at is not None:
        end = at + (2 if words[at] == "check_policy_service" else 1)
        mine, words = words[at:end], words[:at] + words[end:]
    permit = next((n for n, word in enumerate(words) if word in _PERMITS), 0)
    value = ",".join([*words[:permit], *mine, *words[permit:]])
    return case.postfix.set_where_set(question.service, question.list_name, value)


def _ask(case: Case) -> list[str]:
    if _NAME in case.postfix.main:
        return [f"${_NAME}"]
    place = case.policy.text if case.policy is not None else ""
    return ["check_policy_service", f"inet:{place}"]
