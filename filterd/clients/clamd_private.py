"""A clamd of our own, for the demo, the tests, and a node on which no system clamd answers.  clamd(8), clamd.conf(5).

It runs as whoever starts it, listens on a UNIX socket in its own folder and dies with its parent. It knows two harmless
signatures and nothing else: enough to show that the way to a scanner works, no protection from real malware. clamd 1.4
needs neither the official database nor bytecode to start. Never fetches anything.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from filterd.errors import PortError

# The anti-malware test file of EICAR, as hex: verbatim it would have virus scanners remove this file.
EICAR = bytes.fromhex(
    "58354f2150254041505b345c505a58353428505e2937434329377d2445494341"
    "522d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a"
)
# A string of our own that is no virus anywhere else.
MARKER = b"FILTERD-TEST-SIGNATURE-6b1f0ce94a7d"
# Signature name (clamd adds .UNOFFICIAL) and the bytes it finds anywhere in any decoded part or archive member.
SIGNATURES = (("Filterd.Test.Eicar", EICAR), ("Filterd.Test.Marker", MARKER))

# Well over the largest mail most servers take. INSTREAM beyond it is answered with an error, not with OK.
STREAM_MAX = "40M"
READY_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0
# unix(7): sun_path holds 108 bytes with the closing NUL.
SOCKET_PATH_MAX_BYTES = 107


class PrivateClamd:
    """One clamd and its folder. Made by `start_private_clamd`; `stop` and `start` may follow each other.

    Attributes:
        socket_path: where it listens, also while it is stopped.
        version: as clamd says it, for example `ClamAV 1.4.6`.
    """

    def __init__(self, directory: Path, *, tcp_port: int | None = None):
        self.directory = directory
        self.socket_path = directory / "clamd.sock"
        self.version = ""
        self._tcp_port = tcp_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id, or None when it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def start(self) -> None:
        """Start clamd and wait until it answers PING. Does nothing when it runs.

        clamd ends with the thread that calls this, so call it where the program lives: on the main thread.

        Raises:
            PortError: no clamd on this machine or the folder is another's (permanent);
                it ended or stayed silent (temporary, with what it logged).
        """
        if self.pid is not None:
            return
        if await self._ask(b"PING"):
            # clamd itself would take the socket over without a word.
            raise PortError(f"{self.socket_path}: already in use by another clamd", temporary=False)
        self._write_files()
        self._process = self._spawn()
        try:
            await self._until_ready(self._process)
            self.version = (await self._ask(b"VERSION")).partition("/")[0]
        except BaseException:
            await self.stop()
            raise

    async def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End clamd and wait for it, killing it after ten seconds. Does nothing when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            await asyncio.to_thread(process.wait, STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock() + READY_WITHIN_S
        while await self._ask(b"PING") != "PONG":
            if process.poll() is not None:
                raise PortError(f"clamd ended with status {process.returncode}{self._last_words()}")
            if clock() > deadline:
                raise PortError(f"clamd did not answer PING within {READY_WITHIN_S:g} s{self._last_words()}")
            await asyncio.sleep(0.02)

    def _write_files(self) -> None:
        if len(os.fsencode(self.socket_path)) > SOCKET_PATH_MAX_BYTES:
            raise PortError(f"{self.socket_path}: too long a path for a UNIX socket", temporary=False)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        signatures, scratch = self.directory / "signatures", self.directory / "scratch"
        signatures.mkdir(exist_ok=True)
        scratch.mkdir(exist_ok=True)
        # Extended signatures: name, any type of file, any offset, hex.
        lines = (f"{name}:0:*:{pattern.hex()}\n" for name, pattern in SIGNATURES)
        (signatures / "filterd.ndb").write_text("".join(lines))
        (self.directory / "clamd.conf").write_text(self._conf(signatures, scratch))

    def _conf(self, signatures: Path, scratch: Path) -> str:
        # No `User`: clamd stays who it is, so that the folder needs no other owner.
        conf = {
            "Foreground": "yes",
            "LocalSocket": self.socket_path,
            "LocalSocketMode": "600",
            "DatabaseDirectory": signatures,
            "TemporaryDirectory": scratch,
            "LogFile": self.directory / "clamd.log",
            "LogTime": "yes",
            "StreamMaxLength": STREAM_MAX,
            "MaxFileSize": STREAM_MAX,
            "MaxScanSize": "100M",
            # What was not looked at for its size is reported, not called clean.
            "AlertExceedsMax": "yes",
        }
        if self._tcp_port is not None:
            conf |= {"TCPSocket": str(self._tcp_port), "TCPAddr": "127.0.0.1"}
        return "".join(f"{key} {setting}\n" for key, setting in conf.items())

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [find_clamd(), f"--config-file={self.directory / 'clamd.conf'}"]
        # A killed parent must not leave a scanner behind: prctl(2) PR_SET_PDEATHSIG.
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "TERM", "--", *command]
        for log in ("clamd.log", "clamd.err"):
            (self.directory / log).unlink(missing_ok=True)
        with (self.directory / "clamd.err").open("wb") as err:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)

    async def _ask(self, command: bytes) -> str:
        """One answer of clamd, or "" while it gives none."""
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_unix_connection(self.socket_path)
                try:
                    writer.write(b"z" + command + b"\0")
                    return (await reader.readuntil(b"\0"))[:-1].decode()
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return ""

    def _last_words(self) -> str:
        logs = (self.directory / "clamd.err", self.directory / "clamd.log")
        lines = [line for log in logs if log.exists() for line in log.read_text(errors="replace").splitlines()[-5:]]
        # Not our temporary folder but the one the profile names.
        writable = Path("/tmp")  # noqa: S108
        if Path("/etc/apparmor.d/usr.sbin.clamd").exists() and not self.directory.resolve().is_relative_to(writable):
            lines.append("(Debian's AppArmor profile lets clamd write below /tmp only)")
        return "".join(f"\n  {line}" for line in lines)


def find_clamd() -> str:
    """Where the clamd program is.

    Raises:
        PortError: nowhere on this machine; permanent.
    """
    # Debian keeps it in sbin, which is not on everybody's PATH.
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
    if found := shutil.which("clamd", path=search):
        return found
    raise PortError("no clamd on this machine (Debian: apt-get install clamav-daemon)", temporary=False)


async def start_private_clamd(directory: Path, *, tcp_port: int | None = None) -> PrivateClamd:
    """Start a clamd that keeps everything it needs in `directory`, and wait until it answers.

    Args:
        directory: made if need be, for the owner alone; below /tmp, where Debian's AppArmor profile lets clamd write.
        tcp_port: listen on 127.0.0.1 as well, for clients without UNIX sockets; None for the socket alone.

    Raises:
        PortError: see `PrivateClamd.start`.
    """
    clamd = PrivateClamd(directory, tcp_port=tcp_port)
    await clamd.start()
    return clamd
