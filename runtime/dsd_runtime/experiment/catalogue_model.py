"""`dsd_runtime.build_model`: a model of the catalogue, without a run."""

from __future__ import annotations

from torch import nn

from dsd_runtime.data.source import DataSource
from dsd_runtime.experiment.setup import open_with_preset
from dsd_runtime.models.catalogue import preset_of
from dsd_runtime.models.registry import build_model as build_for


def build_model(name: str, *, data: str | DataSource | None = None) -> nn.Module:
    """The model that `dsd-run --model NAME` trains, newly initialised from torch's generator, in training mode.

    It has the sizes of the paper, or with ``data`` (a name as for `dsd-run --data`, or a data source) the number of
    classes, channels, letters or words of that data. Raises :class:`DsdError` for an unknown name or option.

    >>> sum(weight.numel() for weight in build_model("ds1").parameters())
    8139805
    >>> build_model("resnet20:width=8", data="digits").conv1.in_channels
    1
    """
    if data is None:
        return build_for(name, None)
    source = open_with_preset(data, preset_of(name)) if isinstance(data, str) else data
    return build_for(name, source.traits)
