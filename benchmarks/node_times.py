"""Notes when each process of a run begins and ends to train a node, and how long it writes and reads checkpoints.

`benchmarks/branches.py` puts it into every process by a `sitecustomize` that calls :func:`note_into`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import abc, machinery, util
from pathlib import Path
from types import ModuleType
from typing import Any

_NODE_TRAINING = "dsd_runtime.experiment.node_training"
_STORING = ("save_checkpoint", "load_checkpoint")


class _Note:
    """One line for each node: when it began and ended, the seconds of checkpoints since the node before it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._storing = 0.0
        self._depth = 0

    def trained(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Notes the begin and the end of a call."""

        def timed(*arguments: Any, **named: Any) -> Any:
            line = {"began": time.monotonic(), "cpu_began": time.process_time(), "storing": self._storing}
            result = function(*arguments, **named)
            line |= {"ended": time.monotonic(), "cpu_ended": time.process_time()}
            self._storing = 0.0
            path = self._folder / f"{os.getpid()}.jsonl"  # of this process, which may have been forked off
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            return result

        return timed

    def stored(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Adds up the seconds of the calls."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.monotonic()
            self._depth += 1
            try:
                return function(*arguments, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    self._storing += time.monotonic() - began

        return timed


class _Watching(abc.Loader):
    """Loads the module as usual, and wraps its functions afterwards."""

    def __init__(self, loader: abc.Loader, note: _Note) -> None:
        self._loader, self._note = loader, note

    def create_module(self, spec: machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        vars(module)["train_phase"] = self._note.trained(vars(module)["train_phase"])
        for other in list(sys.modules.values()):
            for name in _STORING:
                function = getattr(other, "__dict__", {}).get(name)
                if function is not None and getattr(other, "__name__", "").startswith("dsd_runtime"):
                    vars(other)[name] = self._note.stored(function)


class _Finder(abc.MetaPathFinder):
    def __init__(self, note: _Note) -> None:
        self._note = note

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> machinery.ModuleSpec | None:
        if name != _NODE_TRAINING:
            return None
        sys.meta_path.remove(self)
        spec = util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        spec.loader = _Watching(spec.loader, self._note)
        return spec


def note_into(folder: str) -> None:
    """From now on this process writes its notes into a file of its own in the folder."""
    sys.meta_path.insert(0, _Finder(_Note(Path(folder))))
