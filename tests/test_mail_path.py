"""What operators expect of the mail path has a named test, item by item.  MAIL-PATH §4j.

The table is tests/mail-path.toml; the names stand here once more, so that none can get lost there. What no test holds
is said aloud.
"""

from __future__ import annotations

import pytest

from tests.kit import named

TABLE = "tests/mail-path.toml"
NAMES = {
    "load": "smtp_source_loses_nothing queue_ids_and_verdicts_one_to_one two_thousand_mails_each_wiring",
    "octets": "dsn_notify_orcpt_ret_envid smtputf8 body_8bitmime null_sender thousand_recipients size_too_big "
    "lines_of_2048 bare_lf dot_stuffing nul swaks",
    "dkim": "before_queue after_queue milter",
    "breaks": "scanner_killed filterd_killed_in_data filterd_killed_with_held_mail filterd_away disk_full "
    "scanner_frozen checks_hang next_hop_hangs",
    "milter": "miltertest postfix sendmail other_versions quit_nc abort two_in_chain non_smtpd",
    "suspended": "policy_service_at_rcpt milter_before_data local_programmes",
    "forged": "xforward client_not_named authenticated_sender authentication_results",
    "soak": "half_an_hour_with_reloads",
    "stranger": "xclient proxy_header milter_connection http_and_tls_at_mail_doors http_and_tls_at_doors_of_the_mta "
    "tls_and_smtp_at_the_http_door",
    "proof": "smtp_smuggling_in smtp_smuggling_out smtp_dialogues fuzz_milter fuzz_smtp_and_lmtp "
    "fuzz_proxy_socketmap_policy",
}


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_every_item_is_in_the_table_and_no_other(kind: str) -> None:
    table = named.read(TABLE)
    assert sorted(table) == sorted(NAMES)
    assert sorted(table[kind]) == sorted(NAMES[kind].split())


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_every_test_that_an_item_rests_on_is_there(kind: str) -> None:
    named.check_tests(named.read(TABLE)[kind])


@pytest.mark.parametrize("kind", sorted(NAMES))
def test_what_no_test_holds_is_said_aloud(kind: str) -> None:
    named.say_missing(named.read(TABLE)[kind])
