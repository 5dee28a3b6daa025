"""An Exim of our own: private folders, private ports on loopback, real logins, no TLS.  exim(8).

Its lines about filterd are those of ops/exim/filterd.conf, with other ports, each in its section. All mail that is
done goes on by SMTP to one port. It ends with its parent, and needs root, as any Exim does.
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

SNIPPETS = Path(__file__).resolve().parents[2] / "ops/exim"


class PrivateExim:
    """One Exim. Ports: `smtp` with logins, `behind_world` and `behind` for what comes from filterd.

    Args:
        filterd: the port of 127.0.0.1 to which it gives mail that filterd has not seen.
        next_hop: the port of 127.0.0.1 to which it hands on the rest.
        domains: what it takes mail for from the world.
        protocol: of the transport to filterd.
    """

    def __init__(self, *, filterd: int, next_hop: int, domains: tuple[str, ...], protocol: str = "smtp"):
        if os.geteuid() != 0:
            raise MtaError("an Exim of our own needs root")
        self.filterd, self.next_hop = filterd, next_hop
        self.smtp, self.behind_world, self.behind = free_ports(3)
        self._domains, self.protocol = domains, protocol
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-exim-", dir="/tmp"))
        self.folder.chmod(0o755)
        self._program = unpacked("usr/sbin/exim4")
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> str:
        return " ".join(self._run("-bV").split()[:3:2])

    def start(self) -> None:
        """Write everything and start; returns when all ports answer. Raises MtaError."""
        (self.folder / "passwd").write_text("root:x:0:0::/:/bin/sh\nDebian-exim:x:65534:65534::/:/bin/false\n")
        (self.folder / "group").write_text("root:x:0:\nDebian-exim:x:65534:\n")
        for name in ("spool", "log"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, 65_534, 65_534)
        (self.folder / "exim.conf").write_text(self._conf())
        # In the foreground, and killed with its parent: prctl(2) PR_SET_PDEATHSIG.
        command = ["setpriv", "--pdeathsig", "TERM", "--", *self._command(), "-bdf", "-q5s"]
        with (self.folder / "err").open("wb") as err:
            self._daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, env=self._env(), start_new_session=True
            )
        wait_for_ports(self._daemon, (self.smtp, self.behind_world, self.behind), self.folder / "err")

    def stop(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            end(daemon)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """Everything it has logged. A mail's lines bear its id."""
        file = self.folder / "log/mainlog"
        return file.read_text(errors="replace") if file.exists() else ""

    def queued(self) -> int:
        """Say how many mails are not delivered yet."""
        return int(self._run("-bpc"))

    def flush(self) -> None:
        """Try again now what was put off; a mail that is being tried is left to whoever does."""
        self._run("-qff")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command(), *arguments], capture_output=True, text=True, env=self._env(), timeout=PATIENCE_S
        )
        if done.returncode:
            raise MtaError(f"exim {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _command(self) -> list[str]:
        return [str(self._program), "-C", str(self.folder / "exim.conf")]

    def _env(self) -> dict[str, str]:
        # Debian's Exim wants a user of that name; nss_wrapper(1) has one for this process.
        return os.environ | {
            "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_PASSWD": str(self.folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self.folder / "group"),
        }

    def _conf(self) -> str:
        snippet = (SNIPPETS / "filterd.conf").read_text()
        snippet = snippet.replace("10023", str(self.behind_world)).replace("10026", str(self.behind))
        snippet = replaced(
            snippet,
            {
                "local_interfaces = <; ": f"local_interfaces = <; [127.0.0.1]:{self.smtp} ; ",
                "port = 10025": f"port = {self.filterd}\n  protocol = {self.protocol}",
            },
        )
        _, main, acl, routers, transports = re.split(r"^# --- .*\n", snippet, flags=re.MULTILINE)
        return _CONF.format(
            folder=self.folder,
            program=self._program,
            hostname=HOSTNAME,
            domains=" : ".join(self._domains),
            next_hop=self.next_hop,
            password=PASSWORD,
            main=main,
            acl=acl,
            routers=routers,
            transports=transports,
        )


_CONF = """\
primary_hostname = {hostname}
exim_path = {program}
domainlist local_domains = {domains}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
acl_smtp_rcpt = rcpt
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
smtp_accept_max = 0
never_users =
{main}
begin acl
rcpt:
{acl}
  accept  authenticated = *
  deny    message       = log in first

begin routers
{routers}
done:
  driver = manualroute
  transport = done
  route_list = * 127.0.0.1
  self = send

begin transports
{transports}
done:
  driver = smtp
  port = {next_hop}
  allow_localhost

begin retry
*  *  F,1h,5s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${{if eq{{$auth3}}{{{password}}}}}
  server_set_id = $auth2
"""
