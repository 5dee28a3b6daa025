"""What must be true when all is over.  HOUSE §6 rules 1, 2, 5, 6; FAULTS §2.

Every check says what is broken, one line a case; nothing at all is a pass. Allowed and counted: a mail that is there
more than once because a process that handled it died between the next hop's 250 and ours (or the next hop hung up
after the dot), each named by its header; a notice sent again because its sender died before it could be recorded.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos.aftermath import Aftermath
from tests.chaos.facts import Copy, Kill, Try
from tests.chaos.held import judge_held
from tests.chaos.letters import Mail
from tests.chaos.terms import STEPS

# Between two processes' readings of the same clock around one event.
_SLACK_S = 0.1
# The next hop notes a mail when it reads its end, which may be after the sender died: it, too, may stand still.
_NOTED_LATE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Doubled:
    """A mail that is there more than once, and why it may be."""

    ident: str
    fingerprint: str
    transaction_ids: tuple[str, ...]
    because: str


@dataclass(kw_only=True)
class Judgement:
    """What came of a campaign. `broken` is empty when every promise was kept."""

    mails: int = 0
    delivered: int = 0
    refused: int = 0
    held: int = 0
    tries: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[Doubled] = field(default_factory=list)
    double_strikes: list[str] = field(default_factory=list)
    notices: int = 0
    notices_pending: int = 0
    notices_again: list[str] = field(default_factory=list)
    rows: int = 0
    violations: int = 0
    sanctions: int = 0
    broken: list[str] = field(default_factory=list)
    in_hand: Counter[str] = field(default_factory=Counter)
    doubled_at: Counter[str] = field(default_factory=Counter)


def judge(
    mails: Mapping[str, Mail], tries: Iterable[Try], copies: Sequence[Copy], kills: Sequence[Kill], after: Aftermath
) -> Judgement:
    """Hold everything against the promises."""
    judgement = Judgement(mails=len(mails))
    by_mail: dict[str, list[Try]] = defaultdict(list)
    for tried in tries:
        by_mail[tried.ident].append(tried)
    kept: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        if copy.is_kept:
            kept[copy.ident].append(copy)
    for ident, mail in mails.items():
        _judge_mail(judgement, mail, by_mail[ident], kept.get(ident, []), kills)
    _judge_ledger(judgement, mails, by_mail, after)
    judgement.held = len(after.held)
    judgement.broken += judge_held(mails, by_mail, [copy for copy in copies if copy.is_kept], after.held, kills)
    _judge_notices(judgement, after, kept, kills)
    judgement.broken += [f"lost: {ident}" for ident in judgement.lost]
    judgement.broken += [f"double: {text}" for text in judgement.double_strikes]
    judgement.broken += after.troubles
    return judgement


# --- mails ------------------------------------------------------------------------------------------------------------


def _judge_mail(judgement: Judgement, mail: Mail, tries: list[Try], copies: list[Copy], kills: Sequence[Kill]) -> None:
    broken = judgement.broken
    judgement.tries += len(tries)
    for tried in tries:
        if not tried.is_settled:
            judgement.in_hand.update(
                {k.phase.name for k in kills if k.is_between(tried.began_at - _SLACK_S, tried.ended_at + _SLACK_S)}
            )
    if not tries or not tries[-1].is_settled:
        broken.append(f"{mail.ident}: never settled, at last {tries[-1].text if tries else 'not tried'}")
        return
    last = tries[-1]
    if last.code // 100 == 5:
        judgement.refused += 1
        # Of one that is held, judge_held says when.
        if not mail.must_be_refused and not mail.is_held:
            broken.append(f"{mail.ident}: refused for good: {last.text}")
        if copies:
            broken.append(f"{mail.ident}: refused with {last.code}, and arrived")
        return
    if mail.is_held:
        return
    judgement.delivered += 1
    if mail.must_be_refused:
        broken.append(f"{mail.ident}: taken with {last.code}, and should have been refused")
    if not copies:
        judgement.lost.append(mail.ident)
        return
    for copy in copies:
        if copy.body != mail.body_sha:
            broken.append(f"{mail.ident}: arrived altered")
        if copy.recipients != mail.letter.recipients:
            broken.append(f"{mail.ident}: arrived for others than it was sent to")
        if not copy.transaction_id or not copy.fingerprint:
            broken.append(f"{mail.ident}: bears no X-Filterd-Id, or two")
    if len(copies) > 1:
        _judge_doubled(judgement, mail, tries, copies, kills)


def _judge_doubled(
    judgement: Judgement, mail: Mail, tries: list[Try], copies: list[Copy], kills: Sequence[Kill]
) -> None:
    """Every copy but one must belong to a try that failed while somebody who handled the mail died."""
    broken = judgement.broken
    if len({copy.fingerprint for copy in copies}) != 1:
        heads = [f"{copy.answer}, {copy.came_at:.2f}: {copy.head}" for copy in copies]
        broken.append(f"{mail.ident}: {len(copies)} copies of different fingerprints: {heads}")
    if len({copy.transaction_id for copy in copies}) != len(copies):
        broken.append(f"{mail.ident}: two copies of one transaction")
    because = []
    for copy in sorted(copies, key=lambda c: c.came_at)[:-1]:
        reason = _why_doubled(copy, tries, kills)
        if reason is None:
            broken.append(f"{mail.ident}: doubled, and nobody who handled it died: {copy.transaction_id}")
        else:
            because.append(reason)
            judgement.doubled_at[reason] += 1
    judgement.doubled.append(
        Doubled(
            ident=mail.ident,
            fingerprint=copies[0].fingerprint,
            transaction_ids=tuple(copy.transaction_id for copy in copies),
            because=", ".join(because),
        )
    )


def _why_doubled(copy: Copy, tries: list[Try], kills: Sequence[Kill]) -> str | None:
    failed = [t for t in tries if t.began_at - _SLACK_S <= copy.came_at and not t.is_settled]
    if not failed:
        return None
    if copy.answer == "dropped":
        return "the next hop hung up"
    its = [t for t in failed if copy.came_at <= t.ended_at + _SLACK_S]
    # The client had hung up already, and filterd goes on without it (FAULTS F12); or the next hop has noted it late.
    before = [t for t in failed if t not in its and (not its or copy.came_at <= t.ended_at + _NOTED_LATE_S)][-1:]
    for some in filter(None, (its, before)):
        # Whoever died did so while the client waited for an answer, or went on without it.
        since = min(t.began_at for t in some) - _SLACK_S
        until = max(max(t.ended_at for t in some) + _SLACK_S, copy.answered_at + 1)
        if found := [k for k in kills if k.hits_mail and k.is_between(since, until)]:
            return found[0].phase.name
    return None


# --- the ledger -------------------------------------------------------------------------------------------------------


def _judge_ledger(
    judgement: Judgement, mails: Mapping[str, Mail], tries: Mapping[str, list[Try]], after: Aftermath
) -> None:
    broken, twice = judgement.broken, judgement.double_strikes
    judgement.rows = len(after.stored)
    told = sorted((row.writer, row.seq, row.kind) for row in after.rows)
    if told != sorted(after.stored):
        missing, more = set(after.stored) - set(told), set(told) - set(after.stored)
        broken.append(f"ledger and stream: not told {sorted(missing)[:3]} ({len(missing)}), not stored {len(more)}")
    accounts = Counter(after.accounts.values())
    twice += [f"{login} has {count} accounts" for login, count in accounts.items() if count > 1]
    keys = Counter((r.account_id, r.body["evidence_key"]) for r in after.rows if r.kind == "violation.recorded")
    twice += [f"violation {key} {count} times" for key, count in keys.items() if count > 1]
    families = Counter((r.account_id, r.body["family"]) for r in after.rows if r.kind == "incident.opened")
    twice += [f"incident {key} {count} times" for key, count in families.items() if count > 1]
    strikes: dict[tuple[str | None, str], set[str]] = defaultdict(set)
    points: Counter[tuple[str | None, str, int, int]] = Counter()
    for row in after.rows:
        if row.kind == "strike.issued":
            incident = row.body["incident_id"]
            strikes[row.account_id, incident].add(row.body["strike_id"])
            points[row.account_id, incident, row.body["a_half_points"], row.body["b_half_points"]] += 1
    twice += [f"incident {key} has {len(ids)} strikes" for key, ids in strikes.items() if len(ids) > 1]
    twice += [f"strike of {key} issued {count} times" for key, count in points.items() if count > 1]
    steps = Counter(
        (r.account_id, r.body["incident_id"], r.body["step"]) for r in after.rows if r.kind == "sanction.imposed"
    )
    twice += [f"sanction {key} {count} times" for key, count in steps.items() if count > 1]
    judgement.violations, judgement.sanctions = sum(keys.values()), sum(steps.values())
    _judge_completeness(judgement, mails, tries, after, keys)


def _judge_completeness(
    judgement: Judgement,
    mails: Mapping[str, Mail],
    tries: Mapping[str, list[Try]],
    after: Aftermath,
    keys: Mapping[tuple[str | None, str], int],
) -> None:
    """What was settled is on record: each breach once, each account that went all the way has climbed every step."""
    broken = judgement.broken
    by_account = Counter(account for account, _ in keys)
    login_of = after.accounts
    found = Counter({login_of.get(account or "", str(account)): count for account, count in by_account.items()})
    settled: Counter[str] = Counter()
    begun: Counter[str] = Counter()
    for ident, mail in mails.items():
        if mail.kind is not None and mail.login is not None:
            begun[mail.login] += 1
            settled[mail.login] += bool(tries[ident] and tries[ident][-1].is_settled)
    for login, count in begun.items():
        if not settled[login] <= found[login] <= count:
            broken.append(f"{login}: {found[login]} violations on record of {settled[login]} settled, {count} begun")
    rungs: dict[str, set[int]] = defaultdict(set)
    for row in after.rows:
        if row.kind == "sanction.imposed":
            rungs[login_of.get(row.account_id or "", "")].add(row.body["step"])
    for mail in mails.values():
        if mail.is_after_suspension and mail.login is not None and rungs[mail.login] != set(range(STEPS)):
            broken.append(f"{mail.login}: has gone all the way, and stands on steps {sorted(rungs[mail.login])}")
    recorded = [r for r in after.rows if r.kind == "violation.recorded"]
    named = [r.body["transaction_id"] for r in recorded if r.body["evidence_digest"] is not None]
    broken += [f"{transaction_id}: its evidence is not in the vault" for transaction_id in set(named) - after.evidence]
    bare = [r.body["transaction_id"] for r in recorded if r.body["evidence_digest"] is None]
    broken += [f"{transaction_id}: recorded without evidence" for transaction_id in bare]
    broken += [f"evidence {text}" for text in after.unread]
    broken += [f"left behind: {text}" for text in after.left]


# --- notices ----------------------------------------------------------------------------------------------------------


def _judge_notices(
    judgement: Judgement, after: Aftermath, kept: Mapping[str, list[Copy]], kills: Sequence[Kill]
) -> None:
    broken = judgement.broken
    promised: Counter[str] = Counter(
        r.body["incident_id"] for r in after.rows if r.kind in ("sanction.imposed", "hold.placed")
    )
    sent = [r for r in after.rows if r.kind == "notice.sent"]
    told: Counter[str] = Counter(incident for r in sent for incident in r.body["incident_ids"])
    # Those about held mail, or to the people here, are about no incident.
    notices = [item.payload.get("incident_id") for item in after.pending if item.topic == "notice"]
    waiting = Counter(str(incident) for incident in notices if incident is not None)
    judgement.notices, judgement.notices_pending = len(sent), sum(waiting.values())
    for incident, count in promised.items():
        # Several acts in one incident may share a notice that has not gone out yet.
        if not 1 <= told[incident] + waiting[incident] <= count:
            broken.append(f"{incident}: {count} acts to tell of, {told[incident]} told, {waiting[incident]} pending")
    ids = Counter(r.body["notice_id"] for r in sent)
    broken += [f"notice {notice}: recorded {count} times" for notice, count in ids.items() if count > 1]
    written = {r.body["notice_id"]: r for r in sent}
    copies: dict[str, list[Copy]] = defaultdict(list)
    for ident, some in kept.items():
        if ident.startswith("m_"):
            copies[ident.partition(".")[0]] += some
    for notice, row in written.items():
        if row.body["outcome"] == "accepted" and not copies[notice]:
            broken.append(f"notice {notice}: recorded as accepted, and never arrived")
    for notice, some in copies.items():
        if len(some) > 1:
            _judge_notice_again(judgement, notice, sorted(some, key=lambda c: c.came_at), kills)


def _judge_notice_again(judgement: Judgement, notice: str, copies: list[Copy], kills: Sequence[Kill]) -> None:
    for first, second in pairwise(copies):
        is_cut = first.answer == "dropped"
        since = first.came_at - _NOTED_LATE_S
        if is_cut or any(k.hits_notices and k.is_between(since, second.came_at) for k in kills):
            judgement.notices_again.append(notice)
        else:
            judgement.broken.append(f"notice {notice}: sent twice, and nobody died in between")
