"""What can be known before the first update is said before it (row 27)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_loops import begin, network, run
from safetensors.torch import save_file
from torch import Tensor, nn, optim

import dsd_lang
from dsd_lang.base.arguments import BY_NAME, Argument
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Function
from dsd_runtime import attach
from dsd_runtime.engine.preflight import check_optimizers


def _begin(text: str, model: nn.Module | None = None, **options: Any) -> None:
    model = model or network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        begin(text, model, optim.SGD(model.parameters(), lr=0.1), **options)
    finally:
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Bare(nn.Module):
    """Owns a weight and cannot draw it again."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4, 4, dtype=dtype), requires_grad=dtype.is_floating_point)
        self.other = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        ("dense 1it dropout=0.5", "no dropout layer"),
        ("dense 1it lr=0.1 from=@a.9ep", r"`@a\.9ep` is past the end of phase `a`, which has 2 updates"),
        ("sparse 50% 1it layers=conv", "DSD201"),
        ("dense 1it from=random", "cannot be reinitialised"),
        ("dense 1it restore=random", "cannot be reinitialised"),
    ],
)
def test_a_mistake_in_the_last_phase(phase: str, message: str) -> None:
    model = nn.Sequential(Bare(), nn.Linear(4, 4)) if "random" in phase else nn.Sequential(nn.Linear(12, 4))
    with pytest.raises(DsdError, match=message):
        _begin(f"a: dense 2it lr=0.1; sparse 50% 1it layers=fc; {phase}", model)


def _without(name: str, option: str) -> tuple[Argument, str]:
    """An argument one of whose options is not supported."""
    row = BY_NAME[name]
    options = tuple(each._replace(is_supported=each.name != option) for each in row.options)
    return row._replace(options=options), row.attribute


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dense 1it lr=0.1", ["`set by=random` is not supported yet"]),
        ("sparse 50% 1it lr=0.1", ["`by=random` is not supported yet (line 2)"]),
        (
            "dense 1it lr=0.1\nsparse 50% 1it enforce=ste\ndense 1it",
            ["`by=random` is not supported yet (line 3)", "`enforce=ste` is not supported yet (line 3)"],
        ),
    ],
)
def test_what_is_not_supported_yet_is_told_where_it_is_used(
    text: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (_without("by", "random"), _without("enforce", "ste"))
    monkeypatch.setattr("dsd_lang.plan.supported._MAY_BE_UNSUPPORTED", rows)
    with pytest.raises(DsdError) as caught:
        _begin(f"set by=random\n{text}")
    assert caught.value.message.split("; ") == [f"DSD207: {one}" for one in said]


def test_a_file_that_no_system_can_name_is_one_sentence() -> None:
    """A plan is data, and may come from elsewhere."""
    plan = dsd_lang.compile('dense 1it lr=0.1 from="absent.safetensors"')
    source = plan.phases[0].from_
    assert source.reference is not None
    reference = source.reference.model_copy(update={"file": "a\0b"})
    phase = plan.phases[0].model_copy(update={"from_": source.model_copy(update={"reference": reference})})
    plan, model = plan.model_copy(update={"phases": (phase,)}), network()
    with pytest.raises(DsdError, match="cannot be read as safetensors: embedded null byte"):
        attach(plan, model, optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=4)


def test_a_rate_that_hangs_on_zero_only_where_nothing_may_end_earlier() -> None:
    text = "dense 4it lr=0.1 decay=linear{}; dense 2it lr=last"
    model = network()
    begin(text.format(" until val.loss < 0"), model, optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_weights_without_an_order(dtype: torch.dtype) -> None:
    with pytest.raises(DsdError, match=r"`weight` (is complex|has the dtype)"):
        _begin('dense 2it lr=0.1; sparse 50% 1it layers="weight"', Bare(dtype))


def _other(change: Callable[[dict[str, Tensor]], object]) -> dict[str, Tensor]:
    weights = dict(network().state_dict())
    change(weights)
    return weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("3.bias"), r"has no `3\.bias` of the shape \(16,\)$"),
        (
            lambda weights: weights.update({"3.bias": torch.zeros(7)}),
            r"has no `3\.bias` of the shape \(16,\); it has one of \(7,\)",
        ),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, change: Callable[[dict[str, Tensor]], object], message: str) -> None:
    save_file(_other(change), tmp_path / "other.safetensors")
    with pytest.raises(DsdError) as caught:
        _begin(f'dense 2it lr=0.1; dense 1it from="{tmp_path}/other.safetensors"')
    assert re.search(message, caught.value.message)


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no weights")
    for path, message in (
        (tmp_path / "absent", "no such file"),
        (tmp_path, "is a folder, not a regular file"),
        (Path("/dev/zero"), "is a device, not a regular file"),
        (tmp_path / "text", "cannot be read as safetensors"),
    ):
        with pytest.raises(DsdError, match=message):
            _begin(f'dense 2it lr=0.1; dense 1it from="{path}"')


def test_a_good_file_passes(tmp_path: Path) -> None:
    save_file(_other(lambda weights: weights), tmp_path / "good.safetensors")
    model = network(seed=4)
    session = begin(
        f'dense 2it lr=0.1; dense 1it from="{tmp_path}/good.safetensors"', model, optim.SGD(model.parameters(), lr=0.1)
    )
    run(session, model)


def test_a_factory_of_another_model() -> None:
    text = "dense 2it lr=0.1; dense 1it from=random"
    with pytest.raises(DsdError, match=r"has no `0\.weight` of the shape"):
        _begin(text, factory=lambda: nn.Linear(3, 3))
    _begin(text, factory=network)
    bare = nn.Sequential(Bare())
    _begin(text, bare, factory=lambda: nn.Sequential(Bare()))


def test_options_that_only_torch_refuses() -> None:
    """The language knows most of them; what it lets through is built once, on the real parameter groups."""
    plan = dsd_lang.compile("dense 1it lr=0.1 opt=adam(beta1=0.9)")
    wrong = plan.phases[0].model_copy(update={"opt": Function(name="adam", arguments={"beta1": "2"})})
    model = network()
    with pytest.raises(DsdError, match="`adam` cannot be built: invalid beta parameter"):
        check_optimizers(plan.model_copy(update={"phases": (wrong,)}), optim.SGD(model.parameters(), lr=0.1))
