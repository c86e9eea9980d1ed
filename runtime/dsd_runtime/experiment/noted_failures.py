"""Why a node could not be trained, as a file beside it: other processes on the folder need not find it out again.

A failure is noted before the node's lease is given back, and forgotten when the node is trained after all, and when a
command begins to work on the folder: the same command tries again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from dsd_runtime.experiment.failures import failure_as_data, failure_from_data, is_of_one_phase
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.storage.durable import remove, write_json


def note_failure(prepared: Prepared, folder: RunFolder, key: str, error: Exception) -> None:
    """Writes it down, unless it is one that ends the whole run, such as a full disk."""
    names = {"model": prepared.model_name, "data": prepared.data_spec}
    if is_of_one_phase(error, **names) and noted_failure(folder, key) is None:
        write_json(folder.failure(key), failure_as_data(error, **names), is_flushed=False)


def noted_failure(folder: RunFolder, key: str) -> Exception | None:
    """The failure of a node that another process has tried; none if that cannot be read."""
    try:
        return failure_from_data(json.loads(folder.failure(key).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def forget_failures(folder: RunFolder, keys: Iterable[str]) -> None:
    """These nodes are tried again."""
    for key in keys:
        remove(folder.failure(key))
