"""Without the package of an integration, one sentence says which extra brings it."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from dsd_runtime.integrations.missing import missing_package


@pytest.mark.parametrize(
    ("package", "missing"),
    [("lightning", "lightning"), ("transformers", "transformers"), ("transformers", "accelerate")],
)
def test_the_extra_is_named(package: str, missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, f"dsd_runtime.integrations.{package}", raising=False)
    with pytest.raises(ModuleNotFoundError) as caught:
        import_module(f"dsd_runtime.integrations.{package}")
    assert str(caught.value) == (
        f"`dsd_runtime.integrations.{package}` needs `{missing}`, which is not installed: "
        f"pip install 'dsd-lang[{package}]'"
    )


def test_another_missing_package_keeps_its_own_error() -> None:
    error = ModuleNotFoundError("no jax", name="jax")
    assert missing_package("lightning", error) is error
