"""Computes the content key of every phase from a plan and its settings.

A node's key is the hash of all that determines its numbers: its parent's key, what its phase does, the checkpoints it
refers to, the model, the data, the seed and the runtime settings that change numbers. Labels, comments and the
condition of a loop that a phase is in are not part of it, so two branches that train the same thing share one node; the
condition of a loop that ends before the phase is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_lang.plan.content import content_keys, digest
from dsd_runtime.storage.content import content_digest


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a run's numbers depend on besides its phases."""

    model: str
    data: str
    seed: int
    precision: str
    device: str
    is_compiled: bool
    threads: int | None = None

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> RunSettings:
        """The setting that a run folder's manifest names; DsdError when a different version of dsd wrote it."""
        try:
            return cls(**manifest["setting"])
        except (KeyError, TypeError) as error:
            raise DsdError(
                "the run folder's `manifest.json` was written by a different version of the program",
                help="use that version, choose another `--out`, or use `--fresh`",
            ) from error


def node_keys(plan: Plan, setting: RunSettings) -> dict[str, str]:
    """The key of every phase by its id, 16 hex digits each."""
    return content_keys(plan, digest({"dsd_run": 1, **asdict(setting)}), digest_of_file=content_digest)
