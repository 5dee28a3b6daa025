"""Does this account behave unlike itself?  STANDING 5.11 (running burst, bulk), CLAUSES tail-a.

Needs the counters of the account answerable, this mail included; no other verdict. Finds: rate.burst.running,
rate.recipients.high, rate.messages.high, rate.unknown.high, rate.strangers.high, rate.message.bulk, rate.tenant.burst,
rate.client.high, rate.drip.slow, rate.client.new, rate.client.automated, rate.clients.many, rate.strangers.unlike, all
of the signal group "behaviour", which alone never makes spam a mode-A case. Pure: nothing is temporary; without
counters it is skipped.

The baseline is the account's own recipients a day. A burst is a rate, so it is compared with a rate: a day's baseline
falls into eight hours (people do not write evenly around the clock), hence 8 parts for an hour, 48 for 10 minutes. An
account with fewer than 480 recipients a day then bursts at the floor of 100 (10 x 480 / 48), where a stolen account
is to be caught (STANDING 7.3, story_s1); one that mails 5,000 people a day may reach 1,041 in 10 minutes. Compared with
the whole day instead, a stolen account that usually writes to 50 people a day could write to 500 unnoticed. Who sends
the whole day's mail at once does look like a burst: that is a signal of behaviour, and never enough alone.

A tenant and a client address are compared with themselves in the same way. What is found there is about all who share
it, and says nothing of whose mail this is: an agreement does well to leave it to people (`advisory`). A new network,
many networks and nothing but strangers speak for a stolen account, and are nothing anybody breached: indicators.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from filterd.checks.rate_client import automated
from filterd.checks.spec import Check, Code, Context, in_place, skipped
from filterd.model.decision import Counts
from filterd.model.session import Direction
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

NAME = "rate"
VERSION = "5"

BURST = "rate.burst.running"
RECIPIENTS = "rate.recipients.high"
MESSAGES = "rate.messages.high"
UNKNOWN = "rate.unknown.high"
STRANGERS = "rate.strangers.high"
DRIP = "rate.drip.slow"
BULK = "rate.message.bulk"
TENANT = "rate.tenant.burst"
CLIENT = "rate.client.high"
CLIENT_NEW = "rate.client.new"
CLIENT_AUTOMATED = "rate.client.automated"
CLIENTS = "rate.clients.many"
UNLIKE = "rate.strangers.unlike"
SIGNAL = "behaviour"

CODES = (
    Code(code=BURST, signal=SIGNAL, label="Recipients in 10 minutes far above the account's own baseline."),
    Code(code=RECIPIENTS, signal=SIGNAL, label="Recipients in an hour above the account's own baseline."),
    Code(code=MESSAGES, signal=SIGNAL, label="Messages in an hour above the account's own baseline."),
    Code(code=UNKNOWN, signal=SIGNAL, label="Many recipients in an hour do not exist: an old or a bought list."),
    Code(code=STRANGERS, signal=SIGNAL, label="Many recipients in an hour, most of them never written to before."),
    Code(code=DRIP, signal=SIGNAL, label="The same text to many people never written to before, in a month."),
    Code(code=BULK, signal=SIGNAL, label="One message to many recipients outside the tenant."),
    Code(code=TENANT, signal=SIGNAL, label="Recipients of a whole tenant in 10 minutes far above its own baseline."),
    Code(code=CLIENT, signal=SIGNAL, label="Recipients from one client address in an hour above its own baseline."),
    Code(code=CLIENT_NEW, signal=SIGNAL, label="From a network this account has not sent from before."),
    Code(code=CLIENT_AUTOMATED, signal=SIGNAL, label="Logged in by a library or a script, not by a mail program."),
    Code(code=CLIENTS, signal=SIGNAL, label="From many networks within an hour."),
    Code(code=UNLIKE, signal=SIGNAL, label="Nearly all to people never written to, unlike the account's own habit."),
)

HOURS_A_DAY = 8
# STANDING 5.11, declared stream: bounces below 3 % are ordinary.
UNKNOWN_SHARE = 0.03
# Most of them: a mailing to regular readers that gained a few is none.
STRANGERS_SHARE = 0.5
# Nearly all of them, where a day's habit is so many times less: a thief has another list of addresses.
UNLIKE_SHARE = 0.8
# STANDING 5.11, bulk: from 50 external recipients on. An announcement to all colleagues is not bulk.
BULK_RECIPIENTS = 50


class Limits(Protocol):
    """Where behaviour becomes notable; the `[rate]` table has these keys."""

    @property
    def burst_recipients_10min(self) -> int: ...
    @property
    def burst_times_baseline(self) -> float: ...
    @property
    def volume_recipients_hour(self) -> int: ...
    @property
    def volume_messages_hour(self) -> int: ...
    @property
    def volume_times_baseline(self) -> float: ...
    @property
    def unknown_recipients_hour(self) -> int: ...
    @property
    def tenant_recipients_10min(self) -> int: ...
    @property
    def client_recipients_hour(self) -> int: ...
    @property
    def clients_hour(self) -> int: ...
    @property
    def unlike_strangers_hour(self) -> int: ...
    @property
    def drip_strangers_month(self) -> int: ...


def judge(
    counts: Counts, limits: Limits, *, external_recipients: int = 0, bulk_recipients_message: int = BULK_RECIPIENTS
) -> Verdict:
    """Say which counters are beyond their limits: at or above the floor, and above the share or multiple.

    Args:
        external_recipients: of this message; so many or more than `bulk_recipients_message` make it bulk by itself.
    """
    own, tenant, client = "baseline_recipients_day", "tenant_baseline_recipients_day", "client_baseline_recipients_day"
    hour = counts.baseline_recipients_day / HOURS_A_DAY
    # Every message has a recipient, so the baseline of recipients is an upper bound of that of messages.
    rows = (
        (BURST, "recipients_10min", limits.burst_recipients_10min, limits.burst_times_baseline * hour / 6, own),
        (RECIPIENTS, "recipients_hour", limits.volume_recipients_hour, limits.volume_times_baseline * hour, own),
        (MESSAGES, "messages_hour", limits.volume_messages_hour, limits.volume_times_baseline * hour, own),
        # Of all tried: accepted and refused.
        (UNKNOWN, "unknown_hour", limits.unknown_recipients_hour,
         UNKNOWN_SHARE * (counts.recipients_hour + counts.unknown_hour), own),
        (STRANGERS, "strangers_hour", limits.volume_recipients_hour, STRANGERS_SHARE * counts.recipients_hour, own),
        (TENANT, "tenant_recipients_10min", limits.tenant_recipients_10min,
         limits.burst_times_baseline * counts.tenant_baseline_recipients_day / HOURS_A_DAY / 6, tenant),
        (CLIENT, "client_recipients_hour", limits.client_recipients_hour,
         limits.volume_times_baseline * counts.client_baseline_recipients_day / HOURS_A_DAY, client),
    )  # fmt: skip
    findings = tuple(
        Finding(
            code=code,
            confidence=1.0,
            why=(
                (counter, str(count)),
                ("floor", str(floor)),
                ("above", f"{above:.1f}"),
                (baseline, f"{getattr(counts, baseline):.1f}"),
            ),
            signal=SIGNAL,
        )
        for code, counter, floor, above, baseline in rows
        if (count := getattr(counts, counter)) >= floor and count > above
    )
    if counts.drip_strangers >= limits.drip_strangers_month:
        why = (("drip_strangers", str(counts.drip_strangers)), ("floor", str(limits.drip_strangers_month)))
        findings += (Finding(code=DRIP, confidence=1.0, why=why, signal=SIGNAL),)
    findings += _unlike_itself(counts, limits)
    if external_recipients >= bulk_recipients_message:
        why = (("recipients_message", str(external_recipients)), ("floor", str(bulk_recipients_message)))
        findings += (Finding(code=BULK, confidence=1.0, why=why, signal=SIGNAL),)
    outcome = Outcome.FOUND if findings else Outcome.CLEAN
    return Verdict(check=NAME, version=VERSION, outcome=outcome, findings=findings)


def _unlike_itself(counts: Counts, limits: Limits) -> tuple[Finding, ...]:
    """Say what speaks for somebody else than the user: networks, and whom the mail goes to. None of it is a breach; an
    agreement lists it as an indicator (STANDING 5.7-14)."""
    usual = limits.volume_times_baseline * counts.strangers_baseline_day
    # Who has no history is not unlike it.
    floor = max(limits.unlike_strangers_hour, UNLIKE_SHARE * counts.recipients_hour)
    found = (
        (CLIENT_NEW, counts.client_is_new, (("client", "new"),)),
        (CLIENTS, counts.clients_hour >= limits.clients_hour, (("clients_hour", str(counts.clients_hour)),)),
        (
            UNLIKE,
            counts.baseline_recipients_day > 0 and counts.strangers_hour >= floor and counts.strangers_hour > usual,
            (("strangers_hour", str(counts.strangers_hour)), ("above", f"{usual:.1f}")),
        ),
    )
    return tuple(
        Finding(code=code, confidence=1.0, why=why, signal=SIGNAL) for code, is_found, why in found if is_found
    )


def make(limits: Limits, *, timeout_s: float, bulk_recipients_message: int = BULK_RECIPIENTS) -> Check:
    """Make the check. Its fail mode is to accept: it has no error of its own."""

    def run(context: Context) -> Verdict:
        if context.direction is Direction.INBOUND:
            return skipped(NAME, VERSION, "inbound")
        if context.principal.account_id is None or context.counts is None:
            return skipped(NAME, VERSION, "unattributed")
        forwards = context.transaction.envelope.forward_paths
        external = {f.path.address for f in forwards if f.path.domain not in context.own_domains}
        said = judge(
            context.counts,
            limits,
            external_recipients=len(external),
            bulk_recipients_message=bulk_recipients_message,
        )
        sign = automated(context.message, context.transaction.session)
        if sign is None:
            return said
        found = Finding(code=CLIENT_AUTOMATED, confidence=1.0, why=(sign,), signal=SIGNAL)
        return replace(said, outcome=Outcome.FOUND, findings=(*said.findings, found))

    return Check(
        name=NAME,
        version=VERSION,
        codes=CODES,
        run=in_place(run),
        deadline_s=timeout_s,
        fail_mode=FailMode.ACCEPT,
    )
