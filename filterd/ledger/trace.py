"""What failed where, for the log: the type and the place, never the text, which may quote a mail (HOUSE rule 11)."""

from __future__ import annotations

import traceback
from pathlib import Path

_FRAMES = 4


def where(err: BaseException) -> str:
    """Say the type of an error and its last few frames, the innermost last."""
    frames = traceback.extract_tb(err.__traceback__)[-_FRAMES:]
    return " > ".join([type(err).__name__, *(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames)])
