"""Does the operator's own directory answer?  ops/docs/DIRECTORY.md."""

from __future__ import annotations

from collections.abc import AsyncIterator

from filterd.app.directory import directory_sources
from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.errors import ConfigError, PortError


async def directory(patient: Patient) -> AsyncIterator[Finding]:
    """Can every source be asked, and does it tell people apart?"""
    config = patient.config.directory
    try:
        sources = directory_sources(config)
    except ConfigError as err:
        yield broken(str(err), "mend the place of the password, or the URL")
        return
    if not sources:
        yield skipped("no directory is asked: accounts come from lists and from first mail")
        return
    for source in sources:
        try:
            yield ok(await source.ping())
        except PortError as err:
            yield broken(str(err), f"mend [directory.{source.name}]; `filterd directory test LOGIN` asks again")
        finally:
            await source.close()
    if config.ldap.enabled and "external_id" not in config.ldap.attributes:
        yield warning(
            "[directory.ldap] has no external_id: the next holder of an address inherits its strikes",
            'attributes = { external_id = "entryUUID" }, or objectGUID, and the others you have',
        )
