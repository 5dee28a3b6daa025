"""Planted faults of Sendmail and Exim wirings: each found, alone, at its line, and mended by what is proposed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from filterd.cli.doctor import _said
from filterd.cli.probes.finding import Finding
from filterd.cli.probes.wiring import exim, sendmail
from filterd.config import Config, load
from tests.kit.exim import PrivateExim
from tests.kit.mtas import unpacked
from tests.kit.postfix import replaced
from tests.kit.waiting import PATIENCE_S
from tests.kit.wirings import OPS, mend

_S, _F, _T = "S=inet:10028@127.0.0.1", "F=T", "T=C:30s;S:10s;R:60s;E:2m"

SENDMAIL = (
    ("sendmail-milter", "10028", "10029", "filterd'"),
    ("sendmail-flag", f", {_F}", "", "filterd'"),
    ("sendmail-flag", _F, "F=R", "filterd'"),
    ("sendmail-timeout", "R:60s", "R:5s", "filterd'"),
    ("sendmail-timeout", f", {_T}", "", "filterd'"),
    ("sendmail-next-hop", "Port=10026", "Port=10036", "Name=behind"),
    ("sendmail-loop", ", InputMailFilters=", "", "Name=behind"),
    ("sendmail-loop", "InputMailFilters=", "InputMailFilters=filterd", "Name=behind"),
)
EXIM = (
    ("exim-port", "  port = 10025", "  port = 10035", "port = 10035"),
    ("exim-protocol", "  port = 10025", "  port = 10025\n  protocol = lmtp", "protocol = lmtp"),
    ("exim-loop", "{10023:10026}", "{10023}", "inlist"),
    ("exim-loop", "  condition = ${if !inlist{$received_port}{10023:10026}}\n", "", "route_list"),
    ("exim-login", ":at_start:X-Filterd-Login", "X-Filterd-Login", "add_header"),
    ("exim-login", "X-Filterd-Login: $", "X-Login: $", "add_header"),
    ("exim-next-hop", " ; [127.0.0.1]:10026", "", "local_interfaces ="),
)

Look = Callable[[Config, Path], list[Finding]]


def look_sendmail(config: Config, file: Path) -> list[Finding]:
    return [fault.finding for fault in sendmail.faults(config, sendmail.parse(file, file.read_text()))]


def look_exim(config: Config, file: Path) -> list[Finding]:
    return [fault.finding for fault in exim.faults(config, exim.parse(file, file.read_text()))]


def assert_found_and_mended(look: Look, config: Config, file: Path, kind: str, at: str) -> None:
    found = look(config, file)
    assert [finding.fault for finding in found] == [kind], found
    lines = file.read_text().splitlines()
    # A comment may speak of it, too.
    (number,) = [n for n, line in enumerate(lines, 1) if at in line and not line.startswith(("#", "dnl"))]
    assert found[0].what.startswith(f"{file}:{number}: ")
    mend(_said("server", found[0])["change"])
    assert look(config, file) == []


@pytest.mark.parametrize(("kind", "old", "new", "at"), SENDMAIL)
def test_a_fault_of_sendmail_mc(kind: str, old: str, new: str, at: str, tmp_path: Path) -> None:
    file = tmp_path / "sendmail.mc"
    text = (OPS / "sendmail/filterd.mc").read_text()
    # The comments of the snippet name its keys as well.
    code = "\n".join(line for line in text.splitlines() if not line.startswith("dnl")) + "\n"
    file.write_text(replaced(code, {old: new}))
    assert_found_and_mended(look_sendmail, load(OPS / "sendmail/filterd.toml"), file, kind, at)


@pytest.mark.server
@pytest.mark.parametrize(("kind", "old", "new"), [(kind, old, new) for kind, old, new, _ in SENDMAIL])
def test_a_fault_of_the_sendmail_cf_that_m4_makes(kind: str, old: str, new: str, tmp_path: Path) -> None:
    """What the package's own m4 files make of the snippet; the X line of the filter, and DaemonPortOptions."""
    config = load(OPS / "sendmail/filterd.toml")
    cf = tmp_path / "sendmail.cf"
    m4 = unpacked("usr/share/sendmail/cf")
    snippet = (OPS / "sendmail/filterd.mc").read_text()
    mc = f"include(`{m4}/m4/cf.m4')dnl\nOSTYPE(`linux')dnl\n{snippet}MAILER(`smtp')dnl\n"
    done = subprocess.run(
        [str(shutil.which("m4")), f"-D_CF_DIR_={m4}/"], input=mc, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    cf.write_text(done.stdout)
    assert look_sendmail(config, cf) == []
    at = "O DaemonPortOptions=Name=behind" if kind in ("sendmail-next-hop", "sendmail-loop") else "Xfilterd"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(at)]
    # m4 leaves a blank where the mc has none.
    cf.write_text(replaced(done.stdout, {line: replaced(line, {old: new})}))
    assert_found_and_mended(look_sendmail, config, cf, kind, at)


@pytest.mark.parametrize(("kind", "old", "new", "at"), EXIM)
def test_a_fault_of_exim_conf(kind: str, old: str, new: str, at: str, tmp_path: Path) -> None:
    file = tmp_path / "exim.conf"
    file.write_text(replaced((OPS / "exim/filterd.conf").read_text(), {old: new}))
    assert_found_and_mended(look_exim, load(OPS / "exim/content-filter.toml"), file, kind, at)


def test_as_shipped_they_have_no_fault() -> None:
    mc, conf = OPS / "sendmail/filterd.mc", OPS / "exim/filterd.conf"
    assert look_sendmail(load(OPS / "sendmail/filterd.toml"), mc) == []
    assert sendmail.parse(mc, mc.read_text()).filters
    assert look_exim(load(OPS / "exim/content-filter.toml"), conf) == []
    assert look_exim(load(OPS / "exim/in-front.toml"), conf) == []


@pytest.mark.server
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_whole_exim_conf_has_no_fault(protocol: str, tmp_path: Path) -> None:
    """The one that the end-to-end tests run, with the snippet inside."""
    server = PrivateExim(filterd=10_025, next_hop=10_099, domains=("corp.example",), protocol=protocol)
    try:
        file = tmp_path / "exim.conf"
        file.write_text(server._conf())
    finally:
        shutil.rmtree(server.folder)
    whole = load(OPS / "exim/content-filter.toml")
    hop = whole.next_hop.model_copy(update={"address": f"127.0.0.1:{server.behind}"})
    listeners = (whole.listener[0].model_copy(update={"protocol": protocol}),)
    config = whole.model_copy(update={"next_hop": hop, "listener": listeners})
    assert look_exim(config, file) == []
    (fault,) = look_exim(config.model_copy(update={"next_hop": whole.next_hop}), file)[:1]
    assert fault.fault == "exim-next-hop"


def test_every_kind_is_planted() -> None:
    assert {kind for kind, *_ in SENDMAIL} == {kind.name for kind in sendmail.KINDS}
    assert {kind for kind, *_ in EXIM} == {kind.name for kind in exim.KINDS}
