"""The model store: whatever is wrong with an artefact, the file and the reason are named; nothing is unpickled."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from filterd.checks.features import FEATURES_VERSION
from filterd.clients.modelstore import load_model
from filterd.errors import ModelError
from filterd.mail.prose import PROSE_VERSION
from filterd.share import path

BITS = 8


def weights(array: Any = None, name: str = "spam") -> bytes:
    out = io.BytesIO()
    np.savez(out, allow_pickle=True, **{name: np.ones(1 << BITS, np.float32) if array is None else array})
    return out.getvalue()


def manifest(stored: bytes, **changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "name": "small",
        "version": "3",
        "created": "2026-01-01T00:00:00+00:00",
        "features_version": 1,
        "prose_version": PROSE_VERSION,
        "bits": BITS,
        "artefacts": {"weights.npz": hashlib.sha256(stored).hexdigest()},
        "labels": [label()],
    } | changes


def label(**changes: Any) -> dict[str, Any]:
    gates = [{"language": "en", "length": "short", "a": None, "b": 0.9}]
    numbers = {"bias": 0.5, "slope": 2.0, "offset": -1.0, "advisory": 0.5}
    return {"name": "spam", "array": "spam", "languages": ["en"], "gates": gates, **numbers} | changes


def write(folder: Path, stored: bytes | None = None, **changes: Any) -> Path:
    stored = weights() if stored is None else stored
    (folder / "weights.npz").write_bytes(stored)
    (folder / "manifest.json").write_text(json.dumps(manifest(stored, **changes)))
    return folder


def test_a_whole_model_is_read(tmp_path: Path) -> None:
    model = load_model(write(tmp_path), features_version=1)
    head = model.heads["spam"]
    assert (model.name, model.version, model.bits, model.features_version) == ("small", "3", BITS, 1)
    assert model.digest == hashlib.sha256((tmp_path / "manifest.json").read_bytes()).hexdigest()
    assert (head.bias, head.slope, head.offset, head.advisory) == (0.5, 2.0, -1.0, 0.5)
    assert head.languages == {"en"}
    assert (head.gates["en", "short"].a, head.gates["en", "short"].b) == (None, 0.9)
    assert head.weights.sum() == 1 << BITS
    with pytest.raises(ValueError, match="read-only"):
        head.weights[0] = 1


class Bomb:
    """Would leave a mark if anything unpickled it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return open, ("unpickled", "w")


ONES = np.ones(1 << BITS, np.float32)
NOT_A_NUMBER = np.where(np.arange(1 << BITS) == 7, np.nan, ONES).astype(np.float32)
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    "format": ({"format": 2}, "manifest.json", "format: is 2"),
    "prose": ({"prose_version": 0}, "manifest.json", "prose_version: is 0"),
    "features": ({"features_version": 9}, "manifest.json", "features_version: is 9"),
    "bits": ({"bits": 99}, "manifest.json", "bits: 99"),
    "no digest": ({"artefacts": {}}, "manifest.json", "KeyError"),
    "wrong digest": ({"artefacts": {"weights.npz": "0" * 64}}, "weights.npz", "sha256 is"),
    "no labels": ({"labels": None}, "manifest.json", "TypeError"),
    "no array": ({"labels": [label(array="other")]}, "weights.npz", "array other: missing"),
    "bias": ({"labels": [label(bias="much")]}, "manifest.json", "ValueError"),
    "infinite": ({"labels": [label(slope=float("inf"))]}, "manifest.json", "not finite"),
    "threshold": ({"labels": [label(advisory=1.5)]}, "manifest.json", "not between 0 and 1"),
    "gate": (
        {"labels": [label(gates=[{"language": "en", "length": "short", "a": 7, "b": 1}])]},
        "manifest.json",
        "between",
    ),
    "gate without b": (
        {"labels": [label(gates=[{"language": "en", "length": "short", "a": 1}])]},
        "manifest.json",
        "'b'",
    ),
    "no languages": ({"labels": [label(languages=None)]}, "manifest.json", "languages: not a list of names"),
    "languages": ({"labels": [label(languages="zh")]}, "manifest.json", "languages: not a list of names"),
    "shape": ({"stored": weights(ONES[:9])}, "weights.npz", "is float32[9], neither float16[256] nor float32[256]"),
    "type": ({"stored": weights(np.ones(1 << BITS))}, "weights.npz", "float64[256]"),
    "nan": ({"stored": weights(NOT_A_NUMBER)}, "weights.npz", "numbers that are none"),
    "objects": ({"stored": weights(np.array([Bomb()], dtype=object))}, "weights.npz", "not an archive of plain arrays"),
    "pickle": ({"stored": pickle.dumps(Bomb())}, "weights.npz", "not an archive of plain arrays"),
    "truncated": ({"stored": weights()[:-40]}, "weights.npz", "not an archive of plain arrays"),
    "empty": ({"stored": b""}, "weights.npz", "not an archive of plain arrays"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_named(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes, file, reason = BROKEN[case]
    write(tmp_path, **changes)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path, features_version=1)
    assert str(caught.value).startswith(f"{tmp_path / file}: ")
    assert reason in str(caught.value)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("file", ["manifest.json", "weights.npz"])
def test_a_missing_file_is_named(file: str, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ModelError, match="No such file") as caught:
        load_model(tmp_path)
    assert str(tmp_path / file) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b'{"format": 1}', b"\xff\xfe"])
def test_a_manifest_that_is_none_is_named(content: bytes, tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'manifest.json'}: ")


def test_every_flipped_octet_of_the_weights_is_seen(tmp_path: Path) -> None:
    write(tmp_path)
    whole = (tmp_path / "weights.npz").read_bytes()
    for at in range(0, len(whole), 37):
        (tmp_path / "weights.npz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ModelError, match="sha256 is"):
            load_model(tmp_path)


def test_what_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    with (tmp_path / "manifest.json").open("ab") as file:
        file.truncate(5 << 20)
    with pytest.raises(ModelError, match="too many for a model"):
        load_model(tmp_path)


def test_half_as_wide_weights_do_too(tmp_path: Path) -> None:
    head = load_model(write(tmp_path, weights(ONES.astype(np.float16)))).heads["spam"]
    assert head.weights.dtype == np.float16


@pytest.mark.parametrize("name", ["default", "research"])
def test_the_shipped_models_are_whole(name: str) -> None:
    model = load_model(path(f"models/{name}"), features_version=FEATURES_VERSION)
    assert model.name == name
    assert "spam" in model.heads


def test_the_shipped_models_are_small() -> None:
    assert sum(file.stat().st_size for file in path("models").rglob("*") if file.is_file()) < 20_000_000
