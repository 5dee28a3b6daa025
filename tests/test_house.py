"""Who may import whom, and are the registers whole?  The directions of filterd/README.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import filterd
from filterd.checks import ALL_CODES, CHECKS
from filterd.checks.budget import SPENT
from filterd.model.records import KIND_OF, KINDS, Record

ROOT = Path(filterd.__file__).parent
LOW = {"model", "errors", "markers", "share", ""}
MIDDLE = LOW | {"mail", "ports", "log", "metrics"}
ALLOWED: dict[str, set[str]] = {
    "model": {"model", "errors"},
    "errors": set(),
    "markers": set(),
    "share": {"errors"},
    "systemd": {"errors"},
    "mail": {"mail"} | LOW,
    "ports": {"ports"} | LOW,
    "log": {"log"} | LOW,
    "metrics": {"metrics"} | LOW,
    "config": {"config"} | LOW,
    "checks": {"checks"} | MIDDLE,
    "agreement": {"agreement", "model", "errors"},
    "ledger": {"ledger"} | MIDDLE,
    "clients": {"clients"} | MIDDLE,
    "learning": {"learning", "checks", "mail", "ports"} | LOW,
    "pipeline": {"pipeline", "checks", "agreement"} | MIDDLE,
    "doors": {"doors", "pipeline"} | MIDDLE,
    "workers": {"workers", "pipeline"} | MIDDLE,
}
FREE = {"cli", "app", "supervisor", "demo", "__main__", "__init__"}


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if "_share" not in p.parts)


def room_of(file: Path) -> str:
    first = file.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def imported_rooms(file: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
            if node.module == "filterd":
                names = [f"filterd.{alias.name}" for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("filterd.")}
    return rooms


@pytest.mark.parametrize("file", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_the_allowed_way(file: Path) -> None:
    room = room_of(file)
    if room in FREE:
        return
    assert room in ALLOWED, f"{room} is not a room of the house"
    forbidden = {
        x for x in imported_rooms(file) if x not in ALLOWED[room] and (ROOT / x).exists() | (ROOT / f"{x}.py").exists()
    }
    assert forbidden == set()


def test_serving_never_imports_the_heavy_or_the_slow() -> None:
    heavy = {"sklearn", "scipy", "dkim", "email.policy"}
    serving = [p for p in modules() if room_of(p) not in {"learning", "cli", "demo"}]
    found = {
        (str(p.relative_to(ROOT)), name)
        for p in serving
        for node in ast.walk(ast.parse(p.read_text(encoding="utf-8")))
        for name in (
            [a.name for a in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if any(name == h or name.startswith(h + ".") for h in heavy)
    }
    # compose writes our own notices with the standard library's policy; it never sees anybody else's mail.
    assert {x for x in found if x[0] != "mail/compose.py"} == set()


def test_every_record_has_a_kind_and_every_kind_a_record() -> None:
    union = set(Record.__args__)  # type: ignore[attr-defined]
    assert set(KINDS.values()) == union
    assert {KIND_OF[t] for t in union} == set(KINDS)


def test_codes_are_area_subject_state_and_belong_to_one_check() -> None:
    # Whoever asks DNS can find that the mail has asked too much.
    codes = [code.code for check in CHECKS for code in check.codes if code is not SPENT] + [SPENT.code]
    assert len(codes) == len(set(codes))
    assert set(codes) == set(ALL_CODES)
    assert all(len(code.split(".")) == 3 for code in codes)


def test_no_room_is_empty() -> None:
    for room in ALLOWED:
        assert (ROOT / room).is_dir() or (ROOT / f"{room}.py").is_file(), room


_POSSESSIVE = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]*\}\}?)\+")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")


def test_no_group_is_possessive() -> None:
    """Python 3.11.2, which Debian 12 has, goes on in the wrong place after an alternative of such a group has failed.

    `(?>(?:…)*)` says the same and is right everywhere; a possessive character class is right, too.
    """
    found = [
        f"{file.relative_to(ROOT)}: {text}"
        for file in modules()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        for text in [node.value if isinstance(node.value, str) else node.value.decode("latin-1")]
        if "(?" in text and _POSSESSIVE.search(_CLASS.sub("x", text))
    ]
    assert found == []
