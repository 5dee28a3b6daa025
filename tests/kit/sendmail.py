"""A Sendmail of our own: private folders, private ports on loopback, real logins, no TLS.  sendmail(8), cf/README.

Its lines about filterd are those of ops/sendmail/filterd.mc, with other ports; m4 makes sendmail.cf of them with the
files of the package. All its mail goes on by SMTP to one port. It ends with its parent, and needs root, as any does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.kit.mtas import MtaError, end, unpacked, wait_for_ports
from tests.kit.postfix import HOSTNAME, PASSWORD, replaced
from tests.kit.servers import free_ports
from tests.kit.waiting import PATIENCE_S

SNIPPETS = Path(__file__).resolve().parents[2] / "ops/sendmail"


class PrivateSendmail:
    """One Sendmail.

    Args:
        milter: the port of 127.0.0.1 on which it finds its milter.
        next_hop: the port of 127.0.0.1 to which it hands on all mail.
        logins: addresses that can log in with PASSWORD.
    """

    def __init__(self, *, milter: int, next_hop: int, logins: tuple[str, ...]):
        if os.geteuid() != 0:
            raise MtaError("a Sendmail of our own needs root")
        self.milter, self.next_hop = milter, next_hop
        self.smtp, self.behind = free_ports(2)
        self._logins = logins
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-sendmail-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.queue, self.cf = self.folder / "queue", self.folder / "sendmail.cf"
        self._program = unpacked("usr/libexec/sendmail/sendmail")
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> str:
        said = subprocess.run(
            [*_named(), str(self._program), "-C", str(self.cf), "-d0.1", "-bt"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        ).stdout
        found = re.search(r"^Version (\S+)", said, re.MULTILINE)
        if found is None:
            raise MtaError(said)
        return f"Sendmail {found[1]}"

    def start(self) -> None:
        """Write everything and start; returns when both ports answer. Raises MtaError."""
        self._write()
        # In the foreground, and killed with its parent: prctl(2) PR_SET_PDEATHSIG.
        command = ["setpriv", "--pdeathsig", "TERM", "--", *_named(), str(self._program), "-C", str(self.cf)]
        command += ["-bD", "-q2s"]
        with (self.folder / "err").open("wb") as err:
            self._daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True
            )
        wait_for_ports(self._daemon, (self.smtp, self.behind), self.folder / "err")

    def stop(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            end(daemon)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        self.queue.mkdir(mode=0o700)
        self._write_logins()
        snippet = replaced(
            (SNIPPETS / "filterd.mc").read_text(),
            {"inet:10028@127.0.0.1": f"inet:{self.milter}@127.0.0.1", "Port=10026": f"Port={self.behind}"},
        )
        mc = _MC.format(
            cf=unpacked("usr/share/sendmail/cf/m4/cf.m4"),
            folder=self.folder,
            hostname=HOSTNAME,
            smtp=self.smtp,
            next_hop=self.next_hop,
            snippet=snippet,
        )
        (self.folder / "sendmail.mc").write_text(mc)
        done = subprocess.run(
            ["m4", f"-D_CF_DIR_={unpacked('usr/share/sendmail/cf')}/", "sendmail.mc"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        if done.returncode or done.stderr:
            raise MtaError(f"m4: {done.stderr}")
        self.cf.write_text(done.stdout)

    def _write_logins(self) -> None:
        """Cyrus SASL, as for Postfix; the mechanisms are those of libsasl2-modules."""
        sasl, database = self.folder / "sasl", self.folder / "sasl/sasldb2"
        sasl.mkdir()
        (sasl / "Sendmail.conf").write_text(
            f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\nsasldb_path: {database}\n"
        )
        for login in self._logins:
            # The realm is the host's name, as Sendmail has it; the domain is a part of the login.
            subprocess.run(
                ["saslpasswd2", "-p", "-c", "-f", str(database), "-u", HOSTNAME, login],
                input=PASSWORD.encode(),
                check=True,
                timeout=PATIENCE_S,
            )


def _named() -> list[str]:
    """Give the host a name with a domain, where we may: without one Sendmail sleeps for a minute first."""
    may = subprocess.run(["unshare", "--uts", "true"], capture_output=True, timeout=PATIENCE_S).returncode == 0
    return ["unshare", "--uts", "sh", "-c", f'hostname {HOSTNAME} && exec "$@"', "sh"] if may else []


_MC = """\
divert(-1)
include(`{cf}')
divert(0)dnl
VERSIONID(`tests/kit/sendmail.py')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{hostname}')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `')dnl
define(`confPID_FILE', `{folder}/sendmail.pid')dnl
define(`confCONTROL_SOCKET_NAME', `')dnl
define(`ALIAS_FILE', `')dnl
define(`confCW_FILE', `-o /dev/null')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupReadableSASLDBFile,TrustStickyBit')dnl
define(`confAUTH_MECHANISMS', `PLAIN')dnl
TRUST_AUTH_MECH(`PLAIN')dnl
define(`confTO_IDENT', `0')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
dnl A machine under load delivers, too.
define(`confREFUSE_LA', `10000')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confDELAY_LA', `0')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {next_hop}')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=smtp, Family=inet, Addr=127.0.0.1, Port={smtp}')dnl
{snippet}
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
# Where Cyrus SASL looks for Sendmail.conf.
ESASL_CONF_PATH={folder}/sasl
"""
