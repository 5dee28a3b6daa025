"""What the documents say is so: commands, configuration keys, files, licences.

The tables of ops/docs/CONFIG.md are made from the configuration itself:  .venv/bin/python tests/test_readme.py
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

import pytest
import typer.main

from filterd import config
from filterd.app import mail_half
from filterd.checks import CHECKS
from filterd.cli import app
from filterd.doors import milter

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh.md")
CONFIG = ROOT / "ops" / "docs" / "CONFIG.md"
THIRD_PARTY = ROOT / "ops" / "docs" / "THIRD-PARTY.md"
# All that name commands or files of ours.
_WIRINGS = ("ops/postfix", "ops/sendmail", "ops/exim")
_GUIDES = [f"{room}/README.md" for room in ("filterd", "filterd/checks", *_WIRINGS, "policies")]
_PAGES = [f"ops/docs/{path.name}" for path in sorted((ROOT / "ops" / "docs").glob("*.md"))]
DOCUMENTS = (*READMES, "CHANGELOG.md", *_GUIDES, *_PAGES)
MAX_LINES = 220


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def fences(text: str) -> list[tuple[str, str]]:
    """The code blocks of a document: language and content, indentation taken off."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [(language, re.sub(rf"^{indent}", "", body, flags=re.MULTILINE)) for indent, language, body in found]


def without_comments(body: str) -> list[str]:
    lines = [re.sub(r"(^|\s+)#.*", "", line).rstrip() for line in body.splitlines()]
    return [line for line in lines if line]


# --- The two READMEs ----------------------------------------------------------------------------------------------


def test_the_readmes_have_the_same_code_but_for_comments() -> None:
    english, chinese = ([(kind, without_comments(body)) for kind, body in fences(text_of(name))] for name in READMES)
    assert chinese == english
    assert len(english) >= 5


def test_the_readmes_have_the_same_parts() -> None:
    """Sections, table rows and the code named in the text, whatever language stands around them."""
    for pattern in (r"^#+ ", r"^\|", r"^- ", r"^\d\. "):
        english, chinese = (len(re.findall(pattern, text_of(name), re.MULTILINE)) for name in READMES)
        assert chinese == english, pattern
    english_code, chinese_code = (set(re.findall(r"`([^`\n]+)`", text_of(name))) for name in READMES)
    assert chinese_code == english_code


@pytest.mark.parametrize(("name", "other"), [READMES, READMES[::-1]])
def test_each_readme_links_to_the_other_and_is_short(name: str, other: str) -> None:
    lines = text_of(name).splitlines()
    assert any(f"]({other})" in line for line in lines[:4])
    assert len(lines) <= MAX_LINES


@pytest.mark.parametrize("name", READMES)
def test_the_readmes_name_every_check(name: str) -> None:
    named = set(re.findall(r"`([a-z]+)`", text_of(name)))
    assert {check.name for check in CHECKS} - named == set()


@pytest.mark.parametrize("name", READMES)
def test_configuration_in_the_readmes_is_read(name: str) -> None:
    blocks = [body for language, body in fences(text_of(name)) if language == "toml"]
    assert blocks
    for body in blocks:
        config.Config.model_validate(tomllib.loads(body))


# --- Commands and files -------------------------------------------------------------------------------------------


def commands(text: str) -> Iterator[list[str]]:
    """Every `filterd …` of a document, in code blocks and in the text, as words."""
    for _, body in fences(text):
        for line in body.splitlines():
            if line.startswith("filterd "):
                yield shlex.split(line, comments=True)
    outside = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"`(filterd [^`\n]+)`", outside):
        yield shlex.split(code)


@cache
def command_line() -> Any:
    return typer.main.get_command(app)


def unknown_in(words: list[str]) -> list[str]:
    """Say which words of a command line no command or option of ours bears."""
    command = command_line()
    rest = words[1:]
    while (below := getattr(command, "commands", None)) is not None and rest and not rest[0].startswith("-"):
        if rest[0] not in below:
            return [rest[0]]
        command, rest = below[rest[0]], rest[1:]
    options = {"-h", "--help"}.union(*(parameter.opts for parameter in command.params))
    return [word for word in rest if word.startswith("-") and word != "-" and word not in options]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_a_document_names_is_there(name: str) -> None:
    checked = [(" ".join(words), unknown_in(words)) for words in commands(text_of(name))]
    assert [(line, unknown) for line, unknown in checked if unknown] == []


def test_a_command_that_is_not_there_is_noticed() -> None:
    text = "Say `filterd log fnid`.\n\n```\nfilterd scan --nds x mail.eml\nfilterd scan --json mail.eml\n```\n"
    assert [unknown_in(words) for words in commands(text)] == [["--nds"], [], ["fnid"]]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_a_document_names_is_there(name: str) -> None:
    """What begins like a path of this repository, and where links lead."""
    text = text_of(name)
    paths = re.findall(r"`((?:filterd|ops|policies|models|tests)/[A-Za-z0-9_./-]+)`", text)
    links = [(ROOT / name).parent / link for link in re.findall(r"\]\(([^):#]+)\)", text)]
    assert [path for path in (*(ROOT / path for path in paths), *links) if not path.exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_every_make_target_is_there(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(re.findall(r"`[^`]+`", text_of(name))))) - targets == set()


def test_the_house_document_names_files_that_are_there_and_every_room() -> None:
    house = ROOT / "filterd"
    rooms = {path.name for path in house.iterdir() if path.is_dir() and (path / "__init__.py").is_file()}
    quoted = re.findall(r"`([a-z]+)/?([a-z_]*)[a-zA-Z_.*]*`", text_of("filterd/README.md"))
    files = [house / room / name for room, name in quoted if room in rooms and name]
    assert [file for file in files if not [*file.parent.glob(f"{file.name}*")]] == []
    assert rooms - {room for room, _ in quoted} == set()


def test_the_sockets_that_systemd_may_hand_over_are_named() -> None:
    document = text_of("ops/docs/SUPERVISION.md")
    names = (mail_half.POLICY_DOOR, mail_half.SOCKETMAP_DOOR, milter.LISTENER)
    assert [name for name in names if f"`{name}` for the" not in document] == []


# --- Configuration ------------------------------------------------------------------------------------------------

HEAD = "| key | type | default | what it is |"
SCHEMA: dict[str, Any] = config.Config.model_json_schema()


def sections() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every table of the file as (its header, its schema), nested ones behind their own."""
    for name, held in SCHEMA["properties"].items():
        yield from _sections(name, held)


def _sections(name: str, held: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    inner = _section(held)
    if inner is None:
        return
    yield (f"[[{name}]]" if held.get("type") == "array" else f"[{name}]"), inner
    for key, value in inner["properties"].items():
        yield from _sections(f"{name}.{key}", value)


def _section(held: dict[str, Any]) -> dict[str, Any] | None:
    inside = (held, held.get("items", {}), held.get("anyOf", ({},))[0])
    reference = next((part["$ref"] for part in inside if "$ref" in part), None)
    return SCHEMA["$defs"][reference.rsplit("/", 1)[1]] if reference else None


def kind(held: dict[str, Any]) -> str:
    """Say a type and its limits in words."""
    if "anyOf" in held:
        return ", or not set".join([kind(held["anyOf"][0]), ""])
    if "enum" in held:
        return " or ".join(f"`{json.dumps(value)}`" for value in held["enum"])
    match held["type"]:
        case "array":
            return f"list of {kind(held['items'])}s"
        case "object":
            return f"table of {kind(held['additionalProperties'])}"
        case "string":
            return "path" if held.get("format") == "path" else "text"
        case "boolean":
            return "`true` or `false`"
        case "integer":
            return f"whole number{_limits(held)}"
        case _:
            return f"number{_limits(held)}"


def _limits(held: dict[str, Any]) -> str:
    words = (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"))
    said = [f" {word} {held[key]:,}" for key, word in words if key in held]
    return ",".join(said)


def default(held: dict[str, Any], *, is_required: bool) -> str:
    if is_required:
        return "none: give one"
    value = held["default"]
    return "not set" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def for_operators(description: str) -> str:
    """Leave out where a design document says it, and what only a programmer calls None."""
    plain = re.sub(r" \((HOUSE|STANDING|CLAUSES|TX-|issue)[^)]*\)", "", " ".join(description.split()))
    return re.sub(r"\bNone:", "not set:", re.sub(r"(^|[.] )None:", r"\1Not set:", plain))


def expected_rows(section: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Key → type, default, description; empty where the configuration has none of its own."""
    required = section.get("required", ())
    return {
        key: (kind(held), default(held, is_required=key in required), for_operators(held.get("description", "")))
        for key, held in section["properties"].items()
        if _section(held) is None
    }


def written_rows(text: str) -> dict[str, dict[str, tuple[str, str, str]]]:
    """Section header → key → what CONFIG.md says."""
    found: dict[str, dict[str, tuple[str, str, str]]] = {}
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        header = part.split("`")[1]
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*) \|$", part, re.MULTILINE)
        found[header] = {key: (kind, default, said) for key, kind, default, said in rows}
    return found


def test_config_document_names_every_section_and_key_in_order() -> None:
    said = [(header, key) for header, rows in written_rows(CONFIG.read_text()).items() for key in (None, *rows)]
    assert said == [(header, key) for header, section in sections() for key in (None, *expected_rows(section))]


def test_config_document_says_types_defaults_and_descriptions() -> None:
    written = written_rows(CONFIG.read_text())
    for header, section in sections():
        for key, (type_, default_, said) in expected_rows(section).items():
            found = written[header][key]
            assert found[:2] == (type_, default_), (header, key)
            assert found[2] == said if said else len(found[2]) >= 10, (header, key)


def rendered(old: str) -> str:
    """Make CONFIG.md anew; sentences of keys that have none in the configuration are kept."""
    kept = written_rows(old)
    lines = [old.split("\n## ", 1)[0].rstrip(), ""]
    for header, section in sections():
        purpose = re.sub(r"^`\S+`: ", "", for_operators(section["description"]))
        lines += [f"## `{header}`", "", purpose[:1].upper() + purpose[1:], "", HEAD, "|---|---|---|---|"]
        for key, (type_, default_, said) in expected_rows(section).items():
            was = kept.get(header, {}).get(key, ("", "", "?"))[2]
            lines.append(f"| `{key}` | {type_} | {default_} | {said or was} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


# --- Third parties ------------------------------------------------------------------------------------------------


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def licence(package: str) -> str:
    """Say what an installed package's metadata call its licence."""
    said = metadata(package)
    short = (said.get("License") or "").strip()
    named = [c.rsplit(" :: ", 1)[1] for c in said.get_all("Classifier") or [] if c.startswith("License :: OSI App")]
    is_name = short not in ("", "UNKNOWN") and "\n" not in short
    return said.get("License-Expression") or (short if is_name else ", ".join(named))


def listed() -> dict[str, list[str]]:
    """Package → the other cells of its row."""
    rows = re.findall(r"^\| ([a-z0-9-]+) \| (.*) \|$", THIRD_PARTY.read_text(), re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in rows if name not in ("package", "what")}


def asked() -> dict[str, str]:
    """Package → the versions pyproject.toml asks for."""
    project = tomllib.loads(text_of("pyproject.toml"))
    groups = project["dependency-groups"]
    all_of_them = [*project["project"]["dependencies"], *groups["dev"], *groups["build"]]
    requirements = [item for item in all_of_them if isinstance(item, str)]
    return {canonical(item): re.sub(r"^[A-Za-z0-9._-]+|;.*", "", item).strip() for item in requirements}


def test_third_parties_have_their_version_range() -> None:
    rows = listed()
    assert {name: rows[name][0].strip("`") for name in asked()} == asked()


def test_third_parties_name_all_that_is_installed_with_filterd() -> None:
    locked = re.findall(r"^([a-z0-9._-]+)==", text_of("requirements.lock"), re.MULTILINE)
    assert set(locked) - listed().keys() == set()
    assert listed().keys() - set(locked) - asked().keys() == set()


def test_third_parties_bear_the_licence_of_their_metadata() -> None:
    differing = {}
    for name, cells in listed().items():
        try:
            said = licence(name)
        except PackageNotFoundError:
            # Locked for another platform.
            continue
        if said != cells[1]:
            differing[name] = said
    assert differing == {}


if __name__ == "__main__":
    CONFIG.write_text(rendered(CONFIG.read_text()))
