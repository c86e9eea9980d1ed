"""The one thing that pyproject.toml cannot say: the schedules beside the package go into its wheel."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithSchedules(build_py):
    """Copies `schedules/*.dsd` to `dsd_lang/schedules/` of what is built; an editable install reads them in place."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source, target in self._schedules():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What is built, for the record of the wheel."""
        outputs: list[str] = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, *(str(target) for _, target in self._schedules())]

    def _schedules(self) -> list[tuple[Path, Path]]:
        folder = Path(self.build_lib) / "dsd_lang" / "schedules"
        return [(path, folder / path.name) for path in sorted(Path("schedules").glob("*.dsd"))]


setup(cmdclass={"build_py": BuildWithSchedules})
