"""Lists of locked categories in a house: written, approved, and read by the gate as in a running worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filterd.agreement.adopted import locked_lists
from filterd.checks.locked import LockedReader
from filterd.clients.adopted_lists import AdoptedLists, TermCopies
from filterd.clients.locked_lists import LockedFolder, LockedList, load_locked, read_locked
from filterd.model.entry import SITE
from filterd.model.evidence import Evidence
from tests.kit.house import letter
from tests.pipeline.people import Office

LIST = """\
id = "kites"
category = "pol.security"
languages = ["en"]
legal_basis = "Order 7 of 2026-01-02 of the ministry of kites"
scope = "mail that leaves our tenants' domains"
expires_at = 2026-06-01
terms = ["velvet teapot", "marmalade jar"]
"""
WORDS = "the velvet teapot is here"
BASIS = "Kite Act, section 3"


def write(office: Office, text: str = LIST, name: str = "kites.toml") -> Path:
    """Put a list into the folder."""
    folder = office.folder / "locked"
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


async def read_by_gate(office: Office) -> AdoptedLists[LockedList]:
    """Have the gate read the folder, and ask the ledger what acts."""

    async def adopted() -> Mapping[str, str]:
        site = office.engine.run(lambda txn: txn.history(SITE))
        return {name: row.digest for name, row in locked_lists(site).items()}

    folder = LockedFolder(
        office.folder / "locked", office.clock, load=load_locked, recheck_s=0.0, on_reading=lambda _: None
    )
    folder.open()
    lists: AdoptedLists[LockedList] = AdoptedLists(
        folder,
        TermCopies(office.folder / "copies", read_locked),
        adopted,
        office.clock,
        on_waiting=lambda _: None,
        on_trouble=lambda _: None,
    )
    office.gate._locked = LockedReader(lists)
    return lists


def said(office: Office, file: Path) -> dict[str, Any]:
    """What a proposal says of a file."""
    one = read_locked(file, office.clock.now())
    return {
        "list": one.id,
        "list_digest": one.digest,
        "category": one.category,
        "until": one.expires_at.isoformat(),
        "entries": str(len(one.terms) + len(one.patterns)),
        "legal_basis": one.legal_basis,
        "scope": one.scope,
        "on_hit": one.on_hit,
    }


async def propose(office: Office, act: str, by: str = "dana", **terms: Any) -> dict[str, Any]:
    made: dict[str, Any] = await office.act(by, "proposal.make", act=act, subject="site", reason="checked", **terms)
    return made


async def approve(office: Office, made: dict[str, Any], by: str = "erin") -> dict[str, Any]:
    done: dict[str, Any] = await office.act(by, "proposal.approve", proposal=made["proposal_id"], digest=made["digest"])
    return done


async def enable(office: Office) -> str:
    """Have two people let such lists run; say the entry."""
    return str((await approve(office, await propose(office, "locked_lists.enable", legal_basis=BASIS)))["entry_id"])


async def adopt(office: Office, file: Path) -> str:
    """Have two people approve a file; say the entry."""
    return str((await approve(office, await propose(office, "locked_list.adopt", **said(office, file))))["entry_id"])


async def running(office: Office, text: str = LIST) -> str:
    """Have a list written, approved, let run and read; say the entry that lets such lists run."""
    file = write(office, text)
    entry = await enable(office)
    await adopt(office, file)
    await read_by_gate(office)
    return entry


def mail(subject: str = WORDS, *, sender: str = "alice@cust.example") -> bytes:
    return letter(subject, sender=sender)


def cases(office: Office) -> tuple[Evidence, ...]:
    return office.engine.run(lambda txn: txn.locked_cases())
