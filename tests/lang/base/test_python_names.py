"""Which values of `model=` and `data=` would run Python code; the runtime imports nothing else."""

from __future__ import annotations

import pytest

from dsd_lang.base.python_names import python_target


@pytest.mark.parametrize(
    ("setting", "value", "target"),
    [
        ("model", "os:system,command=ls", "os:system"),
        ("model", " my_nets:make", "my_nets:make"),
        ("data", "pkg.mod:factory", "pkg.mod:factory"),
        ("data", "torchvision:datasets", "torchvision:datasets"),
        ("model", "torchvision:vgg16", None),
        ("model", "torchvision.models:vgg16", "torchvision.models:vgg16"),
        ("model", "ds2:hidden=128", None),
        ("model", "ds2", None),
        ("data", "imagefolder:pets", None),
        ("data", "cifar10:/data/c,val=0.1", None),
        ("model", "größe:mach", "größe:mach"),
        ("seed", "os:system", None),
    ],
)
def test_what_names_code(setting: str, value: str, target: str | None) -> None:
    assert python_target(setting, value) == target
