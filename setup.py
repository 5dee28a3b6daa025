"""The one build step pyproject.toml cannot say: models/ and policies/ go into the wheel as filterd/_share/.

`filterd.share.path` finds them again, there and in a checkout.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHARED = ("models", "policies")


def shared_files() -> list[str]:
    """Every file below the shared folders, relative to this one."""
    found = (file for folder in SHARED for file in Path(folder).rglob("*") if file.is_file())
    return sorted(str(file) for file in found if "__pycache__" not in file.parts)


class BuildWithShare(build_py):
    """build_py, and the shared folders; an editable install reads them from the checkout instead."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source in shared_files():
            target = Path(self.build_lib, "filterd", "_share", source)
            self.mkpath(str(target.parent))
            self.copy_file(source, str(target))

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), *shared_files()]


setup(cmdclass={"build_py": BuildWithShare})
