"""The scripts and the notebook of `examples/`: short, and they run."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from docs_notebook import executed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NEEDS = {"gpt2_from_scratch": ("transformers", "accelerate"), "lightning_cnn": ("lightning",)}


def lines_of(path: Path) -> int:
    """The lines of a script, or of a notebook's code."""
    if path.suffix == ".py":
        return len(path.read_text(encoding="utf-8").splitlines())
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return sum(len(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def script(name: str) -> ModuleType:
    """An example as a module."""
    for package in NEEDS[name]:
        pytest.importorskip(package, reason=f"needs the extra `{NEEDS[name][0]}`")
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")} == {*NEEDS, "own_loop"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.[pi]*")), ids=lambda path: path.name)
def test_an_example_has_less_than_40_lines(path: Path) -> None:
    assert lines_of(path) < 40


@pytest.mark.slow
@pytest.mark.parametrize(("name", "num_weights"), [("gpt2_from_scratch", 8), ("lightning_cnn", 2)])
def test_a_script_trains_its_whole_schedule(
    name: str, num_weights: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"torch|lightning|transformers|accelerate")
        session = script(name).main(str(tmp_path / "run")).session
    assert session.done
    alive = next(event.details["alive"] for event in session.events if event.kind == "enter" and event.update)
    assert len(alive) == num_weights
    assert list((tmp_path / "run").rglob("main/events.out.*"))


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra `run`")
    notebook = executed(json.loads((EXAMPLES / "own_loop.ipynb").read_text(encoding="utf-8")), tmp_path)
    shown = ["".join(part["text"]) for cell in notebook["cells"] for part in cell.get("outputs", ()) if "text" in part]
    assert shown[0].count("sparsity 80%") == 4
