"""Does the database that several nodes share answer, and would it keep what it promised?  ops/docs/NODES.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from filterd.cli.probes.finding import Finding, Patient, broken, ok, skipped, warning
from filterd.errors import FilterdError


async def database(patient: Patient) -> AsyncIterator[Finding]:
    """Look at the database of the ledger; nothing of it is changed."""
    url = patient.config.ledger.url
    if url is None:
        yield skipped("the ledger is a file of this node; no database is shared")
        return
    try:
        found = await asyncio.to_thread(_look, url)
    except FilterdError as err:
        fix = "mend the server or `ledger.url`; violations wait with 451 meanwhile (ops/docs/NODES.md)"
        yield broken(str(err), fix)
        return
    place, version, nodes, standby = found
    yield ok(f"{place}: PostgreSQL {version}, {nodes} connected to it as filterd")
    if not standby:
        yield warning(
            f"{place}: commits wait for no standby",
            "set synchronous_standby_names, or know that a failover may lose the last sanctions",
        )


def _look(url: str) -> tuple[str, str, int, bool]:
    import psycopg

    from filterd.errors import LedgerUnavailable
    from filterd.ledger.postgres import check_server, conninfo, place_of

    place = place_of(url)
    try:
        with psycopg.connect(conninfo(url), autocommit=True) as connection:
            check_server(connection, place)
            version = connection.execute("SHOW server_version").fetchone()
            nodes = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'filterd'"
                " AND datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            standby = connection.execute("SHOW synchronous_standby_names").fetchone()
    except psycopg.Error as err:
        why = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise LedgerUnavailable(f"{place}: cannot be asked: {why}") from err
    # Each of these always has a row.
    return place, str((version or ("",))[0]), int((nodes or (0,))[0]), bool((standby or ("",))[0])
