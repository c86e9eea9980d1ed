"""Masks: scores, targets and their allocation, exact selection of k weights, and the stored masks."""

from dsd_lang.base.units import keep_count
from dsd_runtime.masks.choose import Chosen, choose_masks
from dsd_runtime.masks.input_axes import InputAxis, input_axes
from dsd_runtime.masks.n_of_m import select_n_of_m
from dsd_runtime.masks.optimizers import preserves_zero
from dsd_runtime.masks.selection import (
    NonFiniteScore,
    select_exactly,
    select_exactly_global,
)
from dsd_runtime.masks.store import MaskStore
from dsd_runtime.masks.targets import (
    Current,
    Held,
    NofM,
    PerSelector,
    Pruned,
    Ramp,
    Remaining,
    Target,
    is_selection_due,
    ramp_sparsity,
    remaining_keep_count,
    resolve_ramps,
)

__all__ = [
    "Chosen",
    "Current",
    "Held",
    "InputAxis",
    "MaskStore",
    "NofM",
    "NonFiniteScore",
    "PerSelector",
    "Pruned",
    "Ramp",
    "Remaining",
    "Target",
    "choose_masks",
    "input_axes",
    "is_selection_due",
    "keep_count",
    "preserves_zero",
    "ramp_sparsity",
    "remaining_keep_count",
    "resolve_ramps",
    "select_exactly",
    "select_exactly_global",
    "select_n_of_m",
]
