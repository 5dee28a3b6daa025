"""What a person must give besides the clause, before a decision under it is saved.  CLAUSES §2.2, TX-3.1.2, 3.3.2.

Some clauses say too little by themselves: "anything else the law forbids" needs the provision, "anything else" needs
the ground in words, a right needs its holder's complete notice, what a customer says about itself a verification that
failed. The agreement file says which needs what (`needs`); no machine decision can cite the last of them at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from filterd.agreement.category import PROVISION, RIGHTS_NOTICE, VERIFICATION, WORDS
from filterd.agreement.terms import Agreement
from filterd.errors import RefusedError
from filterd.model import records as r
from filterd.pipeline.people import Arguments
from filterd.ports import LedgerTxn, OpenedRow

# Where the decider's own words stand in the sealed part of the row.
GROUND = "ground"
MAX_PROVISION_CHARS, MAX_WORDS_CHARS, MIN_WORDS_CHARS = 200, 1000, 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """`rests_on`: the id of the rights notice or the verification, None where the clause asks for none."""

    provision: str | None = None
    words: str = ""
    rests_on: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonsGround:
    """What whoever decided named besides the clause: laws, and their own words, which the account alone reads."""

    provisions: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def named_in(opened: Iterable[OpenedRow], sanction_ids: Collection[str]) -> PersonsGround:
    """Say what the deciders of these sanctions named. `opened`: rows of the account, with what its key opens."""
    rows = [x for x in opened if isinstance(x.record, r.SanctionImposed) and x.record.sanction_id in sanction_ids]
    laws = (x.record.statute for x in rows if isinstance(x.record, r.SanctionImposed) and x.record.statute)
    words = (x.personal[GROUND] for x in rows if x.personal and GROUND in x.personal)
    return PersonsGround(provisions=tuple(dict.fromkeys(laws)), words=tuple(dict.fromkeys(words)))


def given_for(
    txn: LedgerTxn,
    terms: Agreement,
    clauses: tuple[str, ...],
    arguments: Arguments,
    *,
    tenant_id: str,
    account_id: str | None = None,
) -> Given:
    """Read what the clauses of a decision ask for. Raises RefusedError for what is missing: nothing is saved then."""
    needed = {need: key for key in clauses if key in terms.clause and (need := terms.clause[key].needs) is not None}
    provision, words, rests_on = None, "", None
    if PROVISION in needed:
        provision = _text(arguments, "provision", MAX_PROVISION_CHARS)
        if not provision:
            raise RefusedError(
                f"clause {needed[PROVISION]} says whatever law forbids: name the law and its article: --provision"
            )
    if WORDS in needed:
        words = _text(arguments, "ground", MAX_WORDS_CHARS)
        if len(words) < MIN_WORDS_CHARS:
            raise RefusedError(
                f"clause {needed[WORDS]} says no more than `anything else`: say in words what was wrong, in"
                f" {MIN_WORDS_CHARS} characters at least: --ground"
            )
    if RIGHTS_NOTICE in needed:
        rests_on = _rights_notice(txn, arguments, needed[RIGHTS_NOTICE], account_id)
    if VERIFICATION in needed:
        rests_on = _verification(txn, arguments, needed[VERIFICATION], tenant_id)
    return Given(provision=provision, words=words, rests_on=rests_on)


def terms_of_given(given: Given) -> dict[str, str]:
    """Say what was given as terms of a proposal; nothing where the clauses ask for nothing."""
    said = {"provision": given.provision, "ground_words": given.words, "claim": given.rests_on}
    return {name: value for name, value in said.items() if value}


def _rights_notice(txn: LedgerTxn, arguments: Arguments, clause: str, account_id: str | None) -> str:
    wanted = str(arguments.get("rests_on") or "")
    records = txn.records(account_id) if account_id is not None else ()
    filed = next((x for x in records if isinstance(x, r.RightsNoticeFiled) and x.rights_id == wanted), None)
    if filed is None:
        raise RefusedError(
            f"clause {clause} rests on the rights holder's notice about this account: --rests-on ID (filterd rights)"
        )
    if missing := missing_of(records, filed):
        raise RefusedError(f"{wanted} is not complete, nothing follows from it: it lacks {', '.join(missing)}")
    return wanted


def missing_of(records: tuple[r.Record, ...], filed: r.RightsNoticeFiled) -> tuple[str, ...]:
    """Say what a rights holder's notice lacks now."""
    added = [x for x in records if isinstance(x, r.RightsNoticeAdded) and x.rights_id == filed.rights_id]
    return added[-1].missing if added else filed.missing


def _verification(txn: LedgerTxn, arguments: Arguments, clause: str, tenant_id: str) -> str:
    wanted = str(arguments.get("rests_on") or "")
    noted = [x for x in txn.records(tenant_id) if isinstance(x, r.VerificationNoted)]
    meant = next((x for x in noted if x.verification_id == wanted), None)
    if meant is None or meant.outcome != "failed":
        raise RefusedError(
            f"clause {clause} rests on a verification that failed: --rests-on ID (filterd tenant verify)"
        )
    if [x for x in noted if x.matter == meant.matter][-1] != meant:
        raise RefusedError(f"{wanted} is not the last word: {meant.matter} was verified again since")
    return wanted


def _text(arguments: Arguments, key: str, at_most: int) -> str:
    said = " ".join(str(arguments.get(key) or "").split())
    if not said.isprintable() or len(said) > at_most:
        raise RefusedError(f"--{key} has at most {at_most} printable characters")
    return said
