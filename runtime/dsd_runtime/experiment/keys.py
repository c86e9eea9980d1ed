"""Computes the content key of every phase from a plan and its settings.

A node's key is the hash of everything that determines its results: its parent's key, what its phase does, the
checkpoints it refers to, the model, the data, the seed and the runtime settings that change results. It does not
include labels, comments and the condition of a loop that the phase is in, so two branches that train the same share one
node. It does include the conditions of loops that end before the phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_lang.plan.content import PhaseKeys, content_keys, digest
from dsd_runtime.storage.content import content_digest


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What the results of a run depend on besides its phases."""

    model: str
    data: str
    seed: int
    precision: str
    device: str
    is_compiled: bool
    threads: int | None = None
    noise: str | None = None

    def content(self) -> dict[str, Any]:
        """The settings as part of every key; without noise the same as in versions before it."""
        return {name: value for name, value in asdict(self).items() if name != "noise" or value is not None}

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> RunSettings:
        """The settings in a run folder's manifest; DsdError if another version of dsd wrote it."""
        try:
            return cls(**manifest["setting"])
        except (KeyError, TypeError) as error:
            raise DsdError(
                "the run folder's `manifest.json` was written by a different version of the program",
                help="use that version, choose another `--out`, or use `--fresh`",
            ) from error


def node_keys(plan: Plan, setting: RunSettings) -> dict[str, str]:
    """The key of every phase by its id, 16 hex digits each."""
    return content_keys(plan, _root(setting), digest_of_file=content_digest)


def phase_keys(plan: Plan, setting: RunSettings, keys: Mapping[str, str]) -> PhaseKeys:
    """Computes keys of changed phases of a plan whose own ``keys`` are known."""
    return PhaseKeys(plan, _root(setting), keys, digest_of_file=content_digest)


def _root(setting: RunSettings) -> str:
    return digest({"dsd_run": 1, **setting.content()})
