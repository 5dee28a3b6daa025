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
    """One place for one fault. `path` is relative to the tree; `occurrence` counts the operator's places from 0."""

    path: str
    line: int
    operator: str
    occurrence: int


def mutants_of(root: Path, path: str) -> Iterator[Mutant]:
    """Say every place of one file where one of the operators applies."""
    source = (root / path).read_text(encoding="utf-8")
    silent = tuple(_silent(ast.parse(source)))
    nodes = tuple(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, (start, end) in enumerate(places):
            if not any(begin <= start and end <= finish for begin, finish in silent):
                yield Mutant(path=path, line=start[0], operator=name, occurrence=occurrence)


def mutated(source: str, mutant: Mutant) -> str | None:
    """The file with the fault in it; None where that is no Python any more, or the same as before."""
    changed: str | None = mutate_code(source, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
    if changed is None or changed == source:
        return None
    try:
        compile(changed, mutant.path, "exec")
    except SyntaxError:
        return None
    return changed


def difference(source: str, changed: str) -> str:
    """The line that the fault changed, as it was and as it is."""
    old, new = source.splitlines(), changed.splitlines()
    at = next(i for i, line in enumerate(old) if i >= len(new) or line != new[i])
    after = "(nothing)" if len(new) < len(old) else new[at].strip()
    return f"{old[at].strip()}  →  {after}"


def _silent(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        match node:
            case ast.AnnAssign(annotation=annotation):
                yield _span(annotation)
            case ast.arg(annotation=ast.expr() as annotation):
                yield _span(annotation)
            case ast.keyword(arg=str(name), value=value) if name in _SILENT_KEYWORDS:
                yield _span(value)
            case ast.FunctionDef(returns=returns, decorator_list=decorators):
                if returns:
                    yield _span(returns)
                for decorator in decorators:
                    if isinstance(decorator, ast.Name) and decorator.id in _SILENT_DECORATORS:
                        # Cosmic Ray's place of a decorator begins at its `@` and ends with its line.
                        yield (decorator.lineno, 0), (decorator.lineno + 1, 0)


def _span(node: ast.expr) -> Span:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)
