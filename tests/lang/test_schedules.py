"""The schedules of the repository say what the papers' tables say."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.base.units import exact
from dsd_lang.plan import Phase, Plan

FOLDER = Path(__file__).resolve().parents[2] / "schedules"
PARTS = FOLDER / "common.dsd"  # `def`s for the others
FILES = sorted(set(FOLDER.rglob("*.dsd")) - {PARTS})


def plan_of(name: str) -> Plan:
    return dsd_lang.compile_file(FOLDER / f"{name}.dsd")


def line_of(name: str, branch: str = "") -> tuple[Phase, ...]:
    """The phases from the root to the end of a branch (of the main line for "")."""
    return plan_of(name).branch(branch).phases


def epochs(phases: tuple[Phase, ...]) -> list[Fraction]:
    assert {phase.duration.unit for phase in phases} == {"ep"}
    return [exact(phase.duration.value) for phase in phases]


def pruned(phase: Phase) -> Fraction:
    return exact(phase.target.pruned or "0") if phase.target is not None else Fraction(0)


def fractions(text: str) -> list[Fraction]:
    return [exact(word) for word in text.split()]


def test_every_schedule_is_here() -> None:
    systems = {"googlenet", "vgg16", "resnet", "neuraltalk", "deepspeech", "deepspeech2", "resnet20_significance"}
    methods = {"acdc", "gmp", "lottery_ticket", "one_shot", "rewinding", "sparse_double_descent"}
    studies = {"ablation", "diminishing", "quickstart", "sensitivity"}
    assert systems | methods | studies <= {file.stem for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(FOLDER).as_posix())
def test_schedule_compiles_round_trips_and_is_headed(file: Path) -> None:
    plan = dsd_lang.compile_file(file)
    assert Plan.from_json(plan.to_json()) == plan
    head = [line for line in file.read_text().splitlines() if line.startswith("#")]
    for word in ("# Source:", "# Claim", f"# Run: dsd-run {file.relative_to(FOLDER.parent).as_posix()}"):
        assert any(line.startswith(word) for line in head), word


def test_the_parts_of_tables_are_used() -> None:
    assert dsd_lang.compile_file(PARTS).phases == ()
    given = {"trunk": "250ep", "start": "1e-2", "first": "11ep", "again": "22ep", "rate": "1e-3", "whole": "33ep"}
    googlenet = dsd_lang.compile_file(FOLDER / "imagenet.dsd", overrides={**given, "lower": "1e-5"})
    assert googlenet.hash == plan_of("googlenet").hash
    assert plan_of("imagenet").hash == plan_of("resnet").hash


@pytest.mark.parametrize("file", [*FILES, PARTS], ids=lambda file: file.relative_to(FOLDER).as_posix())
def test_schedule_lints_clean(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dsd_lang.cli.lint import main

    status = main([str(file), "--output-format", "concise"])
    assert status == 0, capsys.readouterr().out


# experiments of the DSD paper: branch, epochs of each phase, starts of the learning rate, pruned shares
TABLES = {
    "googlenet": ("dsd", "250 11 22", "1e-2 1e-3 1e-4", "0 0.3 0"),
    "vgg16": ("dsd", "74 1.25 18", "1e-2 1e-4 1e-5", "0 0.3 0"),
    "resnet": ("dsd", "90 45 45", "1e-1 1e-2 1e-3", "0 0.3 0"),
    "neuraltalk": ("", "19 10 6", "1e-2 1e-3 1e-4", "0 0.8 0"),
    "deepspeech": ("dsd", "50 50 50 50 50", "8e-4 5e-4 3e-4 1e-4 3e-5", "0 0.5 0 0.25 0"),
    "deepspeech2": ("dsd", "20 20 20 20 20", "3e-4 3e-4 3e-5 3e-5 6e-6", "0 0.5 0 0.25 0"),
    "resnet20_significance": ("dsd.seed0", "164 45 45", "0.1 1e-3 1e-4", "0 0.5 0"),
}
OTHER_ARMS = {
    ("googlenet", "llr"): ("250 33", "1e-2 1e-5"),
    ("vgg16", "llr"): ("74 20", "1e-2 1e-7"),
    ("resnet", "llr"): ("90 90", "0.1 1e-5"),
    ("deepspeech", "baseline"): ("150", "8e-4"),
    ("deepspeech2", "baseline"): ("60", "3e-4"),
    ("resnet20_significance", "finetune.seed15"): ("164 45 45", "0.1 1e-3 1e-4"),
}


@pytest.mark.parametrize("name", TABLES)
def test_lengths_rates_and_targets_are_the_papers(name: str) -> None:
    branch, lengths, rates, targets = TABLES[name]
    phases = line_of(name, branch)
    assert epochs(phases) == fractions(lengths)
    assert [exact(phase.lr.start or "0") for phase in phases] == fractions(rates)
    assert [pruned(phase) for phase in phases] == fractions(targets)
    assert [phase.mode for phase in phases] == ["dense" if share == 0 else "sparse" for share in fractions(targets)]


@pytest.mark.parametrize(("name", "branch"), OTHER_ARMS)
def test_control_arms_are_the_papers(name: str, branch: str) -> None:
    lengths, rates = OTHER_ARMS[name, branch]
    phases = line_of(name, branch)
    assert epochs(phases) == fractions(lengths)
    assert [exact(phase.lr.start or "0") for phase in phases] == fractions(rates)
    assert all(phase.mode == "dense" for phase in phases)


@pytest.mark.parametrize(
    ("name", "total", "weighted"),
    [
        ("googlenet", "283", "279.7"),
        ("vgg16", "93.25", "92.875"),
        ("resnet", "180", "166.5"),
        ("neuraltalk", "35", "27"),
        ("deepspeech", "250", "212.5"),
        ("deepspeech2", "100", "85"),
        ("resnet20_significance", "254", "231.5"),
    ],
)
def test_totals_of_the_dsd_line(name: str, total: str, weighted: str) -> None:
    """All epochs, and epochs weighted by the share of weights that are trained."""
    phases = line_of(name, TABLES[name][0])
    lengths = epochs(phases)
    assert sum(lengths) == exact(total)
    assert sum(length * (1 - pruned(phase)) for length, phase in zip(lengths, phases, strict=True)) == exact(weighted)


def test_layers_are_the_papers() -> None:
    assert {phase.layers for phase in line_of("deepspeech", "dsd") if phase.mode == "sparse"} == {("fc", "birnn")}
    assert {phase.layers for phase in line_of("deepspeech2", "dsd") if phase.mode == "sparse"} == {("fc", "birnn")}
    assert line_of("neuraltalk")[1].except_ == ("embed",)
    assert line_of("googlenet", "dsd")[1].layers == ("prunable",)


def test_significance_has_sixteen_retrainings_of_each_arm_from_one_baseline() -> None:
    plan = plan_of("resnet20_significance")
    assert len(plan.branches) == 32
    assert {plan.branch(branch).phases[0].id for branch in plan.branches} == {"p0"}
    [comparison] = plan.comparisons
    assert (comparison.left, comparison.right) == ("dsd", "finetune")
    assert (comparison.on, comparison.test) == ("test.err", "student")


def test_ablation_arms_have_equal_budgets() -> None:
    plan = plan_of("ablation")
    assert len(plan.branches) == 9 * 5
    assert {sum(epochs(plan.branch(branch).phases)) for branch in plan.branches} == {Fraction(254)}


def test_acdc_masks_at_the_published_epochs() -> None:
    start, masked = Fraction(0), []
    for phase in line_of("acdc"):
        if phase.mode == "sparse":
            masked.append(start)
        start += exact(phase.duration.value)
    assert masked == [10, 20, 30, 40, 50, 60, 70, 85]
    assert start == 100


def test_lottery_ticket_prunes_eighteen_times_and_rewinds_to_the_start() -> None:
    main = line_of("lottery_ticket")
    assert len(main) == 1 + 18
    assert len(plan_of("lottery_ticket").phases) == 1 + 18 * (1 + 2 * 3)
    for phase in main[1:]:
        assert phase.from_.reference is not None
        assert (phase.from_.reference.moment, phase.from_.reference.phase) == ("start", "p0")


def test_the_random_masks_of_the_lottery_ticket_have_the_densities_of_their_round() -> None:
    drawn = [phase for phase in plan_of("lottery_ticket").phases if phase.path.startswith("random_mask")]
    assert len(drawn) == 18 * 3
    for index, phase in enumerate(drawn):
        assert (phase.by.name, phase.target and phase.target.kind) == ("random", "list")
        shares = {item.selector: item.target for item in phase.target.items} if phase.target else {}
        for word, kept in (("output", "0.9"), ("fc", "0.8")):
            assert shares[word].kind == "fraction"
            assert exact(shares[word].pruned or "0") == 1 - exact(kept) ** (index // 3 + 1)


def test_diminishing_halves_ratio_and_rate_in_eight_cycles() -> None:
    phases = line_of("diminishing")
    assert [pruned(phase) for phase in phases[1::2]] == [Fraction(1, 2**cycle) for cycle in range(1, 9)]
    assert [exact(phase.lr.start or "0") for phase in phases] == [exact("8e-4") / 2**index for index in range(17)]


def test_quickstart_is_one_line_of_three_phases() -> None:
    plan = plan_of("quickstart")
    assert plan.is_linear
    assert [phase.mode for phase in plan.phases] == ["dense", "sparse", "dense"]
    assert plan.settings["data"] == "digits"
