"""A place in, the arguments, their values and the parameters of functions that may stand there out."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.arguments import ARGUMENTS, BY_NAME, RATE_WORDS, Argument, Option
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.markdown import argument_page, option_page
from dsd_lang.lsp.meanings import RATES
from dsd_lang.lsp.offers import Offer
from dsd_lang.lsp.phase_parts import has_pattern, has_ramp, is_condition, parts, target
from dsd_lang.lsp.place import Place
from dsd_lang.passes.read_conditions import FUNCTIONS
from dsd_lang.passes.read_functions import SWITCHES
from dsd_lang.passes.read_values import DISTILL_PARAMETERS
from dsd_lang.syntax import nodes

# a value to start from, where the default of the table is none that could be written
_STARTS = {
    "lr": "1e-3", "wd": "1e-4", "l1": "1e-5", "floor": "1e-6", "warmup": "100it", "every": "100it",
    "calibrate": "100it", "layers": "fc", "except": "first_conv", "batch": "128", "min": "0", "dropout": "20%",
    "clip": "norm(5)", "opt": "sgd(momentum=0.9)", "model": '"ds2"', "data": '"digits"', "seed": "0", "seeds": "3",
    "scale": "0.5", "on": "test.err", "noise": "symmetric(20%)", "from": "random",
}  # fmt: skip
# options that are nothing without a value, written with one
_EXAMPLES = {
    "step": "step(${1:33%}, ${2:66%}, by=${3:0.1})", "exp": "exp(${1:0.95})", "norm": "norm(${1:5})",
    "value": "value(${1:1})", "block": "block(${1:4}, ${2:1})", "set": "set(drop=${1:30%}, every=${2:100it})",
    "symmetric": "symmetric(${1:20%})", "asymmetric": "asymmetric(${1:20%})", "pairflip": "pairflip(${1:20%})",
}  # fmt: skip
_ALWAYS_WITH_VALUES = {True: ("step", "exp"), False: ("set",)}  # of decays, and of other functions
_PARAMETERS = {
    "order": "largest", "momentum": "0.9", "beta1": "0.9", "beta2": "0.999", "eps": "1e-8", "by": "0.1",
    "floor": "1e-6", "drop": "30%", "every": "100it", "until": "75%", "alpha": "0.5", "T": "4", "patience": "3",
    "delta": "1e-3", "rounds": "2", "samples": "128", "batches": "1", "nesterov": "on", "amsgrad": "on",
    "centered": "on",
}  # fmt: skip
_PLACES = {"DENSE": "dense", "SPARSE": "sparse", "SET": "set", "REPEAT": "repeat", "FORK": "fork", "COMPARE": "compare"}


def argument_offers(document: Document, place: Place) -> Iterator[Offer]:
    """The arguments of the statement that are not given yet."""
    where = _PLACES.get(place.statement or "")
    if where is None or not place.takes("SELECTING") or place.call is not None:
        return
    if place.clause is not None and not is_condition(place.clause):
        return
    in_tail = where in ("dense", "sparse") and _is_in_tail(place)
    for row in ARGUMENTS:
        is_here = where in row.places or (in_tail and row.name == "scale")
        if is_here and row.name not in place.named and _makes_sense(document, place, row.name):
            yield Offer(
                f"{row.name}=",
                f"{row.name}=${{1:{start_of(row)}}}",
                detail=row.meaning,
                page=argument_page(row),
                kind=types.CompletionItemKind.Property,
                filter_text=row.name,
            )


def _makes_sense(document: Document, place: Place, name: str) -> bool:
    """Whether an argument says something about what the phase is by now."""
    if name == "floor":
        return _decays(place) if "decay" in place.named else "decay" in document.labels.settings
    if name in ("ramp", "every"):
        return has_ramp(place)
    if name == "of":
        return isinstance(target(place), nodes.Number) and not has_ramp(place) and not has_pattern(place)
    return True


def _decays(place: Place) -> bool:
    """Whether the phase's own `decay=` lowers anything."""
    given = next((part for part in parts(place) if isinstance(part, nodes.Argument) and part.name == "decay"), None)
    return given is not None and not (isinstance(given.value, nodes.Name) and given.value.text == "constant")


def start_of(row: Argument) -> str:
    """A value to start an argument with: its default where that can be written."""
    return _STARTS.get(row.name, row.default)


def _is_in_tail(place: Place) -> bool:
    """Whether the phase belongs to a tail `repeat`."""
    kinds = list(place.words)
    last = max((index for index, kind in enumerate(kinds) if kind in ("LBRACE", "_SEPARATOR")), default=-1)
    return "REPEAT" in kinds[last + 1 :]


def value_offers(place: Place) -> Iterator[Offer]:
    """The words that the argument takes here."""
    row = BY_NAME.get(place.argument or "")
    if row is None or not place.takes("NUMBER") or place.takes("SELECTING"):
        return
    if row.kind == "lr":
        yield from (Offer(word, detail=RATES[word], kind=types.CompletionItemKind.Variable) for word in RATE_WORDS)
    if place.items and getattr(place.items[-1], "kind", "") != "EQUAL":
        return  # after an operator only numbers
    for option in sorted(row.options, key=lambda option: option.tier != "C"):
        yield option_offer(row, option)


def option_offer(row: Argument, option: Option) -> Offer:
    """One word that an argument takes."""
    snippet = _EXAMPLES.get(option.name, "") if _needs_value(row, option) else ""
    return Offer(
        option.name,
        snippet,
        f"{option.name}(" if snippet else "",
        detail="the default" if option.name == row.default else "",
        page=option_page(row, option),
        kind=types.CompletionItemKind.Function if option.parameters else types.CompletionItemKind.EnumMember,
    )


def _needs_value(row: Argument, option: Option) -> bool:
    return "0" in (option.parameters or ()) or option.name in _ALWAYS_WITH_VALUES[row.kind == "decay"]


def parameter_offers(place: Place) -> Iterator[Offer]:
    """The named parameters of the function between whose parentheses the place is, or the values of one."""
    last = getattr(place.items[-1], "kind", "") if place.items else "COMMA"
    if last == "EQUAL" and place.named[-1:] and _PARAMETERS.get(place.named[-1]) in SWITCHES:
        yield from (Offer(word, kind=types.CompletionItemKind.EnumMember) for word in ("on", "off"))
    if last != "COMMA" or not place.takes("NAME"):
        return
    if place.call == "step" and not place.items:
        return  # its milestones come first
    for name in _parameters(place):
        if name not in place.named:
            start = _PARAMETERS.get(name, "1")
            kind = types.CompletionItemKind.Property
            yield Offer(f"{name}=", f"{name}=${{1:{start}}}", detail=f"of `{place.call}`", kind=kind, filter_text=name)


def _parameters(place: Place) -> tuple[str, ...]:
    if place.call == "@":
        return tuple(DISTILL_PARAMETERS) if place.argument == "distill" else ()
    row = BY_NAME.get(place.argument or "")
    option = row.option(place.call or "") if row is not None else None
    if option is not None:
        return tuple(name for name in option.parameters or () if not name.isdigit())
    is_test = row is None and place.call in FUNCTIONS and bool(place.items)
    return FUNCTIONS[place.call or ""][1] if is_test else ()
