"""Which weights are selected: frozen, tied, of foreign modules, and those that are computed (rows 9, 21, 22)."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine_loops import assert_masked, begin, network, one_update, run
from torch import nn, optim

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo, WeightInfo, parse_selector, select
from dsd_lang.base.layers_file import layers_as_data, read_layers
from dsd_lang.plan.layer_counts import count_weights
from dsd_runtime import DsdWarning, inventory, tag


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


def _selected(text: str, model: nn.Module, optimizer: optim.Optimizer | None = None) -> set[str]:
    """The names a schedule's first phase masks; what it warns of is not asked here."""
    with warnings.catch_warnings(action="ignore", category=DsdWarning):
        return set(begin(text, model, optimizer or _sgd(model)).masks)


def _told(text: str, model: nn.Module, optimizer: optim.Optimizer | None = None) -> list[str]:
    """What attaching a schedule says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        begin(text, model, optimizer or _sgd(model))
    return [str(one.message) for one in caught if issubclass(one.category, DsdWarning)]


# --- frozen -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", ["", "layers=fc", "layers=all", "layers=prunable"])
@pytest.mark.parametrize("how", ["requires_grad", "no group"])
def test_words_leave_frozen_weights_out(layers: str, how: str) -> None:
    """Row 21: by `requires_grad=False` and by standing in no group of the optimizer alike."""
    model = network()
    trained = [parameter for layer in (model[3], model[5]) for parameter in layer.parameters()]
    if how == "requires_grad":
        model[0].requires_grad_(False)
    optimizer = _sgd(model) if how == "requires_grad" else optim.SGD(trained, lr=0.1)
    before = model[0].weight.detach().clone()
    assert _selected(f"sparse 50% {layers} 2it lr=0.1", model, optimizer) == {"3.weight", "5.weight"}
    assert torch.equal(model[0].weight, before)


def test_weights_in_any_group_of_the_optimizer_are_trained() -> None:
    """Several groups, each with a rate of its own."""
    model = network()
    groups = [{"params": model[0].parameters(), "lr": 0.01}, {"params": model[5].parameters(), "lr": 0.1}]
    assert _selected("sparse 50% 2it lr=0.1", model, optim.SGD(groups, lr=0.1)) == {"0.weight", "5.weight"}


@pytest.mark.parametrize("selector", ['"0"', '"0.weight"', "/^0$/", '"*"'])
def test_a_frozen_weight_that_is_named_is_pruned_with_a_warning(selector: str) -> None:
    """Row 21: it is pruned, and the warning says what a re-dense phase cannot do."""
    model = network()
    model[0].requires_grad_(False)
    text = f"sparse 50% layers={selector} 2it lr=0.1"
    assert "0.weight" in _selected(text, model)
    [warning] = _told(text, network_with_frozen_first())
    assert warning.startswith("`0.weight` is frozen or not in the optimizer, and pruned because the schedule names it")
    assert "cannot regrow" in warning


def network_with_frozen_first() -> nn.Sequential:
    model = network()
    model[0].requires_grad_(False)
    return model


@pytest.mark.filterwarnings("ignore::dsd_runtime.DsdWarning")
def test_a_list_gives_a_frozen_weight_the_target_of_its_name() -> None:
    """A word before it does not select it, so it does not take it either."""
    model = network_with_frozen_first()
    session = begin('sparse [fc: 25%, "0": 75%] 1it lr=0.1', model, _sgd(model))
    assert session.sparsity() == {"0.weight": 0.75, "3.weight": 0.25, "5.weight": 0.25, "total": (144 + 64 + 16) / 512}


def test_a_word_that_matches_frozen_weights_alone_is_an_error() -> None:
    """No phase prunes nothing in silence; the help says how to prune a frozen weight all the same."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 4))
    model[1].requires_grad_(False)
    model[0].requires_grad_(False)
    with pytest.raises(DsdError, match="every weight that `conv` matches is frozen") as caught:
        begin("dense 1it lr=0.1; sparse 50% layers=conv 1it", model, _sgd(model))
    assert 'layers="0"' in str(caught.value.help)
    with pytest.raises(DsdError, match="every weight that `prunable` matches is frozen"):
        begin("sparse 50% 1it lr=0.1", model, optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1))
    assert _selected("sparse 50% except=conv 1it lr=0.1", model) == {"3.weight"}


def test_a_phase_selects_what_is_trainable_when_it_is_entered() -> None:
    """Frozen and unfrozen between phases: each selection looks at the model as it is then."""
    model = network()
    model[0].requires_grad_(False)
    with warnings.catch_warnings(action="ignore", category=DsdWarning):
        session = begin("sparse 50% 2it lr=0.1; sparse 60% 2it; dense 1it", model, _sgd(model))
    assert set(session.masks) == {"3.weight", "5.weight"}
    for _ in range(2):
        one_update(session, model)
    model[0].requires_grad_(True)
    model[5].requires_grad_(False)
    for _ in range(2):
        one_update(session, model)
        assert set(session.masks) == {"0.weight", "3.weight"}
        assert_masked(session, model)
    one_update(session, model)
    assert session.done


def test_parameters_that_are_replaced_or_added_later() -> None:
    """A replaced parameter is followed at the next boundary; one that lost its shape under a mask is an error."""
    model = network()
    optimizer = _sgd(model)
    session = begin("dense 1it lr=0.1; sparse 50% 2it", model, optimizer)
    one_update(session, model)
    model[0].weight = nn.Parameter(torch.randn(16, 12))
    model.add_module("late", nn.Linear(4, 4))
    optimizer.param_groups[0]["params"] += [model[0].weight, *model.late.parameters()]
    one_update(session, model)
    assert {"0.weight", "late.weight"} <= set(session.masks)
    assert_masked(session, model)

    model = network()
    session = begin("sparse 50% 1it lr=0.1; sparse 60% 1it", model, _sgd(model))
    one_update(session, model)
    model[0].weight = nn.Parameter(torch.randn(20, 12))
    with pytest.raises(DsdError, match=r"the masked weight `0\.weight` was removed or no longer has the shape"):
        session.begin_step()


def test_a_group_added_after_attach_is_refused_at_the_next_boundary() -> None:
    """Its rate would have no ratio; weights that are unfrozen later may stand in the optimizer from the start."""
    model = network()
    optimizer = optim.SGD(model[5].parameters(), lr=0.1)
    with warnings.catch_warnings(action="ignore", category=DsdWarning):
        session = begin("dense 1it lr=0.1; sparse 50% 1it", model, optimizer)
    one_update(session, model)
    optimizer.add_param_group({"params": list(model[0].parameters())})
    with pytest.raises(DsdError, match="got a parameter group after"):
        session.begin_step()


class _Lora(nn.Module):
    """A linear layer that is frozen, and two small matrices beside it that are trained."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base_layer = base.requires_grad_(False)
        self.lora_A = nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.base_layer(inputs) + self.lora_B(self.lora_A(inputs))  # type: ignore[no-any-return]


def test_lora_prunes_the_adapters_and_says_what_it_leaves_out() -> None:
    """The frozen base keeps its values through a whole schedule; what is left out is counted and named."""
    model = network()
    model[0], model[3] = _Lora(model[0]), _Lora(model[3])
    frozen = {name: value.detach().clone() for name, value in model.named_parameters() if not value.requires_grad}
    text = "dense 1it lr=0.1; sparse 50% 2it; dense 1it"
    [warning] = _told(text, model)
    assert warning.startswith("2 of 7 matrices, 71% of the weights, are not selected: 2 frozen or not in the optimizer")
    assert "`0.base_layer.weight`, `3.base_layer.weight`" in warning
    with pytest.warns(DsdWarning, match="2 of 7 matrices"):
        session = begin(text, model, _sgd(model))
    run(session, model)
    assert all(torch.equal(model.get_parameter(name), value) for name, value in frozen.items())
    assert session.sparsity().keys() == {*(f"{i}.lora_{x}.weight" for i in (0, 3) for x in "AB"), "5.weight", "total"}


# --- tied -------------------------------------------------------------------------------------------------------------


class _Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, 6)
        self.body = nn.Linear(6, 6)
        self.head = nn.Linear(6, 8, bias=False)
        self.head.weight = self.embed.weight


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("", {"body.weight"}),
        ("layers=prunable", {"body.weight"}),
        ("layers=all except=embed", {"body.weight"}),
        ("layers=all except=output", {"body.weight"}),
        ('layers=all except="head"', {"body.weight"}),
        ("layers=all", {"embed.weight", "body.weight"}),
        ("layers=fc", {"embed.weight", "body.weight"}),
        ('layers="head"', {"embed.weight"}),
        ("layers=prunable,output", {"embed.weight", "body.weight"}),
    ],
)
def test_a_tied_weight_is_one_parameter_in_every_selection(selection: str, names: set[str]) -> None:
    """Row 9: naming either owner names both, in `except=` too; tied to an embedding, it is not `prunable`."""
    model = _Tied()
    assert _selected(f"sparse 50% {selection} 1it lr=0.1", model) == names
    counts = count_weights(dsd_lang.compile(f"sparse 50% {selection} 1it lr=0.1"), inventory(model))
    sizes = {"embed.weight": 48, "body.weight": 36}
    assert [count.num_weights for count in counts.values()] == [sum(sizes[name] for name in names)]


def test_a_list_target_takes_a_tied_weight_by_either_name() -> None:
    """First match wins, by memory and not by name."""
    model = _Tied()
    session = begin("sparse [output: 25%, fc: 50%] 1it lr=0.1", model, _sgd(model))
    assert session.sparsity() == {"embed.weight": 0.25, "body.weight": 0.5, "total": 30 / 84}


def test_a_tied_head_is_told_of() -> None:
    """Half of the weights are not selected, and the user may have expected the head to be."""
    [warning] = _told("sparse 50% 1it lr=0.1", _Tied())
    assert warning.startswith(
        "1 of 2 matrices, 57% of the weights, is not selected: 1 tied to an embedding (`embed.weight`)"
    )
    assert _told("sparse 50% layers=prunable,output 1it lr=0.1", _Tied()) == []


# --- foreign modules --------------------------------------------------------------------------------------------------


def _conv1d() -> type[nn.Module]:
    """A stand-in for `transformers.pytorch_utils.Conv1D`: the same names, no package."""
    name = "transformers.pytorch_utils"
    if "transformers" in sys.modules:
        return sys.modules[name].Conv1D  # type: ignore[no-any-return]

    class Conv1D(nn.Module):
        def __init__(self, nf: int, nx: int) -> None:
            super().__init__()
            self.nf, self.nx = nf, nx
            self.weight = nn.Parameter(torch.randn(nx, nf))
            self.bias = nn.Parameter(torch.zeros(nf))

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.addmm(self.bias, inputs, self.weight)

    Conv1D.__module__ = name
    return Conv1D


def test_conv1d_of_transformers_is_a_transposed_linear_layer() -> None:
    """Row 22: it is `fc`, and N:M goes along its inputs, dim 0."""
    make = _conv1d()
    model = nn.Sequential(make(16, 12), nn.ReLU(), nn.Dropout(0.0), nn.Linear(16, 4))
    assert _selected("sparse 50% 1it lr=0.1", model) == {"0.weight", "3.weight"}
    session = begin('sparse 1:3 layers="0" 2it lr=0.1', model, _sgd(model))
    assert bool((session.masks["0.weight"].view(4, 3, 16).sum(1) == 1).all())
    run(session, model)
    assert_masked(session, model)
    with pytest.raises(DsdError, match="12 inputs, not a multiple of 8"):
        begin("sparse 2:8 1it lr=0.1", model, _sgd(model))


class _ForeignLinear(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, is_turned: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = inputs, outputs
        self.weight = nn.Parameter(torch.randn((inputs, outputs) if is_turned else (outputs, inputs)))


@pytest.mark.parametrize("is_turned", [False, True])
def test_a_linear_layer_of_another_package_is_known_by_its_sizes(is_turned: bool) -> None:
    """`in_features`, `out_features` and a weight of those sizes."""
    [layer] = inventory(nn.Sequential(_ForeignLinear(6, 4, is_turned=is_turned)))
    assert layer.kind == "fc"
    assert (layer.weights[0].input_dim, layer.weights[0].num_inputs) == (0 if is_turned else 1, 6)


class _Einsum(nn.Module):
    """Four experts of [in, out] each, in one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.Parameter(torch.randn(4, 12, 8))


MODULES: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "einsum": (_Einsum, "experts", "1 in a module of unknown kind (`1.experts`)"),
    "ParameterList": (lambda: nn.ParameterList([torch.randn(12, 8)]), "0", "1 in a module of unknown kind (`1.0`)"),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(8, 2), "in_proj_weight", "2 in an attention module"),
}


@pytest.mark.parametrize("name", MODULES)
def test_matrices_of_other_modules_are_told_of_and_can_be_named(name: str) -> None:
    """Row 22: not `prunable`, but never left out in silence."""
    make, parameter, said = MODULES[name]
    model = nn.Sequential(nn.Linear(12, 4), make())
    assert _selected("sparse 50% 1it lr=0.1", model) == {"0.weight"}
    [warning] = _told("sparse 50% 1it lr=0.1", model)
    assert said in warning
    assert f"1.{parameter}" in _selected('sparse 50% layers="1" 1it lr=0.1', model)
    assert f"1.{parameter}" in _selected("sparse 50% layers=all 1it lr=0.1", model)
    advised = warning.rpartition("`layers=")[2].rstrip("`")
    assert f"1.{parameter}" in _selected(f"sparse 50% layers={advised} 1it lr=0.1", model)
    assert _told(f"sparse 50% layers={advised} 1it lr=0.1", model) == []


def test_modules_of_torch_with_matrices_of_their_own() -> None:
    """`nn.Bilinear` is `fc`, `nn.EmbeddingBag` is `embed`."""
    model = nn.ModuleList([nn.Bilinear(3, 4, 5), nn.EmbeddingBag(6, 4)])
    assert _selected("sparse 50% 1it lr=0.1", model) == {"0.weight"}
    assert _selected("sparse 50% layers=embed 1it lr=0.1", model) == {"1.weight"}


def test_a_tag_says_kind_and_input_dimension() -> None:
    """What cannot be inferred can be declared."""
    module = tag(_Einsum(), kind="fc", input_dim=1)
    assert inventory(nn.Sequential(module))[0].weights[0].num_inputs == 12
    turned = tag(_ForeignLinear(8, 8, is_turned=False), input_dim=0)
    model = nn.Sequential(turned, module)
    session = begin("sparse 2:4 1it lr=0.1", model, _sgd(model))
    assert bool((session.masks["0.weight"].view(2, 4, 8).sum(1) == 2).all())
    assert bool((session.masks["1.experts"].view(4, 3, 4, 8).sum(2) == 2).all())


def test_a_tag_says_which_matrices_are_recurrent() -> None:
    module = nn.Module()
    module.inward, module.around = nn.Parameter(torch.randn(8, 12)), nn.Parameter(torch.randn(8, 8))
    model = nn.Sequential(tag(module, kind="rnn", bidirectional=True, parts={"inward": "ih", "around": "hh"}))
    for word in ("rnn", "birnn"):
        assert _selected(f"sparse 50% layers={word}.hh 1it lr=0.1", model) == {"0.around"}
        assert _selected(f"sparse 50% layers={word}.ih 1it lr=0.1", model) == {"0.inward"}


def test_every_reason_to_leave_a_matrix_out_is_counted_and_named() -> None:
    """The surprising ones first; those alone would not have been told."""
    model = nn.ModuleList(
        [
            *(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Embedding(10, 8), nn.Embedding(12, 8), nn.LayerNorm((4, 8))),
            *(tag(nn.Linear(8, 6), kind="ctc"), nn.ParameterList([torch.randn(40, 40)])),
            *(nn.Linear(8, 8).requires_grad_(False), nn.Linear(8, 8), nn.Linear(8, 4)),
        ]
    )
    [warning] = _told('sparse 50% except="8" 1it lr=0.1', model)
    assert warning == (
        "9 of 11 matrices, 77% of the weights, are not selected: 1 frozen or not in the optimizer (`7.weight`), "
        "1 in a module of unknown kind (`6.0`), 2 embeddings (`2.weight`, `3.weight`), 2 norms (`4.weight`, `4.bias`), "
        "1 projection to a CTC alphabet (`5.weight`), 1 first convolution (`0.weight`), "
        '1 not named by the schedule (`8.weight`); to prune more, name it: `layers=prunable,"6"`'
    )


def test_what_the_language_reference_says_of_every_model_is_not_told() -> None:
    """An embedding, a first convolution, a norm, what the user excluded, and a small parameter."""
    vision = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(8, 4))
    words = nn.ModuleList([nn.Embedding(100, 8), nn.Linear(8, 8), nn.LayerNorm((4, 8))])
    tiny = nn.Sequential(nn.Linear(100, 100), nn.ParameterList([torch.randn(1, 50)]))
    for model in (vision, words, tiny):
        assert _told("sparse 50% 1it lr=0.1", model) == []
    assert _told("sparse 50% except=output 1it lr=0.1", vision) == []
    assert _told("sparse 50% layers=output 1it lr=0.1", vision) == []
    assert _told("dense 1it lr=0.1", _Tied()) == []


# --- weights that are computed ----------------------------------------------------------------------------------------

parametrizations = nn.utils.parametrizations
COMPUTED: dict[str, tuple[Callable[[nn.Module], nn.Module], str]] = {
    "weight_norm": (lambda m: nn.utils.weight_norm(m), "remove_weight_norm"),
    "spectral_norm": (lambda m: nn.utils.spectral_norm(m), "remove_spectral_norm"),
    "prune": (lambda m: nn.utils.prune.l1_unstructured(m, "weight", 0.5), "prune.remove"),
    "parametrizations.weight_norm": (lambda m: parametrizations.weight_norm(m), "remove_parametrizations"),
    "parametrizations.spectral_norm": (lambda m: parametrizations.spectral_norm(m), "remove_parametrizations"),
    "parametrizations.orthogonal": (lambda m: parametrizations.orthogonal(m), "remove_parametrizations"),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("selection", ["", "layers=fc", "layers=all", 'layers="0"', 'layers="0.weight"'])
@pytest.mark.parametrize("made_by", COMPUTED)
def test_a_computed_weight_is_refused_by_name(made_by: str, selection: str) -> None:
    """Row 22: neither gains are pruned nor is the layer left out in silence; what to do works."""
    apply, remedy = COMPUTED[made_by]
    model = network()
    model[0] = apply(model[0])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DsdError) as caught:
        begin(f"dense 1it lr=0.1; sparse 50% {selection} 1it", model, _sgd(model))
    assert f"`0.weight` is computed by `{made_by}`" in caught.value.message
    assert remedy in str(caught.value.help)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert _selected('sparse 50% except="0" 1it lr=0.1', model) == {"3.weight", "5.weight"}
    call = str(caught.value.help).partition("`")[2].partition("`")[0]
    eval(call, {"torch": torch, "module": model.get_submodule("0")})
    session = begin("sparse 50% 2it lr=0.1", model, _sgd(model))
    run(session, model)
    assert_masked(session, model)
    assert session.sparsity()["0.weight"] == 0.5


def test_a_standardized_convolution_is_refused_by_name() -> None:
    """timm's `StdConv2d` subtracts a mean from its weight: a masked weight would not be zero in the forward pass."""

    class StdConv2d(nn.Conv2d):
        pass

    own = nn.Sequential(nn.Conv2d(1, 4, 3), StdConv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 4))
    assert _selected("sparse 50% 1it lr=0.1", own) == {"1.weight", "3.weight"}, "of that name, but not timm's"
    StdConv2d.__module__ = "timm.layers.std_conv"
    model = nn.Sequential(nn.Conv2d(1, 4, 3), StdConv2d(4, 4, 3), nn.Flatten(), nn.Linear(16, 4))
    with pytest.raises(DsdError, match=r"`1\.weight` is computed by `weight_standardization`") as caught:
        begin("sparse 50% 1it lr=0.1", model, _sgd(model))
    assert caught.value.help == 'leave it out: `except="1"`'
    assert _selected('sparse 50% except="1" 1it lr=0.1', model) == {"3.weight"}


@pytest.mark.parametrize("frozen", [(), ("original0",), ("original1",), ("original0", "original1")])
def test_a_computed_weight_is_frozen_where_all_it_is_made_of_is(frozen: tuple[str, ...]) -> None:
    model = network()
    made = parametrizations.weight_norm(model[0]).parametrizations.weight
    for name in frozen:
        getattr(made, name).requires_grad_(False)
    if len(frozen) == 2:
        assert _selected("sparse 50% 1it lr=0.1", model) == {"3.weight", "5.weight"}
    else:
        with pytest.raises(DsdError, match=r"`0\.weight` is computed by"):
            begin("sparse 50% 1it lr=0.1", model, _sgd(model))


def test_several_computed_weights_are_left_out_by_their_names() -> None:
    """What the help says to write works."""
    model = network()
    for index in (0, 3):
        parametrizations.weight_norm(model[index])
    with pytest.raises(DsdError, match=r"`0\.weight`, `3\.weight` are computed") as caught:
        begin("sparse 50% 1it lr=0.1", model, _sgd(model))
    advised = str(caught.value.help).rpartition("`except=")[2].rstrip("`")
    assert advised == '"0","3"'
    assert _selected(f"sparse 50% except={advised} 1it lr=0.1", model) == {"5.weight"}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("style", ["weight_norm", "parametrizations.weight_norm"])
def test_a_dense_schedule_runs_on_computed_weights(style: str) -> None:
    """Nothing is pruned, so there is nothing to refuse; the total is asked of what could be pruned."""
    model = network()
    model[0] = COMPUTED[style][0](model[0])
    session = begin("dense 3it lr=0.1", model, _sgd(model))
    run(session, model)
    assert session.sparsity() == {"3.weight": 0.0, "5.weight": 0.0, "total": 0.0}


# --- the layers file --------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_layers_file_says_the_same_as_the_model(tmp_path: Path) -> None:
    """What `--write-layers` writes is read back equal, so that linter, plan and runtime select alike."""
    model = nn.ModuleList([_Tied(), network_with_frozen_first(), nn.ConvTranspose2d(4, 6, 3, groups=2)])
    model.append(nn.utils.weight_norm(nn.Linear(4, 4)))
    path = tmp_path / "layers.json"
    path.write_text(json.dumps(layers_as_data(inventory(model))))
    assert read_layers(str(path)) == inventory(model)


def test_plain_weights_are_written_as_before(tmp_path: Path) -> None:
    """Fields are added only where they say something; an old file is read as ever, a wrong one in a sentence."""
    data = layers_as_data(inventory(nn.Sequential(nn.Linear(3, 4))))
    assert data["layers"][0]["weights"][0] == {"name": "0.weight", "shape": [4, 3], "part": None}
    path = tmp_path / "layers.json"
    path.write_text('{"layers": [{"name": "a", "kind": "fc", "weights": [{"name": "a.weight", "shape": [4, 3]}]}]}')
    assert read_layers(str(path)) == (LayerInfo("a", "fc", (WeightInfo("a.weight", (4, 3)),), roles=("output",)),)
    wrong = {
        '"tied_to": "b.weight"': "names no other weight",
        '"is_trainable": 1': "true or false",
        '"input_dim": 2': "no 1 blocks of inputs along dim 2",
        '"made_by": 3': "must be",
        '"output_blocks": 3': "no 3 equal blocks of outputs",
    }
    for field, said in wrong.items():
        path.write_text(path.read_text().replace('"shape": [4, 3]', f'"shape": [4, 3], {field}'))
        with pytest.raises(DsdError, match=said):
            read_layers(str(path))
        path.write_text(path.read_text().replace(f", {field}", ""))


def test_the_linter_and_the_runtime_agree_on_frozen_and_computed_weights() -> None:
    """One fact in the inventory: the same selectors come to nothing for both."""
    model = network_with_frozen_first()
    layers = inventory(model)
    weights, missing = select([parse_selector("fc")], [], layers)
    assert [weight.name for weight in weights] == ["3.weight", "5.weight"]
    assert not missing
    conv = nn.ModuleList([nn.Linear(4, 4), nn.Conv2d(3, 3, 3).requires_grad_(False)])
    report = dsd_lang.analyse("dense 1ep lr=0.1\nsparse 50% layers=conv\ndense\n", layers=inventory(conv))
    assert [d.message for d in report.diagnostics] == [
        "every weight that `conv` matches is frozen or not in the optimizer (1, such as `1.weight`)"
    ]
