"""`filterd notice` against a real ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from filterd.model.records import NoticeSent
from filterd.pipeline.notice_table import EVENTS
from tests.cli.rig import House
from tests.mail.test_report import dsn

pytestmark = pytest.mark.slow

NOTICE = "m_" + "ab" * 20


def sent(house: House) -> None:
    """Put a notice on record, as the outbox does."""
    account = house.account("bob@corp.example")
    record = NoticeSent(
        at=house.clock.now(),
        notice_id=NOTICE,
        account_id=account.account_id,
        tenant_id=account.tenant_id,
        incident_ids=(),
        template="reinstated",
        template_version="1.1",
        languages=("en",),
        channel="account",
        outcome="accepted",
        deemed_at=house.clock.now(),
        body_digest="",
    )
    letter = {"letter.account": "Back again\n\nHello,\n\x1b[31mred\n", "account": "bob@corp.example 250"}
    house.engine.run(
        lambda txn: txn.append(
            record, account_id=account.account_id, tenant_id=account.tenant_id, personal=letter
        )
    )


def test_every_event_can_be_looked_at_in_both_languages(house: House) -> None:
    for language, words in (("en", "Hello,"), ("zh-Hans", "您好：")):
        said = house.run("notice", "preview", "renewal_due", "--lang", language)
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith("=== account") or said.out.startswith("=== tenant")
        assert words in said.out
    assert set(house.run("notice", "preview", "reinstated", "--json").json["copies"]) == {
        "account",
        "contact",
        "tenant",
    }


def test_a_wrong_name_lists_the_right_ones(house: House) -> None:
    said = house.run("notice", "preview", "no_such")
    assert said.code == 1
    assert all(name in said.err for name in EVENTS)


def test_what_went_out_is_listed_and_shown_and_speaks_to_no_terminal(house: House) -> None:
    sent(house)
    listed = house.run("notice", "list", "bob@corp.example")
    assert (listed.code, NOTICE in listed.out, "reinstated 1.1" in listed.out) == (0, True, True)
    shown = house.run("notice", "show", NOTICE)
    assert "Subject: Back again" in shown.out
    assert "\x1b" not in shown.out
    assert "bob@corp.example 250" not in house.run("notice", "show", NOTICE, "--json").out
    assert house.run("notice", "show", "m_1").code == 1


def test_a_report_in_a_file_is_taken_in_once(house: House, tmp_path: Path) -> None:
    sent(house)
    file = tmp_path / "report.eml"
    file.write_bytes(dsn("Action: failed\nStatus: 5.2.2", envelope_id=f"{NOTICE}.a"))
    first = house.run("notice", "bounce", str(file))
    assert (first.code, "does not count as received by this channel" in first.out) == (0, True)
    assert "known already" in house.run("notice", "bounce", str(file)).out
    assert "account 5.2.2" in house.run("notice", "list", "bob@corp.example").out
    file.write_bytes(b"Subject: hello\r\n\r\nno report\r\n")
    assert house.run("notice", "bounce", str(file)).code == 1
    assert house.run("notice", "bounce", str(tmp_path / "none.eml")).code != 0
