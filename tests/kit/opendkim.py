"""OpenDKIM's own verifier (Debian's package opendkim) over files, with keys out of a file: no DNS, no daemon.

`opendkim -t` reads whole mails and says of each signature whether it holds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_SAID = re.compile(
    r"^opendkim: \S+: (?:verification \(.*?\) (succeeded|failed)|(message not signed)|line \d+: (header malformed))",
    re.MULTILINE,
)


class OpenDkim:
    """A verifier with its keys: record by name, without the last dot."""

    def __init__(self, folder: Path, keys: Mapping[str, str]):
        program = shutil.which("opendkim", path="/usr/sbin:/usr/bin")
        if program is None:
            raise FileNotFoundError("opendkim is not installed: make install")
        self._program, self._folder = program, folder
        (folder / "keys").write_text("".join(f"{name} {record}\n" for name, record in keys.items()))
        self._config = folder / "opendkim.conf"
        self._config.write_text(f"TestPublicKeys {folder / 'keys'}\nMode v\n")

    @property
    def version(self) -> str:
        said = subprocess.run([self._program, "-V"], capture_output=True, text=True, timeout=60)
        return (said.stdout + said.stderr).splitlines()[0].removeprefix("opendkim: ")

    def says(self, raw: bytes) -> str:
        """Say what it prints of a mail: `succeeded`, `failed`, `message not signed`, `header malformed`, or nothing."""
        file = self._folder / "one.eml"
        file.write_bytes(raw)
        said = _SAID.search(self.run([file]))
        return next(filter(None, said.groups())) if said else ""

    def run(self, files: Sequence[Path]) -> str:
        """Verify files in one process, in order, up to the first that it cannot read; give what it printed."""
        command = [self._program, "-x", str(self._config), "-t", ",".join(map(str, files))]
        said = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600)
        return said.stdout + said.stderr
