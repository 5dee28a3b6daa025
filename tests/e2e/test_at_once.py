"""Mails of one account that are in hand at the same time, in two workers, are one act.  STANDING 5.3, 5.7-10 and 11.

They are written in another order than they came in; the first to be written need not be the first.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from tests.e2e import letters
from tests.e2e.oracle import assert_standing_is_naive
from tests.e2e.site import LOGINS, Site
from tests.kit.client import send_all
from tests.kit.node import Node

CONNECTIONS = 6


@pytest.mark.e2e
def test_mails_in_hand_at_once_are_one_incident(site: Site, make_node: Callable[..., Node]):
    # Held mail has its own bound of copies: here each is refused.
    node = make_node({"notices": {"merge_s": 600}, "agreement": {"hold_outbound": "reject"}}, workers=2)
    node.start()
    counts = {}
    for login in LOGINS:
        senders = [site.sender(login) for _ in range(CONNECTIONS)]
        for sender in senders:
            sender.connect()
        replies = send_all(senders, letters.run(login, 4 * CONNECTIONS, seed=login.partition("@")[0]))
        for sender in senders:
            sender.close()
        assert {(reply.code, reply.enhanced) for reply in replies} == {(550, "5.7.1")}
        rows = node.rows(login=login)
        counts[login] = tuple(
            len({row.body[key] for row in rows if row.kind == kind})
            for kind, key in (
                ("incident.opened", "incident_id"),
                ("strike.issued", "strike_id"),
                ("sanction.imposed", "sanction_id"),
            )
        )
        overtaken = sum(a.at > b.at for a, b in pairwise(rows) if b.kind == "violation.recorded")
        print(
            f"{login}: {len(replies)} mails at once, {overtaken} overtaken, incidents/strikes/sanctions {counts[login]}"
        )
    assert counts == dict.fromkeys(LOGINS, (1, 1, 1))
    for login in LOGINS:
        assert_standing_is_naive(node, login, datetime.now(UTC))
