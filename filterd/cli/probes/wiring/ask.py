"""Postfix's own word about its configuration: postconf(1). Runs programs and reads files; changes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from filterd.cli.probes.wiring.postfix import Postfix, parse, parse_main, parse_options
from filterd.errors import ConfigError

_WITHIN_S = 30.0


async def read_postfix(folder: Path) -> Postfix:
    """Read main.cf and master.cf of a folder. Raises ConfigError when they, or postconf, cannot be read."""
    try:
        main_cf, master_cf = ((folder / name).read_text("utf-8", "replace") for name in ("main.cf", "master.cf"))
    except OSError as err:
        raise ConfigError(f"cannot be read: {err.strerror}", file=Path(err.filename or folder)) from err
    effective, values, options = [await _postconf(folder, flag) for flag in ("-x", "-n", "-P")]
    return parse(
        folder,
        main_cf,
        master_cf,
        {name: setting.value for name, setting in parse_main(effective).items()},
        values={name: setting.value for name, setting in parse_main(values).items()},
        options=parse_options(options),
    )


async def _postconf(folder: Path, flag: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "postconf", "-c", str(folder), flag,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as err:
        raise ConfigError(f"postconf cannot be run: {err.strerror}", file=folder) from err
    try:
        async with asyncio.timeout(_WITHIN_S):
            said, complaint = await process.communicate()
    except TimeoutError as err:
        process.kill()
        await process.wait()
        raise ConfigError(f"postconf {flag} does not answer", file=folder) from err
    if process.returncode:
        why = (complaint.decode("utf-8", "replace").strip().splitlines() or ["?"])[-1]
        raise ConfigError(f"postconf {flag}: {why}", file=folder)
    return said.decode("utf-8", "replace")
