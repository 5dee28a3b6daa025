"""Runs an operator's program: an argument list, never a shell; octets in, octets out, within a time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import PurePath

from filterd.errors import PortError

# What a program says of its failure is for the operator's log: its last line, so much of it.
_SAID_AT_MOST = 200


async def run(command: Sequence[str], given: bytes, *, timeout_s: float) -> bytes:
    """Say what a program wrote to standard output. Raises PortError: it cannot be run, took too long, or failed.

    Args:
        command: the program and its arguments; the first names it in errors.
        given: for its standard input; empty: it has none.
    """
    name = PurePath(command[0]).name
    stdin = asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=stdin, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as err:
        raise PortError(f"{name} cannot be run: {err.strerror}") from err
    try:
        async with asyncio.timeout(timeout_s):
            out, err_octets, _, _ = await asyncio.gather(
                _read(process.stdout), _read(process.stderr), _feed(process, given), process.wait()
            )
    except TimeoutError as err:
        raise PortError(f"{name} did not end within {timeout_s:g} s") from err
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        raise PortError(f"{name} ended with {process.returncode}: {_last_line(err_octets)}")
    return out


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    """Write its standard input. A program need not read it: what it ends with says whether it did its work.

    Not Process.communicate(): when the program ends first, that raises under uvloop and loses why the program ended.
    """
    if process.stdin is None:
        return
    with contextlib.suppress(RuntimeError, ConnectionError):
        process.stdin.write(given)
        await process.stdin.drain()
        process.stdin.close()
        await process.stdin.wait_closed()


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


def _last_line(said: bytes) -> str:
    lines = said.decode("ascii", "replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
    return "".join(c if c.isprintable() else "?" for c in last)[:_SAID_AT_MOST]
