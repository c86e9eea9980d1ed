"""Every form of the language reference, read into the node that stands for it."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from dsd_lang.syntax import nodes
from dsd_lang.syntax.parser import parse


def statements(text: str) -> tuple[nodes.Statement, ...]:
    result = parse(text)
    assert result.diagnostics == ()
    return result.program.statements


def only(text: str) -> Any:
    (statement,) = statements(text)
    return statement


def argument(text: str) -> Any:
    """The value of the first argument of a phase."""
    phase = only(f"dense {text}")
    return next(item for item in phase.items if isinstance(item, nodes.Argument)).value


def test_the_first_example() -> None:
    program = statements("dense 50ep lr=8e-4; sparse 0.5 layers=fc,birnn 50ep; dense lr=3e-4; repeat sparse 0.25")
    assert [type(statement).__name__ for statement in program] == ["Phase", "Phase", "Phase", "RepeatTail"]
    dense, sparse = program[:2]
    assert isinstance(dense, nodes.Phase)
    assert isinstance(sparse, nodes.Phase)
    assert (dense.mode, sparse.mode, dense.label) == ("dense", "sparse", None)
    length, rate = dense.items
    assert (length.text, length.value, length.unit) == ("50ep", 50, "ep")
    assert (rate.name, rate.value.value) == ("lr", Fraction(8, 10_000))
    assert [str(node.selector) for node in sparse.items[1].value] == ["fc", "birnn"]


@pytest.mark.parametrize(
    "spelling",
    [
        "dense 5ep\nsparse 50%",
        "dense 5ep;sparse 50%",
        "dense 5ep; ;\n\n ; sparse 50%;\n",
        "dense 5ep\r\nsparse 50%\r\n",
        "\ufeffdense 5ep # one\n# two\nsparse\t50%\n",
        "dense \\\n 5ep\nsparse \\\n50%",
        "dense\\\r\n5ep\rsparse 50%",
    ],
)
def test_statements_end_at_newlines_and_semicolons(spelling: str) -> None:
    phases = statements(spelling)
    assert [phase.mode for phase in phases if isinstance(phase, nodes.Phase)] == ["dense", "sparse"]
    assert [len(phase.items) for phase in phases if isinstance(phase, nodes.Phase)] == [1, 1]


@pytest.mark.parametrize(
    "spelling",
    [
        "dense 5ep decay=step(33%,\n66%,\nby=0.1)",
        "dense 5ep decay=step(\n33%, 66%, by=0.1\n)",
        "sparse [conv: 30%,\n fc: 50%]",
        "sparse [\nconv: 30%, fc: 50%,\n]",
        "sparse 0 ->\n 90%",
        "sparse 50% layers=fc,\n  birnn",
        "for x in 1,\n 2 { dense 3ep }",
        "fork\\\n{ a: dense 3ep }",
    ],
)
def test_newlines_that_do_not_end_a_statement(spelling: str) -> None:
    only(spelling)


@pytest.mark.parametrize(
    ("text", "value", "is_percent"),
    [
        ("12", 12, False),
        ("0.5", Fraction(1, 2), False),
        ("8e-4", Fraction(1, 1250), False),
        ("50_000", 50_000, False),
        ("30%", Fraction(3, 10), True),
        ("12.5%", Fraction(1, 8), True),
        (".5", Fraction(1, 2), False),
        ("1E3", 1000, False),
    ],
)
def test_numbers(text: str, value: Fraction, is_percent: bool) -> None:
    number = argument(f"x={text}")
    assert (number.text, number.value, number.percent) == (text, value, is_percent)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("50ep", 50, "ep"),
        ("1.25ep", Fraction(5, 4), "ep"),
        ("500it", 500, "it"),
        ("0ep", 0, "ep"),
        ("50_000it", 50_000, "it"),
    ],
)
def test_lengths(text: str, value: Fraction, unit: str) -> None:
    length = only(f"dense {text}").items[0]
    assert (length.value, length.unit) == (value, unit)


def test_targets() -> None:
    def target(text: str) -> Any:
        return only(f"sparse {text} 3ep").items[0]

    assert target("0.5").value == target("50%").value
    assert (target("2:4").keep, target("2:4").of) == (2, 4)
    assert (target("0->90%").start.value, target("0->90%").end.value) == (0, Fraction(9, 10))
    assert isinstance(target("held"), nodes.HeldTarget)
    items = target('[conv: 30%, "layer1.*": 2:4, /block[12]/: 0->50%]').items
    assert [str(item.selector.selector) for item in items] == ["conv", '"layer1.*"', "/block[12]/"]
    assert [type(item.target).__name__ for item in items] == ["Number", "NofMTarget", "RampTarget"]
    assert isinstance(target("s"), nodes.Name)
    assert only("sparse s 20ep").items[1].text == "20ep"


def test_arithmetic_binds_as_usual() -> None:
    def shape(value: Any) -> str:
        if isinstance(value, nodes.Binary):
            return f"({shape(value.left)}{value.operator}{shape(value.right)})"
        if isinstance(value, nodes.Unary):
            return f"(-{shape(value.operand)})"
        return str(value.text)

    assert shape(only("sparse 0.5/2^i 50ep lr=prev/2").items[0]) == "(0.5/(2^i))"
    assert shape(argument("lr=prev/10")) == "(prev/10)"
    assert shape(argument("lr=1 + 2*3 - 4")) == "((1+(2*3))-4)"
    assert shape(argument("lr=(1 + 2)*-3^2")) == "((1+2)*(-(3^2)))"
    assert shape(argument("lr=2^3^4")) == "(2^(3^4))"
    assert shape(only("sparse s - 1 3ep").items[0]) == "(s-1)"


@pytest.mark.parametrize(
    ("text", "callee", "names"),
    [
        ("decay=step(33%,66%,by=0.1)", "step", [None, None, "by"]),
        ("opt=sgd(momentum=0.9, nesterov=on)", "sgd", ["momentum", "nesterov"]),
        ("update=set(drop=30%,every=100it)", "set", ["drop", "every"]),
        ("by=magnitude(order=largest)", "magnitude", ["order"]),
        ("by=snip()", "snip", []),
        ("unit=block(4,1)", "block", [None, None]),
    ],
)
def test_calls(text: str, callee: str, names: list[str | None]) -> None:
    call = argument(text)
    assert call.callee.text == callee
    assert [item.name for item in call.arguments] == names


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("@init", ("init",)),
        ("@full", ("full",)),
        ("@full.500it", ("full", "500it")),
        ("@dsd.S1.end", ("dsd", "S1", "end")),
        ("@a.1.25ep", ("a", "1.25ep")),
        ("@a.b.3ep", ("a", "b", "3ep")),
    ],
)
def test_references(text: str, path: tuple[str, ...]) -> None:
    assert argument(f"from={text}").path == path


def test_distillation_calls_a_reference() -> None:
    call = argument("distill=@teacher.end(alpha=0.8, T=10)")
    assert call.callee.path == ("teacher", "end")
    assert [(item.name, item.value.text) for item in call.arguments] == [("alpha", "0.8"), ("T", "10")]


def test_strings() -> None:
    assert argument('from="weights.pt"').value == argument("from='weights.pt'").value == "weights.pt"


@pytest.mark.parametrize(
    ("text", "selectors"),
    [
        ("layers=fc", ["fc"]),
        ("layers=birnn.hh", ["birnn.hh"]),
        ('layers="features.*",fc', ['"features.*"', "fc"]),
        ("layers = /block[12]/ , /a\\/b/", ["/block[12]/", "/a\\/b/"]),
        ("except=embed", ["embed"]),
    ],
)
def test_selectors(text: str, selectors: list[str]) -> None:
    assert [str(node.selector) for node in argument(text)] == selectors


def test_a_slash_divides_where_a_value_stands() -> None:
    phase = only("dense 5ep lr=prev/2 wd=1/3 layers=/a/")
    assert [type(item).__name__ for item in phase.items] == ["LengthLiteral", "Argument", "Argument", "Argument"]
    assert phase.items[1].value.operator == "/"


def test_conditions() -> None:
    def condition(text: str) -> Any:
        return only(f"dense 5ep until {text} lr=3").items[1].condition

    call = condition("plateau(val.loss, patience=3, delta=1e-3)")
    assert (call.callee.text, call.arguments[0].value.text) == ("plateau", "val.loss")
    assert condition("val.wer < 10%").operator == "<"
    both = condition("drop(val.acc) > 2% and falling(entropy.relu, rounds=2)")
    assert (both.operator, type(both.left).__name__, type(both.right).__name__) == ("and", "Comparison", "Call")
    either = condition("a < 1 or b < 1 and not (c < 1)")
    assert (either.operator, either.right.operator) == ("or", "and")
    assert isinstance(either.right.right, nodes.Negation)


def test_repeat_tail() -> None:
    bare = only("repeat")
    assert (bare.count, bare.sparse, bare.dense, bare.arguments, bare.until) == (None, None, None, (), None)
    full = only("repeat 2 sparse 25% layers=fc then dense lr=6e-6 scale=0.5 until gain(val.err) < 0.1")
    assert full.count.value == 2
    assert [len(full.sparse.items), len(full.dense.items)] == [2, 1]
    assert [item.name for item in full.arguments] == ["scale"]
    assert full.until is not None
    own = only("repeat sparse 25% until val.err < 1 then dense")
    assert own.until is None
    assert isinstance(own.sparse.items[1], nodes.Until)
    assert only("repeat 3 until val.err < 1").until is not None
    assert only("repeat then dense lr=1").dense.items[0].name == "lr"
    assert only("repeat scale=0.3").arguments[0].name == "scale"


def test_repeat_block() -> None:
    block = only("repeat 8 as i until gain(val.err) < 0.1 { sparse 0.5/2^i 50ep; dense 50ep lr=prev/2 }")
    assert (block.count.value, block.variable.text, len(block.body)) == (8, "i", 2)
    assert isinstance(block.until, nodes.Until)
    plain = only("repeat 3\\\n{\n dense 3ep\n\n sparse 50%\n}")
    assert (plain.variable, plain.until, len(plain.body)) == (None, None, 2)


def test_for() -> None:
    loop = only("for x in 1, 2, 4 { dense 3ep lr=x }")
    assert [name.text for name in loop.variables] == ["x"]
    assert [value.value for value in loop.values] == [1, 2, 4]


def test_rows_and_ranges() -> None:
    loop = only("for (s, r) in (25%, 1e-3), (50%, 5e-4) { sparse s lr=r }")
    assert [name.text for name in loop.variables] == ["s", "r"]
    assert [[value.text for value in row.values] for row in loop.values] == [["25%", "1e-3"], ["50%", "5e-4"]]
    [each] = only("for s in 10%..90% by 20% { sparse s }").values
    assert [each.start.text, each.end.text, each.step.text] == ["10%", "90%", "20%"]
    assert only("for i in 1..4 { dense i*1ep }").values[0].step is None


def test_let() -> None:
    assert [value.text for value in only("let s = 50%").values] == ["50%"]
    assert isinstance(only("let t = 2:4").values[0], nodes.NofMTarget)
    assert isinstance(only("let r = 0->90%").values[0], nodes.RampTarget)
    assert isinstance(only("let q = [conv: 30%, fc: 2:4]").values[0], nodes.ListTarget)
    assert len(only('let l = conv, "fc.*", /head[12]/').values) == 3


def test_def_and_call() -> None:
    program = parse("def dsd(s, n=45ep) { sparse s n; dense n }\na: dsd(50%)\ndsd(s=25%, n=10ep)").program
    definition, first, second = program.statements
    assert [(item.name.text, item.default is None) for item in definition.parameters] == [("s", True), ("n", False)]
    assert (first.label.name, first.callee.text, first.given[0].name) == ("a", "dsd", None)
    assert [item.name.text for item in second.given] == ["s", "n"]


def test_use_and_within() -> None:
    assert only('use "common.dsd"').path.value == "common.dsd"
    block = only("within 100ep { dense 10%; sparse 0->90% 70%; sparse held }")
    assert (block.length.text, len(block.body)) == ("100ep", 3)


def test_words_of_new_statements_are_names_elsewhere() -> None:
    program = parse("let: dense 2ep\nuse: dense 1ep\ndef: dense 1ep\nwithin: dense 1ep by=magnitude").program
    assert [statement.label.name for statement in program.statements] == ["let", "use", "def", "within"]


def test_arms_of_a_sweep() -> None:
    sweep = only("grid: sweep s in 25%, 50% { sparse s }")
    assert sweep.label.name == "grid"
    assert only("compare grid on=test.err").right is None
    assert only("compare grid[ 25% ] vs a.grid[s=50%, w=0] on=test.err").right.text == "a.grid[s=50%,w=0]"
    assert only("expect grid[0.5].test.err < 3").condition.left.text == "grid[0.5].test.err"
    assert only("dense 1ep from=@grid[0.5].S1.end").items[1].value.path == ("grid[0.5]", "S1", "end")


def test_fork() -> None:
    fork = only(
        "fork seeds=16 rng=distinct {\n a: { dense 3ep; dense 3ep }\n\n b: dense 4ep\n c: { dense 1ep } d: dense 2ep }"
    )
    assert [item.name for item in fork.arguments] == ["seeds", "rng"]
    assert [branch.label.name for branch in fork.branches] == ["a", "b", "c", "d"]
    assert [len(branch.body) for branch in fork.branches] == [2, 1, 1, 1]
    assert fork.branches[1].body[0].label is None
    assert [branch.label for branch in only("fork { dense 3ep; { dense 4ep } }").branches] == [None, None]


def test_sweep() -> None:
    sweep = only("sweep s in 25%, 50%, 80%, w in 0, 1e-4 { sparse s wd=w }")
    found = [([name.text for name in binding.variables], len(binding.values)) for binding in sweep.bindings]
    assert found == [(["s"], 3), (["w"], 2)]
    assert sweep.bindings[0].span.end_column == 25


def test_compare_and_expect() -> None:
    compare = only("compare dsd.a vs no_sparse on=test.err test=paired at=best")
    assert (compare.left.text, compare.right.text) == ("dsd.a", "no_sparse")
    assert [item.name for item in compare.arguments] == ["on", "test", "at"]
    expect = only("expect a.test.err < b.test.err - 0.1")
    assert (expect.condition.operator, expect.condition.right.operator) == ("<", "-")


def test_set() -> None:
    settings = only('set model="ds2" opt=adam lr=3e-4 noise=symmetric(20%) except=embed clock=@a.500it')
    assert [item.name for item in settings.arguments] == ["model", "opt", "lr", "noise", "except", "clock"]


def test_labels() -> None:
    phase = only("base : dense 3ep")
    assert (phase.label.name, phase.span.column, phase.mode_span.column) == ("base", 1, 8)


def test_comments_are_kept() -> None:
    result = parse("# head\ndense 3ep # tail\n  # alone\n")
    found = [(comment.text, comment.is_alone, comment.span.line) for comment in result.program.comments]
    assert found == [("# head", True, 1), ("# tail", False, 2), ("# alone", True, 3)]


def test_spans_cut_out_what_was_written() -> None:
    text = "a: dense 50ep lr=prev/2\n  sparse [conv: 30%, fc: 50%] 3ep until val.err < 1"
    first, second = statements(text)
    assert text[first.span.start : first.span.end] == "a: dense 50ep lr=prev/2"
    assert [text[item.span.start : item.span.end] for item in first.items] == ["50ep", "lr=prev/2"]
    assert [text[item.span.start : item.span.end] for item in second.items] == [
        "[conv: 30%, fc: 50%]",
        "3ep",
        "until val.err < 1",
    ]
    assert (second.span.line, second.span.column, second.span.end_column) == (2, 3, 52)


def test_nothing_is_a_program() -> None:
    for text in ("", "\n", " \t\n# only a comment", ";;;", "\ufeff"):
        assert statements(text) == ()
