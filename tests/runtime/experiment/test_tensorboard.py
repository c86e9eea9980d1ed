"""What a run leaves for TensorBoard: scalars by line, weights on both sides of boundaries, graph, hyper-parameters."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from .conftest import DSD, Run

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def _read(folder: Path) -> Any:
    accumulator = event_accumulator.EventAccumulator(str(folder), size_guidance={"histograms": 0, "scalars": 0})
    accumulator.Reload()
    return accumulator


def _points(accumulator: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value, abs=1e-6)) for event in accumulator.Scalars(tag)]


def test_curves_come_first_and_nothing_is_drawn_twice(dsd_run: Run) -> None:
    tags = _read(dsd_run(DSD).folder / "events" / "main").Tags()["scalars"]
    curves = {f"curves/{name}" for name in ("loss", "lr", "val.loss", "val.err", "test.loss", "test.err")}
    optional = {"curves/val.top5_err", "curves/test.top5_err"}
    assert curves <= {tag for tag in tags if tag.startswith("curves/")} <= curves | optional
    assert min(tags) in curves
    assert all(tag.startswith(("curves/", "sparsity/")) for tag in tags)


def test_what_jumps_is_drawn_as_a_step(dsd_run: Run) -> None:
    """TensorBoard joins points by straight lines: a jump needs a point on both of its sides."""
    main = _read(
        dsd_run("dense 2ep lr=0.05\nsparse 50% 2ep lr=0.01 decay=step(1ep, by=0.5)\ndense 1ep").folder / "events/main"
    )
    sparsity = _points(main, "sparsity/total")
    assert [point for point in sparsity if point[0] == 42] == [(42, 0.0), (42, 0.5)]
    assert [point for point in sparsity if point[0] == 84] == [(84, 0.5), (84, 0.0)]
    rates = _points(main, "curves/lr")
    for step, before, after in ((42, 0.05, 0.01), (63, 0.01, 0.005)):
        assert [point for point in rates if point[0] == step][-2:] == [(step, before), (step, after)]


def test_a_ramp_is_a_staircase(dsd_run: Run) -> None:
    main = _read(dsd_run("dense 1ep lr=0.05\nsparse 0->80% every=10it 2ep").folder / "events" / "main")
    points = [(event.step, event.value) for event in main.Scalars("sparsity/total")]
    jumps = {step for step, value in points if {other for at, other in points if at == step} - {value}}
    assert len(jumps) >= 3
    assert all(later[0] == earlier[0] or later[1] == earlier[1] for earlier, later in pairwise(points))


def test_one_tag_a_weight_over_all_boundaries(dsd_run: Run) -> None:
    main = _read(dsd_run(DSD).folder / "events" / "main")
    tags = main.Tags()["histograms"]
    assert len(tags) == 3
    assert all(tag.startswith("weights/") for tag in tags)
    found = {event.step: event.histogram_value for event in main.Histograms(tags[0])}
    assert sorted(found) == [0, 1, 42, 43, 84, 85, 126]
    before, after = found[42], found[43]
    assert before.num == after.num
    middle = max(range(len(after.bucket)), key=lambda index: after.bucket[index])
    assert after.bucket[middle] >= 0.5 * after.num > before.bucket[middle]
    assert any(tag.startswith("plan/graph") for tag in main.Tags()["tensors"])


def test_the_plan_stands_in_one_of_many_branches(dsd_run: Run) -> None:
    """It grows with the branches, so in each of them it would grow with their square."""
    events = dsd_run("dense 1it lr=0.05\nsweep s in 10%, 20%, 30% { sparse s 1it }").folder / "events"
    lines = [folder for folder in events.iterdir() if folder.is_dir()]
    with_plan = [
        line.name for line in lines if any(tag.startswith("plan/json") for tag in _read(line).Tags()["tensors"])
    ]
    assert len(lines) == 4
    assert with_plan == ["main"]


def test_hyper_parameters_name_the_curves(dsd_run: Run) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    outcome = dsd_run(DSD)
    main = _read(outcome.folder / "events" / "main")
    contents = main.PluginTagToContent("hparams")
    experiment = plugin_data_pb2.HParamsPluginData.FromString(contents["_hparams_/experiment"]).experiment
    assert {info.name.tag for info in experiment.metric_infos} == {"curves/val.err", "curves/test.err"}
    started = plugin_data_pb2.HParamsPluginData.FromString(contents["_hparams_/session_start_info"])
    values = started.session_start_info.hparams
    assert values["optimizer"].string_value == "sgd(momentum=0.9, nesterov=on)"
    assert values["lr"].number_value == 0.05
    assert values["batch"].number_value == 60
    assert [path.name for path in (outcome.folder / "events").iterdir()] == ["main"], "no run of its own for them"


def test_each_branch_has_its_own_line(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05\nfork {\n  a: sparse 50% 1ep\n  b: dense 1ep\n}")
    names = {path.name for path in (outcome.folder / "events").iterdir()}
    assert names == {"main", "a", "b"}
    steps = [event.step for event in _read(outcome.folder / "events" / "a").Scalars("curves/val.loss")]
    assert steps == [42]


def test_a_run_that_is_started_again_shows_each_point_once(dsd_run: Run) -> None:
    """What a retrained phase wrote before is purged; the end of the phase before it, at the same step, stays."""
    dsd_run(DSD)
    outcome = dsd_run(DSD.replace("d1: dense 2ep", "d1: dense 3ep"))
    steps = [event.step for event in _read(outcome.folder / "events" / "main").Scalars("curves/val.loss")]
    assert steps == [21 * epoch for epoch in range(1, 8)]
    outcome = dsd_run(DSD.replace("lr=0.05", "lr=0.04"))
    steps = [event.step for event in _read(outcome.folder / "events" / "main").Scalars("curves/val.loss")]
    assert steps == [21 * epoch for epoch in range(1, 7)]


def test_a_branch_called_main(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05\nfork { main: sparse 50% 1ep\n b: dense 1ep }")
    assert {path.name for path in (outcome.folder / "events").iterdir()} == {"main", "branch_main", "b"}


def test_curves_of_what_an_edit_took_away_are_gone(dsd_run: Run) -> None:
    dsd_run("a: dense 1ep lr=0.05\nb: dense 2ep\nfork { x: dense 1ep\n y: dense 1ep lr=0.01 }")
    outcome = dsd_run("a: dense 1ep lr=0.05\nfork { x: dense 2ep lr=0.02 }")
    events = outcome.folder / "events"
    assert {path.name for path in events.iterdir()} == {"main", "x"}
    assert [event.step for event in _read(events / "main").Scalars("curves/val.loss")] == [21]
    assert [event.step for event in _read(events / "x").Scalars("curves/val.loss")] == [42, 63]
