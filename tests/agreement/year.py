"""One account's year under each agreement, as the code decides it.  `python -m tests.agreement.year` writes it down.

The table stands in policies/README.md, and a test compares it: whoever changes an agreement sees what that does to the
story. The same acts, the same answers of people; notices are received half an hour after each act.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from filterd.agreement.annul import annul
from filterd.agreement.decide import decide
from filterd.agreement.fold import fold
from filterd.agreement.load import load
from filterd.agreement.standing import standing_at
from filterd.agreement.terms import Agreement
from filterd.checks import ALL_CODES
from filterd.model import records as r
from filterd.model.decision import Decision, MailFacts
from filterd.model.ids import derived_id
from filterd.model.sanction import Preset, Rung
from filterd.model.standing import History, Standing, Surroundings
from filterd.share import path
from tests.agreement.cases import case

BEGIN, END = "<!-- the year: begin -->", "<!-- the year: end -->"
README = Path(__file__).parents[2] / "policies" / "README.md"
AGREEMENTS = ("tencent-exmail", "aliyun-mail", "aliyun-supplement", "house-aup")
ZONE = ZoneInfo("Asia/Shanghai")
SOON = timedelta(minutes=30)


@dataclass
class Account:
    """One account under one agreement."""

    terms: Agreement
    records: list[r.Record] = field(default_factory=list)
    count: int = 0

    @property
    def history(self) -> History:
        return fold("a_1", self.records)

    def standing(self, at: datetime) -> Standing:
        return standing_at(self.history, self.terms, at)

    def sends(self, at: datetime, codes: tuple[str, ...], recipients: int) -> Decision:
        """One mail, and the notice of whatever it brings."""
        self.count += 1
        facts = MailFacts(
            recipients=recipients, external_recipients=recipients, has_attachments=True, has_links=True
        )
        mail = case(
            codes,
            at=at,
            transaction_id=f"t_{self.count}",
            evidence_key=f"e_{self.count}",
            text_fp=f"x_{self.count}",
            delivery_keys=tuple(f"k{self.count}.{n}" for n in range(recipients)),
            facts=facts,
        )
        around = Surroundings(tenant=History(account_id="n_1"), site=History(account_id="site"), seats=50)
        decision = decide(mail, self.terms, Preset.SUPERVISED, self.history, mail.delivery_keys, around)
        mine = [x for x in decision.records if getattr(x, "account_id", "a_1") == "a_1"]
        self.records += [x for x in mine if not isinstance(x, r.TenantCharged | r.TenantStepTaken)]
        if decision.notices:
            self._told(at + SOON, tuple(dict.fromkeys(n.incident_id for n in decision.notices)))
        return decision

    def _told(self, at: datetime, incident_ids: tuple[str, ...]) -> None:
        self.records.append(
            r.NoticeSent(
                at=at,
                notice_id=derived_id("m", *incident_ids, at.isoformat()),
                account_id="a_1",
                incident_ids=incident_ids,
                template="warning",
                languages=("en",),
                channel="account+tenant",
                outcome="accepted",
                deemed_at=at,
                body_digest="",
            )
        )

    def newest(self, at: datetime) -> r.SanctionImposed | None:
        """Say the highest sanction above a warning in force."""
        active = {s.sanction_id for s in self.standing(at).sanctions if s.rung > Rung.WARN}
        found = [s.imposed for s in self.history.sanctions if s.imposed.sanction_id in active]
        return max(found, key=lambda s: s.step, default=None)


def objects(account: Account, at: datetime) -> str:
    """The user objects to what is in force; nobody answers."""
    imposed = account.newest(at)
    if imposed is None:
        return "nothing to object to"
    account.records.append(
        r.ObjectionFiled(
            at=at,
            appeal_id=derived_id("p", imposed.sanction_id),
            sanction_id=imposed.sanction_id,
            incident_id=imposed.incident_id,
            account_id="a_1",
            channel="link",
        )
    )
    return "objection filed"


def cures(account: Account, at: datetime) -> str:
    """The tenant says that the breach is cured, in three parts; nobody answers (AL-7.1)."""
    imposed = account.newest(at)
    if imposed is None or account.terms.cure is None:
        return "no cure in this agreement" if account.terms.cure is None else "nothing to cure"
    account.records.append(
        r.CureFiled(
            at=at,
            cure_id=derived_id("u", imposed.sanction_id),
            sanction_id=imposed.sanction_id,
            has_stopped=True,
            has_measures=True,
            has_compensation=False,
            has_waiver=True,
            by="Chief",
            due_at=account.terms.calendar.term_end(at, 3),
        )
    )
    return "cure filed"


def wins(account: Account, at: datetime) -> str:
    """The newest incident was an error of ours: its strike never counted, and the ladder is replayed without it."""
    standing = [i for i in account.history.incidents if i.strike is not None and not i.is_void]
    if not standing:
        return "nothing to appeal"
    undone = annul(
        "a_1",
        account.records,
        account.terms,
        Preset.SUPERVISED,
        incident_id=standing[-1].opened.incident_id,
        at=at,
        by="Ana",
        reason="our error",
    )
    account.records += undone.records
    return "appeal granted"


def looks(account: Account, at: datetime) -> str:
    """Nobody does anything."""
    return ""


def mail(*codes: str, recipients: int = 1) -> Callable[[Account, datetime], str]:
    """A mail in which these findings are."""

    def act(account: Account, at: datetime) -> str:
        return account.sends(at, codes, recipients).disposition.value

    return act


ADVERT = ("content.advertising.model", "rate.message.bulk")
SPAM_RUN = ("content.spam.model", "rate.burst.running")
YEAR: tuple[tuple[str, str, Callable[[Account, datetime], str]], ...] = (
    ("01-12 09:00", "a virus in an attachment", mail("virus.signature.match")),
    ("01-15 09:30", "three days later", looks),
    ("02-10 10:00", "advertising to 80 people, undeclared", mail(*ADVERT, recipients=80)),
    ("02-12 10:00", "the same again", mail(*ADVERT, recipients=80)),
    ("04-10 11:00", "gambling offers to 80 people", mail("content.gambling.model", "rate.message.bulk", recipients=80)),
    ("05-20 09:00", "a run of spam to 1,200 people", mail(*SPAM_RUN, recipients=1200)),
    ("05-21 10:00", "the user objects, and nobody answers", objects),
    ("05-22 10:30", "a day later", looks),
    ("06-20 09:00", "another run, to 1,200 people", mail(*SPAM_RUN, recipients=1200)),
    ("06-21 09:00", "the tenant files a cure, and nobody answers", cures),
    ("06-25 00:30", "after three natural days", looks),
    ("06-28 09:00", "a week after the run", looks),
    ("07-10 09:00", "a third run, in probation", mail(*SPAM_RUN, recipients=1200)),
    ("07-11 09:00", "an appeal against that is granted", wins),
    ("12-31 12:00", "the end of the year", looks),
)


def year(terms: Mapping[str, Agreement]) -> list[str]:
    """Write the table, in Markdown."""
    accounts = {name: Account(terms[name]) for name in AGREEMENTS}
    heads = ("Tencent Exmail", "Aliyun alone", "Aliyun with supplement", "house AUP")
    lines = [f"| when | what happens | {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for when, what, act in YEAR:
        at = datetime.fromisoformat(f"2026-{when}").replace(tzinfo=ZONE).astimezone(UTC)
        cells = [_cell(account, at, act(account, at)) for account in accounts.values()]
        lines.append(f"| {when} | {what} | {' | '.join(cells)} |")
    return lines


def _cell(account: Account, at: datetime, said: str) -> str:
    now = account.standing(at)
    parts = [said] if said else []
    until = f" until {now.until.astimezone(ZONE):%m-%d %H:%M}" if now.until is not None else ""
    parts.append(f"{now.conduct.value}{until}")
    if now.half_points:
        provisional = (now.half_points - now.final_half_points) / 2
        parts.append(f"{now.half_points / 2:g} points" + (f" ({provisional:g} provisional)" if provisional else ""))
    features = [str(f) for f in now.features if f.name != "sending"]
    if features:
        parts.append("off: " + ", ".join(features))
    return "; ".join(parts)


def shipped() -> dict[str, Agreement]:
    """Load the agreements that come with filterd; their digests do not matter here."""
    found = {}
    for name in AGREEMENTS:
        file = path(f"policies/agreements/{name}.toml")
        terms = load(file.read_bytes(), file.name, ALL_CODES)
        found[name] = terms.model_copy(update={"digest": hashlib.sha256(name.encode()).hexdigest()})
    return found


def written() -> str:
    """Say the text between the marks in policies/README.md."""
    text = README.read_text(encoding="utf-8")
    return text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip()


def main() -> None:
    """Put the table into policies/README.md."""
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    table = "\n".join(year(shipped()))
    README.write_text(f"{head}{BEGIN}\n{table}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
