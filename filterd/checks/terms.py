"""Does this mail use words of the operator's term lists?  CLAUSES §4 labels, §5 last paragraph; STANDING 5.8.

Reads every place in which people write words (terms_places) in its normal form (mail/normal); needs no other verdict.
Finds: content.<label>.terms, once a list that has at least as many different entries in the mail as it asks for. `why`
names list and entries by number, never a term. filterd ships no lists: without any the check is skipped (`no_lists`).
Temporary: the lists cannot be asked. Outbound and internal mail only: inbound mail is skipped (`inbound`).
Labels of locked categories (political, religious, reputational) do not exist here; the loader refuses them. Lists of
those are apart (locked), and no check.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

from filterd.checks.spec import Builtin, Check, Code, Context, Prompt, skipped
from filterd.checks.terms_book import Book, Shelf, TermList, named
from filterd.checks.terms_places import words
from filterd.model.message import Message
from filterd.model.session import Direction
from filterd.model.verdict import FailMode, Finding, Outcome, Verdict

NAME = "terms"
VERSION = "2"
SIGNAL = "content"
LABELS = (
    "spam", "advertising", "phishing", "fraud", "sexual", "gambling", "harassment", "hate", "violence", "terror",
    "insult", "drugs", "weapons",
)  # fmt: skip
CODES = tuple(
    Code(code=f"content.{label}.terms", label=f"The mail uses words of an operator's list on {label}.", signal=SIGNAL)
    for label in LABELS
)

# FAULTS §5: the event loop is never held longer than 50 ms. The worst texts (U+FDFA) take 3 ms for 1,000 characters.
IN_PLACE_MAX_CHARS = 10_000
# So many entries are named; the others are counted.
_MOST_NAMED = 5
_DIGEST_CHARS = 16


class TermLists(Protocol):
    """Where the lists come from. Says the same tuple again until something has changed."""

    async def current(self) -> tuple[TermList, ...]: ...


def judge(message: Message, book: Book[TermList], at: datetime) -> Verdict:
    """Say which lists the mail has enough entries of.

    Args:
        at: lists that have expired by then are not in force.
    """
    findings = []
    for hit in book.find(words(message), at):
        count = len(hit.terms) + len(hit.patterns)
        if count < hit.list.at_least:
            continue
        why = (
            ("list", hit.list.id),
            ("digest", hit.list.digest[:_DIGEST_CHARS]),
            *(("entry", name) for name in named(hit)[:_MOST_NAMED]),
            ("entries", str(count)),
        )
        code = f"content.{hit.list.label}.terms"
        findings.append(Finding(code=code, confidence=hit.list.confidence, where="text", why=why, signal=SIGNAL))
    return Verdict(
        check=NAME,
        version=_version(book),
        outcome=Outcome.FOUND if findings else Outcome.CLEAN,
        findings=tuple(findings),
    )


def make(lists: TermLists, *, timeout_s: float, fail_mode: FailMode = FailMode.ACCEPT) -> Check:
    """Make the check. `lists` is asked for every mail; what it says is compiled once."""
    shelf: Shelf[TermList] = Shelf()

    def at_once(context: Context) -> Verdict | None:
        return skipped(NAME, VERSION, "inbound") if context.direction is Direction.INBOUND else None

    async def later(context: Context) -> Verdict:
        current = await lists.current()
        if not current:
            return skipped(NAME, VERSION, "no_lists")
        book = await shelf.book(current)
        message, at = context.message, context.transaction.received_at
        if size(message) > IN_PLACE_MAX_CHARS:
            return await asyncio.to_thread(judge, message, book, at)
        return judge(message, book, at)

    run = Prompt(at_once, later)
    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=timeout_s, fail_mode=fail_mode)


def size(message: Message) -> int:
    """Say how much there is to read, at most about."""
    files = sum(len(part.content) for part in message.parts if not part.content_type.startswith("text/"))
    return len(message.subject) + sum(map(len, message.texts)) + files


def _version(book: Book[TermList]) -> str:
    return f"{VERSION} {book.digest[:_DIGEST_CHARS]}"


BUILTIN = Builtin(name=NAME, codes=CODES, make=make)
