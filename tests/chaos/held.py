"""What must have become of mail that was held: kept once, and gone on or come back, whoever died.  STANDING 5.7-23.

A released mail is sent again when its sender died, or the next hop hung up, before its row was written: with the same
transaction id, so that it is known. What was leased by a process that died waits two minutes for its next turn, and
the campaign does not wait for it: then the item says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from filterd.model.held import HeldState
from tests.chaos.facts import Copy, Kill, Try
from tests.chaos.letters import Mail

# As the next hop notes late what it had before its client died.
_NOTED_LATE_S = 5.0
_BACK = (HeldState.RETURNING, HeldState.RETURNED)


def judge_held(
    mails: Mapping[str, Mail],
    tries: Mapping[str, Sequence[Try]],
    copies: Sequence[Copy],
    items: Sequence[Mapping[str, Any]],
    kills: Sequence[Kill],
) -> Iterator[str]:
    """Say what is broken, one line a case.

    Args:
        copies: what the next hop has kept, notices and reports too.
        items: `filterd quarantine list --all`.
    """
    of_mail: dict[str, list[Copy]] = defaultdict(list)
    reports: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        of_mail[copy.ident].append(copy)
        for ident in copy.about:
            reports[ident].append(copy)
    settled: Counter[str] = Counter()
    named: set[str] = set()
    begun = Counter(mail.login for mail in mails.values() if mail.is_held)
    for ident, mail in mails.items():
        last = tries[ident][-1] if mail.is_held and tries.get(ident) else None
        if last is None or last.code != 250:
            continue
        settled[str(mail.login)] += 1
        mine = [item for item in items if str(item["item_id"]) in last.text]
        named.update(str(item["item_id"]) for item in mine)
        if len(mine) != 1:
            yield f"held {ident}: taken with {last.text!r}, and {len(mine)} items are of that name"
        else:
            yield from _judge_item(mail, mine[0], of_mail[ident], reports[ident], kills)
    yield from _refused(mails, tries, [item for item in items if str(item["item_id"]) not in named])
    kept = Counter(str(item["login"]) for item in items)
    for login in {*kept, *settled}:
        if not settled[login] <= kept[login] <= begun[login]:
            yield f"{login}: {kept[login]} items of {settled[login]} held mails settled, {begun[login]} begun"


def _refused(
    mails: Mapping[str, Mail], tries: Mapping[str, Sequence[Try]], items: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Who never heard that a mail is held sends it again. It is refused where a person has sent it back meanwhile.

    Args:
        items: those no client was told of.
    """
    sent_back = Counter(str(item["login"]) for item in items if HeldState(item["state"]) in _BACK)
    for ident, mail in mails.items():
        if not mail.is_held or not tries.get(ident) or tries[ident][-1].code // 100 != 5:
            continue
        if len(tries[ident]) == 1 or not sent_back[str(mail.login)]:
            yield f"held {ident}: refused for good: {tries[ident][-1].text}"
        sent_back[str(mail.login)] -= 1


def _judge_item(
    mail: Mail, item: Mapping[str, Any], copies: Sequence[Copy], reports: Sequence[Copy], kills: Sequence[Kill]
) -> Iterator[str]:
    state = HeldState(item["state"])
    if state in (HeldState.HELD, HeldState.DELETED):
        yield f"held {mail.ident}: nobody decided, or it is gone: {state}"
    if state is HeldState.DELIVERED and not copies:
        yield f"held {mail.ident}: recorded as delivered, and never arrived"
    if state is HeldState.RETURNED and not reports:
        yield f"held {mail.ident}: recorded as returned, and no report arrived"
    if state in _BACK and copies:
        yield f"held {mail.ident}: sent back, and delivered too"
    if state not in _BACK and reports:
        yield f"held {mail.ident}: {state}, and sent back too"
    for copy in copies:
        if copy.body != mail.body_sha or copy.recipients != mail.letter.recipients:
            yield f"held {mail.ident}: arrived altered, or for others"
        if copy.transaction_id != item["transaction_id"] or copy.held_id != item["item_id"]:
            yield f"held {mail.ident}: a copy that does not say which it is: {copy.trace}"
    for some in (copies, reports):
        for first, second in pairwise(sorted(some, key=lambda copy: copy.came_at)):
            since, until = first.came_at - _NOTED_LATE_S, second.came_at
            if first.answer != "dropped" and not any(k.hits_notices and k.is_between(since, until) for k in kills):
                yield f"held {mail.ident}: sent twice, and nobody died in between"
