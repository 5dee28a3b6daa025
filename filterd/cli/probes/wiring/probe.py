"""The questions of the doctor about the wiring: one for each kind of mail server."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.cli.probes.wiring import exim as exims
from filterd.cli.probes.wiring import sendmail as sendmails
from filterd.cli.probes.wiring.ask import read_postfix
from filterd.cli.probes.wiring.case import Case
from filterd.cli.probes.wiring.own_file import OwnFile
from filterd.cli.probes.wiring.register import faults
from filterd.errors import ConfigError
from filterd.model.toml_source import TomlSource

POSTFIX = Path("/etc/postfix")
_UNNAMED = Path("filterd.toml")


async def postfix(patient: Patient) -> AsyncIterator[Finding]:
    """Does Postfix give its mail to filterd, and take it back, as ops/postfix has it?"""
    folder = patient.postfix or POSTFIX
    if patient.postfix is None and (shutil.which("postconf") is None or not (folder / "main.cf").exists()):
        yield skipped("there is no Postfix here; name its folder with --postfix")
        return
    try:
        case = Case(config=patient.config, own=own_file(patient.file), postfix=await read_postfix(folder))
    except ConfigError as err:
        yield broken(str(err), "run the doctor where Postfix is, or name its folder with --postfix")
        return
    if patient.postfix is None and not case.fed and case.behind is None:
        yield skipped(f"the Postfix of {folder} has nothing to do with this filterd; name another with --postfix")
        return
    found = list(faults(case))
    for fault in found:
        yield fault.finding
    if found:
        return
    if case.fed:
        ways = ", ".join(dict.fromkeys(f"{feed.service.name} by {feed.parameter}" for feed in case.fed))
        yield ok(f"the Postfix of {folder} is wired: {ways}")
    else:
        yield warning(f"the Postfix of {folder} gives no mail to this filterd", "wire it as ops/postfix/README.md says")


async def sendmail(patient: Patient) -> AsyncIterator[Finding]:
    """Does Sendmail ask filterd, as ops/sendmail has it?"""
    file = patient.sendmail
    if file is None:
        yield skipped("no file of Sendmail's is named; --sendmail /etc/mail/sendmail.mc looks into it")
        return
    text = _read(file)
    if text is None:
        yield broken(f"{file} cannot be read", "name sendmail.mc or sendmail.cf with --sendmail")
        return
    read = sendmails.parse(file, text)
    found = list(sendmails.faults(patient.config, read))
    for fault in found:
        yield fault.finding
    if not found and not (read.filters and patient.config.milter.enabled):
        yield warning(f"{file} has no filter of filterd's", "wire it as ops/sendmail/README.md says")
    elif not found:
        yield ok(f"{file} is wired: {', '.join(line.name for line in read.filters)}")


async def exim(patient: Patient) -> AsyncIterator[Finding]:
    """Does Exim give its mail to filterd, and take it back, as ops/exim has it?"""
    file = patient.exim
    if file is None:
        yield skipped("no file of Exim's is named; --exim /etc/exim4/exim4.conf looks into it")
        return
    text = _read(file)
    if text is None:
        yield broken(f"{file} cannot be read", "name exim.conf with --exim")
        return
    read = exims.parse(file, text)
    found = list(exims.faults(patient.config, read))
    for fault in found:
        yield fault.finding
    if not found and read.of("filterd", "port") is None:
        yield warning(f"{file} has no transport `filterd`", "wire it as ops/exim/README.md says")
    elif not found:
        yield ok(f"{file} is wired: its transport `filterd`")


def _read(file: Path) -> str | None:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return None


def own_file(file: Path | None) -> OwnFile:
    """filterd's own file, for its lines. Raises ConfigError."""
    return OwnFile(path=file or _UNNAMED, source=None if file is None else TomlSource.read(file))
