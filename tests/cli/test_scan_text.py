"""`filterd scan-text`: one answer a line in the order of the lines, the same as the checks give, bad lines named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from filterd.checks import prohibited, spam
from filterd.checks.opinion import Reader
from filterd.clients.modelstore import load_model
from filterd.mail.parse import parse
from filterd.share import path
from tests.checks.letters import HAM, SPAM
from tests.cli.rig import run
from tests.kit.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

LABELS = {spam.LABEL, *prohibited.LABELS}
TEXTS = {**SPAM, **HAM, "padded": HAM["en meeting"] * 8 + SPAM["en meds"] * 9 + HAM["en meeting"] * 5, "few": "hello"}


def lines(folder: Path, *rows: Any) -> Path:
    file = folder / "texts.jsonl"
    file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return file


def test_texts_are_judged_as_the_checks_judge_mails(tmp_path: Path) -> None:
    said = run("scan-text", "--json", lines(tmp_path, *({"id": n, "text": t} for n, t in TEXTS.items())))
    assert (said.code, said.err) == (0, "")
    assert [row["id"] for row in said.objects] == list(TEXTS)
    reader = Reader(load_model(path("models/default")))
    for row in said.objects:
        head = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
        message = parse(head + TEXTS[row["id"]].encode())
        verdicts = [spam.judge(message, reader)] + [prohibited.judge(n, message, reader) for n in prohibited.LABELS]
        assert row["scores"] == pytest.approx(dict(score for verdict in verdicts for score in verdict.scores))
        assert row["skipped"] == {verdict.check: verdict.reason for verdict in verdicts if not verdict.scores}
        assert set(row["scores"]) | set(row["skipped"]) == LABELS


def test_labels_are_those_of_the_language(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": SPAM["zh casino"]}, {"id": 2, "text": SPAM["en meds"]}, {"id": 3, "text": "hello"}]
    zh, en, few = run("scan-text", "--json", lines(tmp_path, *rows)).objects
    assert zh["scores"]["gambling"] > 0.5
    assert en["skipped"]["gambling"] == en["skipped"]["terror"] == few["skipped"]["terror"] == "no_model"
    assert few["scores"] == {}
    assert few["skipped"]["spam"] == few["skipped"]["gambling"] == "no_text"


BAD = [
    "{",
    "[]",
    "7",
    '"text"',
    '{"id": "a"}',
    '{"text": "x"}',
    '{"id": "a", "text": 7}',
    '{"id": true, "text": "x"}',
    '{"id": 1.5, "text": "x"}',
    '{"id": ["a"], "text": "x"}',
    "[" * 100_000,
    '{"id": ' + "9" * 9_999 + ', "text": "x"}',
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_line_is_named_and_the_rest_goes_on(bad: str, tmp_path: Path) -> None:
    good = {"id": "a", "text": SPAM["en meds"]}
    file = lines(tmp_path, good, bad, "", {**good, "id": "b"})
    said = run("scan-text", "--json", file)
    assert said.code == 1
    first, error, last = said.objects
    assert (first["id"], last["id"], first["scores"]) == ("a", "b", last["scores"])
    assert error["line"] == 2
    assert error["error"].startswith(f"{file}:2: ")


def test_octets_that_are_no_text_are_a_bad_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b'{"id": 1, "text": "\xff"}\n{"id": 2, "text": "x"}\n')
    said = run("scan-text", "--json", tmp_path / "x")
    assert (said.code, ["error" in row for row in said.objects]) == (1, [True, False])


def test_people_read_the_most_probable_label_first(tmp_path: Path) -> None:
    rows = ({"id": "a\u001b[2J", "text": SPAM["zh casino"]}, {"id": 2, "text": ""}, "{")
    said = run("scan-text", lines(tmp_path, *rows))
    first, empty, error = said.out.splitlines()
    assert first.startswith("a\\x1b[2J  ")
    chances = [float(word.partition("=")[2]) for word in first.split("  ", 1)[1].split()]
    assert chances == sorted(chances, reverse=True)
    assert empty == "2  nothing to judge"
    assert error.startswith("error ")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    missing = tmp_path / "none.jsonl"
    said = run("scan-text", missing)
    assert (said.code, said.out, said.err) == (1, "", f"filterd: {missing}: No such file or directory\n")
    said = run("scan-text", "--model", "no-such", lines(tmp_path))
    assert (said.code, "models/no-such" in said.err) == (1, True)


def test_answers_come_while_the_input_is_still_open() -> None:
    line = json.dumps({"id": 1, "text": SPAM["en meds"]}).encode() + b"\n"
    command = [sys.executable, "-m", "filterd", "scan-text", "--json", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(3):
            process.stdin.write(line)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == 1
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
