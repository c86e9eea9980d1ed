"""How the masks of a phase act (`enforce=`), as numbers, and what cannot go together with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.options import ENFORCEMENTS, SCORES
from dsd_lang.base.units import exact, format_percent, parse_length

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dsd_lang.plan.parts import Phase

_ENFORCEMENTS = {option.name: option for option in ENFORCEMENTS}
_MOVEMENT = next(option for option in SCORES if option.name == "movement")
_FIXED_TARGETS = ("held", "current")
_WITHOUT_BATCHES = ("magnitude", "random", "movement")


class Enforcing(NamedTuple):
    """What happens to the weights that a phase prunes.

    ``every``: the masks are chosen again after so many updates; None: only where the phase selects. ``decay`` is
    SR-STE's lambda. ``backward``: the share that no gradient reaches (Top-KAST); None: all or none. ``score_lr``:
    scores of movement are collected, at that rate.
    """

    name: str
    every: int | None = None
    decay: float = 0.0
    backward: Fraction | None = None
    score_lr: float | None = None

    @classmethod
    def of(cls, phase: Phase, updates_per_epoch: int) -> Enforcing:
        """That of a phase; for a dense one `hard`."""
        if phase.mode == "dense" or phase.target is None:
            return cls("hard")
        name, arguments = phase.enforce.name, phase.enforce.arguments
        option, every, decay, backward = _ENFORCEMENTS[name], None, 0.0, None
        if name == "topkast":
            backward = exact(option.value("backward", arguments))
            every = max(1, parse_length(option.value("every", arguments)).updates(updates_per_epoch))
        elif name != "hard" and phase.target.kind not in _FIXED_TARGETS and not _has_ramp(phase.target.model_dump()):
            every = 1
        if name == "srste":
            decay = float(exact(option.value("decay", arguments)))
        is_moving = phase.by.name == "movement" and phase.target.kind not in _FIXED_TARGETS
        rate = float(exact(_MOVEMENT.value("score_lr", phase.by.arguments))) if is_moving else None
        return cls(name, every, decay, backward, rate)

    @property
    def is_soft(self) -> bool:
        """Whether pruned weights are trained further."""
        return self.name != "hard"

    @property
    def keeps_values(self) -> bool:
        """Whether pruned weights keep values, beside the model, with which they may come back."""
        return self.is_soft or self.score_lr is not None

    @property
    def num_copies(self) -> int:
        """How many more tensors of the masked weights' shapes there are: their values, and scores."""
        return int(self.keeps_values) + (self.score_lr is not None)

    def without_gradient(self, pruned: float) -> float:
        """The share of a weight, of which ``pruned`` is masked, whose gradient nothing needs."""
        if self.score_lr is not None or self.name in ("ste", "srste"):
            return 0.0
        return pruned if self.backward is None else min(pruned, float(self.backward))


class Conflict(NamedTuple):
    """Two arguments of a phase that cannot be followed together, and what to write instead."""

    argument: str
    message: str
    help: str


def conflicts(fields: Mapping[str, Any]) -> Iterator[Conflict]:
    """The conflicts of a phase with its `enforce=` or `by=movement`, from its plain data (the plan's JSON)."""
    target = fields.get("target")
    if target is None:
        return
    name = (fields.get("enforce") or {"name": "hard"})["name"]
    by = (fields.get("by") or {"name": "magnitude"})["name"]
    if name == "topkast":
        yield from _of_topkast(target, by, fields["enforce"].get("arguments", {}))
    elif name != "hard":
        yield from _of_straight_through(name, target, by)
    elif by == "movement" and target["kind"] not in _FIXED_TARGETS and not _has_ramp(target):
        help_line = "write a ramp such as `0->50%`, or `enforce=ste`, which selects after every update"
        yield Conflict(
            "by", "`by=movement` has no scores before the first update, and nothing selects later", help_line
        )
    if name != "hard" and (fields.get("update") or {"name": "none"})["name"] != "none":
        moves = f"update={fields['update']['name']}"
        yield Conflict(
            "enforce",
            f"`{moves}` moves the masks, and `enforce={name}` chooses them from all weights",
            "keep one of the two",
        )


def _of_topkast(target: Mapping[str, Any], by: str, arguments: Mapping[str, Any]) -> Iterator[Conflict]:
    backward = exact(_ENFORCEMENTS["topkast"].value("backward", arguments))
    if by != "magnitude":
        yield Conflict("by", f"`enforce=topkast` keeps the largest weights, not those of `by={by}`", "leave `by=` out")
    for single in _singles(target):
        if single["kind"] not in ("fraction", "ramp"):
            other = "of=remaining" if single["kind"] == "remaining" else "held"
            written = f"{single['n']}:{single['m']}" if single["kind"] == "nm" else other
            yield Conflict(
                "enforce", f"`enforce=topkast` takes a share such as `80%`, not `{written}`", "write a share"
            )
            return
        pruned = exact(single.get("pruned") or single.get("end") or "0")
        if backward > pruned:
            yield Conflict(
                "enforce",
                f"`backward={format_percent(backward)}` of `topkast` leaves out weights of the forward pass, which "
                f"prunes {format_percent(pruned)}",
                f"write a share of at most {format_percent(pruned)}",
            )
            return


def _of_straight_through(name: str, target: Mapping[str, Any], by: str) -> Iterator[Conflict]:
    if any(single["kind"] == "remaining" for single in _singles(target)):
        yield Conflict(
            "enforce",
            f"`of=remaining` prunes among the weights that are alive, and with `enforce={name}` all of them are",
            "write the share of all weights",
        )
    if by not in _WITHOUT_BATCHES and target["kind"] not in _FIXED_TARGETS and not _has_ramp(target):
        yield Conflict(
            "enforce",
            f"`enforce={name}` selects after every update, and `by={by}` needs batches for that",
            "write a ramp, which selects at its `every=`, or leave `by=` out",
        )


def _singles(target: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [item["target"] for item in target.get("items") or ()] or [target]


def _has_ramp(target: Mapping[str, Any]) -> bool:
    return any(single["kind"] == "ramp" for single in _singles(target))
