"""Models that no mask can serve are refused in a sentence when a session is attached, before any phase."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from engine_loops import begin, network, run
from torch import nn, optim

from dsd_lang.base.errors import DsdError


def _with_weight(make: Callable[[torch.Tensor], torch.Tensor], *, trains: bool = True) -> nn.Module:
    model = network()
    value = make(model[0].weight.detach())
    model[0].weight = nn.Parameter(value, requires_grad=trains)
    return model


UNFIT: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "complex": (lambda: _with_weight(lambda w: w.to(torch.complex64)), "is complex"),
    "sparse": (lambda: _with_weight(lambda w: w.to_sparse()), "has the layout `sparse_coo`"),
    "meta": (lambda: _with_weight(lambda w: w.to("meta")), "is on the meta device"),
    "integer": (lambda: _with_weight(lambda w: w.to(torch.int8), trains=False), "has the dtype `int8`"),
    "float8": (
        lambda: _with_weight(lambda w: w.to(torch.float8_e4m3fn), trains=False),
        "has the dtype `float8_e4m3fn`",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_an_unfit_weight_is_refused_before_any_phase(name: str) -> None:
    """Row 27: even where the phase that prunes is the second; leaving it out goes."""
    make, said = UNFIT[name]
    model = make()
    optimizer = optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    with pytest.raises(DsdError) as caught:
        begin('dense 5ep lr=0.1; sparse 50% layers="*" 5ep', model, optimizer)
    assert f"`0.weight` {said}" in caught.value.message
    assert 'except="0"' in str(caught.value.help)
    session = begin('dense 5ep lr=0.1; sparse 50% except="0" 5ep', model, optimizer)
    assert not session.masks


def test_a_lazy_module_says_run_one_batch_first() -> None:
    model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, 4))
    optimizer = optim.SGD(model[2].parameters(), lr=0.1)
    with pytest.raises(DsdError, match=r"`0\.weight` has no shape yet") as caught:
        begin("sparse 50% 1it lr=0.1", model, optimizer)
    assert "run one batch" in str(caught.value.help)
    model(torch.ones(2, 12))
    session = begin("sparse 50% 2it lr=0.1", model, optim.SGD(model.parameters(), lr=0.1))
    run(session, model)
    assert session.sparsity()["0.weight"] == 0.5


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_model_that_cannot_be_copied_asks_for_a_factory() -> None:
    """The older `weight_norm` keeps a tensor that `deepcopy` refuses."""
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(12, 8)), nn.ReLU(), nn.Linear(8, 4))
    model(torch.ones(2, 12))
    with pytest.raises(DsdError, match="the model cannot be copied") as caught:
        begin("dense 1it lr=0.1 from=random", model, optim.SGD(model.parameters(), lr=0.1))
    assert "factory=" in str(caught.value.help)
