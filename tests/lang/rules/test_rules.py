"""Every rule: texts that it reports, with the place and the hint, and texts that it leaves alone."""

from __future__ import annotations

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.layers import LayerInfo, WeightInfo

D = "dense 9ep lr=1e-2; sparse 50%; dense; "
COMPARE = "compare a vs b on=test.err"
AB = "fork seeds=2 { a: dense 9ep; b: dense 9ep }\n"

# code, text, the text under the carets, a part of the label
BAD = [
    ("DSD201", "sparse 50% layers=fc,birn 9ep", "birn", "did you mean `birnn`?"),
    ("DSD201", "sparse 50% except=embd 9ep", "embd", "did you mean `embed`?"),
    ("DSD201", "sparse [cnv: 30%, fc: 50%] 9ep", "cnv", "did you mean `conv`?"),
    ("DSD201", "sparse 50% layers=fc.hh 9ep", "fc.hh", ""),
    ("DSD202", "dense 9ep lrr=1", "lrr", "did you mean `lr`?"),
    ("DSD209", "sparse 50% 9ep by=magnitud", "magnitud", "did you mean `magnitude`?"),
    ("DSD202", "sparse 50% 9ep by=magnitude(ordr=largest)", "ordr=largest", "did you mean `order`?"),
    ("DSD209", "sparse 50% 9ep scope=globl", "globl", "did you mean `global`?"),
    ("DSD202", "set seeed=3\ndense 9ep", "seeed", "did you mean `seed`?"),
    ("DSD209", "set precision=bf61\ndense 9ep", "bf61", "did you mean `bf16`?"),
    ("DSD209", "set opt=sdg\ndense 9ep", "sdg", "did you mean `sgd`?"),
    ("DSD202", "dense 9ep scope=global", "scope", "not here"),
    ("DSD202", "sparse 50% 9ep restore=saved", "restore", "not here"),
    ("DSD209", "dense 9ep decay=cosin", "cosin", "did you mean `cosine`?"),
    ("DSD209", "dense 9ep decay=step", "step", "no milestone"),
    ("DSD209", "set noise=symmetric\ndense 9ep", "symmetric", "expected `symmetric(20%)`"),
    ("DSD209", "set noise=symmetric(120%)\ndense 9ep", "120%", "share"),
    ("DSD209", "set noise=file(20%)\ndense 9ep", "20%", "path"),
    ("DSD209", "dense 9ep clip=norm()", "norm()", "expected `norm(5)`"),
    ("DSD209", "dense 9ep batch=1.5", "1.5", "whole number"),
    ("DSD209", "dense 9ep wd=-1", "-1", "0 or more"),
    ("DSD209", "dense 9ep dropout=1", "1", "share"),
    ("DSD209", "dense 9ep distill=5", "5", "not a value it takes"),
    ("DSD209", "dense 9ep opt=sgd(momentum=@full)", "@full", ""),
    ("DSD202", "dense 9ep floor=1e-5", "floor=1e-5", ""),
    ("DSD202", "sparse 50% 9ep every=10it", "every=10it", "no effect"),
    ("DSD202", "sparse 2:4 of=remaining 9ep", "of=remaining", "no effect"),
    ("DSD209", "fork rng=shard { a: dense 9ep }", "shard", "did you mean `shared`?"),
    ("DSD209", "repeat 1.5 { dense 9ep }", "1.5", ""),
    ("DSD209", "repeat 0 { dense 9ep }", "0", ""),
    ("DSD209", "dense x 9ep", "x", ""),
    ("DSD209", "dense 9ep until platau(val.loss)", "platau", "did you mean `plateau`?"),
    ("DSD202", "dense 9ep until plateau(val.loss, patienc=3)", "patienc=3", "did you mean `patience`?"),
    ("DSD209", "dense 9ep until gain(val.loss)", "gain(val.loss)", "compare it"),
    ("DSD209", "dense 9ep lr=1ep*1ep", "1ep*1ep", ""),
    ("DSD202", "fork { a: { set wd=1; dense 9ep } }", "set wd=1", "inside a block"),
    ("DSD203", "full: dense 9ep; dense from=@ful.start", "@ful.start", "did you mean `full`?"),
    ("DSD203", "full: dense 9ep from=@ful.start", "@ful.start", "unknown"),
    ("DSD203", "dense 9ep from=@later; later: dense", "@later", "not defined yet"),
    ("DSD203", "me: dense 9ep from=@me", "@me", "not defined yet"),
    ("DSD203", "dense 9ep from=@late; fork { late: dense }", "@late", "not defined yet"),
    ("DSD203", AB + "dense 9ep from=@a", "@a", "which seed?"),
    ("DSD203", "a: dense 9ep; dense from=@a.b", "@a.b", ""),
    ("DSD203", "a: dense 9it; dense from=@a.10it", "@a.10it", "never reached"),
    ("DSD203", AB + "compare a vs c on=test.err", "c", ""),
    ("DSD203", AB + "compare c.x vs a on=test.err", "c.x", "unknown branch"),
    ("DSD203", AB + "expect aa.test.err < 1", "aa.test.err", "did you mean `a`?"),
    ("DSD203", AB + "expect p(a vs c on=test.err) < 0.05", "c", "unknown branch"),
    ("DSD203", "set restore=@init\ndense 9ep", "@init", ""),
    ("DSD204", "a: dense 9ep; a: dense", "a", "first used on line 1"),
    ("DSD204", "fork { a: dense 9ep; a: dense 9ep }", "a", "first used"),
    ("DSD204", "fork { a: dense 9ep }; fork { a: dense 3ep }; dense 1ep from=@a", "a", "first used on line 1"),
    ("DSD205", "dense 9ep until val.los < 1", "val.los", "did you mean `val.loss`?"),
    ("DSD205", "dense 9ep until valid.loss < 1", "valid.loss", "did you mean `val.loss`?"),
    ("DSD205", "dense 9ep until wer < 1", "wer", "did you mean `val.wer`?"),
    ("DSD205", AB + "compare a vs b on=test.errr", "test.errr", "did you mean `test.err`?"),
    ("DSD205", AB + "expect p(a vs b on=test.errr) < 1", "test.errr", "did you mean `test.err`?"),
    ("DSD205", AB + "expect p(a vs b) < 1", "a vs b", "compared on what?"),
    ("DSD202", AB + "expect p(a vs b on=test.err seeds=3) < 1", "seeds", "not here"),
    ("DSD206", AB + "expect p(a vs b on=test.err on=test.err) < 1", "on", "given before"),
    ("DSD209", AB + "expect p(a, b) < 0.05", "p(a, b)", "p(a vs b on=test.err)"),
    ("DSD209", "dense 9ep until mean(val.err) < 1", "mean(val.err)", "belongs to `expect`"),
    ("DSD209", AB + "dense 9ep until p(a vs b on=test.err) < 1", "p(a vs b on=test.err)", "belongs to `expect`"),
    ("DSD209", AB + "dense 9ep lr=p(a vs b on=test.err)", "p(a vs b on=test.err)", "no number"),
    ("DSD101", AB + "expect p(a vs b, on=test.err) < 1", "p(a vs b, on=test.err)", "expected `p(a vs b on=METRIC)`"),
    ("DSD101", AB + "expect step(a vs b) < 1", "step(a vs b)", "expected `p(a vs b on=METRIC)`"),
    ("DSD101", AB + "expect p(a vs b on=test.err)", "p(a vs b on=test.err)", ""),
    ("DSD206", "dense 9ep lr=1 lr=2", "lr", "given before"),
    ("DSD206", "dense 9ep 8ep", "8ep", "given before"),
    ("DSD206", "set lr=1; set lr=2\ndense 9ep", "lr", "set before on line 1"),
    ("DSD301", "dense lr=1", "dense", "how long?"),
    ("DSD301", "fork { a: dense; b: dense 1ep }", "dense", "how long?"),
    ("DSD302", "dense 9ep; repeat", "repeat", "nothing to repeat"),
    ("DSD302", "fork { a: { sparse 50% 9ep; dense } }; repeat", "repeat", "nothing to repeat"),
    ("DSD303", "dense 9ep; sparse 50%", "sparse", "last phase"),
    ("DSD304", "dense 9ep lr=1; sparse 50% lr=0.1; dense lr=0.1", "lr=0.1", "not lower"),
    ("DSD304", "dense 9ep lr=1; sparse 50% lr=0.1; dense lr=0.1 clock=phase", "lr=0.1", "not lower"),
    ("DSD305", "dense 9ep restore=saved", "restore=saved", ""),
    ("DSD305", "dense 9ep; sparse held; dense", "sparse held", ""),
    ("DSD306", "sparse 80% 9ep; sparse 50%; dense", "sparse 50%", "gives weights back"),
    ("DSD401", "sparse 50 9ep", "50", "did you mean `50%`?"),
    ("DSD401", "sparse 100% 9ep", "100%", "less than 100%"),
    ("DSD401", "sparse -0.5 9ep", "-0.5", "below zero"),
    ("DSD401", "sparse 4:2 9ep", "4:2", "2:4"),
    ("DSD401", "sparse 9ep", "sparse", "pruned how much?"),
    ("DSD401", "for s in 50%, 1.5 { sparse s 9ep }", "s", "1.5%"),
    ("DSD402", "dense 9ep warmup=5", "5", "did you mean `5it` or `5ep`?"),
    ("DSD402", "dense 9ep decay=step(80)", "80", "did you mean `80ep`?"),
    ("DSD403", "dense 9ep lr=0", "0", "not above 0"),
    ("DSD403", "dense 9ep lr=1-2", "1-2", "not above 0"),
    ("DSD403", "dense 9ep lr=prev", "prev", "nothing before"),
    ("DSD403", "dense 9ep; dense lr=prev+0.1", "prev+0.1", ""),
    ("DSD403", "dense 9ep lr=1 decay=cosine; dense lr=last", "last", "not above 0"),
    ("DSD403", "dense 9ep lr=2*5ep", "2*5ep", ""),
    ("DSD404", "sparse 90%->10% 9ep", "90%->10%", "lower than it starts"),
    ("DSD404", "sparse 0->90% 50it", "sparse", "no `every` fits"),
    ("DSD406", "dense 50ep lr=1 decay=step(25ep, 81ep)", "decay=step(25ep, 81ep)", ""),
    ("DSD406", "dense 50ep lr=1 clock=phase decay=step(25ep, 81ep)", "decay=step(25ep, 81ep)", ""),
    ("DSD410", "dense 5ep warmup=6ep", "warmup=6ep", ""),
    ("DSD206", "dense 9ep decay=exp(0.9, 0.8)", "0.8", "given before"),
    ("DSD206", "dense 9ep decay=step(50%, by=0.1, by=0.2)", "by=0.2", "given before"),
    ("DSD206", "dense 9ep until plateau(val.loss, patience=3, patience=5)", "patience=5", "given before"),
    ("DSD101", "dense ５ep", "５ep", "write `5ep`"),
    ("DSD101", "dense 9ep lr=0.０१", "0.０१", "write `0.01`"),
    ("DSD101", "x１: dense 9ep", "x１", "write `x1`"),
    ("DSD101", "x: dense 9ep; dense from=@x.３ep", "@x.３ep", "write `@x.3ep`"),
    ("DSD101", "dense 9ep lr=1e-３", "1e-３", "write `1e-3`"),
    ("DSD209", "dense 9ep opt=sgd(nesterov=on)", "sgd(nesterov=on)", ""),
    ("DSD209", "dense 9ep opt=sgd(momentum=0.9, nesterov=on, dampening=0.1)", "sgd(", ""),
    ("DSD209", "dense 9ep lr=1 decay=step(3ep, 6ep, 0.1)", "0.1", "did you mean `by=0.1`?"),
    ("DSD209", "dense 9ep lr=1 decay=step(33%, 66%, 0.1)", "0.1", "did you mean `by=0.1`?"),
    ("DSD209", "dense 9ep lr=1 decay=step(3ep, 0.5, by=0.1)", "0.5", "not a milestone in order"),
    ("DSD209", "dense 9ep; sparse lr=prev (1/3) 5ep", "prev (1/3)", "not a function"),
    ("DSD209", "for s in 20%, 30% { sparse s (1/3) 5ep }", "s (1/3)", "not a function"),
    ("DSD210", "dense 9ep; sparse 50%; sparse held layers=fc; dense", "layers=fc", "changes nothing"),
    ("DSD210", "dense 9ep; sparse 50%; sparse held by=random; dense", "by=random", ""),
    ("DSD210", "dense 9ep; sparse 50% 120it update=rigl; dense", "update=rigl", ""),
    ("DSD210", "dense 9ep; sparse 50%; sparse held scope=global; dense", "scope=global", ""),
    ("DSD210", "dense 9ep; sparse 50%; sparse held others=hold; dense", "others=hold", ""),
    ("DSD210", "dense 9ep; sparse 2:4 scope=global; dense", "scope=global", ""),
    ("DSD210", "dense 9ep; sparse 2:4 min=0; dense", "min=0", ""),
    ("DSD210", "dense 9ep; sparse [conv: 1:2, fc: 2:4] scope=global; dense", "scope=global", ""),
    ("DSD210", "dense 9ep; sparse 50%->50% ramp=linear every=1it 9it; dense", "ramp=linear", ""),
    ("DSD210", "dense 9ep; sparse 50% others=hold; dense", "others=hold", ""),
    ("DSD210", "dense 9ep state=reset", "state=reset", ""),
    ("DSD210", "dense 9ep; dense state=keep", "state=keep", ""),
    ("DSD210", "dense 9ep; sparse 50% from=@init state=keep; dense", "state=keep", ""),
    ("DSD210", "dense 9ep; sparse 50%; dense from=@init restore=zero", "restore=zero", ""),
    ("DSD210", "dense 9ep lr=1 floor=1e-3 decay=cosine(floor=1e-4)", "floor=1e-3", ""),
    ("DSD210", "dense 9ep decay=constant(floor=1e-4)", "decay=constant", ""),
    ("DSD210", "dense 9ep decay=exp(1)", "decay=exp(1)", ""),
    ("DSD210", "dense 9ep from=@init", "from=@init", ""),
    ("DSD210", "dense 0ep decay=cosine", "decay=cosine", ""),
    ("DSD210", "dense 0ep until val.err < 1", "until", ""),
    ("DSD210", "dense 9ep; sparse 50% layers=fc except=conv; dense", "except=conv", ""),
    ("DSD210", "dense 9ep; sparse [fc: 50%] layers=fc,conv; dense", "layers=fc,conv", ""),
    ("DSD210", "dense 9ep until gain(val.err) < 0.1", "until", ""),
    ("DSD210", "repeat 3 { dense 9ep until falling(val.err) }", "until", ""),
    ("DSD210", "dense 9ep until drop(val.acc) > 2% and val.err < 3", "until", ""),
    ("DSD210", "repeat 1 until gain(val.err) < 0.1 { dense 9ep }", "until", ""),
    ("DSD210", "dense 9ep until val.err < val.err", "until", "changes nothing"),
    ("DSD210", "dense 9ep until 1 < 2", "until", ""),
    ("DSD210", AB + "expect a.test.err < a.test.err", "expect", ""),
    ("DSD210", AB + "compare a vs a on=test.err", "compare", ""),
    ("DSD210", "fork { e: { fork { x: dense 9ep } }; d: dense 9ep }\ncompare e vs d on=test.err", "e", "never has"),
    ("DSD210", "fork { e: { sweep s in 1, 2 { dense 9ep lr=s } } }\nexpect e.test.err < 1", "e.test.err", "never has"),
    ("DSD210", "fork { a: dense 9ep; b: dense 9ep }\nexpect test.err < 1", "test.err < 1", "never has"),
    ("DSD210", "dense 9ep; expect gain(val.err) < 1", "gain(val.err) < 1", "never has"),
    ("DSD210", "dense 9ep; expect plateau(val.loss)", "plateau(val.loss)", "never has"),
    ("DSD210", "fork seeds=1 { a: dense 9ep; b: dense 8ep }", "seeds=1", ""),
    ("DSD210", "sweep s in 10%, 20% { sparse 50% 9ep; dense }", "s", ""),
    ("DSD210", "sweep s in 10%, 20%, 10% { sparse s 9ep; dense }", "10%", ""),
    ("DSD210", D + "repeat 2 sparse 25% lr=1e-3 then dense lr=1e-4 scale=0.5", "scale=0.5", ""),
    ("DSD404", "sparse 0->90% every=51it 50it; dense", "every=51it", "no `every` fits"),
    ("DSD210", "sparse 0->90% every=50it 50it; dense", "every=50it", "changes nothing"),
    ("DSD411", "dense 9ep lr=1e-3 decay=cosine floor=1e-2", "floor=1e-2", "the rate rises"),
    ("DSD411", "dense 9ep lr=1e-3 decay=linear(floor=1e-3) warmup=1ep", "decay=linear", "never falls"),
    ("DSD411", "dense 9ep lr=1e-3 decay=exp(0.9) floor=1", "floor=1", "the floor all along"),
    ("DSD411", "set floor=1e-3 decay=cosine\ndense 9ep lr=1e-2; sparse 50%; dense", "dense", "never falls"),
    ("DSD411", "dense 9ep lr=1e-2 decay=step(50%, floor=1e-4); sparse 50%; dense decay=step(50%, floor=2e-3)",
     "decay=step(50%, floor=2e-3)", "the floor all along"),
    ("DSD412", "dense 9ep decay=step(60%, 30%)", "30%", "before the one on its left"),
    ("DSD412", "dense 9ep decay=step(3ep, 6ep, 6ep)", "6ep", "given before"),
    ("DSD407", D + "sparse 90%; dense", "sparse 90%", ""),
    ("DSD501", "fork seeds=2 { a: dense 9ep; b: dense 8ep }\n" + COMPARE, COMPARE, ""),
    ("DSD502", "fork { a: dense 9ep; b: dense 9ep }\n" + COMPARE, COMPARE, "no spread"),
    ("DSD502", "fork { a: dense 9ep; b: dense 9ep }\nexpect p(a vs b on=test.err) < 1", "a vs b", "no spread"),
    ("DSD503", "fork { dense 9ep }", "dense 9ep", "no name"),
    ("DSD901", "dense 9ep lr=1; sparse 50%", "sparse", "derived"),
]  # fmt: skip

GOOD = [
    "dense 9ep; sparse 50% layers=birnn.hh,lstm.ih,first_conv,'enc.*',/block[12]/ except=output; dense",
    "dense 9ep until val.f1 > 0.9 or train.loss < 1e-3 or sparsity > 0.5; dense",
    "dense 9ep; sparse 30%; sparse 80%; dense",
    "dense 9ep; sparse 80% layers=fc; sparse 50% layers=conv; dense",
    D + "sparse 50%; sparse held; dense",
    "set clock=global lr=1\ndense 9ep; sparse 50%; dense lr=prev",
    "base: dense 9ep; fork { one: sparse 50%; two: dense }",
    "base: dense 9ep; sparse 50%; fork { one: dense; two: dense }",
    "dense 9ep; sparse 0->90% every=10it 50it; dense",
    "dense 9ep; for limit in 10, 20 { expect val.err < limit }",
    AB + "compare a vs b on=test.err test=paired at=best\nexpect a.test.err < b.test.err - 0.1 and b.test.acc > 0",
    "dense 9ep; sparse 50%; dense; repeat 2 sparse 25% then dense lr=1e-5 scale=0.5",
    "sparse 50% update=set(drop=30%, every=100it) 9ep; dense",
    "set floor=1e-5 by=random scope=global layers=fc min=0 state=reset warmup=1ep decay=cosine\n"
    "dense 9ep lr=1; sparse 50%; sparse held; dense; sparse 2:4; dense 0ep; dense",
    "dense 9ep; repeat 2 { sparse 20% of=remaining others=hold }; dense state=reset",  # the second round feels them
    "dense 9ep; for k in conv, fc { sparse 50% others=hold }; dense",
    "dense 9ep; sparse 50% from=@init state=reset; sparse [conv: 2:4, fc: 50%] scope=global min=0; dense",
    "dense 9ep lr=1 decay=step(0.33, 0.66, by=0.1); dense decay=step(3ep, 50%, floor=1e-5)",
    "dense 9ep; sparse 50%->50% every=1it 9it; sparse held update=rigl(drop=30%, every=1it); dense",
    "dense 9ep; repeat 3 until gain(val.err) < 0.1 or falling(val.err) { sparse 50%; dense }",
    "dense 9ep; sparse 50% except=embed; dense",
    "größe: dense 9ep opt=sgd(momentum=0.9, nesterov=on); dense from=@größe.3ep",
    "dense 9ep opt=adam(beta1=0.8) clip=none calibrate=off distill=none; dense",
    "dense 9ep; fork { a: dense 9ep; b: { c: dense 9ep } }; fork { d: dense 9ep; e: { c: dense 9ep } }",
    "dense 9ep; repeat 2 { fork { a: sparse 50%; b: dense } }",
    AB + "expect p(a vs b on=test.err test=welch at=best) < 0.05 and mean(a.test.err) - mean(b.test.err) < 1",
]
OFF = {"DSD407", "DSD901"}


def under_the_carets(text: str, span) -> str:
    return text[span.start : span.end]


@pytest.mark.parametrize(("code", "text", "place", "label"), BAD)
def test_reports(code: str, text: str, place: str, label: str) -> None:
    found = [item for item in analyse(text).diagnostics if item.code == code]
    assert found, [item.code for item in analyse(text).diagnostics]
    assert label in found[0].label
    assert under_the_carets(text, found[0].span).startswith(place.split("{")[0].strip()), found[0].span


@pytest.mark.parametrize("text", GOOD)
def test_leaves_alone(text: str) -> None:
    assert [(item.code, item.message) for item in analyse(text).diagnostics if item.code not in OFF] == []


@pytest.mark.parametrize("text", [text for _, text, _, _ in BAD])
def test_an_error_is_said_once(text: str) -> None:
    errors = analyse(text).errors
    assert len({(item.span.start, item.span.end) for item in errors}) == len(errors)


def test_every_error_of_a_file_in_one_go() -> None:
    text = "dense 9ep lrr=1\nsparse 150% laers=fc\ndense until val.los < 1\na: dense lr=0\na: dense from=@b\n"
    codes = {item.code for item in analyse(text).diagnostics}
    assert {"DSD202", "DSD401", "DSD205", "DSD403", "DSD204", "DSD203"} <= codes


def test_two_codes_at_one_span_are_in_the_order_of_their_numbers() -> None:
    found = analyse("dense 9ep; sparse 9ep").diagnostics
    assert [(item.code, item.span.start) for item in found] == [("DSD303", 11), ("DSD401", 11)]


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        ("dense 9ep clip=norm(5, 6)", "`norm` takes no further unnamed value", "`norm` takes 1 unnamed value"),
        ("dense 9ep clip=norm(5, by=6)", "`norm` takes no `by=`", "`norm` takes 1 unnamed value"),
        ("sparse 9% 9ep by=grasp(1)", "`grasp` takes no unnamed value",
         "`grasp` takes `batches=`, `T=`"),
        ("sparse 9% 9ep enforce=hard(1)", "`hard` takes no unnamed value", "`hard` takes nothing between parentheses"),
    ],
)  # fmt: skip
def test_what_an_option_takes_between_its_parentheses(text: str, message: str, help: str) -> None:
    [found] = analyse(text).errors
    assert (found.message, found.help) == (message, help)


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("dense 9ep lr=1; sparse 90%->10%; dense", "dense 9ep lr=1; sparse 10%->90%; dense"),
        ("for s in 90% { sparse s->10% 9ep }", None),  # `s` may be right elsewhere
        ("for s in 10% { sparse 90%->s 9ep }", None),
        ("dense lr=1 restore=saved 9ep", "dense lr=1 9ep"),
        ("sparse 50% 9ep; sparse held by=random; dense", "sparse 50% 9ep; sparse held; dense"),
    ],
)
def test_what_a_fix_makes_of_the_text(text: str, fixed: str | None) -> None:
    fix = next(item for item in analyse(text).diagnostics if item.code in ("DSD404", "DSD305", "DSD210")).fix
    if fixed is None:
        assert fix is None
    else:
        assert fix is not None
        [edit] = fix.edits
        assert text[: edit.span.start] + edit.content + text[edit.span.end :] == fixed


def test_a_loop_reports_once() -> None:
    assert len(analyse("repeat 500 { sparse 150% 9ep }").errors) == 1


def matrix(name: str, kind: str, *, bidirectional: bool = False) -> LayerInfo:
    return LayerInfo(name, kind, (WeightInfo(f"{name}.weight", (4, 4)),), bidirectional)


SPEECH = (
    matrix("conv1", "conv"), matrix("conv2", "conv"), matrix("rnn1", "rnn", bidirectional=True), matrix("fc", "fc"),
)  # fmt: skip


def test_selectors_are_checked_against_the_model() -> None:
    found = analyse("sparse 0.5 layers=fc,birn 9ep", layers=SPEECH).errors
    assert [(item.code, item.message, item.label) for item in found] == [
        ("DSD201", "no layer matches `birn`", "did you mean `birnn`?")
    ]
    assert found[0].help == "this model has: conv (2), birnn (1), fc (1)"


@pytest.mark.parametrize(
    ("selectors", "codes"),
    [
        ("layers=lstm", ["DSD201"]), ('layers="conv*"', []), ('layers="cnv1"', ["DSD201"]), ("layers=/rnn[0-9]/", []),
        ("layers=fc except=output", ["DSD201"]), ("except=conv", []), ("layers=first_conv,birnn", []),
    ],
)  # fmt: skip
def test_globs_regular_expressions_and_empty_selections(selectors: str, codes: list[str]) -> None:
    assert [item.code for item in analyse(f"sparse 50% {selectors} 9ep; dense", layers=SPEECH).errors] == codes


def test_the_lint_path_is_light() -> None:
    import subprocess
    import sys

    program = (
        "import sys, dsd_lang.analysis as a; a.analyse('dense 9ep; sparse 50%; dense'); "
        "print([m for m in ('pydantic', 'networkx', 'torch', 'numpy', 'lark', 'argparse') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_messages_of_rules_are_loaded_for_the_first_mistake() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from dsd_lang.analysis import analyse; "
        "told = ['dsd_lang.rules.wrong_value' in sys.modules for text in sys.argv[1:] if analyse(text)]; print(told)"
    )
    texts = ["dense 9ep lr=0.1; sparse 50%; dense lr=prev", "dense 9ep lr=x"]
    result = subprocess.run([sys.executable, "-c", program, *texts], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[False, True]"


def test_thousands_of_phases_with_one_label_are_told_at_once() -> None:
    text = "dense 1ep lr=1\n" + "a: dense\n" * 3000
    found = [item for item in analyse(text).diagnostics if item.code == "DSD204"]
    assert len(found) == 2999
    assert len({item.help for item in found}) == 2999, "each is told a name of its own"
