"""ARC: is the chain of custody of this mail unbroken?  RFC 8617 §5.2.

Finds: auth.arc.fail, dns.budget.spent. Temporary: no answer for a key (`dns`, `dns_budget`), while nothing else breaks
the chain.
A mail without ARC fields is clean with the result `none`. Whether the sealers are to be believed is not asked here;
the newest one's domain stands in the comment of the result.
Verifies the newest ARC-Message-Signature and every seal (step 6 lets older message signatures be). Linear in the size
of the header: each seal hashes on from where the one before it stopped.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from filterd.checks.budget import SPENT, spent
from filterd.checks.dkim.canonical import Canonical, relaxed_field
from filterd.checks.dkim.fate import Fate
from filterd.checks.dkim.fetch import KeyAnswer, Keys, fetch
from filterd.checks.dkim.keys import Key, parse
from filterd.checks.dkim.signature import (
    MAX_FIELD_BYTES,
    MAX_NAME,
    Signature,
    arc_instance,
    domain_name,
    key_name,
    read_arc,
)
from filterd.checks.dkim.tags import base64, number, read, without_signature
from filterd.checks.dkim.verify import before_key, verify
from filterd.checks.spec import Check, Code, Context, Prompt, in_place, skipped
from filterd.model.message import Message
from filterd.model.session import Direction
from filterd.model.verdict import AuthResult, FailMode, Finding, Outcome, Verdict

NAME, VERSION = "arc", "1"
FAIL = "auth.arc.fail"
CODES = (Code(code=FAIL, label="The mail carries an ARC chain, and the chain does not hold."), SPENT)

# RFC 8617 §4.2.1.
MAX_SETS = 50
# A forged chain of fifty sealers must not spend the questions that SPF and DMARC need. Real chains have below five.
MAX_KEYS = 10

_RESULTS, _MESSAGE, _SEAL = "arc-authentication-results", "arc-message-signature", "arc-seal"
_NAMES = (_RESULTS, _MESSAGE, _SEAL)
# §4.1.1: the instance comes first, with comments around it at will.
_BLANKS = rb"(?>(?:\s|\([^()]*+\))*)"
_INSTANCE = re.compile(rb"%b[iI]%b=%b([0-9]{1,2})%b;" % ((_BLANKS,) * 4))
# A seal's algorithm and the kind of key it takes.
_KINDS = {b"rsa-sha256": "rsa", b"ed25519-sha256": "ed25519"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """An ARC-Seal that can be checked. `unsigned`: its field without the value of b=. `status`: cv=."""

    unsigned: bytes
    kind: str
    domain: str
    selector: str
    signature: bytes
    status: bytes


class Set(NamedTuple):
    """The three fields of one hop, as octets and read."""

    results: bytes
    message: bytes
    seal: bytes
    signature: Signature
    sealed: Seal


class Broken(NamedTuple):
    """Why a chain does not hold, and at which instance (0: as a whole)."""

    reason: str
    instance: int = 0


def read_chain(message: Message) -> tuple[Set, ...] | Broken:
    """Read the sets of a mail, the oldest first; empty when it has none."""
    fields = [field for field in message.fields if field.key in _NAMES]
    if not fields:
        return ()
    if len(fields) > len(_NAMES) * MAX_SETS:
        return Broken("too_many")
    found: dict[int, dict[str, tuple[bytes, Signature | Seal | None]]] = {}
    for field in fields:
        part = _read(field.key, field.raw)
        if part is None:
            return Broken("syntax")
        instance, meaning = part
        if found.setdefault(instance, {}).setdefault(field.key, (field.raw, meaning))[0] is not field.raw:
            return Broken("doubled", instance)
    chain: list[Set] = []
    for instance in range(1, max(found) + 1):
        parts = found.get(instance, {})
        signature, sealed = parts.get(_MESSAGE, (b"", None))[1], parts.get(_SEAL, (b"", None))[1]
        if _RESULTS not in parts or not isinstance(signature, Signature) or not isinstance(sealed, Seal):
            return Broken("incomplete", instance)
        chain.append(Set(parts[_RESULTS][0], parts[_MESSAGE][0], parts[_SEAL][0], signature, sealed))
    return tuple(chain)


def before_keys(chain: Sequence[Set], canonical: Canonical, now: int) -> Broken | None:
    """Say what is wrong with a chain whatever its keys are, or None. `now`: seconds since 1970."""
    for instance, one in enumerate(chain, start=1):
        if one.sealed.status == b"fail":
            # §5.1.2: whoever sealed it found it broken, and that stays so.
            return Broken("ended", instance)
        if one.sealed.status != (b"none" if instance == 1 else b"pass"):
            return Broken("status", instance)
    if fate := before_key(chain[-1].signature, canonical, now):
        return Broken(fate.code, len(chain))
    return Broken("keys") if len(key_names(chain)) > MAX_KEYS else None


def key_names(chain: Sequence[Set]) -> tuple[str, ...]:
    """Say which keys are needed: the newest message signature's and those of all seals."""
    names = [chain[-1].signature.key_name, *(key_name(s.sealed.selector, s.sealed.domain) for s in reversed(chain))]
    return tuple(dict.fromkeys(names))


def judge(message: Message, canonical: Canonical, chain: tuple[Set, ...] | Broken, keys: Keys) -> Verdict:
    """Say whether the chain holds.

    Args:
        chain: as `read_chain` gave it, or what `before_keys` found.
        keys: what DNS said of each of `key_names(chain)`.
    """
    if isinstance(chain, Broken):
        return _failed(message, chain)
    if not chain:
        return _verdict(Outcome.CLEAN, AuthResult(method=NAME, result="none"))
    newest = chain[-1]
    answer = keys.get(newest.signature.key_name, KeyAnswer(fate=Fate.DNS))
    fates = [(verify(newest.signature, newest.message, canonical, answer).fate, "message_", len(chain))]
    fates += [(fate, "seal_", instance) for instance, fate in _seals(chain, keys)]
    for fate, prefix, instance in fates:
        if fate is not Fate.PASS and fate.word != "temperror":
            return _failed(message, Broken(prefix + fate.code, instance))
    if lost := next((fate for fate, _, _ in fates if fate is not Fate.PASS), None):
        # RFC 8617 §10.1 registers no word for it, so the header says nothing.
        found = (spent("header.arc-seal"),) if lost is Fate.DNS_BUDGET else ()
        return Verdict(check=NAME, version=VERSION, outcome=Outcome.TEMPERROR, findings=found, reason=lost.code)
    comment = f"i={len(chain)} d={newest.sealed.domain}"
    return _verdict(Outcome.CLEAN, AuthResult(method=NAME, result="pass", comment=comment))


def _seals(chain: Sequence[Set], keys: Keys) -> list[tuple[int, Fate]]:
    """Say the fate of each seal, the newest first. §5.1.1: a seal covers all sets up to its own, in order, relaxed."""
    fates: list[tuple[int, Fate]] = []
    hashed = hashlib.sha256()
    for instance, one in enumerate(chain, start=1):
        hashed.update(relaxed_field(one.results) + relaxed_field(one.message))
        own = hashed.copy()
        own.update(relaxed_field(one.sealed.unsigned)[:-2])
        answer = keys.get(key_name(one.sealed.selector, one.sealed.domain), KeyAnswer(fate=Fate.DNS))
        fates.append((instance, _seal(one.sealed, own.digest(), answer)))
        hashed.update(relaxed_field(one.seal))
    return fates[::-1]


def _seal(seal: Seal, digest: bytes, answer: KeyAnswer) -> Fate:
    if answer.fate is not None:
        return answer.fate
    keys = [parse(record) for record in answer.records]
    fitting = [key for key in keys if isinstance(key, Key) and key.kind == seal.kind]
    if not fitting:
        return next((key for key in keys if isinstance(key, Fate)), Fate.KEY_TYPE)
    return Fate.PASS if any(key.verifies(seal.signature, digest) for key in fitting) else Fate.SIGNATURE


def _read(name: str, raw: bytes) -> tuple[int, Signature | Seal | None] | None:
    """Read one field: its instance, and what it says beyond that. None: it cannot be read."""
    if len(raw) > MAX_FIELD_BYTES:
        return None
    if name == _RESULTS:
        match = _INSTANCE.match(raw, raw.index(b":") + 1)
        instance = int(match[1]) if match else 0
        return (instance, None) if 1 <= instance <= MAX_SETS else None
    if name == _MESSAGE:
        signature = read_arc(raw)
        if not isinstance(signature, Signature) or signature.instance is None or _SEAL in signature.signed:
            # §4.1.2: a message signature must not cover seals.
            return None
        return signature.instance, signature
    return _read_seal(raw)


def _read_seal(raw: bytes) -> tuple[int, Seal] | None:
    start = raw.index(b":") + 1
    value = read(raw[start:])
    # §4.1.3: h= makes a seal invalid.
    if value is None or b"h" in value or not value.keys() >= {b"i", b"a", b"b", b"cv", b"d", b"s"}:
        return None
    instance, signature = arc_instance(value), base64(value[b"b"])
    domain, selector = domain_name(value[b"d"]), domain_name(value[b"s"])
    if (
        instance is None
        or signature is None
        or domain is None
        or selector is None
        or len(key_name(selector, domain)) > MAX_NAME
        or value[b"a"] not in _KINDS
        or value[b"cv"] not in (b"none", b"pass", b"fail")
        or (b"t" in value and number(value[b"t"]) is None)
    ):
        return None
    return instance, Seal(
        unsigned=raw[:start] + without_signature(raw[start:]),
        kind=_KINDS[value[b"a"]],
        domain=domain,
        selector=selector,
        signature=signature,
        status=value[b"cv"],
    )


def _failed(message: Message, broken: Broken) -> Verdict:
    why = [("reason", broken.reason), ("fields", str(sum(len(message.all(name)) for name in _NAMES)))]
    if broken.instance:
        why.append(("instance", str(broken.instance)))
    finding = Finding(code=FAIL, confidence=1.0, where="header.arc-seal", why=tuple(why))
    at = f" at i={broken.instance}" if broken.instance else ""
    result = AuthResult(method=NAME, result="fail", comment=broken.reason.replace("_", " ") + at)
    return Verdict(check=NAME, version=VERSION, outcome=Outcome.FOUND, findings=(finding,), results=(result,))


def _verdict(outcome: Outcome, result: AuthResult) -> Verdict:
    return Verdict(check=NAME, version=VERSION, outcome=outcome, results=(result,))


def make(*, inbound_only: bool = True, deadline_s: float = 6, fail_mode: FailMode = FailMode.ACCEPT) -> Check:
    """Make the check. `inbound_only`: mail of our own accounts is skipped with its direction as reason."""

    def at_once(context: Context) -> Verdict | None:
        if inbound_only and context.direction is not Direction.INBOUND:
            return skipped(NAME, VERSION, context.direction.value)
        if context.dns is None:
            return skipped(NAME, VERSION, "no_resolver")
        if any(field.key in _NAMES for field in context.message.fields):
            return None
        return _verdict(Outcome.CLEAN, AuthResult(method=NAME, result="none"))

    async def later(context: Context) -> Verdict:
        if context.dns is None:
            return skipped(NAME, VERSION, "no_resolver")
        chain = read_chain(context.message)
        canonical = Canonical(context.message)
        now = int(context.transaction.received_at.timestamp())
        settled = chain if isinstance(chain, Broken) else before_keys(chain, canonical, now) or chain
        keys = {} if isinstance(settled, Broken) else await fetch(context.dns, key_names(settled))
        return await in_place(lambda c: judge(c.message, canonical, settled, keys))(context)

    run = Prompt(at_once, later)
    return Check(name=NAME, version=VERSION, codes=CODES, run=run, deadline_s=deadline_s, fail_mode=fail_mode)
