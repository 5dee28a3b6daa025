"""The clause register: every clause of an agreement, what it asks of us, and the tests that hold it.  CLAUSES §8.

One file an agreement, `policies/clauses/ID.toml`. An agreement file says what is enforced; the register says what there
is to enforce, clauses included that no category stands on. Reading it needs nobody else; whether it fits the agreements
is asked in `clause_faults`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from filterd.agreement.sections import Section
from filterd.model.toml_source import TomlSource, validate

# CLAUSES §1, the duty words: detect, sanction, notify, retain, protect privacy, aggregate to the tenant, notice a
# registration anew, keep evidence, clock, announce maintenance, take in complaints and appeals, engineering constraint.
Duty = Literal["DET", "SAN", "NOT", "RET", "PRI", "AGG", "REG", "EVD", "CLK", "MNT", "INT", "E"]
# CLAUSES §1, the modes; "human": nothing but a person's act, by the clause itself.
ClauseMode = Literal["A", "B", "C1", "C2", "D", "E", "N", "human"]
# The modes a category can have (model.sanction.Mode).
CONTENT_MODES = frozenset({"A", "B", "C1", "C2"})
NOT_ACTIONABLE = "N"
# A file below tests/ and a function in it; a parametrised test is named without its parameters.
TestId = Annotated[str, Field(pattern=r"^tests/[a-z0-9_/]+\.py::[a-z0-9_]+$")]


class ClauseEntry(Section):
    """One clause, and what keeps it.

    Args:
        id: the clause's key in the agreement file, "3.3.2 tail-a" for instance, where that has the clause.
        paraphrase_en, paraphrase_zh: what it says, in our own words; the agreement file's, where that has the clause.
        mode: every mode that some part of the clause has; no category may stand on it in another one.
        categories: the categories of the agreement file whose ground it is, in the order of that file.
        tests: each fails once what the clause asks for is taken away.
        pending: what no test holds yet, in one line; None when nothing is missing.
    """

    id: str = Field(pattern=r"^S?\d+(\.\d+)*( \(\d+\)| tail-[a-z])?$")
    paraphrase_en: str = Field(min_length=10)
    paraphrase_zh: str = Field(min_length=4)
    duties: tuple[Duty, ...] = ()
    mode: tuple[ClauseMode, ...] = Field(min_length=1)
    categories: tuple[str, ...] = ()
    tests: tuple[TestId, ...] = ()
    pending: Annotated[str, Field(min_length=10, pattern=r"^[^\n]+$")] | None = None

    @model_validator(mode="after")
    def _is_held(self) -> ClauseEntry:
        if not self.is_actionable:
            if len(self.mode) > 1:
                raise ValueError("mode N is for a clause no part of which is actionable: take the other modes away")
            if self.duties or self.categories or self.pending is not None:
                raise ValueError("a clause of mode N has no duties, no categories and nothing pending")
            return self
        if not self.tests and self.pending is None:
            raise ValueError("name a test that fails without it, or say in pending what is missing; else mode N")
        if not self.duties:
            raise ValueError("say what it asks of us (duties), or give it mode N")
        if self.categories and not CONTENT_MODES & set(self.mode):
            raise ValueError("categories stand on clauses of mode A, B, C1 or C2")
        return self

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> ClauseEntry:
        for name in ("duties", "mode", "categories", "tests"):
            said = getattr(self, name)
            if len(set(said)) != len(said):
                raise ValueError(f"{name} says something twice")
        return self

    @property
    def is_actionable(self) -> bool:
        return NOT_ACTIONABLE not in self.mode


class Register(Section):
    """Every clause of one agreement, in the agreement's order. `agreement` is the id of its file."""

    agreement: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    clause: tuple[ClauseEntry, ...] = Field(min_length=1)

    def find(self, clause_id: str) -> ClauseEntry | None:
        """Say the entry of that clause, None when the register has none."""
        return next((entry for entry in self.clause if entry.id == clause_id), None)

    @property
    def pending(self) -> tuple[ClauseEntry, ...]:
        """The clauses of which some part is held by no test yet."""
        return tuple(entry for entry in self.clause if entry.pending is not None)


def load_register(data: bytes, name: str) -> Register:
    """Read a register.

    Args:
        name: what errors call the file.

    Raises:
        ConfigError: for the first thing wrong, with file, line and key.
    """
    source = TomlSource.of(data, name)
    register = validate(Register, source)
    seen: set[str] = set()
    for index, entry in enumerate(register.clause):
        if entry.id in seen:
            raise source.error(f"clause {entry.id!r} is there twice", ("clause", index, "id"))
        seen.add(entry.id)
    return register
