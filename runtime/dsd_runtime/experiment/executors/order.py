"""What a worker in another process needs to know to train nodes of a run, as one JSON text."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dsd_lang.plan import Plan
from dsd_runtime.experiment.longer import Shorter
from dsd_runtime.experiment.request import Request, ResolvedRequest
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.models.catalogue import preset_of

_PATHS = ("schedule", "out", "write_layers")


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """A run: its request and plan, its setting (which a worker checks against its own), and where its work begins."""

    request: Request
    resolved: ResolvedRequest
    setting: Mapping[str, Any]
    shorter: Mapping[str, Shorter]
    working_folder: Path
    stop_mark: Path
    python_path: tuple[str, ...] = ()

    @classmethod
    def of(cls, prepared: Prepared, folder: Path, shorter: Mapping[str, Shorter], stop_mark: Path) -> WorkOrder:
        request = replace(prepared.request, out=folder.absolute(), schedule=prepared.request.schedule.absolute(),
                          write_layers=None, given=None)  # fmt: skip
        resolved = ResolvedRequest(prepared.plan, prepared.unscaled, prepared.model_name, prepared.preset,
                                   prepared.data_spec, prepared.schedule_text)  # fmt: skip
        return cls(request, resolved, asdict(prepared.setting), shorter, Path.cwd(), stop_mark.absolute(),
                   tuple(sys.path))  # fmt: skip

    def to_json(self) -> str:
        request = {name: value for name, value in asdict(self.request).items() if name != "given"}
        return json.dumps(
            {
                "request": {name: str(value) if isinstance(value, Path) else value for name, value in request.items()},
                "plan": self.resolved.plan.to_json(),
                "unscaled": self.resolved.unscaled.to_json(),
                "model": self.resolved.model_name,
                "data": self.resolved.data_spec,
                "text": self.resolved.text,
                "setting": dict(self.setting),
                "shorter": {key: [str(one.checkpoint), one.key, one.updates] for key, one in self.shorter.items()},
                "working_folder": str(self.working_folder),
                "stop_mark": str(self.stop_mark),
                "python_path": self.python_path,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> WorkOrder:
        """The order that :meth:`to_json` wrote in a process of the same version."""
        data = json.loads(text)
        said: dict[str, Any] = {name: Path(value) if name in _PATHS and value is not None else value
                for name, value in data["request"].items()}  # fmt: skip
        resolved = ResolvedRequest(
            Plan.from_json(data["plan"]), Plan.from_json(data["unscaled"]), data["model"],
            preset_of(data["model"]), data["data"], data["text"],
        )  # fmt: skip
        shorter = {key: Shorter(Path(path), short, updates) for key, (path, short, updates) in data["shorter"].items()}
        return cls(Request(**said), resolved, data["setting"], shorter, Path(data["working_folder"]),
                   Path(data["stop_mark"]), tuple(data["python_path"]))  # fmt: skip
