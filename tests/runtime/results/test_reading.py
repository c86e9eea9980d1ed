"""A run folder read into its answer: arms, verdicts, expectations, flags, and what is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from scipy import stats

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.results.cli import main
from dsd_runtime.results.parts import LayerFlops
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.results import Results
from tests.runtime.results.made_run import FLOPS, made_run

ARMS = """base: dense 2ep lr=0.1
fork seeds=5 {
  dsd: { sparse 50% 1ep lr=0.02; dense 1ep lr=0.01 }
  plain: { dense 1ep lr=0.02; dense 1ep lr=0.01 }
}
"""
PLAIN = [10.0, 11, 12, 13, 14]
DSD = [8.0, 8.9, 9.8, 10.7, 11.6]
P_PAIRED, P_WELCH = stats.ttest_rel(DSD, PLAIN).pvalue, stats.ttest_ind(DSD, PLAIN, equal_var=False).pvalue


def _errors(phase: Phase, epoch: int) -> Mapping[str, float]:
    """`dsd` is 2 points better, give or take, and better at every seed."""
    is_dsd = phase.path.startswith("dsd")
    value = 10.0 + phase.seed_index - (2 + 0.1 * phase.seed_index if is_dsd else 0)
    return {"val.err": value + 1, "test.err": value, "val.loss": value / 10}


def test_a_comparison_is_answered_in_one_sentence(tmp_path: Path) -> None:
    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err", _errors)
    (found,) = read_results(tmp_path).comparisons
    assert found.seeds.n_left == found.seeds.pairs == found.seeds.wins == 5
    assert found.seeds.difference == pytest.approx(-2.2)
    assert found.verdict == (
        "`dsd` is 2.2 points of test.err below `plain` (95% -2.4 to -2, paired t, n = 5, p < 0.001): `dsd` is better; "
        "all seeds start at one checkpoint (`base`), and the answer is about that one; 4 epochs each"
    )


def test_the_default_test_follows_the_random_numbers_of_the_seeds(tmp_path: Path) -> None:
    text = ARMS.replace("seeds=5", "seeds=5 rng=distinct") + "compare dsd vs plain on=test.err"
    made_run(tmp_path, text, _errors)
    assert read_results(tmp_path).comparisons[0].seeds.test == "welch"


def test_several_comparisons_are_adjusted_after_holm(tmp_path: Path) -> None:
    text = ARMS + "compare dsd vs plain on=test.err\ncompare dsd vs plain on=val.err test=welch"
    made_run(tmp_path, text, _errors)
    first, second = (item.seeds for item in read_results(tmp_path).comparisons)
    assert first.p is not None
    assert second.p is not None
    assert first.p_holm == pytest.approx(2 * first.p)
    assert second.p_holm == second.p


def test_direction_comes_from_the_metric(tmp_path: Path) -> None:
    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.acc", lambda *at: {"test.acc": _errors(*at)["test.err"]})
    assert "`plain` is better" in read_results(tmp_path).comparisons[0].verdict


def test_one_seed_has_a_sentence_and_no_p(tmp_path: Path) -> None:
    made_run(tmp_path, ARMS.replace(" seeds=5", "") + "compare dsd vs plain on=test.err", _errors)
    (found,) = read_results(tmp_path).comparisons
    assert found.seeds.p is None
    assert found.verdict == (
        "`dsd` is 2 points of test.err below `plain`; a test over seeds needs at least 2 pairs of seeds, there is 1; "
        "4 epochs each"
    )


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    text = ARMS + "compare dsd vs plain on=test.err\ncompare dsd vs plain on=test.wer\nexpect dsd.test.err < 20"
    made_run(tmp_path, text, _errors, untrained=("plain.seed3", "plain.seed4", "dsd.seed4"))
    found = read_results(tmp_path)
    first, second = found.comparisons
    assert (first.seeds.n_left, first.flags[0]) == (3, "seed 3 is in one arm only and left out")
    assert "cannot be compared on test.wer: `dsd` has no value for seeds 0, 1, 2, 3, 4" in second.verdict
    assert found.expectations[0].verdict == (
        "expected dsd.test.err < 20: not decided, `dsd.seed4` has no `test.err`: its last phase is not trained"
    )
    assert found.holds
    assert not found.finished
    assert found.notes == ("6 of 21 phases are not trained to their end",)


def test_a_value_that_is_not_finite_is_never_tested(tmp_path: Path) -> None:
    def broken(phase: Phase, epoch: int) -> Mapping[str, float | None]:
        return {"test.err": None if phase.path == "dsd.seed2" else _errors(phase, epoch)["test.err"]}

    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err", broken)
    (found,) = read_results(tmp_path).comparisons
    assert found.seeds.p is None
    assert "the metric of seed 2 is not finite" in found.verdict


def test_at_best_takes_the_test_value_at_the_best_validation_value(tmp_path: Path) -> None:
    """Validation is best after epoch 2 of 3, the test value there is not the best test value."""
    values = {1: (5.0, 1.0), 2: (3.0, 7.0), 3: (4.0, 2.0)}

    def measure(phase: Phase, epoch: int) -> Mapping[str, float]:
        return {"val.err": values[epoch][0], "test.err": values[epoch][1] + phase.seed_index}

    text = "fork seeds=2 { a: dense 3ep lr=0.1\n b: dense 3ep lr=0.2 }\ncompare a vs b on=test.err at=best"
    made_run(tmp_path, text, measure)
    arm = read_results(tmp_path).comparisons[0].left
    assert [item.value for item in arm.values] == [7.0, 8.0]


def test_where_no_difference_is_shown_the_seeds_that_would_do_are_told(tmp_path: Path) -> None:
    def measure(phase: Phase, epoch: int) -> Mapping[str, float]:
        is_dsd = phase.path.startswith("dsd")
        return {"test.err": 10.0 + is_dsd * (0.5 if phase.seed_index % 2 else -1)}

    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err", measure)
    [comparison] = read_results(tmp_path).comparisons
    needed = comparison.seeds.seeds_needed
    assert needed is not None
    assert needed > 5
    assert f"no difference shown; {needed} seeds would show one of this size with 80% power" in comparison.verdict


@pytest.mark.parametrize(
    ("condition", "holds", "margin"),
    [
        ("dsd.test.err < plain.test.err", True, -2.2),
        ("dsd.test.err < plain.test.err - 3", False, 0.8),
        ("dsd.test.err < 5%", False, 4.8),
        ("dsd.test.err < 10 and plain.test.err > 11", True, None),
        ("not dsd.test.err < 10", False, None),
        ("dsd.test.err / 0 < 1", None, None),
        ("mean(dsd.test.err) < 5%", False, 4.8),
        ("p(dsd vs plain on=test.err) < 0.05", True, P_PAIRED - 0.05),
        ("p(dsd vs plain on=test.err test=welch) > 0.5", False, P_WELCH - 0.5),
        ("p(dsd vs plain on=test.cer) < 0.05", None, None),
    ],
)
def test_expectations_are_checked_on_the_mean_over_seeds(
    tmp_path: Path, condition: str, holds: bool | None, margin: float | None
) -> None:
    made_run(tmp_path, f"{ARMS}expect {condition}", _errors)
    found = read_results(tmp_path)
    assert found.expectations[0].holds is holds
    assert found.expectations[0].margin == (None if margin is None else pytest.approx(margin))
    assert found.holds is (holds is True), "an expectation that a finished run does not decide is not met"


def test_scale_noise_and_unequal_budgets_are_flagged(tmp_path: Path) -> None:
    text = "fork seeds=2 { a: dense 3ep lr=0.1\n b: dense 4ep lr=0.2 }\ncompare a vs b on=test.err"
    made_run(tmp_path, text, _errors, scale="0.1")
    flags = read_results(tmp_path).comparisons[0].flags
    assert flags == ("every length is scaled by 0.1", "unequal budgets: 3 and 4 epochs")


def flops_of(text: str, folder: Path, *, damaged: bool = False) -> Results:
    """Ten samples a pass, so two of the counted batches; most of `fc.weight` is masked in sparse phases."""
    samples = {phase.id: 10 for phase in dsd_lang.compile(text).phases}
    plan = made_run(folder, text, _errors, flops={**FLOPS, "samples_per_epoch": samples})
    nodes = json.loads((folder / "manifest.json").read_text())["nodes"]
    for phase in plan.phases:
        masked = [[0, {}]] if phase.mode == "dense" else [[0, {"fc.weight": 1.0}], [15, {"fc.weight": 0.2}]]
        said = "[[" if damaged else json.dumps({"masked": masked})
        (folder / "checkpoints" / nodes[phase.id] / "densities.json").write_text(said)
    return read_results(folder)


def test_flops_by_layer_leave_out_what_was_masked_at_each_update(tmp_path: Path) -> None:
    """20 updates: in 15 of them 30 of the 40 weights are masked, in 5 a fifth of those."""
    found = flops_of("dense 2ep lr=1; sparse 50% 2ep", tmp_path)
    dense, sparse = found.phases
    assert (dense.flops_executed, dense.flops_theoretical) == (4 * 221, 4 * 221)
    kept = 1 - (15 * 30 + 5 * 30 * 0.2) / (20 * 40)
    assert sparse.flops_by_layer["fc"] == LayerFlops(executed=800, theoretical=round(800 * kept))
    assert sparse.flops_by_layer["(model)"] == LayerFlops(executed=84, theoretical=84)
    assert (found.cost.flops_executed, found.cost.flops_theoretical) == (8 * 221, 4 * 221 + 84 + round(800 * kept))
    assert found.cost.flops_counted_on == "images 5 x 3"


@pytest.mark.parametrize(("teacher", "forward"), [("@base.end", 107), ('"t.safetensors"', 50)])
def test_the_teacher_of_a_phase_counts_with_its_forward_pass(tmp_path: Path, teacher: str, forward: int) -> None:
    model = ', model="resnet20"' if "safetensors" in teacher else ""
    text = f"base: dense 2ep lr=1; dense 3ep distill={teacher}(alpha=0.5{model})"
    teaching = flops_of(text, tmp_path).phases[1]
    assert teaching.flops_by_layer["(teacher)"] == LayerFlops(executed=6 * forward, theoretical=6 * forward)
    assert teaching.flops_executed == 6 * (221 + forward)


def test_without_its_record_of_masks_a_run_has_executed_flops_only(tmp_path: Path) -> None:
    cost = flops_of("dense 2ep lr=1; sparse 50% 2ep", tmp_path, damaged=True).cost
    assert (cost.flops_executed, cost.flops_theoretical) == (8 * 221, None)


@pytest.mark.parametrize("flops", [None, [], {"samples": 0}, {"samples": 5, "layers": {"fc": 3}}, "many"])
def test_a_run_without_a_record_of_flops_has_none(tmp_path: Path, flops: object) -> None:
    made_run(tmp_path, "dense 2ep lr=1", _errors, flops=flops)
    found = read_results(tmp_path)
    assert (found.cost.flops_executed, found.phases[0].flops_executed) == (None, None)


def test_the_budgets_stand_beside_the_verdict(tmp_path: Path) -> None:
    head = "base: dense 1ep lr=0.1\n"
    arms = "fork seeds=2 { a: dense 3ep lr=0.1\n b: dense 3ep lr=0.2 distill=@base.end(alpha=0.5) }\n"
    found = flops_of(f"{head}{arms}compare a vs b on=test.err", tmp_path / "teacher").comparisons[0]
    assert found.flags[-1] == "unequal budgets: 4 epochs each, 1768 and 2410 FLOPs"
    assert found.flags[-1] in found.verdict
    plain = arms.replace(" distill=@base.end(alpha=0.5)", "")
    equal = flops_of(f"{head}{plain}compare a vs b on=test.err", tmp_path / "plain").comparisons[0]
    assert equal.verdict.endswith("; 4 epochs and 1768 FLOPs each")
    assert not any("budget" in flag for flag in equal.flags)


def test_cost_counts_a_shared_phase_once(tmp_path: Path) -> None:
    text = "fork { a: { dense 2ep lr=1; sparse 50% 2ep }\n b: { dense 2ep lr=1; dense 3ep } }"
    made_run(tmp_path, text, _errors)
    cost = read_results(tmp_path).cost
    assert (cost.epochs, cost.updates, cost.density_weighted_epochs) == (7, 70, 6)
    assert (cost.trained, cost.shared, cost.seconds) == (3, 1, 6.0)


def test_results_survive_json_and_know_their_version(tmp_path: Path) -> None:
    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err\nexpect dsd.test.err < 1", _errors)
    found = read_results(tmp_path)
    assert Results.from_json(found.to_json()) == found
    assert json.loads(found.to_json())["dsd_results"] == 1
    assert "42 points" not in repr(found)
    assert repr(found).startswith(f"<Results of {tmp_path.name}: 21 of 21 phases; `dsd` is 2.2 points")
    for version, words in (
        (9, "is a version 9 results file, and this dsd reads up to version 1"),
        (0, "at `dsd_results`"),
    ):
        with pytest.raises(DsdError, match=words):
            Results.from_json(found.to_json().replace('"dsd_results": 1', f'"dsd_results": {version}'))


def test_results_of_an_earlier_dsd_are_read(tmp_path: Path) -> None:
    """What has been added since stands at its default."""
    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err", _errors)
    text = read_results(tmp_path).to_json()
    earlier = json.loads(text)
    for part in (earlier["cost"], *earlier["phases"]):
        for name in [name for name in part if name.startswith("flops_")]:
            del part[name]
    assert Results.from_json(json.dumps(earlier)) == Results.from_json(text)


def test_the_schema_describes_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    assert main(["--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    found = flops_of(ARMS + "compare dsd vs plain on=test.err\nexpect dsd.test.err < 1", tmp_path)
    jsonschema.validators.validator_for(schema).check_schema(schema)
    jsonschema.validate(json.loads(found.to_json()), schema)
    described = schema["$defs"]["PhaseResult"]["properties"]
    assert described["seconds"]["description"].startswith("How long its training")
    assert schema["properties"]["metrics"]["items"] == {"$ref": "#/$defs/MetricRow"}


def test_metrics_in_long_form_are_a_table(tmp_path: Path) -> None:
    made_run(tmp_path, "dense 2ep lr=1", _errors)
    found = read_results(tmp_path)
    pandas = pytest.importorskip("pandas")
    table = found.metrics.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == ["node", "epoch", "update", "name", "value"]
    assert table[table.name == "test.err"].value.tolist() == [
        row.value for row in found.metrics if row.name == "test.err"
    ]
    assert found.to_pandas().equals(table)


def test_without_a_run_folder_the_tool_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "required: RUN" in capsys.readouterr().err


def test_damage_is_noted_and_the_rest_is_read(tmp_path: Path) -> None:
    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err", _errors)
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + '{"node": 1}\n[]\n{"torn')
    assert read_results(tmp_path).notes == ("3 lines of `metrics.jsonl` are damaged and left out",)
    metrics.unlink()
    found = read_results(tmp_path)
    assert found.notes[0] == "`metrics.jsonl` is missing: nothing was measured yet"
    assert "cannot be compared" in found.comparisons[0].verdict
    (tmp_path / "manifest.json").write_text("{")
    assert "is damaged" in read_results(tmp_path).notes[0]


def test_what_is_no_run_is_refused_and_the_run_that_may_be_meant_is_named(tmp_path: Path) -> None:
    with pytest.raises(DsdError, match="is not a run folder"):
        read_results(tmp_path)
    run, schedule = tmp_path / "x", tmp_path / "a.dsd"
    made_run(run, ARMS, _errors)
    schedule.write_text(ARMS)
    for path, told in (
        (tmp_path, f"there is `{run}`"),
        (run / "metrics.jsonl", f"give its folder, `{run}`"),
        (schedule, f"`dsd-run {schedule}` trains it"),
        (tmp_path / "absent", "the folder that `dsd-run` wrote"),
    ):
        with pytest.raises(DsdError) as caught:
            read_results(path)
        assert told in str(caught.value)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(DsdError, match="damaged"):
        read_results(tmp_path)


def test_results_are_read_without_torch(tmp_path: Path) -> None:
    made_run(tmp_path, ARMS + "compare dsd vs plain on=test.err", _errors)
    code = (
        "import sys, dsd_runtime\n"
        f"found = dsd_runtime.read_results({str(tmp_path)!r})\n"
        "print(found.comparisons[0].seeds.n_left, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "5 False\n"
