"""Case folders of mail authentication: message.eml, zone.toml, expect.toml.

expect.toml says what the mail came with and what must be answered:

    why = "…"                                  # why this answer, in a sentence
    client = "192.0.2.1"                       # "" for none; helo and mail_from likewise
    helo = "mx.example.org"
    mail_from = "a@example.org"                # "" is the null sender
    dkim = ["pass example.org"]                # only for dmarc: what the check dkim said
    outcome = "found"
    codes = ["auth.spf.fail"]
    results = ["spf=fail smtp.mailfrom=example.org"]
    finding = { policy = "reject" }            # of the first finding's why, as far as it is said here
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filterd.checks.spec import Context
from filterd.mail.lines import canonical
from filterd.mail.parse import parse
from filterd.model.principal import NOBODY
from filterd.model.session import Direction, Door, Envelope, Session
from filterd.model.verdict import AuthResult, Outcome, Verdict
from tests.checks.contexts import context, path, transaction
from tests.kit.zones import ZoneLookups, read_zone

CASES = Path(__file__).parent.parent / "cases"


@dataclass(frozen=True, kw_only=True)
class AuthCase:
    name: str
    said: dict[str, Any]
    context: Context
    dkim: Verdict

    def hold(self, verdict: Verdict) -> None:
        """Compare a verdict with what the folder wants."""
        assert self.said["why"]
        wanted = (self.said["outcome"], self.said.get("codes", []), self.said.get("results", []))
        assert (verdict.outcome.value, [f.code for f in verdict.findings], list(map(shown, verdict.results))) == wanted
        why = dict(verdict.findings[0].why) if verdict.findings else {}
        finding = self.said.get("finding", {})
        assert {key: why.get(key) for key in finding} == finding


def folders(check: str) -> list[Path]:
    return sorted(p for p in (CASES / check).iterdir() if p.is_dir())


def read_case(folder: Path) -> AuthCase:
    said = tomllib.loads((folder / "expect.toml").read_text(encoding="utf-8"))
    raw, _ = canonical((folder / "message.eml").read_bytes())
    session = Session(
        id="s_1",
        door=Door.SMTP,
        listener="smtp",
        peer_address="127.0.0.1",
        is_trusted_peer=True,
        client_address=said.get("client") or None,
        helo=said.get("helo") or None,
    )
    envelope = Envelope(reverse_path=path(said["mail_from"]) if said.get("mail_from") else None)
    return AuthCase(
        name=folder.name,
        said=said,
        context=context(
            raw,
            transaction=transaction(raw, session=session, envelope=envelope),
            message=parse(raw),
            direction=Direction(said.get("direction", "inbound")),
            principal=NOBODY,
            dns=ZoneLookups(read_zone(folder / "zone.toml")),
        ),
        dkim=_dkim(said.get("dkim", [])),
    )


def _dkim(said: list[str]) -> Verdict:
    pairs = [entry.split(" ") for entry in said]
    results = tuple(AuthResult(method="dkim", result=word, properties=(("header.d", d),)) for word, d in pairs)
    none = (AuthResult(method="dkim", result="none"),)
    return Verdict(check="dkim", version="1", outcome=Outcome.CLEAN, results=results or none)


def shown(result: AuthResult) -> str:
    return " ".join([f"{result.method}={result.result}", *(f"{key}={value}" for key, value in result.properties)])
