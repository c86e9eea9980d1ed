"""Resolves the start and shape of learning rates: exact, or relative to a rate known only at run time.

Without `lr=`, a `sparse` phase takes the previous phase's start, and a `dense` one after `sparse` a tenth of it (under
`clock=global` all of it, so that one curve runs through). `last` is exact if the shape has a closed rational form;
otherwise it stays "the final rate of that phase" with a factor.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.arguments import RATE_WORDS
from dsd_lang.base.errors import nearest
from dsd_lang.base.units import exact, format_exact, format_short
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Draft
from dsd_lang.passes.quantities import Bound, Names, Quantity, evaluate, is_too_long, length_data, power
from dsd_lang.passes.read_settings import Settings
from dsd_lang.passes.values import FAILED, WrittenRate, is_decay, is_length, is_source
from dsd_lang.plan.rates import final_exponent
from dsd_lang.syntax import nodes
from dsd_lang.syntax.named_selectors import selectors_of
from dsd_lang.syntax.walk import below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.values import Value
    from dsd_lang.plan.shapes import DecayData, LengthData, RateData

REDENSE = Fraction(1, 10)
_RATES = frozenset(RATE_WORDS)
_CONSTANT: DecayData = {"kind": "constant"}
_ORIGINS = {"set": "`set`", "flag": "`--set`", "preset": "the model preset"}


def resolve_learning_rates(compilation: Compilation) -> None:
    """Fills in ``lr`` of every draft, ``groups`` (multiples of it), and ``rate``, both as plan data."""
    rates = _Rates(compilation.settings, compilation.diagnostics)
    for draft in compilation.book.phases:
        draft.groups = ()
        draft.lr = rates.start(draft)
        draft.rate = rates.data(draft)


def final_rate(draft: Draft, decay: DecayData, *, is_own_clock: bool) -> Quantity | None:
    """The rate at the end of a phase: exact if it is known, else a multiple of `last`."""
    start = draft.lr
    if start is None or draft.length is None:
        return None
    symbolic = Quantity(Fraction(1), "last", draft.index)
    if draft.length.value == 0:
        return start
    if not is_own_clock or _may_stop_early(draft):
        return start if decay["kind"] == "constant" and is_own_clock else symbolic
    factor = _final_factor(decay, draft.length)
    if factor is None:
        return symbolic
    floor = exact(decay["floor"]) if "floor" in decay else Fraction(0)
    if start.unit:
        return symbolic if floor else start._replace(value=start.value * factor)
    value = max(start.value * factor, floor)
    return symbolic if is_too_long(value) else Quantity(value)


def _share(draft: Draft, share: str) -> LengthData | None:
    """A share of the phase as a length, or of the `within` whose rates begin with the phase."""
    whole = draft.length if draft.block is None else draft.block.whole
    if whole is None:
        return None
    value = whole.value * exact(share)
    return length_data(Quantity(value if whole.unit == "ep" else Fraction(round(value)), whole.unit))


def _may_stop_early(draft: Draft) -> bool:
    return isinstance(draft.given.until, dict) or bool(draft.cycles)


def _final_factor(decay: DecayData, length: Quantity) -> Fraction | None:
    """The factor between the start and the end of a phase's rate; None if it is known only at run time."""
    kind = decay["kind"]
    if kind == "constant":
        return Fraction(1)
    if kind in ("linear", "cosine"):
        return Fraction(0)
    exponent = final_exponent(decay, length.value, length.unit)
    return None if exponent is None else _short_power(exact(decay["factor"]), exponent)


def _short_power(factor: Fraction, exponent: int) -> Fraction | None:
    raised = power(factor, exponent)
    return None if raised is None or is_too_long(raised) else raised


class _Rates:
    def __init__(self, settings: Settings, diagnostics: Diagnostics) -> None:
        self.settings = settings
        self.diagnostics = diagnostics
        self._words: dict[int, frozenset[str]] = {}
        self._shapes: dict[tuple[int, int], tuple[DecayData, LengthData | str | None]] = {}

    def start(self, draft: Draft) -> Quantity | None:
        """The exact start of a phase's learning rate, with the reason when it was not given."""
        given = draft.given.arguments.get("lr")
        if draft.original is not None:
            if given is draft.original.given.arguments.get("lr"):
                draft.groups = draft.original.groups
                return self.copied(draft)
            draft.reasons["copy"] = f"`repeat` copies {draft.original.index}"
            draft.reasons["lr"] = "lr given"
        if given is FAILED:
            return None
        if given is None:
            draft.derived.append("lr")
            draft.groups = draft.parent.groups if draft.parent is not None else ()
            return self.inherited(draft)
        if "length" in draft.reasons:
            draft.reasons["lr"] = "lr given"
        assert isinstance(given, WrittenRate), "the reader of `lr=` gives an expression"
        if isinstance(given.expression, nodes.ListTarget):
            return self.of_groups(draft, given.expression, given.names)
        return self.evaluated(draft, given.expression, given.names)

    def of_groups(self, draft: Draft, written: nodes.ListTarget, names: Names) -> Quantity | None:
        """The rate of what no earlier item selects, that of the last one; the others become multiples of it."""
        rates: list[tuple[nodes.SelectorNode, Quantity]] = []
        for item in written.items:
            rate = self.of_group(draft, item, names)
            selectors = selectors_of(item.selector, names)
            if selectors is None:
                self.diagnostics.report(rules.wrong_value_names.name_of_no_selector(item.selector))
            if rate is None or selectors is None:
                return None
            rates += [(selector, rate) for selector in selectors]
        _, last = rates[-1]
        for selector, rate in rates[:-1]:
            if (rate.unit, rate.phase) != (last.unit, last.phase):
                self.diagnostics.report(rules.wrong_value_names.rates_not_comparable(written.span))
                return None
            draft.groups += ((str(selector.selector), rate.value / last.value),)
        return last

    def of_group(self, draft: Draft, item: nodes.SelectorTarget, names: Names) -> Quantity | None:
        if isinstance(item.target, nodes.TARGETS):
            self.diagnostics.report(rules.wrong_value_names.not_a_rate(item.target.span))
            return None
        return self.evaluated(draft, item.target, names)

    def copied(self, draft: Draft) -> Quantity | None:
        original = draft.original
        assert original is not None
        draft.derived.append("lr")
        scale = draft.item.scale
        factor = f" with its lr x {format_short(scale)}" if scale != 1 else ""
        draft.reasons["copy"] = f"`repeat` copies {original.index}{factor}"
        if original.lr is None:
            return None
        return self.checked(draft, original.lr._replace(value=original.lr.value * scale))

    def inherited(self, draft: Draft) -> Quantity | None:
        parent = draft.parent
        if parent is None:
            setting = self.settings.get("lr")
            if setting is not None:
                draft.reasons["lr"] = f"lr from {_ORIGINS[setting.origin]}"
                assert isinstance(setting.data, Quantity), "a rate is set as a number"
                return setting.data
            draft.reasons["lr"] = "lr is the optimizer's own"
            return Quantity(Fraction(1), "optimizer")
        if draft.block is not None and draft.block.head is not draft:
            draft.reasons["lr"] = "lr the one rate of the `within`"
            return draft.block.head.lr
        if parent.lr is None:
            return None
        if draft.mode == "dense" and parent.mode == "sparse":
            if self.is_on_global_clock(draft):
                draft.reasons["lr"] = "lr the one rate of `clock=global`"
                return parent.lr
            draft.reasons["lr"] = "lr 0.1 x the sparse phase's start"
            return self.checked(draft, parent.lr._replace(value=parent.lr.value * REDENSE))
        draft.reasons["lr"] = "lr inherited from the previous phase's start"
        return parent.lr

    def is_on_global_clock(self, draft: Draft) -> bool:
        """Whether one curve runs through the whole line: then a dense phase after a sparse one continues it."""
        clock = self.value(draft, "clock")
        return is_source(clock) and clock["kind"] == "global"

    def evaluated(self, draft: Draft, expression: nodes.Value, item_names: Names) -> Quantity | None:
        if isinstance(expression, nodes.Number) and expression.value.numerator > 0:
            return self.checked(draft, Quantity(expression.value))
        names: dict[str, Bound] = {}
        if draft.parent is not None:
            for name in self.words_of(expression) & _RATES:
                rate = {"prev": draft.parent.lr, "base": draft.root.lr}.get(name) or (
                    self.final(draft.parent) if name == "last" else None
                )
                if rate is None:
                    return None
                names[name] = rate
        if not self.words_of(expression) <= _RATES and self.is_misspelt(expression, item_names):
            return None
        quantity = evaluate(expression, {**names, **item_names}, self.diagnostics)
        if quantity is None:
            return None
        if quantity.is_length:
            self.diagnostics.report(rules.lr_not_positive.rate_is_a_length(str(quantity), expression.span))
            return None
        if quantity.is_negative or quantity.value == 0:
            shown = "0" if quantity.value == 0 else str(quantity)
            is_decayed = quantity.value == 0 and "last" in self.words_of(expression)
            self.diagnostics.report(rules.lr_not_positive.not_above_zero(shown, expression.span, is_decayed=is_decayed))
            return None
        return self.checked(draft, quantity._replace(unit="") if quantity.unit == "%" else quantity)

    def is_misspelt(self, expression: nodes.Value, names: Names) -> bool:
        """Whether an expression has a word that looks like `prev`, `last` or `base`; reports it."""
        for part in below(expression):
            if isinstance(part, nodes.Name) and part.text not in (*names, *RATE_WORDS):
                from dsd_lang.base.foreign_words import FOREIGN_RATES

                meant = FOREIGN_RATES.get(part.text.lower())
                guess = meant.word if meant is not None else nearest(part.text.lower(), RATE_WORDS)
                if guess is not None or meant is not None:
                    self.diagnostics.report(
                        rules.wrong_value.word_for_rate(
                            part,
                            guess,
                            meant.help if meant is not None else "`prev`, `last` and `base` mean earlier rates",
                        )
                    )
                    return True
        return False

    def words_of(self, expression: nodes.Value) -> frozenset[str]:
        """The names that an expression uses: `prev`, `last`, `base`, and variables."""
        key = id(expression)
        if key not in self._words:
            self._words[key] = frozenset([part.text for part in below(expression) if isinstance(part, nodes.Name)])
        return self._words[key]

    def checked(self, draft: Draft, rate: Quantity) -> Quantity | None:
        if is_too_long(rate.value):
            self.diagnostics.report(rules.lr_not_positive.too_long(draft.node.span))
            return None
        return rate

    def final(self, draft: Draft) -> Quantity | None:
        clock = self.value(draft, "clock")
        is_own_clock = (draft.block is None and clock is None) or (is_source(clock) and clock["kind"] == "phase")
        return final_rate(draft, self.shape(draft)[0], is_own_clock=is_own_clock)

    def value(self, draft: Draft, name: str) -> Value | None:
        """The phase's own value, else the program's setting; None if there is neither."""
        value = draft.given.arguments.get(name)
        if value is FAILED:
            return None
        if value is None and name in self.settings:
            return self.settings[name].data
        return value

    def decay(self, draft: Draft) -> DecayData:
        is_led = draft.block is not None and draft.block.head is not draft
        if is_led and not {"decay", "floor"} & draft.given.arguments.keys():
            assert draft.block is not None, "a led phase has its block"
            return self.decay(draft.block.head)
        written, floor = self.value(draft, "decay"), self.value(draft, "floor")
        decay = written if is_decay(written) else _CONSTANT
        if isinstance(floor, str) and decay["kind"] != "constant":
            return decay if "floor" in decay else {**decay, "floor": floor}
        if isinstance(draft.given.said("floor"), str):
            self.diagnostics.report(rules.unknown_argument.floor_without_decay(draft.node, draft.span_of("floor")))
        return decay

    def data(self, draft: Draft) -> RateData:
        """The field `lr` as plan data."""
        rate = draft.lr
        decay, warmup = self.shape(draft)
        if isinstance(warmup, str):
            warmup = _share(draft, warmup)
        data: RateData = {"decay": decay}
        if rate is not None and not rate.unit:
            data["start"] = format_exact(rate.value)
        elif rate is not None:
            data["of"], data["scale"] = rate.unit, format_exact(rate.value)
            if rate.unit == "last":
                data["phase"] = f"p{rate.phase}"
        if draft.groups:
            data["groups"] = tuple({"selector": one, "scale": format_exact(scale)} for one, scale in draft.groups)
        if warmup is not None:
            data["warmup"] = warmup
        return data

    def shape(self, draft: Draft) -> tuple[DecayData, LengthData | str | None]:
        """The decay and the warm-up, a length or share; once for each written phase and each `within` around it."""
        key = (id(draft.given), id(draft.block.head) if draft.block is not None else 0)
        if key not in self._shapes:
            is_led = draft.block is not None and draft.block.head is not draft
            warmup = draft.given.said("warmup") if is_led else self.value(draft, "warmup")
            self._shapes[key] = self.decay(draft), warmup if is_length(warmup) or isinstance(warmup, str) else None
        return self._shapes[key]
