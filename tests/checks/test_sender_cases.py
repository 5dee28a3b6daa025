"""Every folder of tests/cases/sender: message.eml and expect.toml.

    why = "…"                        # why this answer, in a sentence
    outcome = "found"
    codes = ["sender.from.foreign"]
    finding = { domain = "x.example" }   # of the first finding's why, as far as it is said here
    [mail]                           # how it came; the defaults are these
    direction = "outbound"
    mail_from = "alice@kites.example"    # "" is the null sender
    own = ["kites.example"]          # domains of the tenant ten_1, whose account acc_1 wrote it
    is_declared = true
    reserved = []                    # domains that nobody else writes from
    [owners]                         # whose the other domains are
    "teapots.example" = "ten_2"
    [accounts]                       # of the tenant's mailboxes
    "bob@kites.example" = "acc_2"
    [send_as]                        # from whose addresses an account may write
    acc_1 = ["bob@kites.example"]

Protected in all of them: the domains tencent, qq and mail.example, the name 系统管理员 for tencent.example and the
tenant's own domains, the name Mail Service for tencent.example. Lent to kites.example: send.news.example.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from filterd.checks import sender
from filterd.checks.sender_names import Protected
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.principal import NOBODY
from filterd.model.session import Direction, Envelope, ForwardPath
from tests.checks.contexts import ACCOUNT, context, path, transaction

FOLDERS = sorted(p for p in (Path(__file__).parent.parent / "cases" / "sender").iterdir() if p.is_dir())
PROTECTED = Protected(
    domains=("tencent.example", "qq.example", "mail.example"),
    names=(("系统管理员", ("tencent.example", "own")), ("Mail Service", ("tencent.example",))),
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
async def test_case(folder: Path) -> None:
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    came = said.get("mail", {})
    raw, _ = canonical((folder / "message.eml").read_bytes())
    owners = dict.fromkeys(came.get("own", ["kites.example"]), "ten_1") | said.get("owners", {})
    accounts = {"alice@kites.example": "acc_1"} | said.get("accounts", {})

    async def owner_of(domain: str) -> str | None:
        return owners.get(domain)

    async def account_of(login: str) -> str | None:
        return accounts.get(login)

    async def may_send_as(account_id: str, address: str) -> bool:
        return address in said.get("send_as", {}).get(account_id, [])

    check = sender.make(
        owner_of,
        protected=PROTECTED,
        reserved=tuple(came.get("reserved", ())),
        delegated={"kites.example": ("send.news.example",)},
        is_declared=lambda _: bool(came.get("is_declared", True)),
        account_of=account_of,
        may_send_as=may_send_as,
    )
    direction = Direction(came.get("direction", "outbound"))
    mail_from = came.get("mail_from", "alice@kites.example")
    verdict = await check.run(
        context(
            raw,
            transaction=transaction(
                raw,
                envelope=Envelope(
                    reverse_path=path(mail_from) if mail_from else None,
                    forward_paths=(ForwardPath(path=path(came.get("rcpt_to", "carol@elsewhere.example"))),),
                ),
            ),
            message=parse(raw),
            direction=direction,
            principal=NOBODY if direction is Direction.INBOUND else ACCOUNT,
            own_domains=() if direction is Direction.INBOUND else tuple(came.get("own", ["kites.example"])),
        )
    )
    assert said["why"]
    assert (verdict.outcome.value, [f.code for f in verdict.findings]) == (said["outcome"], said.get("codes", []))
    why = dict(verdict.findings[0].why) if verdict.findings else {}
    finding = said.get("finding", {})
    assert {key: why.get(key) for key in finding} == finding


def test_there_are_cases() -> None:
    assert len(FOLDERS) >= 20
