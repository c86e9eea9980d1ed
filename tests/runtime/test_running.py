"""`dsd_runtime.run`: the same as `dsd-run`, with live models and data, exceptions, and nothing left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import dsd_lang
import dsd_runtime
from dsd_lang.base.errors import DsdError
from dsd_runtime.cli import build_parser, main
from dsd_runtime.experiment.stopping import StopRequest
from dsd_runtime.storage.checkpoint import weights_fingerprint

TEXT = "a: dense 1ep lr=0.05\nb: sparse 50% 1ep"
CLAIM = f"{TEXT}\nfork {{ x: dense 1it lr=0.05\n y: dense 2it lr=0.05 }}\nexpect x.test.err < y.test.err + 100"
SMALL: dict[str, Any] = {"model": "lenet_300_100", "progress": "none", "threads": 1}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def weights(folder: Path) -> str:
    from safetensors.torch import load_file

    return weights_fingerprint(load_file(folder / "final.safetensors"))


def small_net(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, num_classes))


def datasets() -> tuple[TensorDataset, TensorDataset]:
    inputs = torch.randn(60, 64, generator=torch.Generator().manual_seed(0))
    pairs = TensorDataset(inputs, (inputs[:, 0] > 0).long())
    return pairs, pairs


def test_it_is_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = tmp_path / "a.dsd"
    schedule.write_text(CLAIM)
    found = dsd_runtime.run(schedule, out=tmp_path / "x", seed=3, set={"batch": 40, "opt": "sgd"}, **SMALL)
    words = ["--model", "lenet_300_100", "--progress", "none", "--threads", "1", "--seed", "3"]
    words += ["--set", "batch=40", "--set", "opt=sgd", "--out", str(tmp_path / "y")]
    assert capsys.readouterr().out == ""
    assert main([str(schedule), *words]) == 0
    assert weights(tmp_path / "x") == weights(tmp_path / "y")
    assert found.finished
    assert found.expectations[0].holds
    assert [phase.label for phase in found.phases] == ["a", "b", None, None]
    assert found.provenance.command[:2] == ("dsd-run", str(schedule))
    assert main([*found.provenance.command[1:], "--resume"]) == 0, "the command that it notes is one"


def test_every_flag_that_leads_to_results_is_a_keyword(tmp_path: Path) -> None:
    from dsd_runtime.running import _known_flags

    flags = {flag for action in build_parser()._actions for flag in action.option_strings if flag.startswith("--")}
    left_out = {"--help", "--version", "--list-models", "--list-data", "--evaluate", "--dry-run", "--json"}
    left_out |= {"--shard", "--sync-batchnorm"}  # of processes that `torchrun` starts
    assert set(_known_flags().values()) == flags - left_out
    found = dsd_runtime.run(
        TEXT, data="digits", out=tmp_path / "run", scale=0.5, device="cpu", precision="fp32", compile=False, workers=0,
        resume=None, fresh=True, save_every=5, write_layers=tmp_path / "layers.json", trust_schedule=True,
        no_predictions=True, seed=None, **SMALL,
    )  # fmt: skip
    assert found.provenance.scale == "0.5"
    assert (tmp_path / "layers.json").is_file()


@pytest.mark.parametrize(
    ("schedule", "keywords", "words"),
    [
        (TEXT, {"modle": "ds1"}, "run() has no keyword `modle`\n  = help: did you mean `model=`?"),
        (TEXT, {"json": True}, "run() has no keyword `json`"),
        (TEXT, {"model": "lenet_300_10"}, "did you mean `lenet_300_100`?"),
        (TEXT, {"model": nn.Linear(1, 1)}, "give a function that builds it"),
        (TEXT, {"model": 3}, "`model=` is a `int`"),
        (TEXT, {"model_key": "a"}, "leave it out for a model given by name"),
        (TEXT, {"data": 3}, "`data` gave a `int` that lacks `name`"),
        (TEXT, {"model": small_net}, "a model factory needs a data set"),
        (TEXT, {"seed": "x"}, "run(): argument --seed: invalid int value: 'x'"),
        (TEXT, {"seed": -1}, "`--seed -1` is below 0"),
        (TEXT, {"threads": 0}, "`--threads 0` is below 1"),
        (TEXT, {"fresh": True, "resume": True}, "not allowed with argument"),
        (TEXT, {"fresh": "yes"}, "`fresh=` is True or False, not `yes`"),
        (TEXT, {"set": "lr=1"}, "`set=` is a dict of settings"),
        (TEXT, {"precision": ["fp32"]}, "`precision=` is a text or a number"),
        (TEXT, {"device": "tpu"}, "invalid choice: 'tpu'"),
        (TEXT, {"out": "/dev/null/run"}, "cannot write to `/dev/null/run`"),
        (TEXT, {"out": None}, 'give one, such as out="runs/first"'),
        ("dense 5ep sparse 0.5", {}, "DSD102"),
        ("dense 1ep lr=0.1; sparse 50% layers=conv", {}, "this model has: fc (3)"),
        ("no_such_schedule", {}, "`no_such_schedule` is not a file or a bundled schedule"),
        ("a folder/none.dsd", {}, "`a folder/none.dsd` cannot be read"),
        (3, {}, "the schedule is a `int`"),
        (dsd_lang.compile(TEXT), {"set": {"lr": 1}}, "a plan has its settings already"),
    ],
)
def test_a_mistake_is_one_exception_with_a_sentence(
    tmp_path: Path, schedule: Any, keywords: dict[str, Any], words: str
) -> None:
    before = torch.get_rng_state()
    with pytest.raises(DsdError) as caught:
        dsd_runtime.run(schedule, **{"out": tmp_path / "run", **SMALL, **keywords})
    assert words in str(caught.value)
    assert torch.equal(torch.get_rng_state(), before)


def test_text_file_name_and_plan_train_the_same(tmp_path: Path) -> None:
    (tmp_path / "with blank").mkdir()
    file = tmp_path / "with blank" / "a.dsd"
    file.write_text(TEXT)
    ways: dict[str, Any] = {"text": TEXT, "path": file, "name": str(file), "plan": dsd_lang.compile_file(file)}
    found = {way: dsd_runtime.run(one, out=tmp_path / way, **SMALL) for way, one in ways.items()}
    assert len({weights(tmp_path / way) for way in ways}) == 1
    assert found["text"].provenance.schedule_text == TEXT
    assert found["plan"].provenance.plan_hash == found["text"].provenance.plan_hash


def test_a_second_run_in_the_folder_uses_what_is_trained(tmp_path: Path) -> None:
    first = dsd_runtime.run(TEXT, out=tmp_path / "run", **SMALL)
    again = dsd_runtime.run(TEXT, out=tmp_path / "run", **SMALL)
    assert again.phases == first.phases
    assert again.metrics == first.metrics
    longer = dsd_runtime.run(TEXT.replace("sparse 50%", "sparse 60%"), out=tmp_path / "run", **SMALL)
    assert longer.phases[0] == first.phases[0]
    file = tmp_path / "other.dsd"
    file.write_text("dense 1it lr=0.3")
    with pytest.raises(DsdError, match=r"holds a run of `<text>`, and this is `other.dsd`"):
        dsd_runtime.run(file, out=tmp_path / "run", **SMALL)


# --- live models and data ---------------------------------------------------------------------------------------------


def live(folder: Path, model: Any, **more: Any) -> dsd_runtime.Results:
    options = {**SMALL, "model": model, "data": datasets(), **more}
    return dsd_runtime.run("dense 2ep lr=0.1; sparse 50%", out=folder, **options)


def test_a_function_and_datasets(tmp_path: Path) -> None:
    found = live(tmp_path / "a", small_net)
    assert found.provenance.model == f"{__name__}:small_net"
    assert found.phases[1].sparsity == 0.5
    assert found.provenance.data_fingerprint == live(tmp_path / "b", small_net).provenance.data_fingerprint


class Scaled(nn.Module):
    def __init__(self, num_classes: int, width: int = 8) -> None:
        super().__init__()
        self.fc = nn.Linear(64, width)
        self.out = nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(torch.relu(self.fc(inputs)))


def captured(dropout: float) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(nn.Linear(64, 5), nn.Dropout(dropout), nn.Linear(5, 2))


def defined(text: str) -> Any:
    """The `net` of a notebook's cell, whose source is known."""
    import linecache

    name = f"<cell {hash(text)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(True), name)
    space: dict[str, Any] = {"__name__": "__main__", "nn": nn}
    exec(compile(text, name, "exec"), space)
    return space["net"]


CELL = """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 2)

    def forward(self, inputs):
        return self.fc(inputs) * 1

net = Net
"""


@pytest.mark.parametrize(
    ("model", "other"),
    [
        (partial(Scaled, width=8), partial(Scaled, width=9)),
        (captured(0.1), captured(0.2)),
        (defined(CELL), defined(CELL.replace("* 1", "* 2"))),
        (Scaled, small_net),
    ],
    ids=["arguments", "captured", "another forward", "another class"],
)
def test_what_another_function_trained_is_not_taken_for_its_own(tmp_path: Path, model: Any, other: Any) -> None:
    first = live(tmp_path, model)
    assert live(tmp_path, model).phases == first.phases
    second = live(tmp_path, other)
    assert not {phase.node for phase in first.phases} & {phase.node for phase in second.phases}


def test_a_function_without_a_source_needs_a_key(tmp_path: Path) -> None:
    space: dict[str, Any] = {"nn": nn}
    exec("def net(): return nn.Linear(64, 2)", space)
    with pytest.raises(DsdError, match=r'name it by `model_key="\.\.\."`'):
        live(tmp_path, space["net"])
    first = live(tmp_path, space["net"], model_key="one")
    assert live(tmp_path, space["net"], model_key="one").phases == first.phases
    assert live(tmp_path, space["net"], model_key="two").phases[0].node != first.phases[0].node


def test_what_a_factory_or_its_model_raises_is_seen_as_it_is(tmp_path: Path) -> None:
    def broken() -> nn.Module:
        raise ZeroDivisionError("no such width")

    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            raise KeyError("attention")

    with pytest.raises(DsdError, match="failed: ZeroDivisionError: no such width") as caught:
        live(tmp_path, broken)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(KeyError, match="attention"):
        live(tmp_path, Breaks)
    with pytest.raises(DsdError, match="gave a `int`"):
        live(tmp_path, lambda: 3)


# --- the process ------------------------------------------------------------------------------------------------------


def test_runs_of_one_process_give_the_numbers_of_new_ones_and_leave_it_as_it_was(tmp_path: Path) -> None:
    program = (
        "import sys, dsd_runtime\n"
        f"dsd_runtime.run({TEXT!r}, model='lenet_300_100', out=sys.argv[1], progress='none', threads=1)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "new")], check=True, env=environment)
    torch.manual_seed(1)
    states = [torch.get_rng_state(), random.getstate(), repr(np.random.get_state())]
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            for name in ("first", "second"):
                dsd_runtime.run(TEXT, out=tmp_path / name, **SMALL)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert weights(tmp_path / "first") == weights(tmp_path / "second") == weights(tmp_path / "new")
    assert torch.equal(torch.get_rng_state(), states[0])
    assert [random.getstate(), repr(np.random.get_state())] == states[1:]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert torch.get_num_threads() == 1


def test_ctrl_c_saves_and_the_same_call_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dsd_runtime.run(TEXT, out=tmp_path / "whole", **SMALL)
    handler = signal.getsignal(signal.SIGINT)  # a shell's background job ignores it
    asked = iter(range(1000))
    stops = StopRequest.__call__

    def with_ctrl_c(self: StopRequest) -> bool:
        if next(asked) == 30:
            signal.raise_signal(signal.SIGINT)
        return stops(self)

    with monkeypatch.context() as patch:
        patch.setattr(StopRequest, "__call__", with_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            dsd_runtime.run(TEXT, out=tmp_path / "run", **SMALL)
    assert signal.getsignal(signal.SIGINT) is handler
    part = dsd_runtime.read_results(tmp_path / "run")
    assert [phase.state.partition(" ")[0] for phase in part.phases] == ["trained", "unfinished"]
    dsd_runtime.run(TEXT, out=tmp_path / "run", **SMALL)
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_it_runs_in_a_thread_of_a_program(tmp_path: Path) -> None:
    found: list[dsd_runtime.Results] = []
    thread = threading.Thread(target=lambda: found.append(dsd_runtime.run(TEXT, out=tmp_path / "run", **SMALL)))
    thread.start()
    thread.join()
    assert found[0].finished


def test_reading_and_asking_wrongly_load_no_torch() -> None:
    program = (
        "import sys, dsd_runtime\n"
        "dsd_runtime.read_results, dsd_runtime.Results, dsd_runtime.run\n"
        "try: dsd_runtime.run('dense 1', model='ds1', out='x')\n"
        "except dsd_runtime.running.DsdError as error: print('DSD402' in str(error), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


# --- build_model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "size"),
    [
        ("ds1", None, 8_139_805),
        ("lenet_300_100", None, 266_610),
        ("resnet20", None, 269_722),
        ("resnet20", "digits", 269_434),
        ("resnet20:classes=7", "digits", 269_434 - 3 * 65),
    ],
)
def test_a_catalogue_model_has_the_papers_sizes_or_those_of_data(name: str, data: str | None, size: int) -> None:
    model = dsd_runtime.build_model(name, data=data)
    assert sum(weight.numel() for weight in model.parameters()) == size
    assert model.training


def test_a_catalogue_model_for_live_data_draws_from_torchs_generator() -> None:
    source = dsd_runtime.data.registry.live_source(datasets())
    with pytest.raises(DsdError, match="takes images, and the data has feature vectors"):
        dsd_runtime.build_model("resnet20", data=source)
    torch.manual_seed(5)
    first = dsd_runtime.build_model("conv2").state_dict()
    torch.manual_seed(5)
    assert weights_fingerprint(dsd_runtime.build_model("conv2").state_dict()) == weights_fingerprint(first)


@pytest.mark.parametrize(("name", "words"), [("resnet21", "did you mean `resnet20`"), ("ds1:hiden=3", "`hidden`")])
def test_a_wrong_name_or_option_is_a_sentence(name: str, words: str) -> None:
    with pytest.raises(DsdError) as caught:
        dsd_runtime.build_model(name)
    assert words in str(caught.value)


def test_a_network_that_came_pruned_is_tuned_with_its_zeros(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    torch.manual_seed(0)
    pruned = dsd_runtime.build_model("lenet_300_100", data="digits").state_dict()
    weights = {name: torch.where(value.abs() < 0.05, 0, value) for name, value in pruned.items()}
    save_file(weights, tmp_path / "pruned.safetensors")
    text = f'sparse held masks=current from="{tmp_path}/pruned.safetensors" 1ep lr=0.05'
    results = dsd_runtime.run(text, out=tmp_path / "run", **SMALL)
    final = load_file(tmp_path / "run" / "final.safetensors")
    matrices = [name for name, value in weights.items() if value.dim() == 2]
    zeros = {name: int((weights[name] == 0).sum()) for name in matrices}
    assert {name: int((final[name] == 0).sum()) for name in matrices} == zeros
    assert results.phases[0].sparsity == pytest.approx(sum(zeros.values()) / sum(weights[n].numel() for n in matrices))
    assert not any(torch.equal(final[name], weights[name]) for name in matrices)
