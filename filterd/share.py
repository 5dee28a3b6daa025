"""Where models/ and policies/ are: beside the package in a checkout, inside it in a wheel.

setup.py carries them into the wheel as filterd/_share/.
"""

from __future__ import annotations

from pathlib import Path

from filterd.errors import ModelError

_PACKAGE = Path(__file__).resolve().parent
_ROOTS = (_PACKAGE / "_share", _PACKAGE.parent)
_SHARED = ("models", "policies")


def path(name: str) -> Path:
    """Find a shared file or folder.

    Args:
        name: relative, with `/`, beginning with `models` or `policies`: `policies/agreements/NAME.toml`.

    Raises:
        ModelError: there is no such file or folder in this installation, or `name` leads outside.
    """
    parts = name.split("/")
    if parts[0] not in _SHARED or ".." in parts:
        raise ModelError(f"{name}: not a shared path; it begins with one of {', '.join(_SHARED)}")
    for root in _ROOTS:
        found = root.joinpath(*parts)
        if found.exists():
            return found
    raise ModelError(f"{name}: not in this installation (looked in {' and '.join(map(str, _ROOTS))})")
