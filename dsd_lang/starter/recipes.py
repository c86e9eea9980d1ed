"""The recipes of `dsd-new`: name, summary, source, and the statements with their comments."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import Length, format_percent, parse_length
from dsd_lang.starter.choices import Choices

_KEPT = "# dsd: ignore[DSD303] the sparse network is what is wanted"
_ONE_CURVE = "decay=cosine clock=global"
_ONE_CURVE_WHY = "`clock=global`: one learning-rate curve through all phases"
_ROUND = Fraction(1, 5)


class Recipe(NamedTuple):
    """One recipe; ``source`` may contain `{table}`, a reference to the paper.

    ``has_target``: it says how much is pruned, so that `--sparsity` means something.
    """

    name: str
    summary: str
    source: str
    body: Callable[[Choices], list[str]]
    has_target: bool = True


def _dense_sparse_dense(choices: Choices) -> list[str]:
    run = choices.paper
    _, sparse, last, *more = run.phases
    follows = "" if last.lr else "; not given, the learning rate is a tenth of S1's"
    inherits = "" if sparse.lr else "; not given, the learning rate is D1's"
    lines = [
        *choices.settings(run.settings),
        "# D1 (a label): learn which weights matter; `ep` are epochs, `it` would be optimizer updates",
        f"D1: {choices.first()}",
        "# S1: the smallest weights of each matrix are set to zero and stay there" + inherits,
        f"S1: {choices.sparse(sparse)}",
        "# D2: the masks are dropped; the pruned weights come back from zero" + follows,
        f"D2: {choices.dense(last)}{choices.reset}",
    ]
    if more:
        lighter = more[0].target if choices.pruned is None else format_percent(choices.pruned / 2)
        lines += [
            "# once more, with a lighter mask and lower learning rates",
            f"S2: {choices.sparse(more[0], target=lighter)}",
            f"D3: {choices.dense(more[1])}{choices.reset}",
        ]
    return lines


def _against_dense(choices: Choices) -> list[str]:
    run = choices.paper
    _, sparse, last, *_ = run.phases
    rate = _lr_of(sparse.lr)
    slower = _lr_of(last.lr or "prev/10")
    return [
        *choices.settings(run.settings),
        "# the common start, trained once",
        f"base: {choices.first()}",
        "# every branch continues from there, three times, each time with another data order",
        "fork seeds=3 rng=distinct {",
        "  dsd: {",
        f"    {choices.sparse(sparse)}",
        f"    {choices.dense(last)}{choices.reset}",
        "  }",
        "  # the control: as many epochs at the same learning rates, without a mask",
        "  plain: {",
        f"    dense {choices.long(sparse.length)}{rate}",
        f"    dense {choices.long(last.length)}{slower}",
        "  }",
        "}",
        "# mean, spread and a test of the difference at the end",
        f"compare dsd vs plain on={choices.metric}",
    ]


def _one_shot(choices: Choices) -> list[str]:
    first = choices.paper.phases[0]
    return [
        *choices.settings(choices.paper.settings),
        f"full: {choices.first()}",
        "# prune once, then train what is left at the last learning rate of the phase before",
        _KEPT,
        f"pruned: sparse {choices.share('80%')} {choices.long(_part(first.length, Fraction(1, 4)))} lr=last",
    ]


def _fine_tuning(choices: Choices) -> list[str]:
    sparse = choices.paper.phases[1]
    rate = sparse.lr or ("1e-4" if "adam" in choices.optimizer else "1e-3")
    return [
        *choices.settings(choices.paper.settings),
        '# the pruned network: safetensors.torch.save_file(model.state_dict(), "pruned.safetensors"), or the file',
        "# `final.safetensors` of a run; with `masks=current` what is 0 there stays 0, and the rest is trained",
        _KEPT,
        f'tuned: sparse held masks=current from="pruned.safetensors" {choices.long(sparse.length)} lr={rate}',
    ]


def _gradual(choices: Choices) -> list[str]:
    length = choices.long("60ep")
    every = "100it" if choices.length is None else str(choices.length._replace(value=choices.length.value / 10))
    return [
        *choices.settings(_ONE_CURVE, why=_ONE_CURVE_WHY),
        f"dense {choices.long('20ep')}",
        "# the target climbs along a cubic; the masks are chosen again every so often",
        f"sparse 0->{choices.share('90%')} {length} every={every}",
        "# `held` keeps the masks as they are",
        _KEPT,
        f"sparse held {choices.long('20ep')}",
    ]


def _alternating(choices: Choices) -> list[str]:
    target, length = choices.share("90%"), choices.long("5ep")
    sparse = f"sparse {target} {length} scope=global"
    return [
        *choices.settings(_ONE_CURVE, why=_ONE_CURVE_WHY),
        f"dense {choices.long('10ep')}",
        "# compressed and decompressed in turn; with `scope=global` all layers compete",
        "repeat 6 {",
        f"  {sparse}",
        "  # a dense phase after a sparse one would start at a tenth: `prev` is the start of the phase before",
        f"  dense {length} lr=prev state=reset",
        "}",
        sparse,
        f"dense {choices.long('10ep')} lr=prev state=reset",
        _KEPT,
        f"sparse {target} {choices.long('15ep')} scope=global",
    ]


def _lottery_ticket(choices: Choices) -> list[str]:
    base = (choices.model or "").partition(":")[0]
    pruned = Fraction(9, 10) if choices.pruned is None else choices.pruned
    rounds = _rounds(pruned)
    is_small = base == "lenet_300_100"
    target = "[output: 10%, fc: 20%]" if is_small else format_percent(_ROUND)
    length = choices.long("50000it" if is_small else choices.paper.phases[0].length)
    left = "about " if is_small else ""
    return [
        *choices.settings(choices.paper.settings),
        f"full: dense {length}{_lr(choices)}",
        f"# each round prunes a fifth of what is left, so that {left}{_percent((1 - _ROUND) ** rounds)} of the weights "
        f"are there after {rounds}",
        f"repeat {rounds} {{",
        "  # `@full.start` are the weights before the first phase: the ticket starts from them, masked",
        f"  {_KEPT}",
        f"  ticket: sparse {target} {length}{_lr(choices)} of=remaining from=@full.start",
        "}",
    ]


def _sweep(choices: Choices) -> list[str]:
    run = choices.paper
    _, sparse, last, *_ = run.phases
    rate = _lr_of(sparse.lr)
    slower = _lr_of(last.lr or "prev/10")
    shares = ["25%", "50%", "75%"] if choices.pruned is None else list(_around(choices.pruned))
    targets, first, last_arm = ", ".join(shares), f"grid[{shares[0]}]", f"grid[{shares[-1]}]"
    return [
        *choices.settings(run.settings),
        f"base: {choices.first()}",
        "# one branch for each value of `s`, and beside it as many epochs without a mask; their names are those of the",
        f"# values: `compare {first}.dsd vs {last_arm}.dsd on={choices.metric}`",
        f"grid: sweep s in {targets} {{",
        "  fork seeds=3 {",
        "    dsd: {",
        f"      {choices.sparse(sparse, target='s')}",
        f"      {choices.dense(last)}{choices.reset}",
        "    }",
        "    plain: {",
        f"      dense {choices.long(sparse.length)}{rate}",
        f"      dense {choices.long(last.length)}{slower}",
        "    }",
        "  }",
        f"  compare dsd vs plain on={choices.metric} test=paired",
        "}",
    ]


def _lr(choices: Choices) -> str:
    return _lr_of(choices.paper.phases[0].lr)


def _lr_of(rate: str) -> str:
    return f" lr={rate}" if rate else ""


def _part(length: str, share: Fraction) -> str:
    whole = parse_length(length)
    return str(Length(whole.value * share, whole.unit))


def _rounds(pruned: Fraction) -> int:
    """How many rounds of 20% reach the target."""
    rounds = 1
    while 1 - (1 - _ROUND) ** rounds < pruned:
        rounds += 1
    return rounds


def _percent(share: Fraction) -> str:
    return f"{float(share * 100):.3g}%"


def _around(pruned: Fraction) -> list[str]:
    """Three targets: half of it, the target, and halfway from it to 100%."""
    return [format_percent(share) for share in (pruned / 2, pruned, (1 + pruned) / 2)]


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "dsd",
            "Dense, sparse, dense: prune, train on with the mask, give the weights back and train on.",
            "Han et al., DSD, ICLR 2017, {table}",
            _dense_sparse_dense,
        ),
        Recipe(
            "dsd-vs-dense",
            "Dense, sparse, dense beside as much dense training, from one start and with a test.",
            "Han et al., DSD, ICLR 2017, {table}; the control as in its Appendix A",
            _against_dense,
        ),
        Recipe(
            "one-shot",
            "Prune once by magnitude, then train on with the mask.",
            "Han et al., Learning both Weights and Connections, NIPS 2015; learning rate: Renda et al., ICLR 2020",
            _one_shot,
        ),
        Recipe(
            "fine-tune",
            "Train a network on that comes pruned: the zeros of its weights are the mask.",
            "retraining as in Han et al., Learning both Weights and Connections, NIPS 2015",
            _fine_tuning,
            has_target=False,
        ),
        Recipe(
            "gradual",
            "The share of pruned weights climbs while the network trains, then the mask is held.",
            "Zhu and Gupta, To prune, or not to prune, 2017",
            _gradual,
        ),
        Recipe(
            "ac-dc",
            "Compressed and decompressed phases in turn, sparse at the end.",
            "Peste et al., AC/DC, NeurIPS 2021",
            _alternating,
        ),
        Recipe(
            "lottery-ticket",
            "Prune a fifth of what is left and go back to the first weights, round after round.",
            "Frankle and Carbin, The Lottery Ticket Hypothesis, ICLR 2019, Section 2",
            _lottery_ticket,
        ),
        Recipe(
            "sweep",
            "How much to prune: one branch for each target, each compared with as much dense training.",
            "Han et al., DSD, ICLR 2017, {table}; it found 25% to 50% to work",
            _sweep,
        ),
    )
}
