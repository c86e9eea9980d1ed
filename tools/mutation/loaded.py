"""Applies a mutant inside a function to the running program by replacing its code, without importing again.

A pytest session collects every test once. For each mutant it forks; the child exchanges the code of the functions that
changed, runs the tests meant for it, and ends. So a trial costs what its tests cost and nothing besides.
"""

from __future__ import annotations

import ast
import functools
import gc
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from mutants import Mutant
from trial import Verdict, code_of

_IS_FUNCTION = 0x1
Plan = Callable[[Mutant], tuple[Sequence[str], float]]
"""The tests to run for a mutant, and the seconds they take without it."""


def is_in_function(mutant: Mutant, source: str) -> bool:
    """Whether the change is in code that runs when a function is called, and not on import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno <= mutant.line <= (node.end_lineno or 0):
            return True
    return False


def exchange(file: Path, source: bytes) -> int:
    """Gives every function defined in ``file`` its code from ``source``; returns how many."""
    wanted = {(code.co_qualname, code.co_firstlineno): code for code in _functions(compile(source, str(file), "exec"))}
    count = 0
    for found in gc.get_objects():
        if isinstance(found, FunctionType) and found.__code__.co_filename == str(file):
            code = wanted.get((found.__code__.co_qualname, found.__code__.co_firstlineno))
            if code is not None and code != found.__code__:
                found.__code__ = code
                count += 1
    _forget_results()
    return count


def _functions(code: CodeType) -> Iterator[CodeType]:
    """The outermost functions of a module, methods included."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_flags & _IS_FUNCTION:
                yield constant
            else:
                yield from _functions(constant)


def _forget_results() -> None:
    """Clears caches (`functools.cache`) whose values may have been computed before the exchange."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and str(found.__module__).startswith("dsd_"):
            found.cache_clear()


class Trials:
    """A pytest plugin that runs some of the tests for each mutant instead of all tests once."""

    def __init__(
        self, tree: Path, mutants: Sequence[Mutant], plan: Plan, tell: Callable[[Mutant, int, Verdict], None]
    ) -> None:
        self._tree, self._mutants, self._plan, self._tell = tree, mutants, plan, tell
        self._failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes the first test that fails."""
        if report.failed:
            self._failed.append(report.nodeid)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Tries one mutant after the other."""
        by_name = {item.nodeid: item for item in session.items}
        _import_all(self._tree)
        gc.freeze()
        for mutant in self._mutants:
            names, seconds = self._plan(mutant)
            items = [by_name[name] for name in names if name in by_name]
            verdict = self._try(mutant, items, 30 + 6 * seconds) if items else Verdict("survived", 0.0, "no test")
            self._tell(mutant, len(items), verdict)
        return True

    def _try(self, mutant: Mutant, items: Sequence[pytest.Item], limit_seconds: float) -> Verdict:
        log = self._tree / ".mutation.log"
        log.write_text("")
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            self._run_in_child(mutant, items, log)
        code = code_of(child, started + limit_seconds)
        seconds = time.monotonic() - started
        if code is None:
            return Verdict("timeout", seconds, "")
        return Verdict("survived" if code == 0 else "caught", seconds, log.read_text())

    def _run_in_child(self, mutant: Mutant, items: Sequence[pytest.Item], log: Path) -> None:
        code = 1
        try:
            os.setsid()
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            gc.unfreeze()
            file = self._tree / mutant.file
            if not exchange(file, mutant.applied(file.read_bytes())):
                log.write_text("nothing was exchanged")
                os._exit(0)
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self._failed:
                    break
            code = 1 if self._failed else 0
            log.write_text(self._failed[0] if self._failed else "")
        except BaseException as error:  # noqa: BLE001  (whatever it is: the fault was noticed)
            log.write_text(f"{type(error).__name__}: {error}")
        finally:
            os._exit(code)


def _import_all(tree: Path) -> None:
    """Imports every module of the two packages, so that each function can be exchanged."""
    for root, package in ((tree, "dsd_lang"), (tree / "runtime", "dsd_runtime")):
        for file in sorted((root / package).rglob("*.py")):
            if file.stem != "__main__":
                name = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
                importlib.import_module(name)


def try_loaded(
    tree: Path,
    mutants: Sequence[Mutant],
    files: Sequence[str],
    plan: Plan,
    tell: Callable[[Mutant, int, Verdict], None],
) -> None:
    """Tries mutants that are in functions, in this process's children."""
    import torch

    torch.set_num_threads(1)
    os.chdir(tree)
    sys.dont_write_bytecode = True
    sys.path[:0] = [str(tree), str(tree / "runtime")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    options = ["-q", "--no-header", "-p", "no:cacheprovider", f"--basetemp={tree.parent / 'tests'}"]
    pytest.main([*options, *files], plugins=[Trials(tree, mutants, plan, tell)])
