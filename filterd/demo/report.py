"""The demonstration, as it is printed: for somebody who sees filterd for the first time."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from filterd.agreement.terms import Agreement
from filterd.demo.ladder import ladder, notice
from filterd.demo.outcome import Sent, code_of, decided, wrongs
from filterd.demo.story import MAILS, RECIPIENTS, SPAMMER, Told
from filterd.demo.table import check_table, mail_table, row

_ZONE = ZoneInfo("Asia/Shanghai")
_LEGEND = (
    "en, zh: language of the mail. out: from a customer; own: inside one; in: from strangers, never with points.",
    "marked: delivered with X-Spam-Flag. In parentheses: shown to people, nothing follows from it.",
    "A first incident only warns, whatever its points. A refusal without a clause is protection.",
)


class Report:
    """What there is to say of a demonstration that was told."""

    def __init__(self, told: Told, terms: Agreement, folder: Path, metrics_url: str):
        self._told, self._terms, self._folder, self._metrics_url = told, terms, folder, metrics_url
        self._events = decided(folder)
        self.wrongs = [text for sent in told.sent for text in wrongs(sent)] + list(told.wrongs())
        if self._auth_results() is None:
            self.wrongs.append("no Authentication-Results were written")
        self._notices = {name: list(notice(folder / "sink", *who)) for name, who in _NOTICES.items()}
        self.wrongs += [f"no notice in {name} arrived" for name, lines in self._notices.items() if not lines]

    def lines(self) -> Iterator[str]:
        """Say all of it."""
        yield from _part("Mail, and what became of it", mail_table(self._told.sent, self._terms))
        yield from ("", *_LEGEND)
        yield from _part("Checks (label by label; `no model`: nobody looked)", check_table(self._events))
        yield from _part("What a refused sender reads (Chinese too, for Chinese customers)", self._replies())
        yield from _part("Authentication-Results of a forged mail", self._auth_lines())
        yield from _part(f"A spammer, {SPAMMER}: three runs, an objection, an annulment", self._spammer())
        for name, lines in self._notices.items():
            yield from _part(f"A notice in {name}, as it arrived", (f"| {line}" for line in lines))
        yield from _part("Where things are", self._places())
        yield from _part("Try next", self.commands())
        yield ""
        yield from self._verdict()

    def as_json(self) -> dict[str, Any]:
        """Say it for programs."""
        names = ("number", "mail", "language", "way", "reply", "found", "clause", "account")
        mails = [dict(zip(names, row(sent, self._terms), strict=True)) for sent in self._told.sent]
        state = str(self._folder)
        return {"mails": mails, "wrong": self.wrongs, "state_dir": state, "try": list(self.commands())}

    def commands(self) -> Iterator[str]:
        """Say commands that work as they stand here, while filterd stays up."""
        program, state = _program(), shlex.quote(str(self._folder))
        virus = next(s for s in self._told.sent if "malware" in s.sample.expected.breach)
        yield f"{program} log find --message-id {shlex.quote(virus.message_id)} --state-dir {state}"
        yield f"{program} account show {SPAMMER} --state-dir {state}"
        yield f"{program} explain F-ATTACHMENTS"

    def _replies(self) -> Iterator[str]:
        shown = [s for s in self._told.sent if s.sample.what in _SHOWN and s.sample.language == _SHOWN[s.sample.what]]
        said = [(f"{s.number} {s.sample.what}", s.reply) for s in shown] + self._told.replies[:1]
        for what, reply in said:
            yield f"{what}:"
            yield from (f"  {line}" for line in reply.splitlines())

    def _auth_results(self) -> Sent | None:
        return next((s for s in self._told.sent if s.sample.is_broken and s.arrived is not None), None)

    def _auth_lines(self) -> Iterator[str]:
        sent = self._auth_results()
        if sent is None or sent.arrived is None:
            return
        for name, value in sent.sample.fields:
            yield f"it came with     {name}: {value}"
        for value in sent.arrived.get_all("Authentication-Results", []):
            first, *rest = str(value).splitlines()
            yield f"it arrived with  Authentication-Results: {first}"
            yield from (f"                   {line.strip()}" for line in rest)

    def _spammer(self) -> Iterator[str]:
        for run in self._told.runs:
            replies = ", ".join(f"{number} x {code}" for code, number in run.replies.items())
            yield (
                f"day {run.day}, {MAILS} adverts in {run.language} to {MAILS * RECIPIENTS} people: {replies}; "
                f"then {run.points:g} points, {run.standing}"
            )
        for what, reply in self._told.replies:
            yield f"{what}: {code_of(reply)}"
        yield ""
        yield from ladder(self._told.history, _ZONE)
        after = self._told.after
        off = ", ".join(after["features_off"]) or "nothing"
        yield f"now: {after['standing']}, {after['points']:g} points, off: {off}"

    def _places(self) -> Iterator[str]:
        yield f"state    {self._folder}  (ledger, keys, evidence; sink/ holds delivered mail and notices)"
        yield f"events   {self._folder / 'events'}  (one JSON object a line)"
        yield f"metrics  {self._metrics_url}"

    def _verdict(self) -> Iterator[str]:
        number = len(self._told.sent) + len(self._told.claims)
        if not self.wrongs:
            yield f"All {number} expectations were met."
            return
        yield f"!!! NOT AS CLAIMED: {len(self.wrongs)} of what the tables claim is not so."
        yield from (f"!!!   {text}" for text in self.wrongs)


# Whose notice, and words of its subject.
_NOTICES = {"zh": (SPAMMER, "暂停"), "en": ("eve@northwind.example", "Warning")}
# Refusals worth reading in full, and in which language's mail.
_SHOWN = {
    "a file, where attachments are switched off": "zh",
    "From: a private freemail address": "en",
    "phishing": "en",
}


def _part(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield from ("", f"== {title}", "")
    yield from lines


def _program() -> str:
    """Say how this program was called, so that what is printed can be typed here."""
    called: Sequence[str] = sys.argv[:1]
    if called and Path(called[0]).name == "filterd":
        return "filterd" if shutil.which("filterd") == str(Path(called[0]).resolve()) else shlex.quote(called[0])
    return f"{shlex.quote(sys.executable)} -m filterd"
