"""Model store: reads a model folder, and believes nothing that it has not verified.

A folder holds manifest.json and weights.npz (arrays only; nothing in it is ever unpickled), and a card for people:

    format            1
    name, version     of the model; created: ISO 8601
    features_version  of checks/features; bits: log2 of the number of weights
    prose_version     of mail/prose
    artefacts         file name -> sha256
    labels            name, array (in weights.npz, float16 or float32), bias, slope, offset, advisory,
                      languages: where the label has shown on the dev split that it knows something,
                      gates: language, length, a, b (thresholds, or null where nothing was shown)

plus what people read: data sources with licences, figures, the split, labels that were tried and left out. Every fault
is a ModelError that names the file and the reason.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from filterd.errors import ModelError
from filterd.mail.prose import PROSE_VERSION

FORMAT = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"

# A manifest is some ten kilobytes a label, weights half a megabyte: whatever is much larger is something else.
_MAX_BYTES = {MANIFEST: 4 << 20, WEIGHTS: 64 << 20}
_BITS = range(8, 25)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredGate:
    """Thresholds of one bucket; see checks/textmodel."""

    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHead:
    """One label; see checks/textmodel. `weights` is read-only."""

    weights: NDArray[Any]
    bias: float
    slope: float
    offset: float
    advisory: float
    languages: frozenset[str]
    gates: Mapping[tuple[str, str], StoredGate]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A verified model. `manifest` is all of manifest.json, for people and for figures."""

    name: str
    version: str
    digest: str
    features_version: int
    bits: int
    heads: Mapping[str, StoredHead]
    manifest: Mapping[str, Any]


def load_model(folder: Path, *, features_version: int | None = None) -> StoredModel:
    """Load a model folder.

    Args:
        features_version: what the caller can make; None leaves the question to the check (checks/spam.make).

    Raises:
        ModelError: a file is missing, too large, truncated, not what its digest says, of another version or shape, or
            holds a number that is none.
    """
    file = folder / MANIFEST
    octets = _read(file)
    try:
        manifest = json.loads(octets)
    except ValueError as err:
        raise ModelError(f"{file}: not JSON: {err}") from err
    try:
        _check_versions(file, manifest, features_version)
        bits = int(manifest["bits"])
        if bits not in _BITS:
            raise ModelError(f"{file}: bits: {bits} is not between {_BITS[0]} and {_BITS[-1]}")
        arrays = _arrays(folder / WEIGHTS, manifest["artefacts"][WEIGHTS])
        heads = {str(row["name"]): _head(file, folder / WEIGHTS, row, arrays, bits) for row in manifest["labels"]}
        return StoredModel(
            name=str(manifest["name"]),
            version=str(manifest["version"]),
            digest=hashlib.sha256(octets).hexdigest(),
            features_version=int(manifest["features_version"]),
            bits=bits,
            heads=MappingProxyType(heads),
            manifest=MappingProxyType(manifest),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise ModelError(f"{file}: not a model manifest: {type(err).__name__}: {err}") from err


def _check_versions(file: Path, manifest: Mapping[str, Any], features_version: int | None) -> None:
    wanted = (("format", FORMAT), ("prose_version", PROSE_VERSION), ("features_version", features_version))
    for key, version in wanted:
        if version is not None and manifest[key] != version:
            raise ModelError(f"{file}: {key}: is {manifest[key]!r}, this filterd needs {version}")


def _head(file: Path, weights: Path, row: Mapping[str, Any], arrays: Mapping[str, Any], bits: int) -> StoredHead:
    name = row["array"]
    if name not in arrays:
        raise ModelError(f"{weights}: array {name}: missing")
    array = arrays[name]
    if array.dtype not in (np.float16, np.float32) or array.shape != (1 << bits,):
        wanted = f"float16[{1 << bits}] nor float32[{1 << bits}]"
        raise ModelError(f"{weights}: array {name}: is {array.dtype}{list(array.shape)}, neither {wanted}")
    if not np.isfinite(array).all():
        raise ModelError(f"{weights}: array {name}: holds numbers that are none")
    array.setflags(write=False)
    numbers = {key: float(row[key]) for key in ("bias", "slope", "offset", "advisory")}
    languages = row["languages"]
    if not isinstance(languages, list) or not all(isinstance(language, str) for language in languages):
        raise ModelError(f"{file}: label {row['name']}: languages: not a list of names")
    gates = {(str(g["language"]), str(g["length"])): StoredGate(a=g["a"], b=g["b"]) for g in row["gates"]}
    limits = [numbers["advisory"], *(t for gate in gates.values() for t in (gate.a, gate.b) if t is not None)]
    if not all(map(math.isfinite, numbers.values())) or not all(0.0 < float(limit) <= 1.0 for limit in limits):
        raise ModelError(f"{file}: label {row['name']}: a number is not finite, or a threshold not between 0 and 1")
    return StoredHead(weights=array, languages=frozenset(languages), gates=MappingProxyType(gates), **numbers)


def _arrays(file: Path, sha256: str) -> dict[str, NDArray[Any]]:
    octets = _read(file)
    digest = hashlib.sha256(octets).hexdigest()
    if digest != sha256:
        raise ModelError(f"{file}: sha256 is {digest}, the manifest says {sha256}")
    try:
        with np.load(io.BytesIO(octets), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as err:
        raise ModelError(f"{file}: not an archive of plain arrays: {err}") from err


def _read(file: Path) -> bytes:
    try:
        if (size := file.stat().st_size) > _MAX_BYTES[file.name]:
            raise ModelError(f"{file}: {size} octets are too many for a model")
        return file.read_bytes()
    except OSError as err:
        raise ModelError(f"{file}: {err.strerror or err}") from err
