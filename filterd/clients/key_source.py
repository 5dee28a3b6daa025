"""Where the master key comes from: a file, the environment, or what a command prints.

    file:/path               made when it is missing and there is no ledger yet; None: a file in the state directory
    env:NAME                 64 hex digits
    command:/path argument…  run once, without a shell; prints 32 octets or 64 hex digits and ends with 0

What a command prints is never repeated, in no error and no log; neither is what it says on standard error.
"""

from __future__ import annotations

import functools
import os
import selectors
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, cast

from filterd.clients.keys import derive, load_master, master_of
from filterd.errors import ModelError
from filterd.ports import Keys

# A person may have to touch a token; longer than that, and whoever starts the service gives up.
COMMAND_TIMEOUT_S = 60.0
# More is no key, whatever it is.
_AT_MOST_BYTES = 4096


def find_keys(source: str | None, default: Path, *, may_create: bool) -> Keys:
    """Read the master key from where `source` says and derive the node's keys.

    Args:
        source: as above; text without such a beginning is a file. None: `default`.
        may_create: whether a missing file may be made; only ever a file.

    Raises:
        ModelError: there is no such key, or it is none; names the place and never the content.
    """
    return derive(find_master(source, default, may_create=may_create))


def find_master(source: str | None, default: Path, *, may_create: bool) -> bytes:
    """Read the master key itself, as `find_keys` does: only to put it away elsewhere."""
    if source is None:
        return load_master(default, may_create=may_create)
    kind, _, rest = source.partition(":")
    match kind:
        case "env":
            return _from_environment(rest)
        case "command":
            return _from_command(rest)
        case "file":
            return load_master(Path(rest), may_create=may_create)
        case _:
            return load_master(Path(source), may_create=may_create)


def _from_environment(name: str) -> bytes:
    text = os.environb.get(os.fsencode(name))
    if text is None:
        raise ModelError(f"env:{name}: the environment holds no master key under this name")
    # The environment holds no NUL, and so no raw octets either.
    if len(text) < 64:
        raise ModelError(f"env:{name}: {len(text)} octets; a master key in the environment is 64 hex digits")
    return master_of(text, f"env:{name}")


# Once a process, and before it forks also once for its children: a token wants no second touch.
@functools.cache
def _from_command(command: str) -> bytes:
    try:
        arguments = shlex.split(command)
    except ValueError as err:
        raise ModelError(f"command: cannot be read: {str(err).lower()}") from err
    if not arguments or not arguments[0].startswith("/"):
        raise ModelError("command: the master key's command begins with an absolute path")
    # Arguments may be secrets, too.
    place = f"command:{arguments[0]}"
    try:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A group of its own, so that what it started ends with it.
            start_new_session=True,
        )
    except OSError as err:
        raise ModelError(f"{place}: the master key's command cannot be run: {err.strerror}") from err
    with process:
        octets = _read(cast(IO[bytes], process.stdout), time.monotonic() + COMMAND_TIMEOUT_S)
        if octets is None:
            os.killpg(process.pid, signal.SIGKILL)
            raise ModelError(f"{place}: no master key after {COMMAND_TIMEOUT_S:g} s, or far more than one")
        try:
            status = process.wait(COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise ModelError(f"{place}: did not end within {COMMAND_TIMEOUT_S:g} s") from None
    if status != 0:
        raise ModelError(f"{place}: exit status {status}; no master key")
    return master_of(octets, place)


def _read(pipe: IO[bytes], until_s: float) -> bytes | None:
    """Read up to the end; None when it comes too late or not at all."""
    octets = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while len(octets) <= _AT_MOST_BYTES and (left_s := until_s - time.monotonic()) > 0:
            if selector.select(left_s):
                more = os.read(pipe.fileno(), _AT_MOST_BYTES)
                if not more:
                    return octets
                octets += more
    return None
