"""The processes that `torchrun` has started for one run: what the first one tells the others, and who speaks.

The first process trains, writes and prints; the others follow its orders. Orders and decisions go through the store of
the process group, which waits as long as it takes; only what is done at every update uses collective operations.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.parts import Share
from dsd_runtime.masks.processes import Processes

_LOOK_SECONDS = 0.02
_PATIENCE_SECONDS = 20.0
"""How long a process waits for the first one after a signal, which all of them get."""
_FAILING_SECONDS = 10.0
"""How long a process that fails in a phase waits for the others to fail there too."""
_LONGEST = timedelta(days=7)
_LOST = re.compile(r"connection (closed|reset|refused)|gloo|nccl|processgroup|broken pipe|store", re.IGNORECASE)


class Group:
    """The processes of a run; ``is_sharded``: each has some rows of the weights, else a copy of the model."""

    def __init__(self, *, is_sharded: bool, syncs_batch_norm: bool) -> None:
        self.is_sharded, self.syncs_batch_norm = is_sharded, syncs_batch_norm
        self.count, self.index = int(os.environ["WORLD_SIZE"]), int(os.environ["RANK"])
        self.is_first = self.index == 0
        self.is_stopping: Callable[[], bool] = lambda: False
        self.has_begun = False
        self._num_told = self._num_joined = 0
        self._local = int(os.environ.get("LOCAL_RANK", "0"))
        self._store: Any = None

    def meet(self, device: str) -> None:
        """Finds the other processes; nothing is exchanged yet but what :meth:`told` is for."""
        self._is_cuda = device != "cpu" and torch.cuda.is_available()
        if self._is_cuda:
            torch.cuda.set_device(self._local % torch.cuda.device_count())
        self._store, _, _ = next(rendezvous("env://"))

    def join(self) -> None:
        """Makes the process group, in which nodes are trained; again after a phase has failed."""
        self.end()
        self._num_joined += 1
        store = dist.distributed_c10d.PrefixStore(f"group/{self._num_joined}", self._store)
        backend = "nccl" if self._is_cuda else "gloo"
        dist.init_process_group(backend, store=store, rank=self.index, world_size=self.count, timeout=_LONGEST)
        self.processes = Processes(dist.group.WORLD)
        self._hosts = self.processes
        if self._is_cuda:
            self._hosts = Processes(cast(dist.ProcessGroup, dist.new_group(backend="gloo", timeout=_LONGEST)))

    def share(self) -> Share:
        """This process's share of each batch; what is exchanged about samples does not wait for a GPU."""
        return Share(self.index, self.count, self._hosts.gathered)

    def end(self) -> None:
        """Leaves the other processes."""
        if dist.is_initialized():
            dist.destroy_process_group()

    # --- what the first process tells ---------------------------------------------------------------------------------

    def told(self, data: Any = None) -> Any:
        """What the first process says here, as plain data; the others wait for it."""
        key = f"dsd/{self._num_told}"
        self._num_told += 1
        if self.is_first:
            self._store.set(key, json.dumps(data))
            return data
        return json.loads(self._waited_for(key))

    def _waited_for(self, key: str) -> bytes:
        until, pause = None, _LOOK_SECONDS / 16
        try:
            while not self._store.check([key]):
                if until is None and self.is_stopping():
                    until = time.monotonic() + _PATIENCE_SECONDS
                if until is not None and time.monotonic() > until:
                    raise lost()
                time.sleep(pause)
                pause = min(_LOOK_SECONDS, 2 * pause)
            return bytes(self._store.get(key))
        except (dist.DistNetworkError, dist.DistStoreError) as error:
            raise lost() from error

    def begins(self, order: dict[str, Any]) -> None:
        """The first process tells the others what they will take part in."""
        self.has_begun = True
        self.told(order)
        if "exit" not in order:
            self.join()

    def goes_home(self, code: int) -> None:
        """The first process ends before it has begun; the others end with the same exit code."""
        if self.is_first and not self.has_begun:
            self.begins({"exit": code})

    def first_does(self, act: Callable[[], Any]) -> Any:
        """Calls a function in the first process; its answer (plain data) or its :class:`DsdError` is that of all."""
        said: dict[str, Any] = {}
        error: DsdError | None = None
        if self.is_first:
            try:
                said = {"result": act()}
            except DsdError as raised:
                error, said = raised, {"error": raised.message, "help": raised.help}
        said = self.told(said)
        if error is not None:
            raise error
        if "error" in said:
            raise DsdError(said["error"], help=said["help"])
        return said["result"]

    def one_after_another(self, act: Callable[[], Any]) -> Any:
        """Calls a function in the first process, then in the others, so that they find the caches it has written."""
        if self.is_first:
            result = act()
            self.told()
            return result
        self.told()
        return act()

    def is_first_to_fail(self) -> bool:
        """Whether no other process has told an error yet: only one of them does."""
        try:
            return bool(self._store is None or self._store.add("dsd/failed", 1) == 1)
        except (RuntimeError, OSError):  # the store has gone with the process that kept it
            return True

    def all_have_failed(self, error: Exception) -> bool:
        """Whether every process has failed in this phase, so that all can go on with another one, in a new group.

        What all know together, such as a loss that is not finite, is an error of all at the same point. If only some
        have failed, the others wait for them in an operation, and cannot go on.
        """
        if is_lost(error) or isinstance(error, Lost):
            return False
        try:
            self._store.set(f"dsd/failed/{self._num_joined}/{self.index}", str(self._num_told))
            keys = [f"dsd/failed/{self._num_joined}/{index}" for index in range(self.count)]
            until = time.monotonic() + _FAILING_SECONDS
            while not self._store.check(keys):
                if time.monotonic() > until:
                    return False
                time.sleep(_LOOK_SECONDS)
            self._num_told = max(int(self._store.get(key)) for key in keys)
            self.join()
        except (RuntimeError, OSError):  # the store has gone with the process that kept it
            return False
        return True

    def describe(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "count": self.count,
            "weights": "sharded (FSDP2)" if self.is_sharded else "copied (DDP)",
            "batch_norm": "over the whole batch" if self.syncs_batch_norm else "over the samples of each process",
        }


class Lost(DsdError):
    """Another process of the run has gone."""


def lost() -> Lost:
    """The error of a process whose others have gone."""
    return Lost(
        "another process of this run has ended", help="run the same command again to continue from the last checkpoint"
    )


def is_lost(error: BaseException) -> bool:
    """Whether a collective operation failed because another process has gone."""
    is_ours = isinstance(error, dist.DistError) or type(error) is RuntimeError
    return is_ours and _LOST.search(str(error)) is not None
