"""A Postfix of our own: private folders, private ports on loopback, real logins.  postfix(1), master(5), SASL_README.

Its services are those of ops/postfix/*.cf, read from these files with other ports, and a few that only tests need. It
runs beside any other Postfix, touches neither /etc/postfix nor the system's queue, and ends with its parent. It needs
root, as any Postfix does.
"""

from __future__ import annotations

import datetime
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.kit.mailbox import Maildir
from tests.kit.servers import free_ports, wait_for_port
from tests.kit.waiting import PATIENCE_S, wait_until

SNIPPETS = Path(__file__).resolve().parents[2] / "ops/postfix"
HOSTNAME = "mail.corp.example"
PASSWORD = "correct horse"

# virtual(8) writes mailboxes as this user.
_MAIL_UID = pwd.getpwnam("nobody").pw_uid


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Who listens where on 127.0.0.1. The upper half is Postfix's, the lower half filterd's and the tests'."""

    mx: int
    submission: int
    after_queue: int
    plain: int
    behind: int
    behind_after_queue: int

    filterd_mx: int
    filterd_submission: int
    policy: int
    http: int
    wire: int
    untrusted: int

    @classmethod
    def choose(cls) -> Ports:
        names = cls.__dataclass_fields__
        return cls(**dict(zip(names, free_ports(len(names)), strict=True)))


class PostfixError(Exception):
    """It did not start, or did something else than it was told to."""


class PrivatePostfix:
    """One Postfix.

    `ports.mx` and `ports.submission` are wired before the queue (ops/postfix/before-queue.master.cf), `after_queue` is
    the submission of after-queue.master.cf. `plain` takes the same logins and has no filter. Mail to `wire_domain` goes
    on by SMTP to `ports.wire`, all other mail into Maildirs: `mailbox("alice@corp.example")`, and one for all others.

    Args:
        logins: addresses that can log in with PASSWORD; each has a mailbox.
        mailboxes: further addresses with a mailbox of their own.
        domains: domains that the port `mx` takes mail for.
    """

    wire_domain = "wire.example"

    def __init__(self, *, ports: Ports, logins: tuple[str, ...], mailboxes: tuple[str, ...], domains: tuple[str, ...]):
        if os.geteuid() != 0:
            raise PostfixError("a Postfix of our own needs root")
        self.ports = ports
        self._logins, self._boxes, self._domains = logins, (*logins, *mailboxes), domains
        # A short path below /tmp, open for the users Postfix runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-postfix-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.etc, self.queue, self.mail = (self.folder / name for name in ("etc", "queue", "mail"))
        self.log_file = self.folder / "maillog"
        self._master: subprocess.Popen[bytes] | None = None

    # --- running ------------------------------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        return "Postfix " + self._run("postconf", "-h", "mail_version").strip()

    def start(self) -> None:
        """Write everything and start; returns when all ports answer. Raises PostfixError."""
        self._write()
        self._run("postfix", "check")
        master = shutil.which("master", path=self._run("postconf", "-h", "daemon_directory").strip())
        # A killed parent must not leave a mail server behind: prctl(2) PR_SET_PDEATHSIG.
        command = ["setpriv", "--pdeathsig", "TERM", "--", str(master), "-c", str(self.etc), "-s"]
        with (self.folder / "master.err").open("wb") as err:
            self._master = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=err, stderr=err, start_new_session=True
            )
        try:
            for port in (self.ports.mx, self.ports.submission, self.ports.plain, self.ports.behind):
                wait_for_port(port)
        except TimeoutError as err:
            said = (self.folder / "master.err").read_text(errors="replace")
            raise PostfixError(f"{err}\n{said}\n{self.log()[-3000:]}") from err

    def stop(self) -> None:
        master, self._master = self._master, None
        if master is not None:
            master.terminate()
            try:
                master.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                master.kill()
                master.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> str:
        """Say what postconf and `postfix check` have to complain of; nothing, if all is well."""
        found = [
            subprocess.run([*command, "-c", str(self.etc)], capture_output=True, text=True, timeout=PATIENCE_S).stderr
            for command in (["postconf", "-n"], ["postconf", "-M"], ["postconf", "-P"])
        ]
        return "".join(dict.fromkeys(line for said in found for line in said.splitlines(keepends=True)))

    def log(self) -> str:
        """What postlogd(8) has written so far: it comes after what it tells of."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def wait_log(self, pattern: str, count: int = 1, since: int = 0) -> list[Any]:
        """Wait until the log says something so often, from an octet on; says what re.findall does."""
        found: list[Any] = []

        def is_said() -> bool:
            found[:] = re.findall(pattern, self.log()[since:])
            return len(found) >= count

        wait_until(is_said, f"Postfix's log says {pattern}")
        return found

    # --- mail ---------------------------------------------------------------------------------------------------------

    def mailbox(self, address: str) -> Maildir:
        """The mailbox of an address that has one of its own."""
        if address not in self._boxes:
            raise KeyError(address)
        return Maildir(self.mail / address)

    @property
    def elsewhere(self) -> Maildir:
        """Where the mail of everybody else lies."""
        return Maildir(self.mail / "elsewhere")

    def empty(self) -> None:
        """Throw away all mail, delivered and queued."""
        self._run("postsuper", "-d", "ALL")
        for file in self.mail.glob("*/new/*"):
            file.unlink(missing_ok=True)

    def queued(self) -> list[str]:
        """Say the queue ids of what is not delivered yet."""
        found = (self.queue / name for name in ("maildrop", "incoming", "active", "deferred", "hold"))
        return sorted(file.name for folder in found for file in folder.rglob("*") if file.is_file())

    def wait_empty(self, patience_s: float = PATIENCE_S) -> None:
        """Wait until everything accepted has been delivered. Raises TimeoutError."""
        wait_until(lambda: not self.queued(), "everything in the queue is delivered", patience_s)

    def flush(self) -> None:
        """Try again now what was put off."""
        self._run("postqueue", "-f")

    # --- writing ------------------------------------------------------------------------------------------------------

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [program, "-c", str(self.etc), *arguments], capture_output=True, text=True, timeout=PATIENCE_S
        )
        if done.returncode:
            raise PostfixError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _write(self) -> None:
        postfix = pwd.getpwnam("postfix")
        for folder in (self.etc, self.queue, self.folder / "data", self.mail, self.etc / "sasl"):
            folder.mkdir(exist_ok=True)
        os.chown(self.folder / "data", postfix.pw_uid, postfix.pw_gid)
        os.chown(self.mail, _MAIL_UID, _MAIL_UID)
        (self.etc / "mailboxes").write_text("".join(f"{box} {box}/\n" for box in self._boxes))
        (self.etc / "transport").write_text(f"{self.wire_domain} smtp:[127.0.0.1]:{self.ports.wire}\n")
        _write_certificate(self.etc)
        self._write_logins(postfix.pw_gid)
        (self.etc / "main.cf").write_text(self._main_cf())
        (self.etc / "master.cf").write_text(self._master_cf())

    def _write_logins(self, postfix_gid: int) -> None:
        """Cyrus SASL with a password file of its own (SASL_README, "Cyrus SASL: sasldb")."""
        # Where Debian's Postfix looks, whatever cyrus_sasl_config_path says.
        sasl = self.etc / "sasl"
        database = sasl / "sasldb2"
        # The mechanisms of libsasl2-modules; PLAIN is what Sender speaks.
        (sasl / "smtpd.conf").write_text(
            f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: {database}\n"
        )
        for login in self._logins:
            user, _, realm = login.partition("@")
            subprocess.run(
                ["saslpasswd2", "-p", "-c", "-f", str(database), "-u", realm, user],
                input=PASSWORD.encode(),
                check=True,
                timeout=PATIENCE_S,
            )
        if self._logins:
            os.chown(database, 0, postfix_gid)
            database.chmod(0o640)

    def _main_cf(self) -> str:
        policy = replaced(
            (SNIPPETS / "policy.main.cf").read_text(), {"inet:127.0.0.1:10027": f"inet:127.0.0.1:{self.ports.policy}"}
        )
        return _MAIN_CF.format(
            folder=self.folder,
            hostname=HOSTNAME,
            domains=" ".join(self._domains),
            uid=_MAIL_UID,
            policy=policy,
        )

    def _master_cf(self) -> str:
        ports = self.ports
        before = replaced(
            (SNIPPETS / "before-queue.master.cf").read_text(),
            {
                "\nsmtp      ": f"\n127.0.0.1:{ports.mx} ",
                "\nsubmission  ": f"\n127.0.0.1:{ports.submission} ",
                "\n127.0.0.1:10026  ": f"\n127.0.0.1:{ports.behind} ",
                "smtpd_proxy_filter=127.0.0.1:10024": f"smtpd_proxy_filter=127.0.0.1:{ports.filterd_mx}",
                "smtpd_proxy_filter=127.0.0.1:10025": f"smtpd_proxy_filter=127.0.0.1:{ports.filterd_submission}",
            },
        )
        after = replaced(
            (SNIPPETS / "after-queue.master.cf").read_text(),
            {
                "\nsubmission  ": f"\n127.0.0.1:{ports.after_queue} ",
                "\n127.0.0.1:10026  ": f"\n127.0.0.1:{ports.behind_after_queue} ",
                "content_filter=scan:127.0.0.1:10025": f"content_filter=scan:127.0.0.1:{ports.filterd_submission}",
            },
        )
        return _MASTER_CF.format(before=before, after=after, plain=f"127.0.0.1:{ports.plain}")


def replaced(text: str, changes: dict[str, str]) -> str:
    """Put other values into a snippet. Raises KeyError for one that does not stand there exactly once."""
    for old, new in changes.items():
        if text.count(old) != 1:
            raise KeyError(f"{old!r} stands there {text.count(old)} times")
        text = text.replace(old, new)
    return text


def _write_certificate(folder: Path) -> None:
    """A certificate of our own, so that the submission ports can demand TLS as they do in the snippets."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTNAME)])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.pem").write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.pem").chmod(0o600)


_MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = {hostname}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtputf8_enable = yes
alias_maps =
alias_database =
biff = no
notify_classes =

cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_sasl_security_options = noanonymous
smtpd_tls_cert_file = {folder}/etc/tls.pem
smtpd_tls_key_file = {folder}/etc/tls.pem
smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination

virtual_mailbox_domains = {domains}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = texthash:{folder}/etc/mailboxes, static:elsewhere/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 62914560
transport_maps = texthash:{folder}/etc/transport
default_transport = virtual

# Tests send from one address, and many errors at that.
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
# What is put off is tried again soon.
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s

{policy}"""

# The daemons as Debian has them, without chroot, and a submission without a filter to compare with.
_MASTER_CF = """\
pickup     unix  n  -  n  60  1  pickup
cleanup    unix  n  -  n  -  0  cleanup
qmgr       unix  n  -  n  300  1  qmgr
tlsmgr     unix  -  -  n  1000?  1  tlsmgr
rewrite    unix  -  -  n  -  -  trivial-rewrite
bounce     unix  -  -  n  -  0  bounce
defer      unix  -  -  n  -  0  bounce
trace      unix  -  -  n  -  0  bounce
verify     unix  -  -  n  -  1  verify
flush      unix  n  -  n  1000?  0  flush
proxymap   unix  -  -  n  -  -  proxymap
smtp       unix  -  -  n  -  -  smtp
relay      unix  -  -  n  -  -  smtp
showq      unix  n  -  n  -  -  showq
error      unix  -  -  n  -  -  error
retry      unix  -  -  n  -  -  error
discard    unix  -  -  n  -  -  discard
virtual    unix  -  n  n  -  -  virtual
anvil      unix  -  -  n  -  1  anvil
scache     unix  -  -  n  -  1  scache
postlog    unix-dgram n - n - 1 postlogd

{plain}  inet  n  -  n  -  -  smtpd
  -o syslog_name=postfix/plain
  -o smtpd_tls_security_level=may
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject

{before}
{after}"""
