"""Records which test reaches which line, and how long each test takes.

Needs `coverage`, which is no dependency of the project: `pip install coverage`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest


class Reach:
    """A pytest plugin; ``roots`` are the packages whose lines count."""

    def __init__(self, repository: Path, roots: Sequence[str]) -> None:
        import coverage

        self._repository = repository
        self._coverage = coverage.Coverage(data_file=None, source=[str(repository / root) for root in roots])
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    def pytest_sessionstart(self) -> None:
        """Starts coverage."""
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Gives each test its own coverage context."""
        self._coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Stores how long a test took, and whether it passed."""
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if report.outcome != "passed":
            self._failed.add(report.nodeid)

    def write(self, path: Path) -> None:
        """Tests with their seconds, and for each file the tests (by number) that reach each line."""
        self._coverage.stop()
        data = self._coverage.get_data()
        tests = [test for test in self._seconds if test not in self._failed]
        numbers = {test: number for number, test in enumerate(tests)}
        lines: dict[str, Any] = {}
        for file in sorted(data.measured_files()):
            reached = {
                str(line): [numbers[context] for context in contexts if context in numbers]
                for line, contexts in data.contexts_by_lineno(file).items()
            }
            lines[Path(file).relative_to(self._repository).as_posix()] = reached
        seconds = [[test, round(self._seconds[test], 3)] for test in tests]
        path.write_text(json.dumps({"tests": seconds, "lines": lines}), encoding="utf-8")


def measure(repository: Path, roots: Sequence[str], tests: Sequence[str], path: Path) -> int:
    """Runs the tests once and writes what they reach; returns pytest's exit code."""
    plugin = Reach(repository, roots)
    code = int(pytest.main(["-q", "-p", "no:cacheprovider", "--no-header", *tests], plugins=[plugin]))
    plugin.write(path)
    return code
