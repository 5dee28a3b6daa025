"""An LDAP server of the tests' own: OpenLDAP's slapd on a loopback port, entries from LDIF, with TLS on request.

A normal process with its own folder; it touches neither /etc/ldap nor any other slapd. Needs the Debian packages slapd
and ldap-utils.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import ldap3

from tests.kit.servers import free_ports
from tests.kit.waiting import PATIENCE_S, continue_processes, stop_processes, wait_until

BASE = "dc=corp,dc=example"
ADMIN = f"cn=admin,{BASE}"
READER = f"cn=reader,{BASE}"
PASSWORD = "s3cret,of the=reader"
_SCHEMAS = ("core", "cosine", "inetorgperson", "nis", "misc")


class Slapd:
    """One server with one database under BASE. Use as a context manager.

    Args:
        certificate: with `key`, offers StartTLS and ldaps.
    """

    def __init__(self, people: Iterable[str] = (), *, certificate: Path | None = None, key: Path | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix="filterd-slapd-"))
        self.port, self.tls_port = free_ports(2)
        self._certificate, self._key = certificate, key
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "db").mkdir()
        self._config = self.folder / "slapd.conf"
        self._config.write_text(self._settings())
        self._load(_TOP + "".join(people))

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def version(self) -> str:
        said = subprocess.run([_program("slapd"), "-VV"], capture_output=True, text=True).stderr
        return "OpenLDAP " + said.partition("slapd ")[2].partition(" ")[0]

    def start(self) -> Slapd:
        """Start it; returns when it answers."""
        listen = f"{self.url}/" + (f" {self.tls_url}/" if self._certificate else "")
        command = [_program("slapd"), "-h", listen, "-f", str(self._config), "-d", "0"]
        with (self.folder / "slapd.log").open("ab") as log:
            # A killed test run must not leave a server behind: prctl(2) PR_SET_PDEATHSIG.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, "slapd answers")
        return self

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(PATIENCE_S)

    def pause(self) -> None:
        """Stop it without ending it: its port takes connections and says nothing."""
        stop_processes(self._pids())

    def resume(self) -> None:
        continue_processes(self._pids())

    def close(self) -> None:
        self.resume()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Slapd:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what is in it ------------------------------------------------------------------------------------------------

    def admin(self) -> ldap3.Connection:
        server = ldap3.Server(self.url, get_info=ldap3.NONE)
        return ldap3.Connection(server, ADMIN, PASSWORD, auto_bind=True, raise_exceptions=True, check_names=False)

    def add(self, uid: str, **attributes: str | list[str]) -> str:
        """Add a person; says the entryUUID, which stays through every change of name."""
        connection = self.admin()
        connection.add(_dn(uid), _CLASSES, _person(uid, attributes))
        connection.search(_dn(uid), "(objectClass=*)", ldap3.BASE, attributes=["entryUUID"])
        found = str(connection.entries[0].entryUUID)
        connection.unbind()
        return found

    def change(self, uid: str, **attributes: str | list[str]) -> None:
        connection = self.admin()
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [value] if isinstance(value, str) else value)]
            for name, value in attributes.items()
        }
        connection.modify(_dn(uid), changes)
        connection.unbind()

    def remove(self, uid: str) -> None:
        connection = self.admin()
        connection.delete(_dn(uid))
        connection.unbind()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _pids(self) -> list[int]:
        return [self._process.pid] if self._process is not None else []

    def _answers(self) -> bool:
        try:
            self.admin().unbind()
        except ldap3.core.exceptions.LDAPException:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"slapd does not start: {(self.folder / 'slapd.log').read_text()}") from None
            return False
        return True

    def _settings(self) -> str:
        lines = [f"include /etc/ldap/schema/{name}.schema" for name in _SCHEMAS]
        lines += ["modulepath /usr/lib/ldap", "moduleload back_mdb", f"pidfile {self.folder}/slapd.pid"]
        if self._certificate is not None:
            lines += [f"TLSCertificateFile {self._certificate}", f"TLSCertificateKeyFile {self._key}"]
        lines += [
            "database mdb",
            "maxsize 268435456",
            f'suffix "{BASE}"',
            f'rootdn "{ADMIN}"',
            f'rootpw "{PASSWORD}"',
            f"directory {self.folder}/db",
            "dbnosync",
            "index objectClass,uid,mail,mailLocalAddress,entryUUID eq",
            f'access to attrs=userPassword by dn="{READER}" auth by anonymous auth by * none',
            f'access to * by dn="{READER}" read by anonymous auth by * none',
        ]
        return "\n".join(lines) + "\n"

    def _load(self, ldif: str) -> None:
        file = self.folder / "load.ldif"
        file.write_text(ldif, encoding="utf-8")
        command = [_program("slapadd"), "-q", "-f", str(self._config), "-l", str(file)]
        said = subprocess.run(command, capture_output=True, text=True)
        if said.returncode:
            raise RuntimeError(f"slapadd: {said.stderr[-2000:]}")


_CLASSES = ["inetOrgPerson", "inetLocalMailRecipient", "domainRelatedObject", "posixAccount", "shadowAccount"]
_TOP = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Corp
dc: corp

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {PASSWORD}

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

"""


def person(uid: str, **attributes: str | list[str]) -> str:
    """Say a person in LDIF, for a server that is to begin with many."""
    lines = [f"dn: {_dn(uid)}", *(f"objectClass: {name}" for name in _CLASSES)]
    for name, values in _person(uid, attributes).items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n\n"


def _dn(uid: str) -> str:
    return f"uid={uid},ou=people,{BASE}"


def _person(uid: str, attributes: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
    needed = {"cn": uid, "sn": uid, "uidNumber": "1000", "gidNumber": "1000", "homeDirectory": "/", "uid": uid}
    return {**needed, "associatedDomain": "corp.example", "mail": f"{uid}@corp.example", **attributes}


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/libexec")
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install slapd ldap-utils")
    return found
