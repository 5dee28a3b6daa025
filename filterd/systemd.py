"""What systemd is told, and the sockets it hands over.  sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3).

Plain datagrams and environment variables: nothing here needs a library, and without systemd nothing happens.
"""

from __future__ import annotations

import os
import socket
import time

from filterd.errors import ConfigError

# SD_LISTEN_FDS_START
_FIRST_FD = 3
_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def notify(*lines: str) -> bool:
    """Send a state, `READY=1` and the like; False when nobody asked for it or nobody took it.

    A service manager that cannot be told must not end the service.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if address.startswith("@"):
        # unix(7): an abstract address begins with NUL.
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # The manager's queue holds a few datagrams only. A lost READY=1 would leave it waiting for ever.
            sender.settimeout(5)
            sender.sendto("\n".join(lines).encode(), address)
    except OSError:
        return False
    return True


def status(text: str) -> str:
    """Say what `systemctl status` is to show, on one line."""
    return f"STATUS={text}".replace("\n", " ")


def reloading() -> tuple[str, str]:
    """Say that a reload begins; `READY=1` ends it. The instant tells old answers from new ones."""
    return "RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def watchdog_s() -> float | None:
    """Say how often to send `WATCHDOG=1`: a third of the time after which systemd acts; None: it does not ask."""
    asked = os.environ.get("WATCHDOG_USEC", "")
    if not asked.isdigit() or int(asked) == 0:
        return None
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(asked) / 3_000_000


def sockets() -> dict[str, list[socket.socket]]:
    """Take the sockets handed to this process, by the names they were given (`FileDescriptorName=`).

    The variables are taken out of the environment, and no program we start inherits the sockets.
    Raises ConfigError for what is no listening stream socket, or has no name.
    """
    pid, count, names = (os.environ.pop(name, "") for name in _LISTEN)
    if pid != str(os.getpid()) or not count.isdigit() or int(count) == 0:
        return {}
    called = names.split(":") if names else []
    if len(called) != int(count):
        raise ConfigError(f"{count} sockets were handed over with {len(called)} names", key="FileDescriptorName=")
    taken: dict[str, list[socket.socket]] = {}
    for fd, name in enumerate(called, start=_FIRST_FD):
        taken.setdefault(name, []).append(_taken(fd, name))
    return taken


def _taken(fd: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        found = socket.socket(fileno=fd)
        is_right = found.type == socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as err:
        raise ConfigError(f"descriptor {fd} ({name}) is no socket: {err.strerror}", key="ListenStream=") from err
    if not is_right:
        raise ConfigError(f"descriptor {fd} ({name}) is no listening stream socket", key="ListenStream=")
    found.setblocking(False)
    return found
