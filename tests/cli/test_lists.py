"""Lists of the operator: rows that know their line, and errors that name file, line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from filterd.cli.lists import read_list
from filterd.errors import ConfigError

COLUMNS = ("name", "domains", "seats")


def read(folder: Path, name: str, octets: str | bytes) -> list[dict[str, Any]]:
    file = folder / name
    file.write_bytes(octets.encode() if isinstance(octets, str) else octets)
    return read_list(file, COLUMNS, "name")


def test_csv_rows_know_where_they_begin(tmp_path: Path) -> None:
    text = '\ufeffseats, name\r\n3,"A, Inc"\r\n\r\n,"two\nlines"\r\n4,C\r\n'
    assert read(tmp_path, "x.csv", text) == [
        {"line": 2, "seats": "3", "name": "A, Inc"},
        {"line": 4, "seats": None, "name": "two\nlines"},
        {"line": 6, "seats": "4", "name": "C"},
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson", "x.txt"])
def test_json_lines_keep_their_types(tmp_path: Path, name: str) -> None:
    text = '{"name": "A\\u2028", "domains": ["a", "b"]}\n\n{"name": "B", "seats": null}'
    assert read(tmp_path, name, text) == [
        {"line": 1, "name": "A\u2028", "domains": ["a", "b"]},
        {"line": 3, "name": "B", "seats": None},
    ]


@pytest.mark.parametrize(
    ("name", "text", "line", "key", "words"),
    [
        ("x.csv", "name,nome\nA,1\n", 1, "nome", "unknown column; known: name, domains, seats"),
        ("x.csv", "name,\nA,1\n", 1, "(empty)", "unknown column"),
        ("x.csv", "name,name\nA,1\n", 1, "name", "twice"),
        ("x.csv", "\nseats\n1\n", 2, "name", "is missing"),
        ("x.csv", "name,seats\nA,1\nB\n", 3, None, "has 1 cells, the header has 2"),
        ("x.csv", 'name\nA\n"B', 3, None, "is not CSV"),
        ("x.csv", "", None, None, "holds no rows"),
        ("x.csv", "name\n", None, None, "holds no rows"),
        ("x.csv", b"name\nA\nB\xff\n", 3, None, "is not UTF-8"),
        ("x.jsonl", '{"name": "A"}\n{"name"', 2, None, "is not JSON"),
        ("x.jsonl", '["A"]', 1, None, "no JSON object"),
        ("x.jsonl", '{"name": "A"}\n{"seats": 1}', 2, "name", "is missing"),
        ("x.jsonl", '{"name": "A", "line": 7}', 1, "line", "unknown column"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, name: str, text: str | bytes, line: int | None, key: str | None, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        read(tmp_path, name, text)
    assert (raised.value.file, raised.value.line, raised.value.key) == (str(tmp_path / name), line, key)


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_list(tmp_path / "none.csv", COLUMNS, "name")
