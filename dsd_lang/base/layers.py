"""A model's layers as data, and selectors resolved on them; shared by the linter and the runtime, without torch.

A layer has one kind; ``birnn`` is any bidirectional recurrent layer. :func:`select` returns what each selector matched,
and the caller reports those that matched nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dsd_lang.base.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

RECURRENT_KINDS = ("rnn", "lstm", "gru")
PRUNABLE_KINDS = ("conv", "fc", *RECURRENT_KINDS)

# the meanings of words as selectors
KINDS = {
    "conv": "convolutions, of any dimension",
    "fc": "fully connected layers; not the projection into a CTC alphabet, which is `ctc`",
    "rnn": "plain recurrent layers, of one direction or both",
    "lstm": "LSTM layers, of one direction or both",
    "gru": "GRU layers, of one direction or both",
    "birnn": "every bidirectional recurrent layer: RNN, LSTM or GRU",
    "embed": "embeddings; never pruned unless named",
    "norm": "normalisation layers; never pruned unless named",
    "attention": "attention layers",
}
ROLES = {
    "first_conv": "the first convolution of the model",
    "output": "the last fully connected or CTC layer",
    "ctc": "the projection into the CTC alphabet, which is not `fc`",
    "prunable": "every matrix of `conv`, `fc` and recurrent layers, less a convolution that comes first: the default",
    "all": "every weight of two or more dimensions",
}
PARTS = {"ih": "only the input-to-hidden matrices", "hh": "only the hidden-to-hidden matrices"}


@record
class WeightInfo:
    """One weight of a layer: its qualified name, its shape, and for recurrent matrices `ih` or `hh`.

    ``is_trainable`` is false for a frozen weight: `requires_grad=False`, or in no group of the optimizer. ``tied_to``
    is the first name of a weight that has several. Its inputs lie along dimension ``input_dim``, in ``input_blocks``
    separate groups. ``made_by`` names the function that computes a weight that is not a parameter (`weight_norm`) and
    so cannot be masked. The outputs of a grouped convolution lie in ``output_blocks`` groups along dimension 0, each
    with inputs of its own.
    """

    name: str
    shape: tuple[int, ...]
    part: Literal["ih", "hh"] | None = None
    is_trainable: bool = True
    tied_to: str | None = None
    input_dim: int = 1
    input_blocks: int = 1
    made_by: str | None = None
    output_blocks: int = 1

    @property
    def size(self) -> int:
        """Number of elements."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total

    @property
    def is_matrix(self) -> bool:
        """Whether it has two or more dimensions; false for biases and the scales of norms."""
        return len(self.shape) >= 2

    @property
    def first_name(self) -> str:
        """The first name of a tied weight; the name of any other."""
        return self.tied_to or self.name

    @property
    def num_inputs(self) -> int:
        """The number of inputs of one output, along the input dimension; 0 for a weight that is not a matrix."""
        return self.shape[self.input_dim] // self.input_blocks if self.is_matrix else 0


@record
class LayerInfo:
    """A module with parameters of its own: qualified name, kind, declared roles, and these parameters."""

    name: str
    kind: str
    weights: tuple[WeightInfo, ...]
    bidirectional: bool = False
    roles: tuple[str, ...] = ()


@record
class Selector:
    """One item of `layers=`: a word (kind or role, optionally with a part), a glob, or a regular expression."""

    form: Literal["word", "glob", "regex"]
    text: str

    def __str__(self) -> str:
        return {"word": self.text, "glob": f'"{self.text}"', "regex": f"/{self.text}/"}[self.form]


def parse_selector(text: str) -> Selector:
    """Parses a selector as the plan writes it (`fc`, `"layer1.*"`, `/block[12]/`)."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return Selector("glob", text[1:-1])
    if len(text) >= 2 and text[0] == text[-1] == "/":
        return Selector("regex", text[1:-1])
    return Selector("word", text)


_KINDS_OF_WORD = {
    **{kind: frozenset((kind,)) for kind in KINDS},
    "birnn": frozenset(RECURRENT_KINDS),
    "prunable": frozenset(PRUNABLE_KINDS),
}
"""The kinds of layers that a bare word may select; a role that may be declared on any kind is not here."""


def are_disjoint(one: Selector, other: Selector) -> bool:
    """Whether two selectors can never select the same weight in any model: `conv` and `fc`, `lstm.ih` and `lstm.hh`."""
    if one.form != "word" or other.form != "word":
        return False
    (word, _, part), (its_word, _, its_part) = one.text.partition("."), other.text.partition(".")
    if part and its_part and part != its_part:
        return True
    kinds, its_kinds = _KINDS_OF_WORD.get(word), _KINDS_OF_WORD.get(its_word)
    return kinds is not None and its_kinds is not None and not kinds & its_kinds


def covers(wide: Selector, narrow: Selector) -> bool:
    """Whether a selector includes all weights of another in every model: `all` those of `fc`, `lstm` `lstm.hh`."""
    if wide == narrow:
        return True
    if wide.form != "word" or narrow.form != "word":
        return False
    word, _, part = narrow.text.partition(".")
    if wide.text == "all":
        return word != "norm"
    if wide.text == "prunable":
        return word in ("fc", *RECURRENT_KINDS, "birnn")
    return (wide.text == word and bool(part)) or (wide.text, narrow.text) == ("conv", "first_conv")


def with_inferred_roles(layers: Sequence[LayerInfo]) -> tuple[LayerInfo, ...]:
    """Adds the roles `first_conv` and `output` (the last fc or ctc layer) if no layer declares them."""
    declared = {role for layer in layers for role in layer.roles}
    convolutions = [index for index, layer in enumerate(layers) if layer.kind == "conv"]
    projections = [index for index, layer in enumerate(layers) if layer.kind in ("fc", "ctc")]
    added: dict[int, str] = {}
    if "first_conv" not in declared and convolutions:
        added[convolutions[0]] = "first_conv"
    result = list(layers)
    for index, role in added.items():
        layer = result[index]
        result[index] = LayerInfo(layer.name, layer.kind, layer.weights, layer.bidirectional, (*layer.roles, role))
    if "output" not in declared and projections:
        layer = result[projections[-1]]
        result[projections[-1]] = LayerInfo(
            layer.name, layer.kind, layer.weights, layer.bidirectional, (*layer.roles, "output")
        )
    return tuple(result)


def unpruned_first_conv(layers: Sequence[LayerInfo]) -> LayerInfo | None:
    """The first convolution, if it is also the first prunable layer: then `prunable` leaves it out."""
    for layer in layers:
        if layer.kind in PRUNABLE_KINDS and any(weight.is_matrix for weight in layer.weights):
            return layer if "first_conv" in layer.roles else None
    return None


def _prunable(layers: Sequence[LayerInfo]) -> list[WeightInfo]:
    """The weights of `prunable`. A weight tied to an embedding or to the first convolution is left out."""
    first_conv = unpruned_first_conv(layers)
    others = [layer for layer in layers if layer.kind == "embed" or layer is first_conv]
    left_out = {weight.first_name for layer in others for weight in layer.weights}
    return [
        weight
        for layer in layers
        if layer.kind in PRUNABLE_KINDS and layer is not first_conv
        for weight in layer.weights
        if weight.is_matrix and weight.first_name not in left_out
    ]


def _layers_for_word(word: str, layers: Sequence[LayerInfo]) -> list[LayerInfo]:
    if word == "all":
        return [layer for layer in layers if any(weight.is_matrix for weight in layer.weights)]
    if word == "birnn":
        return [layer for layer in layers if layer.bidirectional and layer.kind in RECURRENT_KINDS]
    return [layer for layer in layers if layer.kind == word or word in layer.roles]


def _own_weights(layer: LayerInfo) -> list[WeightInfo]:
    """The weights that a layer's name means: its matrices, or a norm's `weight` if it has none; never a bias."""
    matrices = [weight for weight in layer.weights if weight.is_matrix]
    return matrices or [weight for weight in layer.weights if weight.name.rpartition(".")[2] == "weight"]


def match(selector: Selector, layers: Sequence[LayerInfo]) -> tuple[WeightInfo, ...]:
    """The weights that one selector names, in the model's order, including frozen ones; empty if it matches nothing.

    Globs and regular expressions are matched first against layer names and then against full parameter names, so
    `"head"` names a layer's matrices and `"head.bias"` the bias. A tied weight matches by each of its names and is
    returned under the first.
    """
    named = dict.fromkeys(weight.first_name for weight in _named(selector, layers))
    known = {weight.name: weight for layer in layers for weight in layer.weights} if named else {}
    return tuple(known[name] for name in named)


def _named(selector: Selector, layers: Sequence[LayerInfo]) -> list[WeightInfo]:
    if selector.form == "word":
        word, _, part = selector.text.partition(".")
        if word == "prunable":
            weights = _prunable(layers)
        else:
            weights = [weight for layer in _layers_for_word(word, layers) for weight in _own_weights(layer)]
        return [weight for weight in weights if not part or weight.part == part]
    matches = _matcher(selector)
    found: list[WeightInfo] = []
    for layer in layers:
        if matches(layer.name):
            found += _own_weights(layer)
        else:
            found += [weight for weight in layer.weights if matches(weight.name)]
    return found


def _matcher(selector: Selector) -> Callable[[str], object]:
    """Whether a glob or a regular expression matches a name."""
    if selector.form == "glob":
        from dsd_lang.base.patterns import glob

        return glob(selector.text).fullmatch
    from dsd_lang.base.patterns import regular_expression

    return regular_expression(selector.text).search


def selected_by(selector: Selector, layers: Sequence[LayerInfo]) -> tuple[WeightInfo, ...]:
    """The weights that one item of `layers=` selects: a word leaves out frozen weights, a name in quotes does not."""
    return tuple(weight for weight in match(selector, layers) if weight.is_trainable or selector.form != "word")


def trained_together(selector: Selector, layers: Sequence[LayerInfo]) -> tuple[WeightInfo, ...]:
    """The weights that one selector names in `freeze=` and `lr=[...]`, in the model's order, frozen ones too.

    There a layer is trained as a whole: a kind, a role or a layer's name means its biases and scales as well, and `all`
    every weight of the model. A part (`lstm.hh`) and the name of a weight mean just these. Tied weights are returned
    under their first name.
    """
    named = dict.fromkeys(weight.first_name for weight in _whole(selector, layers))
    known = {weight.name: weight for layer in layers for weight in layer.weights} if named else {}
    return tuple(known[name] for name in named)


def _whole(selector: Selector, layers: Sequence[LayerInfo]) -> list[WeightInfo]:
    word = selector.text
    if selector.form != "word":
        matches = _matcher(selector)
        return [weight for layer in layers for weight in layer.weights if matches(layer.name) or matches(weight.name)]
    if "." in word:
        return _named(selector, layers)
    if word == "prunable":
        chosen = {weight.name for weight in _prunable(layers)}
        owners = [layer for layer in layers if any(weight.name in chosen for weight in layer.weights)]
        return [weight for layer in owners for weight in layer.weights if weight.name in chosen or not weight.is_matrix]
    return [
        weight for layer in (layers if word == "all" else _layers_for_word(word, layers)) for weight in layer.weights
    ]


def select(
    include: Iterable[Selector], exclude: Iterable[Selector], layers: Sequence[LayerInfo]
) -> tuple[tuple[WeightInfo, ...], tuple[Selector, ...]]:
    """The weights selected by `include` minus those named by `exclude`, and the selectors that selected nothing.

    Without an `include` the default is `prunable`. Weights are in the model's order, each once, tied ones under their
    first name. A word does not select frozen weights; :func:`why_nothing` describes a word that matches no others.
    """
    wanted = tuple(include) or (Selector("word", "prunable"),)
    unwanted = tuple(exclude)
    selected = {selector: selected_by(selector, layers) for selector in wanted}
    excluded = {selector: match(selector, layers) for selector in unwanted}
    missing = [selector for selector in wanted if not selected[selector]]
    missing += [selector for selector in unwanted if not excluded[selector]]
    dropped = {weight.name for weights in excluded.values() for weight in weights}
    named = {weight.name for weights in selected.values() for weight in weights} - dropped
    ordered = tuple(weight for layer in layers for weight in layer.weights if weight.name in named)
    return ordered, tuple(dict.fromkeys(missing))


def why_nothing(selector: Selector, layers: Sequence[LayerInfo]) -> tuple[str, str] | None:
    """Why a word of `layers=` that matches only frozen weights selects nothing, and what to do; None otherwise."""
    frozen = match(selector, layers)
    if not frozen or selected_by(selector, layers):
        return None
    owner = next(layer.name for layer in layers if frozen[0] in layer.weights)
    return (
        f"every weight that `{selector.text}` matches is frozen or not in the optimizer ({len(frozen)}, such as "
        f"`{frozen[0].name}`)",
        f'a frozen weight is pruned only when it is named in quotes: `layers="{owner or frozen[0].name}"`',
    )


def describe_inventory(layers: Sequence[LayerInfo]) -> str:
    """Summarises a model's layers: `conv (2), birnn (7), fc (1), ctc (1)`."""
    counts: dict[str, int] = {}
    for layer in layers:
        if layer.kind == "norm" or (layer.kind == "other" and not any(weight.is_matrix for weight in layer.weights)):
            continue
        kind = "birnn" if layer.bidirectional else layer.kind
        counts[kind] = counts.get(kind, 0) + 1
    return ", ".join(f"{kind} ({count})" for kind, count in counts.items()) or "no layer with weights"
