"""Seal a mail that goes on: one more ARC set, telling the next one what we found.  RFC 8617 §5.1. Pure.

The set stands on a chain that was read and judged (checks/arc); what that said is cv=. Nobody adds to a chain that has
ended, that holds fifty sets, or about which DNS said nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from filterd.checks.arc import MAX_SETS, Broken, Set, read_chain
from filterd.checks.dkim.canonical import Canonical, relaxed_field
from filterd.checks.dkim.sign import SigningKey, message_value, signed_names, tag_list, with_signature
from filterd.mail.edit import render_field
from filterd.model.message import Message

RESULTS, MESSAGE, SEAL = "ARC-Authentication-Results", "ARC-Message-Signature", "ARC-Seal"


def seal_fields(
    message: Message, canonical: Canonical, key: SigningKey, found: str, results: str, now: int
) -> tuple[tuple[str, str], ...]:
    """Make the three fields of a set as (name, value), for the top of the mail in this order; empty: none can be added.

    Args:
        found: what the check said of the chain: `none`, `pass` or `fail`.
        results: the value of our Authentication-Results field.
        now: seconds since 1970, for t=.
    """
    chain = read_chain(message)
    instance = _next_instance(message, chain)
    names = signed_names(canonical)
    if instance is None or names is None or found not in ("none", "pass", "fail") or (found == "none") != (not chain):
        return ()
    mail = _mail_names(names, canonical)
    aar = f"i={instance}; {results}"
    tags = {"i": str(instance), "a": key.algorithm, "c": "relaxed/relaxed"}
    ams = message_value(MESSAGE, canonical, key, tags | _signer(key, now), mail)
    # §5.1.2: a seal upon a broken chain covers its own set alone, for the rest has no order to rely on.
    before = chain if found != "fail" and not isinstance(chain, Broken) else ()
    seal = _seal({"i": str(instance), "a": key.algorithm, "cv": found} | _signer(key, now), key, before, aar, ams)
    return ((SEAL, seal), (MESSAGE, ams), (RESULTS, aar))


def _seal(tags: dict[str, str], key: SigningKey, before: Sequence[Set], aar: str, ams: str) -> str:
    unsigned = tag_list(tags) + "; b="
    hashed = hashlib.sha256()
    for one in before:
        for raw in (one.results, one.message, one.seal):
            hashed.update(relaxed_field(raw))
    hashed.update(relaxed_field(render_field(RESULTS, aar)) + relaxed_field(render_field(MESSAGE, ams)))
    hashed.update(relaxed_field(f"{SEAL}: {unsigned}\r\n".encode("ascii"))[:-2])
    return with_signature(unsigned, key, hashed.digest())


def _signer(key: SigningKey, now: int) -> dict[str, str]:
    return {"d": key.domain, "s": key.selector, "t": str(now)}


def _mail_names(names: tuple[str, ...], canonical: Canonical) -> tuple[str, ...]:
    """§4.1.2: the fields of a DKIM signature, and the signatures themselves."""
    return (*names, *["dkim-signature"] * canonical.count("dkim-signature"))


def _next_instance(message: Message, chain: tuple[Set, ...] | Broken) -> int | None:
    """Say which set ours is: one more than the highest there is; None where none may follow."""
    if not isinstance(chain, Broken):
        ended = any(one.sealed.status == b"fail" for one in chain)
        return len(chain) + 1 if len(chain) < MAX_SETS and not ended else None
    return None
