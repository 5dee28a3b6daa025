"""Each planted fault of a Postfix wiring is found, alone, at its line; the line proposed mends it.  ops/docs/DOCTOR.md.

Every fault is planted twice: with the configuration read as text, and with a real postconf asked about it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from filterd.cli.doctor import _probes, _said
from filterd.cli.probes.finding import Finding, Patient, Probe
from filterd.cli.probes.wiring import exim, probe, sendmail
from filterd.cli.probes.wiring.ask import read_postfix
from filterd.cli.probes.wiring.register import KINDS, faults
from filterd.config import Config
from tests.cli.rig import run
from tests.kit.wirings import OPS, WIRINGS, Wiring, mend

pytestmark = pytest.mark.slow

_B, _C, _L, _A = "before-queue", "after-queue", "after-queue-lmtp", "milter"
_POLICY = "inet:127.0.0.1:10027, timeout=5s, default_action=DEFER_IF_PERMIT"
_MILTER = "inet:127.0.0.1:10028"
_TIMES = "command_timeout=30s, content_timeout=90s, default_action=tempfail"


@dataclass(frozen=True)
class Planted:
    """One fault.

    Args:
        edits: file, old, new. An empty `old` adds to the end of the file.
        at: the file named, and a text that only the named line holds; `text#2` is the second line that holds it.
    """

    kind: str
    wiring: str
    edits: tuple[tuple[str, str, str], ...]
    at: tuple[str, str]


def _p(kind: str, wiring: str, file: str, old: str, new: str, at: str, at_file: str | None = None) -> Planted:
    return Planted(kind, wiring, ((file, old, new),), (at_file or file, at))


_MAIN, _MASTER, _OWN = "main.cf", "master.cf", "filterd.toml"
_SUBMISSION_PROXY = "  -o smtpd_proxy_filter=127.0.0.1:10025\n"
_SCAN = "  -o content_filter=scan:127.0.0.1:10025\n"
# A second port for logins, as an operator copies one and forgets the line about filterd.
_ANOTHER = """
submissions inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_recipient_restrictions=$filterd_policy
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_forbid_bare_newline=normalize
"""
_RECIPIENT = "  -o smtpd_recipient_restrictions=$filterd_policy\n"

PLANTED = (
    # The way in.
    _p("proxy-port", _B, _MASTER, "filter=127.0.0.1:10024", "filter=127.0.0.1:10055", "10055"),
    _p("proxy-port", _B, _MASTER, "filter=127.0.0.1:10025", "filter=inet:localhost:10026", "inet:localhost:10026"),
    _p("proxy-port", _B, _OWN, "port = 10025", "port = 10035", "filter=127.0.0.1:10025", _MASTER),
    _p("filter-port", _C, _MASTER, "scan:127.0.0.1:10025", "scan:[127.0.0.1]:10052", "10052"),
    _p("transport-missing", _C, _MASTER, "content_filter=scan:", "content_filter=scna:", "scna:"),
    _p("speed-adjust", _B, _MASTER, _SUBMISSION_PROXY, f"{_SUBMISSION_PROXY}  -o smtpd_proxy_options=speed_adjust\n",
       '[[listener]]#2', _OWN),
    _p("proxy-timeout", _B, _MAIN, "", "smtpd_proxy_timeout = 30s\n", "smtpd_proxy_timeout"),
    _p("proxy-timeout", _B, _MASTER, _SUBMISSION_PROXY, f"{_SUBMISSION_PROXY}  -o smtpd_proxy_timeout=1m\n", "=1m"),
    _p("filter-timeout", _C, _MASTER, "smtp_data_done_timeout=1200s", "smtp_data_done_timeout=60s", "=60s"),
    _p("protocol", _L, _OWN, 'protocol = "lmtp"', 'protocol = "smtp"', "protocol = "),
    _p("filter-xforward", _C, _MASTER, "  -o smtp_send_xforward_command=yes\n", "", "smtp_data_done_timeout"),
    _p("filter-xforward", _L, _MASTER, "lmtp_send_xforward_command=yes", "lmtp_send_xforward_command=no",
       "lmtp_send_xforward_command=no"),
    _p("long-lines", _C, _MASTER, "  -o smtp_line_length_limit=0\n", "", "smtp_data_done_timeout"),
    Planted("backscatter", _C, (
        (_OWN, "\nafter_queue = true", ""),
        (_MASTER, "smtp       inet  n  -  y  -  -  smtpd\n",
         "smtp       inet  n  -  y  -  -  smtpd\n  -o content_filter=scan:127.0.0.1:10025\n"
         "  -o smtpd_forbid_bare_newline=normalize\n"),
    ), (_OWN, "[[listener]]")),
    _p("own-name", _C, _OWN, 'hostname = "filterd.mail.example.com"', 'hostname = "Mail.example.com"', "hostname ="),
    # The way back.
    _p("next-hop", _B, _OWN, 'address = "127.0.0.1:10026"', 'address = "127.0.0.1:10062"', "10062"),
    _p("loop-proxy", _B, _MASTER, "  -o smtpd_proxy_filter=\n", "  -o smtpd_proxy_filter=127.0.0.1:10024\n",
       "filter=127.0.0.1:10024#2"),
    Planted("loop-proxy", _B, (
        (_MASTER, "  -o smtpd_proxy_filter=\n", ""),
        (_MASTER, "  -o smtpd_proxy_filter=127.0.0.1:10024\n", ""),
        (_MAIN, "", "smtpd_proxy_filter = 127.0.0.1:10024\n"),
    ), (_MASTER, "receive_override_options")),
    Planted("loop-filter", _C, (
        (_MASTER, "  -o content_filter=\n", ""),
        (_MASTER, _SCAN, ""),
        (_MASTER, "smtp       inet  n  -  y  -  -  smtpd\n",
         "smtp       inet  n  -  y  -  -  smtpd\n  -o content_filter=\n"),
        (_MAIN, "", "content_filter = scan:127.0.0.1:10025\n"),
    ), (_MASTER, "receive_override_options")),
    Planted("loop-milter", _A, (
        (_MASTER, "  -o smtpd_milters=\n", ""),
        (_MASTER, "  -o receive_override_options=no_unknown_recipient_checks,no_milters\n", ""),
        (_MAIN, "", "smtpd_milters = $filterd_milter\n"),
    ), (_MASTER, "smtpd_tls_security_level=none#-1")),
    _p("behind-xforward", _B, _MASTER, "  -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n", "",
       "receive_override_options"),
    _p("behind-xforward", _C, _MASTER, "smtpd_authorized_xforward_hosts=127.0.0.0/8",
       "smtpd_authorized_xforward_hosts=", "smtpd_authorized_xforward_hosts="),
    _p("behind-open", _B, _MASTER, "\n127.0.0.1:10026   inet", "\n10026   inet", "10026   inet"),
    Planted("behind-networks", _B, (
        (_MASTER, "  -o mynetworks=127.0.0.0/8\n", "  -o mynetworks=0.0.0.0/0\n"),
    ), (_MASTER, "0.0.0.0/0")),
    Planted("behind-restrictions", _B, (
        (_MASTER, "  -o smtpd_sender_restrictions=\n", ""),
        (_MAIN, "", "smtpd_sender_restrictions = reject_unknown_sender_domain\n"),
    ), (_MASTER, "receive_override_options")),
    Planted("milters-twice", _C, (
        (_MASTER, ",no_milters", ""),
        (_MAIN, "", "smtpd_milters = inet:localhost:8891\n"),
    ), (_MASTER, "receive_override_options")),
    # Logins.
    _p("login-header", _B, _MASTER, "  -o smtpd_sasl_authenticated_header=yes\n", "", _SUBMISSION_PROXY.strip()),
    _p("login-header", _C, _MASTER, "smtpd_sasl_authenticated_header=yes", "smtpd_sasl_authenticated_header=no",
       "smtpd_sasl_authenticated_header=no"),
    _p("received-by", _B, _OWN, 'received_by = "mail.example.com"', 'received_by = "mx.example.com"', "mx.example.com"),
    _p("received-by", _C, _MAIN, "myhostname = mail.example.com", "myhostname = mx.example.com", "received_by =", _OWN),
    _p("logins-unread", _B, _MASTER, "filter=127.0.0.1:10025", "filter=127.0.0.1:10024", "filter=127.0.0.1:10024#2"),
    _p("logins-unread", _C, _OWN, 'attribution = "received"', 'attribution = "xclient"', "attribution ="),
    _p("port-past-us", _B, _MASTER, "\n# Back from filterd",
       _ANOTHER + "\n# Back from filterd", "  -o smtpd_forbid_bare_newline=normalize#3"),
    _p("port-past-us", _C, _MASTER, "smtp       inet  n  -  y  -  -  smtpd\n",
       "smtp       inet  n  -  y  -  -  smtpd -o smtpd_sasl_auth_enable=yes\n", "smtp       inet"),
    _p("port-past-us", _A, _MASTER, "\n# Where filterd leaves", _ANOTHER + "\n# Where filterd leaves",
       "  -o smtpd_forbid_bare_newline=normalize#3"),
    _p("bare-newline", _A, _MASTER,
       "  -o smtpd_sasl_auth_enable=no\n  -o smtpd_forbid_bare_newline=normalize\n", "  -o smtpd_sasl_auth_enable=no\n",
       "-o smtpd_milters=$filterd_milter#1"),
    # The policy service.
    _p("policy-port", _B, _MAIN, "inet:127.0.0.1:10027", "inet:127.0.0.1:10037", "10037"),
    _p("policy-port", _C, _OWN, "port = 10027", "port = 10037", "10027", _MAIN),
    _p("policy-missing", _B, _MASTER, _RECIPIENT, "", _SUBMISSION_PROXY.strip()),
    _p("policy-missing", _C, _MASTER, _RECIPIENT,
       "  -o smtpd_recipient_restrictions=check_policy_service,inet:[::1]:10023\n", "10023"),
    _p("policy-never", _B, _MASTER, _RECIPIENT,
       "  -o smtpd_recipient_restrictions=permit_sasl_authenticated,$filterd_policy,reject\n",
       "permit_sasl_authenticated,$filterd_policy"),
    Planted("policy-never", _C, (
        (_MASTER, _RECIPIENT, ""),
        (_MAIN, "", "smtpd_recipient_restrictions =\n    permit_sasl_authenticated\n    reject_unauth_destination\n"
                    "    check_policy_service inet:127.0.0.1:10027\n"),
    ), (_MAIN, "smtpd_recipient_restrictions")),
    _p("policy-late", _B, _MASTER, _RECIPIENT, "  -o smtpd_data_restrictions=$filterd_policy\n",
       _SUBMISSION_PROXY.strip()),
    _p("policy-dunno", _B, _MAIN, _POLICY, _POLICY.replace("DEFER_IF_PERMIT", "DUNNO"), "DUNNO }"),
    Planted("policy-dunno", _C, (
        (_MAIN, f"{{ {_POLICY} }}", "inet:127.0.0.1:10027"),
        (_MAIN, "", "smtpd_policy_service_default_action = DUNNO\n"),
    ), (_MAIN, "smtpd_policy_service_default_action")),
    _p("policy-timeout", _B, _MAIN, "timeout=5s", "timeout=1s", "timeout=1s"),
    _p("policy-idle", _B, _MAIN, "smtpd_policy_service_max_idle = 300s", "smtpd_policy_service_max_idle = 1h", "= 1h"),
    # The milter.
    _p("milter-port", _A, _MAIN, _MILTER, "inet:127.0.0.1:10029", "10029"),
    _p("milter-port", _A, _OWN, "inet:127.0.0.1:10028", "inet:10038@127.0.0.1", "10028", _MAIN),
    _p("milter-action", _A, _MAIN, "default_action=tempfail", "default_action=accept", "default_action=accept"),
    Planted("milter-action", _A, (
        (_MAIN, f"{{ {_MILTER}, connect_timeout=5s, {_TIMES} }}", _MILTER),
        (_MAIN, "", "milter_default_action = accept\n"),
    ), (_MAIN, "milter_default_action")),
    _p("milter-protocol", _A, _MAIN, "", "milter_protocol = 2\n", "milter_protocol"),
    _p("milter-timeout", _A, _MAIN, "content_timeout=90s", "content_timeout=5s", "content_timeout=5s"),
    _p("milter-local", _A, _MAIN, "non_smtpd_milters = $filterd_milter\n", "", "# Mail of sendmail(1)"),
    Planted("milter-twice", _B, (
        (_OWN, "", "[milter]\nenabled = true\n"),
        (_MAIN, "", f"non_smtpd_milters = {_MILTER}\n"),
        (_MASTER, _SUBMISSION_PROXY, f"{_SUBMISSION_PROXY}  -o smtpd_milters={_MILTER}\n"),
    ), (_MASTER, "-o smtpd_milters=inet")),
    # Both sides.
    _p("peer-refused", _A, _OWN, 'trusted_peers = ["127.0.0.0/8"]', 'trusted_peers = ["192.0.2.0/24"]',
       "trusted_peers"),
    _p("peer-refused", _C, _OWN, 'trusted_peers = ["127.0.0.0/8"]', "trusted_peers = []", "trusted_peers"),
    _p("peer-refused", _L, _OWN, 'trusted_peers = ["unix"]', 'trusted_peers = ["127.0.0.0/8"]', "trusted_peers ="),
    _p("peers-anybody", _C, _OWN, 'trusted_peers = ["127.0.0.0/8"]', 'trusted_peers = ["0.0.0.0/0"]', "trusted_peers"),
    _p("size", _C, _MAIN, "message_size_limit = 20480000", "message_size_limit = 104857600", "[[listener]]", _OWN),
    _p("size", _A, _MAIN, "message_size_limit = 20480000", "message_size_limit = 0", "message_size_limit"),
    _p("chroot", _L, _MASTER, "scan              unix  -       -       n", "scan              unix  -       -       y",
       "scan              unix"),
    _p("socket-mode", _L, _OWN, 'socket_mode = "0660"', 'socket_mode = "0600"', "socket_mode"),
)  # fmt: skip


@pytest.fixture(params=["text", pytest.param("postconf", marks=pytest.mark.server)])
def look(request: pytest.FixtureRequest) -> Callable[[Wiring], list[Finding]]:
    """Look for faults, with and without a real postconf."""

    def read_it(wiring: Wiring) -> list[Finding]:
        postfix = asyncio.run(read_postfix(wiring.folder)) if request.param == "postconf" else None
        return [fault.finding for fault in faults(wiring.case(postfix))]

    return read_it


@pytest.mark.parametrize("name", WIRINGS)
def test_a_wiring_as_it_is_shipped_has_no_fault(
    name: str, tmp_path: Path, look: Callable[[Wiring], list[Finding]]
) -> None:
    wiring = Wiring.write(tmp_path, name)
    assert look(wiring) == []
    assert wiring.case().fed


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: f"{planted.kind}-{planted.wiring}")
def test_a_planted_fault_is_found_and_mended(
    planted: Planted, tmp_path: Path, look: Callable[[Wiring], list[Finding]]
) -> None:
    wiring = Wiring.write(tmp_path, planted.wiring)
    for file, old, new in planted.edits:
        if old:
            wiring.plant(file, old, new)
        else:
            wiring.add(file, new)
    found = look(wiring)
    assert [finding.fault for finding in found] == [planted.kind], found
    file, at = planted.at
    assert found[0].what.startswith(f"{tmp_path}/{file}:{wiring.line(file, at)}: ")
    change = _said("postfix", found[0])["change"]
    mend(change)
    assert look(wiring) == []
    # What is proposed is what the operator reads.
    assert found[0].fix is not None
    assert change["text"].strip().splitlines()[0].strip() in found[0].fix


def test_a_neighbour_of_ours_is_left_alone(tmp_path: Path) -> None:
    """Another milter beside ours, another filter at another port: what is ours is mended, what is not stays."""
    wiring = Wiring.write(tmp_path, _A)
    wiring.plant(_MAIN, _MILTER, "inet:127.0.0.1:10029")
    wiring.plant(
        _MASTER,
        "smtpd_milters=$filterd_milter\n  -o milter",
        "smtpd_milters=inet:[::1]:8891,$filterd_milter\n  -o milter",
    )
    (found,) = [fault.finding for fault in faults(wiring.case())]
    assert (found.fault, "10029" in found.what) == ("milter-port", True)
    other = Wiring.write(tmp_path, _C)
    other.add(_MASTER, "10030 inet n - n - - smtpd -o smtpd_proxy_filter=127.0.0.1:10099\n")
    assert list(faults(other.case())) == []


def test_every_kind_of_fault_is_planted() -> None:
    others = {kind.name for kind in (*sendmail.KINDS, *exim.KINDS)}
    assert {planted.kind for planted in PLANTED} == {kind.name for kind in KINDS} - others
    assert len(KINDS) >= 20
    assert len({kind.name for kind in KINDS}) == len(KINDS)


# --- the doctor's word ------------------------------------------------------------------------------------------------


def test_the_page_names_every_fault_and_every_question() -> None:
    page = (OPS / "docs/DOCTOR.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| (broken|warning) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(kind.name, kind.status.value, kind.effect) for kind in KINDS]
    asked = page.partition("## What it asks")[2].partition("## Faults of wiring")[0]
    probes = re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\|( `.+?) \|", asked, re.MULTILINE)))
    assert probes == ["config", *(name for name, _ in _probes())]


@pytest.mark.server
@pytest.mark.slow
def test_the_command_names_the_line_and_exits_1(tmp_path: Path) -> None:
    wiring = Wiring.write(tmp_path, _B)
    wiring.plant(_MASTER, "  -o smtpd_sasl_authenticated_header=yes\n", "")
    options = ("--config", tmp_path / _OWN, "--state-dir", tmp_path / "state", "--postfix", tmp_path)
    said = run("doctor", *options, "--json")
    assert said.code == 1
    (found,) = [item for item in said.json["findings"] if item["probe"] == "postfix"]
    assert (found["status"], found["fault"]) == ("broken", "login-header")
    line = wiring.line(_MASTER, _SUBMISSION_PROXY.strip())
    assert (found["change"]["file"], found["change"]["line"]) == (f"{tmp_path}/{_MASTER}", line)
    text = run("doctor", *options).out.splitlines()
    at = next(n for n, row in enumerate(text) if f"{_MASTER}:{line}: submission lacks" in row)
    assert text[at].startswith("BROKEN   postfix ")
    assert text[at + 1].strip() == "-> add below it: -o smtpd_sasl_authenticated_header=yes"
    mend(found["change"])
    (found,) = [item for item in run("doctor", *options, "--json").json["findings"] if item["probe"] == "postfix"]
    assert (found["status"], found["what"]) == (
        "ok",
        f"the Postfix of {tmp_path} is wired: smtp by smtpd_proxy_filter, submission by smtpd_proxy_filter",
    )


def asked(question: Probe, **patient: object) -> list[tuple[str, str]]:
    """Ask one question of the embedded configuration; say status and words."""

    async def ask() -> list[Finding]:
        whole = Patient(config=Config(), file=None, agreements={}, **patient)  # type: ignore[arg-type]  # paths
        return [finding async for finding in question(whole)]

    return [(finding.status.value, finding.what) for finding in asyncio.run(ask())]


def test_what_cannot_be_read_or_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((status, words),) = asked(probe.postfix, postfix=tmp_path)
    assert (status, f"{tmp_path}/main.cf" in words) == ("broken", True)
    ((status, words),) = asked(probe.sendmail, sendmail=tmp_path / "none.mc")
    assert (status, "cannot be read" in words) == ("broken", True)
    ((status, words),) = asked(probe.exim, exim=tmp_path / "none.conf")
    assert (status, "cannot be read" in words) == ("broken", True)
    (tmp_path / "empty").touch()
    assert [status for status, _ in asked(probe.sendmail, sendmail=tmp_path / "empty")] == ["warning"]
    assert [status for status, _ in asked(probe.exim, exim=tmp_path / "empty")] == ["warning"]
    for question in (probe.sendmail, probe.exim):
        assert [status for status, _ in asked(question)] == ["skipped"]
    monkeypatch.setattr(probe, "POSTFIX", tmp_path)
    assert [status for status, _ in asked(probe.postfix)] == ["skipped"]


@pytest.mark.server
def test_a_postfix_that_has_nothing_to_do_with_us(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, it is a warning; found by chance, it is none of our business. A postconf that fails says why."""
    Wiring.write(tmp_path, _C)
    (tmp_path / _MASTER).write_text("smtp inet n - y - - smtpd\n")
    ((status, words),) = asked(probe.postfix, postfix=tmp_path)
    assert (status, "gives no mail" in words) == ("warning", True)
    monkeypatch.setattr(probe, "POSTFIX", tmp_path)
    assert [status for status, _ in asked(probe.postfix)] == ["skipped"]
    (tmp_path / _MASTER).write_text("smtp inet n - smtpd\n")
    ((status, words),) = asked(probe.postfix, postfix=tmp_path)
    assert (status, "postconf -" in words) == ("broken", True)


@pytest.mark.server
@pytest.mark.parametrize("name", WIRINGS)
def test_postfix_reads_the_files_as_we_do(name: str, tmp_path: Path) -> None:
    """Every option of every service, and every value of main.cf that is in use, with the line it stands in."""
    wiring = Wiring.write(tmp_path, name)
    wiring.add(
        _MASTER,
        "other unix - - n - - smtp -o { smtp_helo_name = a b }\n  -o syslog_name=x\n# c\n\n  -o smtp_bind_address=\n",
    )
    ours, theirs = wiring.read(), asyncio.run(read_postfix(tmp_path))
    assert ours.services == theirs.services
    assert {key: " ".join(setting.value.split()) for key, setting in ours.main.items()} == {
        key: " ".join(setting.value.split()) for key, setting in theirs.main.items() if setting.line is not None
    }
