"""An agreement as lines of text: what `filterd policy check` and `show` print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from filterd.cli.say import count, printable, table

_HEAD = ("label", "finding", "category", "clauses", "mode", "severity", "mail")
_PEOPLE = {"one": "one person", "team": "a team"}


def lines(said: dict[str, Any]) -> Iterable[str]:
    """Say the crosswalk of one version, its ladder, and how far each category goes."""
    marks = [word for word, is_so in (("default", said.get("is_default")),) if is_so]
    file = [f"({printable(said['file'])})"] if "file" in said else []
    yield " ".join([said["id"], said["version"], *file, *marks])
    yield f"  digest      {said['digest']}"
    yield f"  preset      {said['preset']}"
    yield f"  examples    {count(len(said['examples_passed']), 'example')} passed"
    yield f"  ladder      {_ladder(said)}"
    yield from _crosswalk(said)
    yield from _reach(said)
    if said["unmapped"]:
        yield f"  unmapped    {' '.join(said['unmapped'])} (seen, and act on nothing)"
    for warning in said["warnings"]:
        yield f"  warning     {printable(warning)}"


def whole_lines(said: dict[str, Any]) -> Iterator[str]:
    """Say one agreement whole."""
    mark = " (default)" if said["is_default"] else ""
    yield f"{said['id']} {said['version']}{mark}"
    for language, title in sorted(said["title"].items()):
        yield f"  {language:<12}{printable(title)}"
    yield f"  digest      {said['digest']}"
    yield f"  in force    from {said['effective_from'].isoformat()}, by the clock of {said['timezone']}"
    yield f"  enforced by {said['enforcing_party']}"
    if said["supplements"] is not None:
        yield f"  supplements {said['supplements']}; binds who has signed it, both sides"
    yield f"  sanctions   stand on {', '.join(said['sanction_ground'])}"
    yield "Versions"
    known: list[tuple[object, ...]] = [
        (v["version"], v["effective_from"].isoformat(), v["digest"][:12], "in force" if v["is_in_force"] else None)
        for v in said["versions"]
    ]
    yield from _indented(table(("version", "from", "digest", "now"), known))
    yield "Clauses, in our own words; the agreement itself counts"
    for clause in said["clauses"]:
        yield f"  {clause['number']}" + ("" if clause["in_mail"] else " (not a matter of mail)")
        yield f"    {printable(clause['en'])}"
        yield f"    {printable(clause['zh'])}"
    yield "From findings to mail"
    yield from _crosswalk(said)
    yield "Ladder"
    steps = [(f"{s['at']:g}", _step(s), "yes" if s["proposes_termination"] else None) for s in said["ladder"]]
    yield from _indented(table(("points", "rung", "proposes termination"), steps))
    yield "Presets: what happens without a person"
    names = list(said["presets"])
    keys = list(said["presets"][names[0]])
    presets = [(key.replace("_", " "), *(said["presets"][name][key] for name in names)) for key in keys]
    yield from _indented(table(("", *(_marked(name, said) for name in names)), presets))
    yield from _reach(said)
    for warning in said["warnings"]:
        yield f"  warning     {printable(warning)}"


def _indented(rows: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in rows)


def _ladder(said: dict[str, Any]) -> str:
    return ", ".join(f"{step['at']:g} {_step(step)}" for step in said["ladder"])


def _step(step: dict[str, Any]) -> str:
    return str(step["rung"]) + (f" {step['hours']} h" if step["hours"] is not None else "")


def _crosswalk(said: dict[str, Any]) -> Iterator[str]:
    has_when = any(row["when"] for row in said["crosswalk"])
    head = (*_HEAD, "when") if has_when else _HEAD
    rows = ([", ".join(row[key]) if key == "clauses" else row[key] for key in head] for row in said["crosswalk"])
    yield from _indented(table(head, rows))


def _reach(said: dict[str, Any]) -> Iterator[str]:
    """One line a category; what only people can touch stands in one line, for all of them go the same way."""
    reached = said["rung_reach"]
    if not reached:
        yield "  No category: whatever is found, nobody on duty can make a breach of it."
        return
    presets = list(dict.fromkeys(one["preset"] for one in reached if one["preset"] is not None))
    columns = [*presets, *_PEOPLE]
    text = {(one["category"], one["preset"] or one["staff"]): _said(one) for one in reached}
    categories = list(dict.fromkeys(one["category"] for one in reached))
    acting = [c for c in categories if any(text[c, p] != "nothing" for p in presets)]
    rest = [c for c in categories if c not in acting]
    yield "  How far one account that never stops gets: with no staff by preset, with one person, with a team:"
    head = ("category", *(_PEOPLE.get(name) or _marked(name, said) for name in columns))
    if acting:
        yield from _indented(table(head, ([c, *(text[c, name] for name in columns)] for c in acting)))
    if rest:
        with_people = ", ".join(f"{word} {text[rest[0], name]}" for name, word in _PEOPLE.items())
        yield f"  nothing with no staff ({with_people}): {' '.join(rest)}"
    if any(one["terminates_by_order"] for one in reached):
        yield "  + a standing order of two people may terminate; without one nothing does"


def _said(one: dict[str, Any]) -> str:
    return str(one["reaches"]) + (" +" if one["terminates_by_order"] else "")


def _marked(name: str, said: dict[str, Any]) -> str:
    return f"{name} (configured)" if name == said["preset"] else name
