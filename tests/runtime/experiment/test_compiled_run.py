"""`dsd-run --compile`: a boundary compiles nothing again, because masks and optimizer are outside of the graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from dsd_runtime.cli import main

FIRST = "dense 1ep lr=0.05"


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets the number of inputs of every graph that torch compiles; a graph is run as it is, without a C++ compiler."""
    found: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        found.append(len(inputs))
        return graph.forward

    usual = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model: usual(model, backend=backend))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "rest"),
    [
        ("lenet_300_100", "sparse 50% 1ep; dense 1ep"),
        ("conv2", "sparse 0->80% every=4it 1ep clip=1 wd=1e-4; dense restore=saved state=reset 1ep"),
    ],
)
def test_boundaries_and_ramps_compile_nothing_again(
    tmp_path: Path, compilations: list[int], model: str, rest: str
) -> None:
    def number(text: str) -> int:
        torch._dynamo.reset()
        compilations.clear()
        (tmp_path / "a.dsd").write_text(text)
        flags = ("--model", model, "--data", "digits", "--device", "cpu", "--progress", "none", "--compile", "--fresh")
        assert main([str(tmp_path / "a.dsd"), *flags, "--out", str(tmp_path / "run")]) == 0
        return len(compilations)

    of_first = number(FIRST)
    assert of_first == 2  # a whole batch, and the last one of a pass, which is smaller
    assert number(f"{FIRST}; {rest}") == of_first
