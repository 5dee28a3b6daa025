"""What became of the sample mail, read back from the event stream and the next hop, and whether it is what had to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from pathlib import Path
from typing import Any

from filterd.demo.sample import HELD, Expected, Sample
from filterd.log import message_id_hashes, read_events, stream_files


@dataclass(slots=True, kw_only=True)
class Sent:
    """A mail that was sent.

    Args:
        points, standing: of its account right afterwards; None where nobody of ours answers for it.
        event: what was decided, None when no check ever saw the mail. arrived: as the next hop got it.
    """

    number: int
    sample: Sample
    message_id: str
    reply: str
    points: float | None = None
    standing: str | None = None
    event: Mapping[str, Any] | None = None
    arrived: Message | None = field(default=None, repr=False)

    @property
    def code(self) -> str:
        """Say reply code and enhanced code; a reply of several lines repeats them."""
        return code_of(self.reply)

    @property
    def decision(self) -> Mapping[str, Any]:
        return self.event["decision"] if self.event is not None else {}

    @property
    def checks(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.event["checks"]) if self.event is not None else ()

    @property
    def findings(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(finding for check in self.checks for finding in check["findings"])

    @property
    def results(self) -> dict[str, list[str]]:
        """Say what Authentication-Results were given, by method."""
        found: dict[str, list[str]] = {}
        for check in self.checks:
            for item in check["results"]:
                found.setdefault(item["method"], []).append(item["result"])
        return found

    @property
    def is_marked(self) -> bool:
        return self.arrived is not None and self.arrived.get("X-Spam-Flag") == "YES"


def code_of(reply: str) -> str:
    """Say the code a reply begins with, and its enhanced code: `550 5.7.1`; of a delivery only `250`, and of a mail
    that a person has to look at HELD."""
    if reply[4:].startswith("2.0.0 D-HELD"):
        return HELD
    words = reply.replace("-", " ", 1).split() if reply[3:4] == "-" else reply.split()
    return words[0] if words[0].startswith("2") else " ".join(words[:2])


def decided(folder: Path) -> list[dict[str, Any]]:
    """Say what was decided, in order."""
    return [e for e in read_events(stream_files(folder / "events")) if e.get("event") == "decided"]


def read_back(folder: Path, key: bytes, sent: Iterable[Sent]) -> None:
    """Fill in what was decided of each mail, and how it arrived.

    Args:
        key: of the pseudonyms, for the stream holds no Message-ID, only a hash of it.
    """
    events = {event["message"]["message_id"]: event for event in decided(folder)}
    arrived = {mail["X-Filterd-Id"].split()[0]: mail for mail in mails_of(folder) if mail["X-Filterd-Id"]}
    for item in sent:
        item.event = next((events[h] for h in message_id_hashes(key, item.message_id) if h in events), None)
        item.arrived = arrived.get(item.event["tx"]) if item.event is not None else None


def mails_of(folder: Path) -> Iterator[Message]:
    """Read what the next hop holds, the oldest first."""
    for file in sorted((folder / "sink").glob("*.eml")):
        yield message_from_bytes(file.read_bytes(), policy=compat32)


def wrongs(sent: Sent) -> list[str]:
    """Say what is not as the sample expects; empty when all is."""
    return [f"mail {sent.number} ({sent.sample.what}, {sent.sample.language}): {text}" for text in _wrongs(sent)]


def _wrongs(sent: Sent) -> Iterator[str]:
    expected = sent.sample.expected
    if sent.code != expected.reply:
        yield f"expected the reply {expected.reply}, got {sent.reply.splitlines()[0]}"
    for words in expected.says:
        if words not in sent.reply:
            yield f"the reply does not say {words!r}"
    if sent.event is None:
        yield "the event stream says nothing of it"
        return
    yield from _lacking("finding", expected.found, [f["code"] for f in sent.findings])
    for code in expected.absent:
        if any(f["code"] == code for f in sent.findings):
            yield f"finding {code} was not expected"
    yield from _lacking("reason", expected.because, [r["code"] for r in sent.decision["reasons"]])
    yield from _lacking("advice", expected.advisory, sent.decision["advisory"])
    yield from _standing(sent, expected)
    yield from _arrival(sent, expected)


def _standing(sent: Sent, expected: Expected) -> Iterator[str]:
    breached = [v["category"] for v in sent.decision["violations"]]
    yield from _lacking("breach", expected.breach, breached)
    if breached and not expected.breach:
        yield f"breaches {', '.join(breached)}, and was to breach nothing"
    if sent.points != expected.points:
        yield f"expected {expected.points} points, got {sent.points}"


def _arrival(sent: Sent, expected: Expected) -> Iterator[str]:
    if (sent.arrived is not None) != (expected.reply == "250"):
        yield "arrived, and was not to" if sent.arrived is not None else "did not arrive"
    elif sent.is_marked != expected.is_marked:
        yield "is marked as spam" if sent.is_marked else "is not marked as spam"
    for method, result in expected.results.items():
        if result not in sent.results.get(method, ()):
            yield f"expected {method}={result}, got {', '.join(sent.results.get(method, ())) or 'nothing'}"
    if sent.arrived is not None and sent.sample.fields:
        claims = {value for name, value in sent.sample.fields if name == "Authentication-Results"}
        if claims & set(sent.arrived.get_all("Authentication-Results", [])):
            yield "the forged Authentication-Results arrived"


def _lacking(what: str, wanted: Iterable[str], got: Iterable[str]) -> Iterator[str]:
    have = list(got)
    for code in wanted:
        if code not in have:
            yield f"no {what} {code}"
