"""DKIM: which domains take responsibility for this mail?  RFC 6376, 8301, 8463; results as RFC 8601 §2.7.1 words them.

Looks at the first ten signatures, from the top; one good one makes the mail clean.
Finds, when none is good: auth.dkim.fail, auth.dkim.partial (l= leaves part of the body unsigned), auth.dkim.weak
(rsa-sha1, or a key below 1024 bits). Temporary: no answer for a key (`dns`, or `dns_budget`, with dns.budget.spent),
while none is good.
A mail without signature is clean with the result `none`. Findings name domains, codes and counts.

    tags, signature   what a field says           keys        what a record says
    canonical         what exactly was signed     fetch       the records, from DNS
    fate              how it can end              verify      how it ended
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from filterd.checks.budget import SPENT, spent
from filterd.checks.dkim.canonical import Canonical
from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.fetch import KeyAnswer, Keys, fetch
from filterd.checks.dkim.signature import SHOWN_CHARS, Signature, Unread, read_dkim
from filterd.checks.dkim.verify import Checked, before_key, verify
from filterd.checks.spec import Check, Code, Context, Prompt, in_place, skipped
from filterd.model.message import Message
from filterd.model.session import Direction
from filterd.model.verdict import AuthResult, FailMode, Finding, Outcome, Verdict

NAME, VERSION = "dkim", "1"

FAIL, PARTIAL, WEAK = "auth.dkim.fail", "auth.dkim.partial", "auth.dkim.weak"
CODES = (
    Code(code=FAIL, label="The mail is DKIM-signed, and no signature holds."),
    Code(code=PARTIAL, label="A DKIM signature holds, but leaves part of the body unsigned."),
    Code(code=WEAK, label="A DKIM signature uses a key below 1024 bits or SHA-1."),
    SPENT,
)

# FAULTS 15. RFC 6376 §6.1 lets a verifier bound the number; real mail has one to four.
MAX_SIGNATURES = 10

IsPublicSuffix = Callable[[str], bool]


class Examined(NamedTuple):
    """One signature field: where it stands (the very octets in `Message.fields`), what it says, and its fate once that
    is certain without a key."""

    raw: bytes
    signature: Signature | Unread
    fate: Fate | None


def is_single_label(domain: str) -> bool:
    """Say whether a domain is a top-level domain by its looks; the public suffix list knows more."""
    return "." not in domain


def examine(
    message: Message, canonical: Canonical, now: int, is_public_suffix: IsPublicSuffix = is_single_label
) -> tuple[Examined, ...]:
    """Read the first signatures of a mail and settle what needs no key. `now`: seconds since 1970."""
    return tuple(
        _examine(field.raw, canonical, now, is_public_suffix)
        for field in message.all("dkim-signature")[:MAX_SIGNATURES]
    )


def _examine(raw: bytes, canonical: Canonical, now: int, is_public_suffix: IsPublicSuffix) -> Examined:
    signature = read_dkim(raw)
    if isinstance(signature, Unread):
        return Examined(raw, signature, signature.fate)
    fate = before_key(signature, canonical, now)
    if fate is None and is_public_suffix(signature.domain):
        fate = Fate.PUBLIC_SUFFIX
    return Examined(raw, signature, fate)


def key_names(examined: Sequence[Examined]) -> tuple[str, ...]:
    """Say which keys are needed, without duplicates."""
    return tuple(
        dict.fromkeys(e.signature.key_name for e in examined if isinstance(e.signature, Signature) and e.fate is None)
    )


def judge(message: Message, canonical: Canonical, examined: Sequence[Examined], keys: Keys) -> Verdict:
    """Say which signatures hold.

    Args:
        examined: of the same mail, as `examine` gave them.
        keys: what DNS said of each of `key_names(examined)`.
    """
    if not examined:
        return UNSIGNED
    checked = [_check(one, canonical, keys) for one in examined]
    unseen = len(message.all("dkim-signature")) - len(examined)
    results = [_result(signature, fate) for signature, fate in zip(_told_apart(examined), checked, strict=True)]
    if unseen:
        results[-1] = _with_count(results[-1], unseen)
    fates = [one.fate for one in checked]
    # RFC 6376 §3.6.1, t=y: a signer's trial that went wrong is as if it were not there.
    counted = [one.fate for one in checked if not one.is_testing]
    if Fate.PASS in fates or not counted:
        return _verdict(Outcome.CLEAN, tuple(results))
    if lost := next((fate for fate in fates if fate.word == "temperror"), None):
        found = (spent("header.dkim-signature"),) if Fate.DNS_BUDGET in fates else ()
        return _verdict(Outcome.TEMPERROR, tuple(results), findings=found, reason=lost.code)
    return _verdict(Outcome.FOUND, tuple(results), findings=_findings(examined, checked, unseen))


def _check(one: Examined, canonical: Canonical, keys: Keys) -> Checked:
    if one.fate is not None or isinstance(one.signature, Unread):
        return Checked(one.fate or Fate.SYNTAX)
    answer = keys.get(one.signature.key_name, KeyAnswer(fate=Fate.DNS))
    return verify(one.signature, one.raw, canonical, answer)


def _findings(examined: Sequence[Examined], checked: Sequence[Checked], unseen: int) -> tuple[Finding, ...]:
    """One finding a code, about the first signature that gives cause for it."""
    found: dict[str, Finding] = {}
    for one, (fate, is_testing) in zip(examined, checked, strict=True):
        if is_testing:
            continue
        code = PARTIAL if fate is Fate.PARTIAL else WEAK if fate in (Fate.SHA1, Fate.KEY_WEAK) else FAIL
        said = dict(one.signature.properties)
        why = [("reason", fate.code), ("signatures", str(len(examined) + unseen))]
        if "header.d" in said:
            why.insert(1, ("domain", said["header.d"]))
        if unseen:
            why.append(("unseen", str(unseen)))
        found.setdefault(code, Finding(code=code, confidence=1.0, where="header.dkim-signature", why=tuple(why)))
    if PARTIAL in found:
        # One that holds for the beginning is not "no signature holds".
        found.pop(FAIL, None)
    return tuple(found.values())


def _result(signature: Signature | Unread, checked: Checked) -> AuthResult:
    fate, is_testing = checked
    if not is_testing:
        return AuthResult(
            method=NAME, result=fate.word, properties=signature.properties, comment=fate.comment or None
        )
    word = "pass" if fate is Fate.PASS else "neutral"
    comment = f"test key, {fate.comment}" if fate.comment else "test key"
    return AuthResult(method=NAME, result=word, properties=signature.properties, comment=comment)


def _told_apart(examined: Sequence[Examined]) -> list[Signature | Unread]:
    """Give the signatures with as much of each in header.b as tells it from the others (RFC 6008 §4)."""
    if len(examined) < 2:
        return [one.signature for one in examined]
    texts = {b64encode(x.signature.signature).decode() for x in examined if isinstance(x.signature, Signature)}
    told: list[Signature | Unread] = []
    for one in examined:
        if isinstance(one.signature, Signature):
            text = b64encode(one.signature.signature).decode()
            length = max((_alike(text, other) for other in texts if other != text), default=0) + 1
            if length > SHOWN_CHARS:
                longer = tuple((k, text[:length] if k == "header.b" else v) for k, v in one.signature.properties)
                told.append(replace(one.signature, properties=longer))
                continue
        told.append(one.signature)
    return told


def _alike(one: str, other: str) -> int:
    """Say how many characters two texts have in common at the start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _with_count(result: AuthResult, unseen: int) -> AuthResult:
    said = f"{unseen} more signatures not looked at"
    comment = f"{result.comment}, {said}" if result.comment else said
    return AuthResult(method=result.method, result=result.result, properties=result.properties, comment=comment)


def _verdict(
    outcome: Outcome,
    results: tuple[AuthResult, ...],
    *,
    findings: tuple[Finding, ...] = (),
    reason: str | None = None,
) -> Verdict:
    return Verdict(check=NAME, version=VERSION, outcome=outcome, findings=findings, reason=reason, results=results)


UNSIGNED = _verdict(Outcome.CLEAN, (AuthResult(method=NAME, result="none"),))


def make(
    *,
    is_public_suffix: IsPublicSuffix = is_single_label,
    inbound_only: bool = True,
    deadline_s: float = 6,
    fail_mode: FailMode = FailMode.ACCEPT,
) -> Check:
    """Make the check.

    Args:
        is_public_suffix: takes lower-case A-labels; nobody signs for a whole public suffix.
        inbound_only: mail of our own accounts is skipped with its direction as reason.
    """

    def at_once(context: Context) -> Verdict | None:
        if inbound_only and context.direction is not Direction.INBOUND:
            return skipped(NAME, VERSION, context.direction.value)
        if context.dns is None:
            return skipped(NAME, VERSION, "no_resolver")
        return UNSIGNED if context.message.first("dkim-signature") is None else None

    async def later(context: Context) -> Verdict:
        if context.dns is None:
            return skipped(NAME, VERSION, "no_resolver")
        now = int(context.transaction.received_at.timestamp())
        message, canonical = context.message, Canonical(context.message)
        examined = examine(message, canonical, now, is_public_suffix)
        names = key_names(examined)
        keys = await fetch(context.dns, names) if names else {}
        return await in_place(lambda c: judge(c.message, canonical, examined, keys))(context)

    run = Prompt(at_once, later)
    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=deadline_s, fail_mode=fail_mode)
