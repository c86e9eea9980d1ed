"""The attributes by which two phases are compared, as text by name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.plan import Decay, Phase
from dsd_lang.plan.setting_text import setting_text
from dsd_lang.views.attributes import other_attributes
from dsd_lang.views.table import start_text, target_text

Attributes = dict[str, str]

_REFERENCE = re.compile(r"\bp(\d+)\b")
_WITH_REFERENCES = ("lr", *(row.name for row in ARGUMENTS if row.kind in ("source", "distill")))
_FIELD_OF = {"length": "duration", "pruned": "target", "decay": "lr"}


def attributes(phase: Phase, names: Mapping[str, str]) -> Attributes:
    """Everything that a phase does except what it starts from; phases it refers to are named by ``names``."""
    found: Attributes = {"mode": phase.mode, "length": str(phase.duration.length)}
    if phase.mode == "sparse":
        found["pruned"] = target_text(phase.target)
        found["layers"] = ", ".join(sorted(set(phase.layers)))
        if phase.except_:
            found["except"] = ", ".join(sorted(set(phase.except_)))
    found["lr"] = start_text(phase.lr)
    if phase.lr.decay.kind != "constant":
        found["decay"] = _decay_text(phase.lr.decay)
    found |= other_attributes(phase)
    for name in _WITH_REFERENCES:
        if name in found:
            found[name] = _REFERENCE.sub(lambda match: names.get(match[0], match[0]), found[name])
    return found


def without_numbers(look: Attributes) -> Attributes:
    """The attributes without the numbers of other phases, which change with any insertion."""
    return {name: _REFERENCE.sub("p", text) if name in _WITH_REFERENCES else text for name, text in look.items()}


def is_derived(phase: Phase, name: str) -> bool:
    """Whether a phase's attribute follows from another phase or setting."""
    return _FIELD_OF.get(name, name) in phase.derived and name != "decay"


def _decay_text(decay: Decay) -> str:
    return setting_text(decay.model_dump(mode="json"))
