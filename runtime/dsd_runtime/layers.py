"""Modules in, layers out: the kind, the roles and the parameters of everything in a model that owns weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

TAG_ATTRIBUTE = "_dsd_tag"


@dataclass(frozen=True, slots=True)
class LayerTag:
    """What a module declares of itself; None leaves the inferred value."""

    kind: str | None = None
    roles: tuple[str, ...] = ()
    bidirectional: bool | None = None
    parts: Mapping[str, Literal["ih", "hh"]] = field(default_factory=dict)


def tag(
    module: nn.Module,
    *,
    kind: str | None = None,
    role: str | None = None,
    bidirectional: bool | None = None,
    parts: Mapping[str, Literal["ih", "hh"]] | None = None,
) -> nn.Module:
    """Declares a module's kind or role where inference cannot know it, and returns the module.

    ``parts`` maps the module's own parameter names to `ih` or `hh`, so that `birnn.hh` can narrow to them.
    """
    roles = (role,) if role else ()
    setattr(module, TAG_ATTRIBUTE, LayerTag(kind, roles, bidirectional, dict(parts or {})))
    return module
