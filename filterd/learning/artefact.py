"""Writes a model folder: weights.npz and manifest.json, as clients/modelstore reads them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.checks.features import FEATURES_VERSION
from filterd.mail.prose import PROSE_VERSION

FORMAT = 1
# Zip entries bear a time; a fixed one makes equal weights equal files.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def write(folder: Path, *, arrays: Mapping[str, NDArray[np.float16]], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write both files, the manifest last, and say the whole manifest.

    Args:
        manifest: everything but format, features_version, prose_version and artefacts, which are added here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = _npz(arrays)
    whole = {
        "format": FORMAT,
        **manifest,
        "features_version": FEATURES_VERSION,
        "prose_version": PROSE_VERSION,
        "artefacts": {"weights.npz": hashlib.sha256(weights).hexdigest()},
    }
    _replace(folder / "weights.npz", weights)
    _replace(folder / "manifest.json", _json(whole).encode())
    return whole


def _json(manifest: Mapping[str, Any]) -> str:
    """One line for each key, and for each label and source: figures are many, and lines are what people compare."""
    lines = []
    for key, value in manifest.items():
        text = _plain(value)
        if isinstance(value, list) and value:
            text = "[\n  " + ",\n  ".join(map(_plain, value)) + "\n ]"
        lines.append(f" {_plain(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _npz(arrays: Mapping[str, NDArray[np.float16]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            octets = io.BytesIO()
            np.lib.format.write_array(octets, np.ascontiguousarray(array, dtype="<f2"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), octets.getvalue(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _replace(file: Path, octets: bytes) -> None:
    """Write beside it, then rename: a reader sees the old file or the new one."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(octets)
    os.replace(beside, file)
