"""A factory of the user's own that fails is one sentence with its name, the error and the place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.registry import open_data
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.models.registry import build_model

TRAITS = DataTraits("classification", num_classes=3, image_shape=(1, 8, 8))
SOURCE = """
from dsd_lang.base.errors import DsdError

def fails(size=8):
    raise ValueError(f"no such size:\\n  {size}")

def refuses():
    raise DsdError("the disk `x` is not mounted", help="mount it")
"""


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "failing_factories.py").write_text(SOURCE)
    (tmp_path / "broken_factories.py").write_text("import torch\nx = = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("failing_factories", "broken_factories"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("make", [lambda name: build_model(name, TRAITS), open_data], ids=["model", "data"])
def test_what_a_factory_raises_is_told_in_a_sentence(make) -> None:
    with pytest.raises(DsdError) as caught:
        make("failing_factories:fails,size=12")
    assert caught.value.message == "the factory `failing_factories:fails` failed: ValueError: no such size: 12"
    assert "failing_factories.py, line 5" in (caught.value.help or "")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(DsdError, match="the module `broken_factories` cannot be imported: SyntaxError"):
        make("broken_factories:any")
    with pytest.raises(DsdError) as caught:
        make("failing_factories:refuses")
    assert caught.value.message == "the disk `x` is not mounted"
