"""`let`, `def`, `use`, ranges, rows and names as values: what they expand to, and what is told about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.analysis import Analysis, analyse
from dsd_lang.base.errors import DsdError

HEAD = "dense 10ep lr=0.1\n"


def plan(text: str, **overrides: str) -> dsd_lang.Plan:
    return dsd_lang.compile(HEAD + text, overrides=overrides or None)


def told(text: str, **options: object) -> list[tuple[str, str]]:
    return [(item.code, item.message) for item in analyse(HEAD + text, **options).errors]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("named", "written"),
    [
        ("let s = 50%\nsparse s 2ep", "sparse 50% 2ep"),
        ("let s = 25% * 2; let n = 2ep\nsparse s n; dense n*2", "sparse 50% 2ep; dense 4ep"),
        ("let t = 2:4\nsparse t", "sparse 2:4"),
        ("let r = 0->90%\nsparse r every=10it", "sparse 0->90% every=10it"),
        ("let q = [conv: 30%, fc: 2:4]\nsparse q", "sparse [conv: 30%, fc: 2:4]"),
        ("let h = held\nsparse 50%; sparse h", "sparse 50%; sparse held"),
        ("let k = conv, fc\nsparse 50% layers=k", "sparse 50% layers=conv,fc"),
        ('let k = "head.*"\nsparse 50% except=k', 'sparse 50% except="head.*"'),
        ("let k = /head[12]/\nsparse 50% layers=k,fc", "sparse 50% layers=/head[12]/,fc"),
        ("let d = step(33%, 66%, by=0.1)\ndense decay=d", "dense decay=step(33%, 66%, by=0.1)"),
        ("let f = 0.5\ndense decay=step(33%, by=f)", "dense decay=step(33%, by=0.5)"),
        ("let k = none\nsparse 50% except=k; dense freeze=k", "sparse 50%; dense"),
        ("sparse 50% except=fc; dense; sparse 60% except=none",
         "sparse 50% except=fc; dense; sparse 60% layers=prunable"),
        ("for k in none, fc { sparse 50% except=k; dense }",
         "sparse 50% except=none; dense; sparse 50% except=fc; dense"),
        ("set except=none\nsparse 50%; dense freeze=none", "sparse 50%; dense"),
        ("let r = prev / 10\nsparse 50% lr=r; dense lr=r", "sparse 50% lr=prev/10; dense lr=prev/10"),
        ("let w = @init\nsparse 50% from=w", "sparse 50% from=@init"),
        ("let c = conv\nsparse [c: 30%, fc: 10%]", "sparse [conv: 30%, fc: 10%]"),
        ("let c = conv, rnn; let q = [c: 30%, fc: 10%]\nfor c in 1, 2 { sparse q c*1ep }",
         "for i in 1, 2 { sparse [conv: 30%, rnn: 30%, fc: 10%] i*1ep }"),
        ("let o = magnitude(order=largest)\nsparse 50% by=o", "sparse 50% by=magnitude(order=largest)"),
        ("for k in conv, fc { sparse 50% layers=k; dense }",
         "sparse 50% layers=conv; dense; sparse 50% layers=fc; dense"),
        ("for t in 2:4, 1:4 { sparse t }", "sparse 2:4; sparse 1:4"),
        ("for s in 10%..50% by 20% { sparse s }", "sparse 10%; sparse 30%; sparse 50%"),
        ("for i in 3..1 by -1 { dense i*1ep }", "dense 3ep; dense 2ep; dense 1ep"),
        ("for (s, r) in (25%, 1e-3), (50%, 5e-4) { sparse s lr=r }", "sparse 25% lr=1e-3; sparse 50% lr=5e-4"),
        ("def dsd(s, n=4ep) { sparse s n lr=prev; dense n }\ndsd(50%); dsd(s=25%, n=1ep)",
         "repeat 1 { sparse 50% 4ep lr=prev; dense 4ep }; repeat 1 { sparse 25% 1ep lr=prev; dense 1ep }"),
        ("def a() { dense 1ep }\ndef b(k) { repeat k { a() } }\nb(2); b(k=1)", "dense 1ep; dense 1ep; dense 1ep"),
        ("let s = 1%\ndef f(t) { let s = t * 2; sparse s }\nf(10%); sparse s", "sparse 20%; sparse 1%"),
        ("def f(lr=prev) { dense lr=lr }\nf(); f(lr=prev/2)", "dense lr=prev; dense lr=prev/2"),
    ],
)  # fmt: skip
def test_a_name_means_what_is_written_for_it(named: str, written: str) -> None:
    assert plan(named).hash == plan(written).hash


def test_a_let_ends_with_its_block() -> None:
    assert plan("repeat 2 { let s = 50%; sparse s }").phases[2].target is not None
    assert told("repeat 2 { let s = 50%; sparse s }\nsparse s")[0][0] == "DSD209"


def test_a_setting_may_be_a_let_above_it() -> None:
    assert dsd_lang.compile("let b = 64; let r = 1e-2\nset batch=b lr=r\ndense 1ep").phases[0].lr.start == "0.01"


def test_set_gives_a_top_level_let_its_value() -> None:
    text = "let s = 50%\nsparse s 2ep; repeat 1 { let s = 5%; sparse s }"
    given = plan(text, s="80%")
    assert [phase.target.pruned for phase in given.phases[1:] if phase.target] == ["0.8", "0.05"]
    assert given.overrides == {"s": "80%"}
    assert dsd_lang.Plan.from_json(given.to_json()) == given
    with pytest.raises(DsdError, match="--set has no `t`") as caught:
        plan(text, t="80%")
    assert "`s`" in str(caught.value)
    with pytest.raises(DsdError, match="--set `s`"):
        plan(text, s="80% 3ep")
    assert analyse(HEAD + text, overrides={"s": "180%"}).errors[0].message == "a target of 180% leaves nothing to train"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("f()", "DSD101", "`f` is not a statement"),
        ("def f() { f() }\nf()", "DSD203", "`f` cannot call itself: a schedule is expanded before it is trained"),
        ("def g() { f() }\ndef f() { dense }\ng()", "DSD203", "the `def` of `f` comes later"),
        ("def fine(s) { sparse s }\nfina(50%)", "DSD203", "there is no `def fina`"),
        ("def f(s) { sparse s }\nf()", "DSD209", "`f` needs `s`"),
        ("def f(s) { sparse s }\nf(50%, 3ep)", "DSD202", "`f` takes no further value"),
        ("def f(s) { sparse s }\nf(50%, n=3ep)", "DSD202", "`f` has no parameter `n`"),
        ("def f(s) { sparse s }\nf(50%, s=5%)", "DSD206", "`s` is given twice"),
        ("def f(s, s) { sparse s }\nf(50%, 5%)", "DSD209", "two parameters are named `s`"),
        ("def f(s=5%, n) { sparse s n }\nf(n=3ep)", "DSD209",
         "the parameter `n` needs a default, because one before it has one"),
        ("let conv = 3\ndense conv*1ep", "DSD209", "`conv` has a meaning of its own and cannot be a name"),
        ("let batch = 3\ndense batch=batch", "DSD209",
         "`batch` is a setting, so `--set batch=` would not say which of the two it changes"),
        ("for s in 10%..90% { sparse s }", "DSD209", "a range of percentages needs its step"),
        ("for s in 90%..10% by 10% { sparse s }", "DSD209", "no value lies between 90% and 10% in steps of 10%"),
        ("for s in 1ep..9it { dense s }", "DSD209",
         "the ends and the step of a range have one unit, found 1ep, 9it and 1ep"),
        ("for s in 1..9 by 0 { dense s*1ep }", "DSD209", "no value lies between 1 and 9 in steps of 0"),
        ("for (s, r) in (1, 2, 3) { dense lr=r*s }", "DSD209", "each round takes 2 values, found 3"),
        ("sparse 5% layers=none", "DSD201", "`none` selects no layer"),
        ("let k = none\nsparse 5% layers=k", "DSD201", "`none` selects no layer"),
        ("sparse 5% except=fc,none", "DSD201", "`none` selects no layer"),
        ("sparse [none: 5%]", "DSD201", "`none` selects no layer"),
        ("dense lr=[none: 0.1, all: 1]", "DSD201", "`none` selects no layer"),
        ("let s = 50%\nsparse 5% layers=s", "DSD209", "`s` stands for a value that is no selector"),
        ("let k = conv, 3\nsparse 5% layers=k", "DSD209", "several values of a `let` are selectors of layers"),
        ("let t = 2:4\ndense batch=t", "DSD209", None),
        ("let t = [conv: 30%, fc: t]\nsparse t", "DSD209", None),
        ("let q = [conv: 5%]; let t = held\nsparse [fc: q]; sparse [fc: t]", "DSD209",
         "each item of a list has a target of its own: a share, `2:4` or a ramp"),
        ("let t = 2:4\nsparse t+1", "DSD209", None),
        ("repeat 2 { def f() { dense }; f() }", "DSD211", "`def` belongs to the program, not to a block"),
        ('use "no such file.dsd"', "DSD211", "there is no file `no such file.dsd`"),
        ("for s in 1..200000 { dense }", "DSD405", None),
        ("def a() { repeat 1000 { dense } }\nrepeat 1000 { a() }", "DSD405", None),
    ],
)  # fmt: skip
def test_mistakes(text: str, code: str, message: str | None) -> None:
    found = told(text)
    assert [one[0] for one in found if one[0] == code], found
    if message is not None:
        assert (code, message) in found


def test_calls_that_double_are_refused_before_they_are_expanded() -> None:
    lines = ["def d0() { dense 1ep lr=1 }"]
    lines += [f"def d{index}() {{ d{index - 1}(); d{index - 1}() }}" for index in range(1, 40)]
    assert [code for code, _ in told("\n".join([*lines, "d39()"]))] == ["DSD405"]


def test_a_mistake_in_a_def_is_told_once_and_names_the_call() -> None:
    [error] = analyse(f"{HEAD}def f(s) {{ sparse s layers=cnv }}\nf(50%); f(20%)").errors
    assert (error.code, error.span.line) == ("DSD201", 2)
    [error] = analyse(f"{HEAD}def f(s) {{ sparse s }}\nf(50%)\nf(150%); f(170%)").errors
    assert (error.code, error.span.line) == ("DSD401", 2)
    assert [(other.message, other.span.line) for other in error.related] == [("in this call of `f`", 4)]


def test_advice_about_names_that_nothing_uses() -> None:
    def unused(text: str) -> list[str]:
        return [item.message for item in analyse(HEAD + text).diagnostics if item.code == "DSD904"]

    assert unused("let s = 50%\nsparse 50%; dense") == ["`s` is never used"]
    assert unused("def f(s, n) { sparse s }\nf(5%, 3); dense") == ["`n` is never used"]
    assert unused("let s = conv; let t = @init\nsparse 50% layers=s from=t; dense") == []


# --- files ------------------------------------------------------------------------------------------------------------

COMMON = """\
let share = 50%
let factor = 2
def pair(s=share, n=3ep) {
  sparse s n lr=prev
  dense n*factor
}
dense 99ep  # not run
"""


def analysed(text: str, **files: str) -> Analysis:
    def read(path: str) -> str:
        if path not in files:
            raise DsdError(f"there is no file `{path}`")
        return files[path]

    return analyse(text, source="main", read=read)


def test_use_brings_what_another_file_names() -> None:
    found = analysed(f'{HEAD}use "common"\npair(); pair(25%); sparse share', common=COMMON)
    assert found.resolved is not None
    assert [phase.mode for phase in found.resolved.book.phases] == [
        "dense",
        "sparse",
        "dense",
        "sparse",
        "dense",
        "sparse",
    ]
    assert [str(phase.length) for phase in found.resolved.book.phases] == ["10ep", "3ep", "6ep", "3ep", "6ep", "10ep"]


def test_names_of_a_used_file_mean_what_they_mean_there() -> None:
    found = analysed(f'{HEAD}use "common"\nlet factor = 5\npair(); dense factor*1ep', common=COMMON)
    assert found.resolved is not None
    assert str(found.resolved.book.phases[2].length) == "6ep"


def test_a_used_file_is_relative_to_the_one_that_uses_it(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "base.dsd").write_text("let n = 2ep\n")
    (tmp_path / "parts" / "common.dsd").write_text('use "base.dsd"\ndef f() { dense n lr=1 }\n')
    (tmp_path / "main.dsd").write_text('use "parts/common.dsd"\nf()\n')
    found = dsd_lang.compile_file(tmp_path / "main.dsd")
    assert found.phases[0].duration.value == "2"
    span = found.phases[0].span
    assert span is not None
    assert (span.line, span.called, span.defined) == (2, None, f"{tmp_path}/parts/common.dsd:2:11")


def test_what_a_used_file_uses_stays_its_own() -> None:
    found = analysed(f'{HEAD}use "a"\nsparse n', a='use "b"\nlet m = 2\n', b="let n = 50%\n")
    assert [item.code for item in found.errors] == ["DSD209"]


def test_files_that_cannot_be_used() -> None:
    def message(text: str, **files: str) -> str:
        [error] = analysed(HEAD + text, **files).errors
        assert error.code == "DSD211"
        assert error.span.line == 2
        return error.message

    assert message('use "gone"') == "there is no file `gone`"
    assert message('use "a"', a="dense 5") == "`a` has an error in line 1: the length `5` has no unit"
    assert message('use "a"', a="let s = 5 + 1ep\nlet t = 1ep * 2ep").startswith(
        "`a` has 2 errors, the first in line 1: "
    )
    assert message('use "main"') == "files use each other in a circle: `main` -> `main`"
    assert "in a circle" in message('use "a"', a='use "b"', b='use "a"')


def test_a_mistake_that_only_a_call_makes_is_told_at_the_call() -> None:
    [error] = analysed(f'{HEAD}use "common"\npair()\npair(150%)', common=COMMON).errors
    assert (error.code, error.span.line) == ("DSD401", 4)
    assert error.message == "in `pair` of `common`, line 4: a target of 150% leaves nothing to train"
    assert [(other.file, other.span.line) for other in error.related] == [("common", 4)]
    assert error.fix is None


def test_a_length_that_is_no_length_is_told_once() -> None:
    assert [item.code for item in analyse("let n = 3\ndense n lr=0.1").errors] == ["DSD402"]
    assert [item.code for item in analyse("let n = -1\ndense n lr=0.1").errors] == ["DSD202"]
