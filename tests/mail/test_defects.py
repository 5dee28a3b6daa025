"""The register of defects is complete: every code the room can say has its sentence, and no sentence is idle."""

from __future__ import annotations

import re
from pathlib import Path

from filterd.mail import defects
from filterd.mail.defects import AMBIGUOUS, DEFECTS, is_ambiguous

ROOM = Path(defects.__file__).parent
CODE = re.compile(r"\"((?:header|lines|mime|text)\.[a-z0-9]+\.[a-z0-9]+|mime\.ambiguous)\"")


def test_the_codes_in_the_room_are_the_codes_in_the_register() -> None:
    said = {
        code
        for file in ROOM.glob("*.py")
        if file.name != "defects.py"
        for code in CODE.findall(file.read_text(encoding="utf-8"))
    }
    assert said | {AMBIGUOUS, defects.FAILED} == set(DEFECTS)


def test_what_makes_a_mail_ambiguous_is_registered() -> None:
    assert set(DEFECTS) >= defects._AMBIGUOUS_ALONE
    assert is_ambiguous(["mime.type.duplicate"])
    assert not is_ambiguous(["header.mbox.from", "mime.boundary.unclosed"])
