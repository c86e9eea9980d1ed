"""Messages about weights that a model computes from other parameters, such as `weight_norm`."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.layers import WeightInfo

NEW_STYLE = "parametrizations."
"""What `made_by` starts with for `torch.nn.utils.parametrize`, as against the older hooks."""

STANDARDIZED = "weight_standardization"
"""The value of `made_by` for weights that a layer standardizes in each forward pass, which cannot be removed."""

_REMOVED_BY = {
    "weight_norm": 'torch.nn.utils.remove_weight_norm(module, "{}")',
    "spectral_norm": 'torch.nn.utils.remove_spectral_norm(module, "{}")',
    "prune": 'torch.nn.utils.prune.remove(module, "{}")',
}
_MOST_SHOWN = 3


def refusal(weights: Sequence[WeightInfo]) -> tuple[str, str] | None:
    """Why these weights cannot be selected, and what to do; None if all of them are parameters.

    >>> refusal([WeightInfo("fc.weight", (4, 3), made_by="weight_norm")])[0]
    '`fc.weight` is computed by `weight_norm`: a mask on what it is computed from would not prune it'
    """
    computed = [weight for weight in weights if weight.made_by is not None]
    if not computed:
        return None
    shown = ", ".join(f"`{weight.name}`" for weight in computed[:_MOST_SHOWN])
    more = f" and {len(computed) - _MOST_SHOWN} more" if len(computed) > _MOST_SHOWN else ""
    makers = ", ".join(dict.fromkeys(f"`{weight.made_by}`" for weight in computed))
    is_one = len(computed) == 1
    verb, subject, it = ("is", "it is", "it") if is_one else ("are", "they are", "them")
    owner, _, name = computed[0].name.rpartition(".")
    module = f'module = model.get_submodule("{owner}")' if owner else "the module"
    owners = list(dict.fromkeys(weight.name.rpartition(".")[0] or weight.name for weight in computed))
    excluded = ",".join(f'"{one}"' for one in owners[:_MOST_SHOWN]) + (",..." if len(owners) > _MOST_SHOWN else "")
    leave_out = f"leave {it} out: `except={excluded}`"
    remove = (
        f"make {it} {'a parameter' if is_one else 'parameters'} first, `{how_to_remove(computed[0].made_by, name)}`"
    )
    advice = leave_out if computed[0].made_by == STANDARDIZED else f"{remove} ({module}), or {leave_out}"
    return (
        f"{shown}{more} {verb} computed by {makers}: a mask on what {subject} computed from would not prune {it}",
        advice,
    )


def how_to_remove(made_by: str | None, name: str) -> str:
    """The call that turns a computed weight back into a parameter; `name` is that of the module."""
    call = _REMOVED_BY.get(made_by or "", 'torch.nn.utils.parametrize.remove_parametrizations(module, "{}")')
    return call.format(name)
