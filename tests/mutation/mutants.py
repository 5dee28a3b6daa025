"""Which small faults can stand in a file?  Cosmic Ray's operators, those of them that change what the code says.

Left out, because no test could or should notice: annotations, what only makes a class immutable or its arguments
named, and `@cache`. Of the seven other comparisons only the opposite and the one that moves the boundary are tried,
of the eleven other arithmetic signs only one: the rest dies with them or says the same.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

OPERATORS = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "RemoveDecorator",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_Add",
    "ReplaceBinaryOperator_Mul_Add",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ZeroIterationForLoop",
)
_SILENT_KEYWORDS = frozenset({"frozen", "kw_only", "slots"})
_SILENT_DECORATORS = frozenset({"cache"})

Span = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault. `path` is relative to the tree; `occurrence` counts the operator's places in the file from 0."""

    path: str
    line: int
    operator: str
    occurrence: int
    before: str
    after: str

    def source(self, root: Path) -> str:
        mutated = _mutated((root / self.path).read_text(encoding="utf-8"), self.operator, self.occurrence)
        if mutated is None:
            raise ValueError(f"{self.path}: {self.operator} has no place {self.occurrence}")
        return mutated


def mutants_of(root: Path, path: str) -> Iterator[Mutant]:
    """Say every fault that the operators can put into one file; each compiles and differs from the file."""
    source = (root / path).read_text(encoding="utf-8")
    silent = tuple(_silent(ast.parse(source)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [place for node in ast_nodes(get_ast(source)) for place in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(places):
            if any(begin <= start and end <= finish for begin, finish in silent):
                continue
            mutated = _mutated(source, name, occurrence)
            if mutated is None or mutated == source or not _compiles(mutated):
                continue
            before, after = _difference(source, mutated)
            yield Mutant(
                path=path, line=start[0], operator=name, occurrence=occurrence, before=before, after=after
            )


def _mutated(source: str, operator: str, occurrence: int) -> str | None:
    mutated: str | None = mutate_code(source, get_operator(f"core/{operator}")(), occurrence)
    return mutated


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _difference(source: str, mutated: str) -> tuple[str, str]:
    """The first line that differs, as it was and as it is; empty where it was taken away."""
    old, new = source.splitlines(), mutated.splitlines()
    at = next((i for i, (one, other) in enumerate(zip(old, new, strict=False)) if one != other), min(len(old), len(new)))
    taken = len(new) < len(old)
    return old[at].strip(), "" if taken or at >= len(new) else new[at].strip()


def _silent(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            yield _span(node.annotation)
        elif isinstance(node, ast.arg) and node.annotation:
            yield _span(node.annotation)
        elif isinstance(node, ast.keyword) and node.arg in _SILENT_KEYWORDS:
            yield _span(node.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.returns:
                yield _span(node.returns)
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Name) and decorator.id in _SILENT_DECORATORS:
                    # Cosmic Ray's place of a decorator begins at its `@` and ends with its line.
                    yield (decorator.lineno, 0), (decorator.lineno + 1, 0)


def _span(node: ast.expr) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)
