"""Wirings as an operator has them: the snippets of ops/ in folders of their own, to plant faults in and to mend.

Postfix need not run for that; what postconf says of defaults is kept here as Postfix 3.7.11 says it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filterd.cli.probes.wiring.case import Case
from filterd.cli.probes.wiring.postfix import Postfix, parse, parse_main
from filterd.cli.probes.wiring.probe import own_file
from filterd.config import load
from tests.kit.postfix import replaced

OPS = Path(__file__).resolve().parents[2] / "ops"

_MAIN = """\
# As Debian writes it.
compatibility_level = 3.6
myhostname = mail.example.com
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
inet_interfaces = all
message_size_limit = 20480000
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated,
    defer_unauth_destination
"""
_MX = "smtp       inet  n  -  y  -  -  smtpd\n"
_MASTER = """\
# As Debian writes it.
pickup     unix  n  -  y  60  1  pickup
cleanup    unix  n  -  y  -  0  cleanup
qmgr       unix  n  -  n  300  1  qmgr
smtp       unix  -  -  y  -  -  smtp
relay      unix  -  -  y  -  -  smtp
    -o syslog_name=postfix/$service_name
lmtp       unix  -  -  y  -  -  lmtp
"""
# What `postconf -x` says where main.cf says nothing.
DEFAULTS = """\
compatibility_level = 3.6
content_filter =
inet_interfaces = all
message_size_limit = 10240000
milter_command_timeout = 30s
milter_content_timeout = 300s
milter_default_action = tempfail
milter_protocol = 6
queue_directory = /var/spool/postfix
lmtp_data_done_timeout = 600s
lmtp_line_length_limit = 998
smtp_data_done_timeout = 600s
smtp_line_length_limit = 998
smtpd_authorized_xforward_hosts =
smtpd_forbid_bare_newline = no
smtpd_milters =
smtpd_policy_service_default_action = 451 4.3.5 Server configuration problem
smtpd_policy_service_max_idle = 300s
smtpd_policy_service_timeout = 100s
smtpd_proxy_options =
smtpd_proxy_timeout = 100s
smtpd_sasl_auth_enable = no
smtpd_sasl_authenticated_header = no
"""
# Snippets of main.cf and of master.cf, by the wiring.
WIRINGS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "before-queue": (("policy",), ("before-queue",)),
    "after-queue": (("policy",), ("after-queue",)),
    "after-queue-lmtp": (("policy",), ("after-queue", "after-queue-lmtp")),
    "milter": (("milter",), ("milter",)),
}


@dataclass(frozen=True)
class Wiring:
    """A folder with main.cf, master.cf and filterd.toml."""

    folder: Path

    @classmethod
    def write(cls, folder: Path, name: str) -> Wiring:
        """Write one of WIRINGS."""
        mains, masters = WIRINGS[name]
        (folder / "main.cf").write_text(_MAIN + "".join(_snippet(f"{main}.main.cf") for main in mains))
        text = ""
        for snippet in masters:
            new = _snippet(f"{snippet}.master.cf")
            for service in re.findall(r"^\S+ +(?:inet|unix) ", new, re.MULTILINE):
                # A service takes the place of the one of its name.
                text = re.sub(
                    rf"^{re.escape(service.split()[0])} +{service.split()[1]} .*\n(?: .*\n)*", "", text, flags=re.M
                )
            text += new
        mx = "" if re.search(r"^smtp +inet", text, re.MULTILINE) else _MX
        (folder / "master.cf").write_text(mx + _MASTER + text)
        (folder / "filterd.toml").write_text((OPS / f"postfix/{name}.toml").read_text())
        return cls(folder)

    def plant(self, file: str, old: str, new: str) -> None:
        """Put a fault into a file. Raises KeyError unless `old` stands there once."""
        path = self.folder / file
        path.write_text(replaced(path.read_text(), {old: new}))

    def add(self, file: str, text: str) -> None:
        with (self.folder / file).open("a") as out:
            out.write(text)

    def line(self, file: str, text: str) -> int:
        """Say the number of the only line that holds `text`; of the n-th that does for `text#n`, -1 being the last."""
        text, _, which = text.rpartition("#") if re.search(r"#-?\d$", text) else (text, "", "")
        lines = (self.folder / file).read_text().splitlines()
        found = [n for n, line in enumerate(lines, start=1) if text in line]
        if not which:
            (number,) = found
            return number
        return found[int(which) - 1 if int(which) > 0 else int(which)]

    def read(self) -> Postfix:
        """Read Postfix's files without a Postfix."""
        main, master = ((self.folder / name).read_text() for name in ("main.cf", "master.cf"))
        defaults = {name: setting.value for name, setting in parse_main(DEFAULTS).items()}
        return parse(self.folder, main, master, defaults)

    def case(self, postfix: Postfix | None = None) -> Case:
        file = self.folder / "filterd.toml"
        return Case(config=load(file), own=own_file(file), postfix=postfix or self.read())


def mend(change: Mapping[str, Any]) -> None:
    """Make the edit that the doctor proposes, as its JSON has it, and nothing else."""
    file = Path(change["file"])
    lines = file.read_text().splitlines()
    new = change["text"].splitlines()
    match change["do"]:
        case "replace":
            lines[change["line"] - 1 : change["last"]] = new
        case "insert":
            lines[change["line"] : change["line"]] = new
        case other:
            raise ValueError(other)
    file.write_text("\n".join(lines) + "\n")


def _snippet(name: str) -> str:
    return (OPS / "postfix" / name).read_text()
