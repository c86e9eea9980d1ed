"""Every starter: lint clean, canonical, compiled, and the paper's numbers where the paper has the network."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.units import parse_length
from dsd_lang.lint.checking import check_text
from dsd_lang.plan import Plan
from dsd_lang.starter.choices import Choices
from dsd_lang.starter.paper import PAPER
from dsd_lang.starter.recipes import RECIPES
from dsd_lang.starter.writing import starter_text
from dsd_lang.syntax.formatter import format_text

ALL_RULES = frozenset(CATALOGUE) - {"DSD407", "DSD901"}  # all but advice on values that a starter leaves out
CHOICES = {
    "nothing": Choices(),
    "shorter": Choices(length=parse_length("2ep"), pruned=Fraction("0.6")),
    "updates": Choices("ds2:hidden=64", "ctc", "sgd", length=parse_length("300it"), pruned=Fraction("0.99")),
    "adam": Choices("lenet_300_100", optimizer="adam"),
    **{name: Choices(name) for name in PAPER},
}
SCHEDULE_OF = {"ds1": "deepspeech", "ds2": "deepspeech2", "resnet18": "resnet", "resnet50": "resnet"}


def starter(recipe: str, choices: Choices) -> str:
    return starter_text(RECIPES[recipe], choices, name="first.dsd")


def phases(plan: Plan, branch: str) -> list[tuple[object, ...]]:
    """What the phases of a branch do, its trunk included."""
    linear = plan.branch(branch).phases if branch else plan.phases
    return [
        (phase.mode, str(phase.target), phase.layers, phase.except_, str(phase.duration), str(phase.lr))
        for phase in linear
    ]


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("choices", sorted(CHOICES))
def test_a_starter_is_clean_canonical_and_compiles(recipe: str, choices: str) -> None:
    text = starter(recipe, CHOICES[choices])
    assert check_text(text, selected=ALL_RULES) == ()
    assert format_text(text) == text
    assert dsd_lang.compile(text).phases
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize("model", sorted(PAPER))
def test_the_numbers_are_those_of_the_shipped_schedule(model: str, repository: Path) -> None:
    if model == "resnet20":
        name, branch = "resnet20_significance", "dsd.seed0"
    else:
        name, branch = SCHEDULE_OF.get(model, model), "" if model == "neuraltalk" else "dsd"
    published = dsd_lang.compile((repository / "schedules" / f"{name}.dsd").read_text(encoding="utf-8"))
    assert phases(dsd_lang.compile(starter("dsd", Choices(model))), "") == phases(published, branch)


@pytest.mark.parametrize(("recipe", "name"), [("ac-dc", "acdc"), ("gradual", "gmp")])
def test_other_methods_have_their_published_phases(recipe: str, name: str, repository: Path) -> None:
    published = dsd_lang.compile((repository / "schedules" / f"{name}.dsd").read_text(encoding="utf-8")).phases
    written = dsd_lang.compile(starter(recipe, Choices())).phases
    assert [(phase.mode, phase.target, phase.duration, phase.scope) for phase in written] == [
        (phase.mode, phase.target, phase.duration, phase.scope) for phase in published
    ]


def test_the_head_says_source_and_commands() -> None:
    with_model, without = starter("dsd", Choices("vgg16")), starter("dsd", Choices())
    assert "# Source: Han et al., DSD, ICLR 2017, Table 3 (VGG-16 on ImageNet).\n" in with_model
    assert "# Run:  dsd-run first.dsd\n" in with_model
    assert "# Source: Han et al., DSD, ICLR 2017, Algorithm 1.\n" in without
    assert "# Run:  dsd-run first.dsd --model NAME\n" in without


def test_the_choices_are_in_the_schedule() -> None:
    plan = dsd_lang.compile(starter("dsd", Choices(length=parse_length("7it"), pruned=Fraction("0.3"))))
    assert [str(phase.duration.value) + phase.duration.unit for phase in plan.phases] == ["7it"] * 3
    assert "sparse 30% 7it" in starter("dsd", Choices(length=parse_length("7it"), pruned=Fraction("0.3")))
    assert 'set model="conv4"' in starter("one-shot", Choices("conv4"))
    assert "sweep s in 20%, 40%, 70% {" in starter("sweep", Choices(pruned=Fraction("0.4")))


@pytest.mark.parametrize(("pruned", "rounds"), [("0.2", 1), ("0.21", 2), ("0.9", 11), ("0.982", 19)])
def test_a_lottery_ticket_has_as_many_rounds_as_its_target_needs(pruned: str, rounds: int) -> None:
    assert f"repeat {rounds} {{" in starter("lottery-ticket", Choices(pruned=Fraction(pruned)))


def test_adams_revived_weights_start_with_a_state_of_their_own() -> None:
    assert "state=reset" in starter("dsd", Choices("lenet_300_100", optimizer="adam"))
    assert "state=reset" not in starter("dsd", Choices("resnet20", optimizer="sgd(momentum=0.9)"))


@pytest.mark.parametrize(
    ("choices", "rate"),
    [(Choices("resnet50"), "0.01"), (Choices("lenet_300_100", optimizer="adam"), "1e-4"), (Choices("conv4"), "1e-3")],
)
def test_fine_tuning_takes_its_mask_from_the_file_and_a_small_rate(choices: Choices, rate: str) -> None:
    [phase] = dsd_lang.compile(starter("fine-tune", choices)).phases
    assert (phase.mode, phase.target.kind, str(phase.lr.start)) == ("sparse", "current", rate)
    assert 'from="pruned.safetensors"' in starter("fine-tune", choices)


def test_the_metric_is_that_of_the_task() -> None:
    for choices, metric in (
        (Choices("ds1", "ctc"), "test.wer"),
        (Choices("neuraltalk", "captioning"), "test.bleu4"),
        (Choices("resnet50"), "test.top1_err"),
        (Choices(), "test.err"),
    ):
        assert f"compare dsd vs plain on={metric}" in starter("dsd-vs-dense", choices)


def test_the_arms_of_a_comparison_have_equal_budgets() -> None:
    assert "DSD501" not in {item.code for item in analyse(starter("dsd-vs-dense", Choices("vgg16"))).diagnostics}
