"""A Dovecot of our own that does nothing but LMTP: private folders, a port on loopback, Maildirs.  RFC 2033.

It needs root and the users that Debian's package makes, runs beside any other Dovecot and ends with its parent.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.kit.mtas import MtaError, end, wait_for_ports
from tests.kit.servers import free_ports
from tests.kit.waiting import PATIENCE_S

_MAIL_UID = pwd.getpwnam("nobody").pw_uid


class PrivateDovecot:
    """One Dovecot with a mailbox for each of `addresses`; a mailbox in `full` has room for nothing.

    What is delivered to `address` lies in `folder/mail/address`.
    """

    def __init__(self, *, addresses: tuple[str, ...], full: tuple[str, ...] = ()):
        self._addresses, self._full = addresses, full
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-dovecot-", dir="/tmp"))
        self.folder.chmod(0o755)
        (self.port,) = free_ports(1)
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> str:
        said = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        return "Dovecot " + said.stdout.strip()

    def start(self) -> None:
        """Write everything and start; returns when the port answers. Raises MtaError."""
        program = shutil.which("dovecot")
        if program is None:
            raise MtaError("dovecot is missing: run ops/install/debian.sh test (make install)")
        mail = self.folder / "mail"
        mail.mkdir(exist_ok=True)
        shutil.chown(mail, user=_MAIL_UID)
        (self.folder / "users").write_text("".join(map(self._user, self._addresses)))
        (self.folder / "dovecot.conf").write_text(_CONF.format(folder=self.folder, port=self.port, uid=_MAIL_UID))
        # A killed parent must not leave a mail server behind: prctl(2) PR_SET_PDEATHSIG.
        command = ["setpriv", "--pdeathsig", "TERM", "--", program, "-F", "-c", str(self.folder / "dovecot.conf")]
        with (self.folder / "err").open("wb") as err:
            self._daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True
            )
        wait_for_ports(self._daemon, (self.port,), self.folder / "err")

    def stop(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            end(daemon)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def delivered(self, address: str) -> list[bytes]:
        """Say every copy in a mailbox, with CRLF; on top is what Dovecot puts there."""
        found = [file.read_bytes().replace(b"\r\n", b"\n") for file in (self.folder / "mail" / address).glob("new/*")]
        return [raw.replace(b"\n", b"\r\n") for raw in found]

    def lock(self, address: str) -> None:
        """Make a mailbox one that cannot be written to for now: its folder is a file."""
        (self.folder / "mail" / address).write_text("")

    def unlock(self, address: str) -> None:
        (self.folder / "mail" / address).unlink()

    def _user(self, address: str) -> str:
        rule = "userdb_quota_rule=*:bytes=1" if address in self._full else ""
        return f"{address}:{{PLAIN}}none:{_MAIL_UID}:{_MAIL_UID}::{self.folder}/home::{rule}\n"


_CONF = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%u
mail_plugins = quota
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
