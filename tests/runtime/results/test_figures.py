"""The figures of a report: which ones a program's shape asks for, and that their numbers are the run's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from made_run import made_run, record_of

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.results.figures import Figure, curves, figure_of, figures_of
from dsd_runtime.results.figures.colours import with_same_colours
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.results import Results

SWEEP = "base: dense 2ep lr=0.1; fork seeds=3 { dsd: { sweep s in 25%, 50% { sparse s 1ep; dense 1ep } } }"
GRID = "dense 1ep lr=0.1; sweep s in 25%, 50%, r in 1e-3, 1e-2 { sparse s 1ep lr=r; dense 1ep }"
TICKETS = """full: dense 4ep lr=0.1
repeat 4 as n {
  fork seeds=2 {
    reinit: sparse 20% of=remaining 4ep from=random
    random_mask: sparse 1 - 0.8^(n+1) 4ep by=random from=@full.start
  }
  ticket: sparse 20% of=remaining 4ep from=@full.start
}"""
DESCENT = "set noise=symmetric(20%)\ndense 2ep lr=0.1\nrepeat 4 { sparse 20% of=remaining 2ep lr=0.1 }"
CYCLES = "dense 2ep lr=0.1; repeat 3 { sparse 50% 1ep; dense 1ep }"
ABLATION = "base: dense 1ep lr=0.1; fork seeds=3 { dsd: { sparse 50% 1ep; dense 1ep }; a: dense 2ep; b: dense 1ep }"
LINES = ("ticket", "reinit", "random_mask")
SHARES = (0.0, 0.2, 0.36, 0.488, 0.59)
PLAIN = "dense 2ep lr=0.1; sparse 50%; dense"


def number_of(phase: Phase) -> int:
    return int(phase.id[1:])


def measure(phase: Phase, epoch: int) -> Mapping[str, float | None]:
    err = 20.0 - number_of(phase) * (1 + 0.1 * phase.seed_index) - epoch
    return {"val.loss": 1.0 + abs(epoch - 2), "val.err": err + 1, "test.err": err}


def run_of(tmp_path: Path, text: str, **manifest: object) -> Results:
    made_run(tmp_path / "run", text, measure, **manifest)
    return read_results(tmp_path / "run")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (SWEEP, ["sensitivity"]),
        (GRID, ["heat map"]),
        (TICKETS, ["tickets", "early stop"]),
        (DESCENT, ["double descent"]),
        (CYCLES, ["gain by cycle"]),
        (ABLATION, ["ablation"]),
        (PLAIN, []),
    ],
)
def test_the_shape_of_a_program_chooses_its_figures(tmp_path: Path, text: str, names: list[str]) -> None:
    noise = {"label_noise": {"noise": "symmetric(20%)"}} if "noise" in text else {}
    results = run_of(tmp_path, text, **noise)
    if "remaining" in text:
        results = with_sparsities(results, SHARES)
    assert [figure.name for figure in figures_of(results)] == names


def with_sparsities(results: Results, shares: Sequence[float]) -> Results:
    """The sparsities of rounds; a made run has the same one in every sparse phase."""
    seen: dict[str, int] = {}
    phases = []
    for phase in results.phases:
        line = phase.path.partition(".")[2] + phase.mode if "#" not in phase.path else phase.path
        seen[line] = seen.get(line, 0) + (phase.mode == "sparse")
        number = int(phase.path.partition("#")[2].partition(".")[0] or 1) if phase.path else seen[line]
        phases.append(phase.model_copy(update={"sparsity": shares[number] if phase.mode == "sparse" else 0.0}))
    return results.model_copy(update={"phases": tuple(phases)})


def drawn(figure: Figure) -> list[dict[str, object]]:
    values: list[dict[str, object]] = figure.spec["data"]["values"]
    return values


def test_sensitivity_has_the_mean_over_the_seeds_at_the_end_of_each_value(tmp_path: Path) -> None:
    results = run_of(tmp_path, SWEEP)
    figure = figure_of(results, "sensitivity")
    ends: dict[str, list[float | None]] = {"0.25": [], "0.5": []}
    for phase in results.phases:
        if phase.mode == "dense" and phase.variables:
            ends[phase.variables["s"]].append(phase.metrics["test.err"])
    assert [row[0] for row in figure.rows] == ["0.25", "0.5"]
    for row in drawn(figure):
        values = [value for value in ends[str(row["label"])] if value is not None]
        assert row["mean"] == pytest.approx(sum(values) / 3)
        assert row["low"] < row["mean"] < row["high"]  # type: ignore[operator]


def test_each_arm_within_a_sweep_has_a_line_of_its_own(tmp_path: Path) -> None:
    text = """sweep s in 25%, 50% {
  fork seeds=3 { dsd: { dense 1ep lr=0.1; sparse s 1ep }; plain: { dense 1ep lr=0.1; dense 1ep } }
}"""
    figure = figure_of(run_of(tmp_path, text), "sensitivity")
    assert [(row["arm"], row["label"], row["seeds"]) for row in drawn(figure)] == [
        ("dsd", "0.25", 3), ("plain", "0.25", 3), ("dsd", "0.5", 3), ("plain", "0.5", 3),
    ]  # fmt: skip
    assert figure.headers[:2] == ("arm", "s")


def test_arms_of_labelled_sweeps_are_lines_under_the_names_of_their_branches(tmp_path: Path) -> None:
    text = """def grid(b) { grid: sweep s in 25%, 50% { dense 1ep lr=0.1; sparse s 1ep by=b } }
fork seeds=2 { magnitude: grid(magnitude); random: grid(random); no: dense 2ep lr=0.1 }"""
    figure = figure_of(run_of(tmp_path, text), "sensitivity")
    assert [(row["arm"], row["label"], row["seeds"]) for row in drawn(figure)] == [
        ("magnitude", "0.25", 2), ("magnitude", "0.5", 2), ("random", "0.25", 2), ("random", "0.5", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(("count", "mark"), [(8, "line"), (9, "rect")])
def test_many_arms_are_rows_of_cells_and_not_lines(tmp_path: Path, count: int, mark: str) -> None:
    arms = "; ".join(f"a{number}: grid()" for number in range(count))
    text = f"def grid() {{ sweep s in 25%, 50% {{ sparse s 1ep lr=0.1 }} }}\nfork {{ {arms} }}"
    figure = figure_of(run_of(tmp_path, text), "sensitivity")
    marks = [layer["mark"]["type"] for layer in figure.spec["layer"]]
    assert mark in marks
    assert len(drawn(figure)) == 2 * count


def test_arms_that_are_not_drawn_take_no_points_from_those_that_are(tmp_path: Path) -> None:
    shares = ", ".join(f"{number / 100}" for number in range(60))
    results = run_of(tmp_path, f"sweep s in {shares} {{ sparse s 30ep lr=0.1 }}")
    figure = next(figure for figure in curves([("run", results)]) if figure.title == "val.err")
    arms = [row["arm"] for row in drawn(figure)]
    assert len(set(arms)) == 10
    assert {arms.count(arm) for arm in set(arms)} == {30}


def test_a_heat_map_has_a_cell_for_each_pair(tmp_path: Path) -> None:
    cells = drawn(figure_of(run_of(tmp_path, GRID), "heat map"))
    assert [(cell["x"], cell["y"]) for cell in cells] == [
        (s, r) for s in ("0.25", "0.5") for r in ("1e-3", "0.01")
    ]  # fmt: skip


def test_tickets_begin_at_the_dense_network_and_have_their_control(tmp_path: Path) -> None:
    figure = figure_of(with_sparsities(run_of(tmp_path, TICKETS), SHARES), "tickets")
    weights = {arm: [row["x"] for row in drawn(figure) if row["arm"] == arm] for arm in LINES}
    assert all(weights[arm] == [100, 80, 64, 51.2, 41] for arm in LINES)


def test_a_line_that_is_a_part_of_another_is_drawn_once(tmp_path: Path) -> None:
    """`dip` trains nothing of its own: it is the first rounds of `vanilla`."""
    text = """set noise=symmetric(20%)
fork {
  dip: { dense 2ep lr=0.1; repeat 3 { sparse 20% of=remaining 2ep lr=0.1 } }
  vanilla: { dense 2ep lr=0.1; repeat 5 { sparse 20% of=remaining 2ep lr=0.1 } }
}"""
    results = run_of(tmp_path, text, label_noise={"noise": "symmetric(20%)"})
    shares = {phase.id: 1 - 0.8 ** int(phase.id[1:]) for phase in results.phases}
    phases = [phase.model_copy(update={"sparsity": shares[phase.id]}) for phase in results.phases]
    figure = figure_of(results.model_copy(update={"phases": tuple(phases)}), "double descent")
    assert {row["arm"] for row in drawn(figure)} == {"vanilla"}


def test_the_early_stop_is_the_update_with_the_smallest_validation_loss(tmp_path: Path) -> None:
    figure = figure_of(with_sparsities(run_of(tmp_path, TICKETS), SHARES), "early stop")
    assert {row["mean"] for row in drawn(figure)} == {20.0}


def test_a_gain_is_positive_where_the_error_falls(tmp_path: Path) -> None:
    rows = drawn(figure_of(run_of(tmp_path, CYCLES), "gain by cycle"))
    assert [(row["cycle"], row["mean"]) for row in rows] == [(1, 1.0), (2, 2.0), (3, 2.0)]


def test_an_ablation_has_every_other_arm_with_its_interval(tmp_path: Path) -> None:
    figure = figure_of(run_of(tmp_path, ABLATION), "ablation")
    assert [row["arm"] for row in drawn(figure)] == ["a", "b"]
    assert all("low" in row for row in drawn(figure))


@pytest.mark.parametrize(
    ("text", "panels"),
    [
        (PLAIN, ["before p1", "p1 begins", "p1 ends", "p2 begins", "p2 ends"]),  # the five of the paper's Figure 2
        ("dense 1ep lr=0.1; S: sparse 50%; T: sparse 70%", ["before S", "S begins", "before T", "T begins", "T ends"]),
    ],
)
def test_weights_are_drawn_once_at_each_side_of_a_boundary(tmp_path: Path, text: str, panels: list[str]) -> None:
    rows = drawn(figure_of(run_of(tmp_path, text, records=record_of), "weights"))
    for layer in ("all layers", "a", "b"):
        assert [row["panel"] for row in rows if row["layer"] == layer] == panels
    assert rows[0]["pruned"] == [0, 40, 0]
    assert (rows[1]["zeros"], rows[1]["all"]) == (40, 100)


def test_of_many_boundaries_the_first_and_the_last_are_drawn_and_the_report_stays_small(tmp_path: Path) -> None:
    text = "dense 1ep lr=0.1; fork seeds=2 { a: { repeat 20 { sparse 50% 1ep; dense 1ep } }; b: dense 1ep }"
    figure = figure_of(run_of(tmp_path, text, records=record_of), "weights")
    panels = [row["panel"] for row in drawn(figure) if row["layer"] == "all layers" and row["branch"] == "a"]
    assert panels[0] == "before p1"
    assert panels[-1] == "p40 ends"
    assert len(panels) <= 12
    assert len(figure.rows) == len(drawn(figure))


def test_layers_are_drawn_where_they_are_not_pruned_alike(tmp_path: Path) -> None:
    results = run_of(tmp_path, PLAIN, records=record_of)
    rows = drawn(figure_of(results, "alive by layer"))
    found = [(row["phase"], row["layer"], row["value"]) for row in rows]
    assert found[2:4] == [("p1", "a", 50.0), ("p1", "b", 80.0)]
    alike = tuple(phase.model_copy(update={"layers": {}}) for phase in results.phases)
    assert "alive by layer" not in [figure.name for figure in figures_of(results.model_copy(update={"phases": alike}))]


def test_entropy_by_layer_has_every_layer_of_every_phase(tmp_path: Path) -> None:
    rows = figure_of(run_of(tmp_path, PLAIN, records=record_of), "entropy by layer").rows
    assert rows == tuple(("main line", phase, "0.5", "0.25") for phase in ("p0", "p1", "p2"))


def test_overlaps_are_counted_by_sparse_phase(tmp_path: Path) -> None:
    rows = drawn(figure_of(run_of(tmp_path, CYCLES, records=record_of), "mask overlap"))
    assert [(row["number"], row["mean"], row["chance"]) for row in rows] == [(2, 75.0, 50.0), (3, 75.0, 50.0)]


def test_a_run_of_an_earlier_version_has_no_such_figures(tmp_path: Path) -> None:
    names = [figure.name for figure in figures_of(run_of(tmp_path, CYCLES))]
    assert not {"weights", "alive by layer", "entropy by layer", "mask overlap"} & set(names)


def test_a_curve_draws_what_branches_share_once(tmp_path: Path) -> None:
    """`b` repeats the dense phase of `a`, which is one training, and goes on from its end."""
    text = "fork { a: { dense 3ep lr=0.1; sparse 50% 2ep }; b: { dense 3ep lr=0.1; dense 2ep } }"
    figure = next(figure for figure in curves([("run", run_of(tmp_path, text))]) if figure.title == "val.err")
    epochs = {arm: [row["epoch"] for row in drawn(figure) if row["arm"] == arm] for arm in ("a", "b")}
    assert epochs == {"a": [1, 2, 3, 4, 5], "b": [3, 4, 5]}


def test_a_curve_of_many_phases_has_fewer_points_in_each(tmp_path: Path) -> None:
    text = "dense 20ep lr=0.1; repeat 40 { sparse 20% of=remaining 20ep lr=0.1 }"
    figure = next(figure for figure in curves([("run", run_of(tmp_path, text))]) if figure.title == "val.err")
    epochs = [row["epoch"] for row in drawn(figure)]
    assert len(epochs) == len(figure.rows) <= 500
    assert {20.0 * (number + 1) for number in range(41)} <= set(epochs)


def test_a_curve_goes_on_along_the_line_and_starts_where_its_trunk_ends(tmp_path: Path) -> None:
    [curve] = [one for one in curves([("run", run_of(tmp_path, ABLATION))]) if one.name == "curve val.err"]
    epochs = {arm: [row["epoch"] for row in drawn(curve) if row["arm"] == arm] for arm in ("base", "dsd", "a")}
    assert epochs == {"base": [1.0], "dsd": [1.0, 2.0, 3.0], "a": [1.0, 2.0, 3.0]}


def test_several_runs_are_drawn_into_one_curve(tmp_path: Path) -> None:
    results = run_of(tmp_path, PLAIN)
    [curve] = [one for one in curves([("one", results), ("two", results)]) if one.name == "curve test.err"]
    assert {row["arm"] for row in drawn(curve)} == {"one: main line", "two: main line"}


def test_results_give_a_figure_as_vega_lite_and_name_those_they_have(tmp_path: Path) -> None:
    results = run_of(tmp_path, CYCLES)
    assert results.figure("gain by cycle")["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
    with pytest.raises(DsdError) as failure:
        results.figure("heat")
    assert "no figure `heat`" in failure.value.message


def test_an_arm_has_the_same_colour_in_every_figure(tmp_path: Path) -> None:
    results = run_of(tmp_path, "dense 2ep; fork { b: { sparse 20% 2ep; dense 2ep }; a: { sparse 30% 2ep; dense 2ep } }")
    first, *others = curves([("", results)])
    backwards = first._replace(spec={**first.spec, "data": {"values": drawn(first)[::-1]}})
    found = with_same_colours([backwards, *others])
    scales = [json.dumps(figure.spec["layer"][0]["encoding"]["color"]["scale"]) for figure in found]
    assert set(scales) == {json.dumps({"domain": list(dict.fromkeys(str(row["arm"]) for row in drawn(backwards)))})}
    alone = with_same_colours([first, first._replace(spec={**first.spec, "data": {"values": drawn(first)[:1]}})])[1]
    assert alone.spec["layer"][0]["encoding"]["color"]["legend"]["values"] == [drawn(first)[0]["arm"]]
    many = first._replace(spec={**first.spec, "data": {"values": [{"arm": f"a{number}"} for number in range(11)]}})
    assert with_same_colours([first, many]) == [first, many], "there are ten colours"


@pytest.mark.parametrize("text", [SWEEP, GRID, TICKETS, DESCENT, CYCLES, ABLATION, PLAIN])
def test_an_untrained_run_has_no_figures(tmp_path: Path, text: str) -> None:
    made_run(tmp_path, text, measure, untrained=tuple(f"p{number}" for number in range(60)))
    results = read_results(tmp_path)
    assert [*figures_of(results), *curves([("run", results)])] == []
