"""Detects models and data sets that are named as Python code (`package.module:factory`), which would be executed."""

from __future__ import annotations

import re

from dsd_lang.base.data_sets import DATA_SETS

TORCHVISION = "torchvision"
"""The prefix in `torchvision:NAME`: always one of torchvision's own classifiers."""

CODE_SETTINGS = ("model", "data")
"""The settings whose value may name Python code."""

_TARGET = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*"


def python_target(setting: str, value: str) -> str | None:
    """The `package.module:factory` that a value of `model=` or `data=` names; None if it does not name Python code.

    >>> python_target("model", "my_nets:make,depth=3"), python_target("model", "ds2:hidden=128")
    ('my_nets:make', None)
    >>> python_target("data", "imagefolder:pets"), python_target("model", "torchvision:vgg16")
    (None, None)
    """
    target = value.strip().partition(",")[0].strip()
    name = target.partition(":")[0]
    is_built_in = name in DATA_SETS if setting == "data" else name == TORCHVISION
    return target if setting in CODE_SETTINGS and not is_built_in and re.fullmatch(_TARGET, target) else None
