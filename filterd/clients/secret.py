"""A password that stands in no configuration: in a file of its own, or in the environment.

Read each time it is needed, so that a new one takes no restart. It is in no error and no log.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from filterd.errors import ConfigError

_AT_MOST_BYTES = 4096


def secret_from(file: Path | None, variable: str | None, key: str) -> Callable[[], str] | None:
    """Say how to read a password; None where neither place is named.

    Args:
        key: of the table that names the place, for errors: `directory.ldap`.

    What it returns raises ConfigError for a secret that is missing, empty, or open to others.
    """
    if file is not None:
        return lambda: _from_file(file, f"{key}.password_file")
    if variable is not None:
        return lambda: _from_environment(variable, f"{key}.password_env")
    return None


def _from_file(file: Path, key: str) -> str:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            octets = opened.read(_AT_MOST_BYTES)
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=file, key=key) from err
    if mode & 0o007:
        raise ConfigError(f"mode {stat.S_IMODE(mode):04o} lets everybody read it; chmod 0640", file=file, key=key)
    try:
        secret = octets.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=file, key=key) from None
    if not secret:
        raise ConfigError("is empty", file=file, key=key)
    return secret


def _from_environment(variable: str, key: str) -> str:
    if not (secret := os.environ.get(variable)):
        raise ConfigError(f"the variable {variable} is not set, or empty", key=key)
    return secret
