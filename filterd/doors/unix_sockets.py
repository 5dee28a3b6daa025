"""UNIX sockets to listen on: made with their permissions, found again after a crash, removed at the end.

A socket that nobody serves any more is replaced; one that somebody serves is never taken from them. Several workers
share one through `hold`, called before they are forked.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from filterd.errors import ConfigError

_PREFIX = "unix:"
# Sockets opened before a fork, by path: every process born afterwards listens on the same one.
_held: dict[Path, socket.socket] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A socket and where it stands. `inode` None: another process made it and will remove it."""

    socket: socket.socket
    path: Path
    inode: int | None


def is_path(address: str) -> bool:
    return address.startswith(_PREFIX)


def path_of(address: str) -> Path:
    return Path(address.removeprefix(_PREFIX))


def hold(address: str, mode: int) -> None:
    """Open the socket for this process's children to come; harmless for an address that is not `unix:/path`."""
    if is_path(address):
        path = path_of(address)
        _held[path] = bind(path, mode).socket


def release() -> None:
    """Close and remove what `hold` opened; for the process that called it, when its children have ended."""
    while _held:
        path, opened = _held.popitem()
        opened.close()
        path.unlink(missing_ok=True)


def bind(path: Path, mode: int) -> Bound:
    """Make a listening socket. Raises ConfigError when the path is taken or cannot be made."""
    if path in _held:
        # A copy: whoever closes theirs leaves that of the others open.
        return Bound(socket=_held[path].dup(), path=path, inode=None)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        # On Linux the file is born with these permissions, less the umask: no moment for anybody else to get in.
        os.fchmod(made.fileno(), mode)
        made.bind(str(path))
        path.chmod(mode)
        made.listen(1024)
        made.setblocking(False)
        return Bound(socket=made, path=path, inode=path.stat().st_ino)
    except OSError as err:
        made.close()
        raise ConfigError(f"cannot listen there: {err.strerror or err}", file=path, key="bind") from err
    except BaseException:
        made.close()
        raise


def remove(bound: Bound) -> None:
    """Take the file away, unless it is somebody else's by now."""
    try:
        if bound.inode is not None and bound.path.stat().st_ino == bound.inode:
            bound.path.unlink()
    except OSError:
        # Already gone, or the folder is: nobody can connect there, which is what was wanted.
        return


def _clear(path: Path) -> None:
    """Remove what a process that was killed has left. Raises ConfigError when somebody answers there."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        except OSError as err:
            raise ConfigError(f"cannot be asked who serves it: {err.strerror or err}", file=path, key="bind") from err
        else:
            raise ConfigError("somebody listens there already", file=path, key="bind")
