"""The canonical form: what it looks like, and the three laws on random programs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from random_parts import FILES, ProgramsOfParts
from random_programs import Programs, laid_out

from dsd_lang.analysis import analyse
from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.errors import DsdError
from dsd_lang.compiler import plan_of
from dsd_lang.formatting import LawBrokenError, formatted
from dsd_lang.lint.checking import check_text
from dsd_lang.lint.codes import DEFAULT_CODES
from dsd_lang.lint.fixes import apply_fixes
from dsd_lang.plan import Plan
from dsd_lang.syntax import formatter
from dsd_lang.syntax.formatter import format_text
from dsd_lang.syntax.parser import parse

SCHEDULES = Path(__file__).parents[3] / "schedules"


def random_text(seed: int) -> str:
    random = Random(seed)
    return laid_out(Programs(random, is_sound=seed % 4 != 0).program(), random)


def random_text_of_parts(seed: int) -> str:
    """A program of version 1.1, which may use :data:`FILES`."""
    random = Random(seed)
    return laid_out(ProgramsOfParts(random, is_sound=seed % 4 != 0, uses=seed % 3 == 0).program(), random)


def check_laws(text: str) -> None:
    """Everything `formatted` proves, and that line ends and the byte-order mark stay."""
    result = formatted(text, source="a.dsd", read=FILES.__getitem__).text
    assert format_text(result) == result
    ends = {"\r\n"} if "\r\n" in text else {"\r"} if "\r" in text else {"\n"}
    assert set(_line_ends(result)) <= ends
    assert result.startswith("\ufeff") == text.startswith("\ufeff")


def _line_ends(text: str) -> list[str]:
    return [line[len(line.rstrip("\r\n")) :] for line in text.splitlines(keepends=True) if line.endswith(("\r", "\n"))]


@pytest.mark.parametrize("block", range(5))
def test_random_programs_keep_the_laws(block: int) -> None:
    for seed in range(block * 40, block * 40 + 40):
        check_laws(random_text(seed))


@pytest.mark.parametrize("block", range(5))
def test_random_programs_of_parts_keep_the_laws(block: int) -> None:
    for seed in range(block * 24, block * 24 + 24):
        check_laws(random_text_of_parts(seed))


@pytest.mark.slow
@pytest.mark.parametrize("make", [random_text, random_text_of_parts])
def test_five_thousand_random_programs_keep_the_laws(make: Callable[[int], str]) -> None:
    for seed in range(10_000, 15_000):
        check_laws(make(seed))


def test_random_programs_of_parts_are_valid() -> None:
    """Nearly all of the sound ones compile; their plans survive JSON, and all of version 1.1 is among them."""
    texts = [random_text_of_parts(seed) for seed in range(80)]
    assert all(not parse(text).diagnostics for text in texts)
    valid = 0
    for seed, text in enumerate(texts):
        analysis = analyse(text, source="a.dsd", read=FILES.__getitem__)
        if analysis.resolved is not None:
            valid += 1
            plan = plan_of(analysis.resolved)
            assert Plan.from_json(plan.to_json(indent=None)) == plan, seed
    assert valid >= 50, valid
    whole = "\n".join(texts)
    assert all(re.search(rf"\b{word}\b", whole) for word in ("let", "def", "use", "within", "by"))
    assert all(mark in whole for mark in ("..", "[s", "[25%", "part", "use"))


def test_the_random_programs_are_worth_something() -> None:
    """They parse, most of them compile, and every statement, argument and odd layout is among them."""
    texts = [random_text(seed) for seed in range(600)]
    assert all(not parse(text).diagnostics for text in texts)
    num_sound = sum(not analyse(text).errors for text in texts)
    assert num_sound > 200, num_sound
    whole = "\n".join(texts)
    for row in ARGUMENTS:
        assert re.search(rf"\b{row.name}[ \t]*=", whole), row.name
    words = "repeat for sweep fork compare expect until then as held and or not vs in"
    assert all(re.search(rf"\b{word}\b", whole) for word in words.split())
    assert all(mark in whole for mark in ("\\", "\r\n", "\t", "->", "@init", "# "))


@pytest.mark.parametrize("path", sorted(SCHEDULES.glob("*.dsd")), ids=lambda path: path.stem)
def test_the_schedules_are_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text


FORMS = [
    ("dense 5ep;sparse .5", "dense 5ep\nsparse 50%\n"),
    ("sparse 50ep lr=3 0.5 layers=fc , birnn of=remaining", "sparse 50% of=remaining layers=fc,birnn 50ep lr=3\n"),
    (
        "sparse wd=1 clip=5 until val.err<1-0.5 decay=cosine 50% except=fc",
        "sparse 50% except=fc decay=cosine wd=1 clip=5 until val.err < 1 - 0.5\n",
    ),
    ("sparse s - 1 n", "sparse s-1 n\n"),
    ("sparse n 50%", "sparse 50% n\n"),
    ("sparse 2ep*3 s", "sparse s 2ep*3\n"),
    ("for s in 20%,30% { sparse s lr=1 7 5ep }", "for s in 20%, 30% {\n  sparse s 7 5ep lr=1\n}\n"),
    ("sparse ( 0.5 ) lr = ( prev + base ) / 2", "sparse (50%) lr=(prev+base)/2\n"),
    ("sparse 0 -> .9 every=10it ramp=linear", "sparse 0->90% ramp=linear every=10it\n"),
    ("sparse [conv:.3,'fc*':2:4,/a b/:0->0.5,]", 'sparse [conv: 30%, "fc*": 2:4, /a b/: 0->50%,]\n'),
    ("dense 5ep opt = sgd( momentum=.9,nesterov = on )", "dense 5ep opt=sgd(momentum=.9, nesterov=on)\n"),
    ("dense 5ep from=@full . start", None),
    ("D1 : dense from=@D0.1.25ep 5ep", "D1: dense 5ep from=@D0.1.25ep\n"),
    ("set   lr=.1\tseed=0 model='ds1' data='a\"b'", 'set lr=.1 seed=0 model="ds1" data=\'a"b\'\n'),
    ("repeat scale=.5 2 then dense lr=3 sparse 20%", None),
    (
        "repeat 2 scale=.5 sparse 20% then dense lr=3 5ep",
        "repeat 2 sparse 20% then dense 5ep lr=3 scale=.5\n",
    ),
    ("repeat 3 scale=.5 until val.err<10%", "repeat 3 until val.err < 10% scale=.5\n"),
    ("repeat 3 sparse .2 scale=.5 until val.err<10%", "repeat 3 until val.err < 10% sparse 20% scale=.5\n"),
    ("repeat 3 as i until val.err<1{dense 5ep}", "repeat 3 as i until val.err < 1 {\n  dense 5ep\n}\n"),
    ("for x in 1,2 ,4 { dense x*1ep }", "for x in 1, 2, 4 {\n  dense x*1ep\n}\n"),
    ("sweep s in 25%,50% , w in 0,1e-4 {sparse s}", "sweep s in 25%, 50%, w in 0, 1e-4 {\n  sparse s\n}\n"),
    (
        "fork rng=distinct seeds=2 {a:{dense 5ep;dense}b:dense 5ep}",
        "fork seeds=2 rng=distinct {\n  a: {\n    dense 5ep\n    dense\n  }\n  b: dense 5ep\n}\n",
    ),
    ("compare a vs b test=paired on=test.err", "compare a vs b on=test.err test=paired\n"),
    ("expect a.test.err<b.test.err-0.1", "expect a.test.err < b.test.err - 0.1\n"),
    ("expect p( a  vs b on = test.err )<.05", "expect p(a vs b on=test.err) < .05\n"),
    ("expect not(a.test.err<1 or b.test.err>2)", "expect not (a.test.err < 1 or b.test.err > 2)\n"),
    ("\n\n dense 5ep\n\n\n\ndense\n\n", "dense 5ep\n\ndense\n"),
    ("fork {\n\n  a: dense 5ep\n\n}", "fork {\n  a: dense 5ep\n}\n"),
    ("let   s=.5;let k=conv,fc", "let s = .5\nlet k = conv, fc\n"),
    ("let r=- .1 ; let t=0 -> .9", "let r = -.1\nlet t = 0->.9\n"),
    ("use 'common.dsd'", 'use "common.dsd"\n'),
    (
        "def dsd( s,n = 45ep,k=/x/ ){ sparse s n  lr=prev;dense n};dsd(.5,n = 10ep)",
        "def dsd(s, n=45ep, k=/x/) {\n  sparse s n lr=prev\n  dense n\n}\ndsd(.5, n=10ep)\n",
    ),
    ("def d( ){dense 1ep};a :d ( )", "def d() {\n  dense 1ep\n}\na: d()\n"),
    ("def d(layers=fc,n=1ep){dense n}", "def d(layers=fc, n=1ep) {\n  dense n\n}\n"),
    ("for s in 10% .. 90% by 10%,5%{sparse s}", "for s in 10%..90% by 10%, 5% {\n  sparse s\n}\n"),
    ("for i in 1 .. .5 by - .1{dense i*1ep}", "for i in 1.. .5 by -.1 {\n  dense i*1ep\n}\n"),
    (
        "grid:sweep (s,r) in (25%,1e-3),( 50% ,5e-4){sparse s lr=r 1ep}",
        "grid: sweep (s, r) in (25%, 1e-3), (50%, 5e-4) {\n  sparse s 1ep lr=r\n}\n",
    ),
    (
        "compare grid[ s=25%,w = 0 ] vs a test=welch on=test.err",
        "compare grid[s=25%, w=0] vs a on=test.err test=welch\n",
    ),
    (
        "dense 5ep from=@grid[ s=25%,w = 0 ].S1[seed=3].end",
        "dense 5ep from=@grid[s=25%, w=0].S1[seed=3].end\n",
    ),
    ("compare g[ 25% ] vs g[k='a,b'] on=test.err", "compare g[25%] vs g[k='a,b'] on=test.err\n"),
    ("compare g test=welch on=test.err", "compare g on=test.err test=welch\n"),
    ("expect g[.5].test.err<1-.1", "expect g[.5].test.err < 1 - .1\n"),
    (
        "dense lr=[embed :.5,all: 1e-4] freeze=embed , conv warmup = 3% 5ep",
        "dense 5ep lr=[embed: .5, all: 1e-4] freeze=embed,conv warmup=3%\n",
    ),
    (
        "w:within  100ep{dense 10%;sparse layers=fc .5 70%;sparse s 5%; sparse held wd=0 10%;dense}",
        "w: within 100ep {\n  dense 10%\n  sparse 50% layers=fc 70%\n  sparse s 5%\n"
        "  sparse held 10% wd=0\n  dense\n}\n",
    ),
    (
        "def d(s){sparse lr=1 s 60%}\nfork{a:d(50%)\nb:within 5ep{sparse 50% lr=1 20%;dense}}",
        "def d(s) {\n  sparse s 60% lr=1\n}\nfork {\n  a: d(50%)\n  b: within 5ep {\n"
        "    sparse 50% 20% lr=1\n    dense\n  }\n}\n",
    ),
    ("", ""),
    ("\n\n", ""),
    ("# only\r\n\r\n# this", "# only\r\n\r\n# this\r\n"),
    ("\ufeffdense 5ep;dense", "\ufeffdense 5ep\ndense\n"),
    ("dense 5ep \\\n  lr=3", "dense 5ep lr=3\n"),
]


@pytest.mark.parametrize(("written", "canonical"), FORMS, ids=[written[:40] for written, _ in FORMS])
def test_forms(written: str, canonical: str | None) -> None:
    if canonical is None:
        with pytest.raises(DsdError, match="cannot be formatted"):
            format_text(written)
        return
    assert format_text(written) == canonical
    check_laws(written)


COMMENTS = [
    ("dense 5ep#a\nsparse 50% lr=1e-3 # b", "dense 5ep           #a\nsparse 50% lr=1e-3  # b\n"),
    ("  # head   \ndense 5ep", "# head\ndense 5ep\n"),
    ("dense 5ep \\ # why\n lr=3", "dense 5ep \\  # why\n    lr=3\n"),
    (
        "for x in 1, # one\n # two\n 2 {dense x*1ep} # all",
        "for x in 1,  # one\n    # two\n    2 {  # all\n  dense x*1ep\n}\n",
    ),
    ("fork { # f\n a: dense 5ep # a\n # last\n} # end", "fork {  # f\n  a: dense 5ep  # a\n  # last\n}  # end\n"),
    ("fork { # empty\n}", "fork {  # empty\n}\n"),
    ("dense 5ep; # a\n; # b\ndense", "dense 5ep  # a\n# b\ndense\n"),
    ("# a\n\n\n# b\ndense 5ep", "# a\n\n# b\ndense 5ep\n"),
    (
        "dense 5ep decay=step(33%, # third\n 66%, by=0.1)",
        "dense 5ep decay=step(33%,  # third\n    66%, by=0.1)\n",
    ),
]


@pytest.mark.parametrize(("written", "canonical"), COMMENTS, ids=[written[:30] for written, _ in COMMENTS])
def test_comments_stay_where_they_were(written: str, canonical: str) -> None:
    assert format_text(written) == canonical
    check_laws(written)


def test_long_lines_break_after_commas() -> None:
    text = "for x in " + ", ".join(str(number) for number in range(100)) + " { dense x*1ep }"
    lines = format_text(text).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].endswith(",")
    assert lines[1].startswith("    ")
    check_laws(text)


def test_a_law_that_does_not_hold_hands_out_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {
        "meaning": ("dense  5ep", lambda text, **_: "dense 6ep\n"),
        "comment": ("dense 5ep  # x", lambda text, **_: "dense 5ep\n"),
        "again would change it": ("dense 5ep", lambda text, **_: text + "\n"),
    }
    for said, (text, format_wrongly) in wrong.items():
        monkeypatch.setattr(formatter, "format_text", format_wrongly)
        with pytest.raises(LawBrokenError, match=said):
            formatted(text)


SUPPRESSED = [
    (
        "dense  5ep lr=1 \n sparse .5 lr=1e-3;dense lr=1e-2;  sparse .5  # dsd: ignore[DSD303, DSD304]",
        "dense 5ep lr=1\nsparse .5 lr=1e-3;dense lr=1e-2;  sparse .5  # dsd: ignore[DSD303, DSD304]\n",
    ),
    (
        "dense  5ep lr=1;dense\n# dsd: ignore[DSD303, DSD304]\nsparse .5 lr=1e-3;  dense lr=1; sparse .5\n",
        "dense 5ep lr=1\ndense\n# dsd: ignore[DSD303, DSD304]\nsparse .5 lr=1e-3;  dense lr=1; sparse .5\n",
    ),
    (
        "dense 5ep lr=1\nrepeat 2 {  sparse .5 lr=1e-3;dense lr=1 }  # dsd: ignore[DSD304]\ndense  5ep",
        "dense 5ep lr=1\nrepeat 2 {  sparse .5 lr=1e-3;dense lr=1 }  # dsd: ignore[DSD304]\ndense 5ep\n",
    ),
    (
        "dense 5ep lr=1\nrepeat 2 {\ndense  5ep\nsparse .5;  dense lr=1; # dsd: ignore[DSD304]\n}",
        "dense 5ep lr=1\nrepeat 2 {\n  dense 5ep\n  sparse .5;  dense lr=1  # dsd: ignore[DSD304]\n}\n",
    ),
    (
        "dense 5ep lr=1\nsparse 50% \\\n  lr=.1  # dsd: ignore[DSD303]",
        "dense 5ep lr=1\nsparse 50% lr=.1  # dsd: ignore[DSD303]\n",
    ),
    (
        "dense 5ep lr=1\nsparse 50% layers=fc, # dsd: ignore[DSD303]\nconv",
        "dense 5ep lr=1\nsparse 50% layers=fc,  # dsd: ignore[DSD303]\n    conv\n",
    ),
]


@pytest.mark.parametrize(("written", "canonical"), SUPPRESSED)
def test_a_suppression_holds_after_formatting(written: str, canonical: str) -> None:
    assert formatted(written).text == canonical
    for text in (written, canonical):
        assert check_text(text, selected=DEFAULT_CODES) == ()
    check_laws(written)


@pytest.mark.parametrize("block", range(8))
def test_suppressions_of_random_programs_hold(block: int) -> None:
    suppresses = ("# dsd: ignore[DSD303,DSD304, DSD306]", "#dsd:ignore[ends-sparse]", "# dsd: ignore[DSD305, DSD901]")
    for seed in range(40 * block, 40 * block + 40):
        random = Random(seed)
        lines = random_text(seed).split("\n")
        for index, line in enumerate(lines):
            is_free = "#" not in line and "\\" not in line and "\r" not in line
            if is_free and random.random() < 0.3:
                lines[index] = f"{line} {random.choice(suppresses)}"
        check_laws("\n".join(lines))


def test_a_large_loop_is_not_expanded_to_be_laid_out() -> None:
    started = time.process_time()
    assert formatted("repeat 99000 as i { dense  1ep lr=0.1/(i+1) }").is_changed
    assert time.process_time() - started < 1


def test_a_law_on_suppressions(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "dense  5ep lr=1; sparse 50%  # dsd: ignore[DSD303]"
    wrong = "dense 5ep lr=1  # dsd: ignore[DSD303]\nsparse 50%\n"
    monkeypatch.setattr(formatter, "format_text", lambda text, **_: wrong)
    with pytest.raises(LawBrokenError, match="suppression"):
        formatted(text)


LEFT_ALONE = [
    ("dense 5ep   lr=1    # fmt: skip\ndense  5ep # x", "dense 5ep   lr=1    # fmt: skip\ndense 5ep  # x\n"),
    ("for x in 1{\n dense   x*1ep  # fmt: skip\n}", "for x in 1 {\n  dense   x*1ep  # fmt: skip\n}\n"),
    (
        "for x in 1{  # fmt: skip\n dense   x*1ep \n}\ndense  1ep",
        "for x in 1{  # fmt: skip\n dense   x*1ep \n}\ndense 1ep\n",
    ),
    (" for x in 1{\r\n dense   x*1ep \r\n} # fmt: skip", "for x in 1{\r\n dense   x*1ep \r\n} # fmt: skip\r\n"),
    ("dense  5ep;dense   1ep  # fmt: skip \n dense  1ep", "dense  5ep;dense   1ep  # fmt: skip\ndense 1ep\n"),
    ("dense  5ep # dsd: ignore[DSD303]  # fmt: skip", "dense  5ep # dsd: ignore[DSD303]  # fmt: skip\n"),
    ("sparse [conv:.5,  # fmt: skip\n fc:.5]", "sparse [conv:.5,  # fmt: skip\n fc:.5]\n"),
    (
        "dense  5ep\n # fmt: off\n\n dense   5ep ;\t\n\n # fmt: on\ndense  5ep",
        "dense 5ep\n# fmt: off\n\n dense   5ep ;\t\n\n# fmt: on\ndense 5ep\n",
    ),
    ("#fmt:off\r\ndense   5ep\n dense  1ep", "#fmt:off\r\ndense   5ep\n dense  1ep"),
    (
        "for x in 1{\n# fmt: off\n dense   1ep # c\n\n # d\n }  # e\n dense  1ep",
        "for x in 1 {\n  # fmt: off\n dense   1ep # c\n\n # d\n}  # e\ndense 1ep\n",
    ),
    ("for x in 1{\n# fmt: off\n dense   1ep }", "for x in 1 {\n  # fmt: off\n dense   1ep\n}\n"),
    (
        "fork {\n# fmt: off\na:  dense  1ep\n# fmt: on\nb:  dense  1ep\n}",
        "fork {\n  # fmt: off\na:  dense  1ep\n  # fmt: on\n  b: dense 1ep\n}\n",
    ),
    (
        "# fmt: off\nfor x in 1{\n# fmt: on\n dense   1ep\n}\n# fmt: on\n\ndense  1ep",
        "# fmt: off\nfor x in 1{\n# fmt: on\n dense   1ep\n}\n# fmt: on\n\ndense 1ep\n",
    ),
    ("# fmt: on\ndense  5ep # fmt: off\ndense  5ep", "# fmt: on\ndense 5ep  # fmt: off\ndense 5ep\n"),
    ("# fmt: skip\ndense  5ep", "# fmt: skip\ndense 5ep\n"),
    ("# fmt: of\ndense  5ep", "# fmt: of\ndense 5ep\n"),
]


@pytest.mark.parametrize(("written", "canonical"), LEFT_ALONE, ids=[written[:40] for written, _ in LEFT_ALONE])
def test_what_is_left_alone(written: str, canonical: str) -> None:
    assert format_text(written) == canonical
    assert format_text(canonical) == canonical
    assert formatted(written).text == canonical


@pytest.mark.parametrize("block", range(4))
def test_random_programs_stay_as_they_are_where_the_formatter_is_off(block: int) -> None:
    for seed in range(2000 + 40 * block, 2040 + 40 * block):
        random = Random(seed)
        text, inside = (laid_out(ProgramsOfParts(random).program(), random) for _ in range(2))
        newline = random.choice(("\n", "\r\n"))
        between = f"# fmt: off{newline}{inside}{newline}"
        whole = f"{text}{newline}{between} # fmt: on{newline}dense   1ep"
        result = format_text(whole)
        assert f"{between}# fmt: on" in result, whole
        assert result.rstrip().endswith("dense 1ep"), whole
        assert format_text(result) == result, whole


@pytest.mark.parametrize("block", range(4))
def test_skipped_statements_of_random_programs(block: int) -> None:
    for seed in range(3000 + 40 * block, 3040 + 40 * block):
        random = Random(seed)
        lines = random_text_of_parts(seed).split("\n")
        marked = [line for line in lines if line.strip() and not set(line) & set("#\\\r")]
        for line in random.sample(marked, min(3, len(marked))):
            lines[lines.index(line)] = f"{line}  # fmt: skip"
        text = "\n".join(lines)
        result = format_text(text)
        assert format_text(result) == result, text
        for line in text.split("\n"):
            assert not line.endswith("# fmt: skip") or line.strip() in result, text


def test_the_files_that_a_schedule_uses_are_in_its_meaning() -> None:
    files = {"lib/common.dsd": "let s = 50%\ndef dsd(n) { sparse s n; dense n }\n"}
    text = 'use "common.dsd"\ndense 5ep lr=1;dsd( 10ep )\nsparse lr=1 .5'
    canonical = 'use "common.dsd"\ndense 5ep lr=1\ndsd(10ep)\nsparse 50% lr=1\n'
    assert formatted(text, source="lib/a.dsd", read=files.__getitem__).text == canonical


@pytest.mark.parametrize(
    ("text", "message", "fixed"),
    [
        ("# fmt: on\ndense 5ep", "no `fmt: off` before it", "dense 5ep"),
        ("dense 5ep  # fmt: off", "on a line of its own", "dense 5ep"),
        ("# fmt: skip\ndense 5ep", "at the end of a statement", "dense 5ep"),
        ("# fmt: off\n# fmt: off\ndense 5ep", "off here already", "# fmt: off\ndense 5ep"),
        ("for x in 1 {\n# fmt: off\ndense 5ep\n}\n# fmt: on", "no `fmt: off` before it", None),
        ("dense 5ep  # fmt: skp", "`fmt: skp` is unknown", None),
        ("dense 5ep  # fmt:", "says nothing", None),
    ],
)
def test_a_comment_without_effect_is_reported(text: str, message: str, fixed: str | None) -> None:
    [found] = check_text(text, selected=frozenset({"DSD903"}))
    assert found.code == "DSD903"
    assert message in found.message
    if fixed is not None:
        assert apply_fixes(text, [found], unsafe=False).text == fixed


def test_a_comment_with_effect_is_not_reported() -> None:
    text = "# fmt: off\ndense  5ep\n# fmt: on\ndense   5ep  # fmt: skip\n"
    assert check_text(text, selected=frozenset({"DSD902", "DSD903"})) == ()


@pytest.mark.parametrize("text", ["repeat 2 {\n# fmt: off\ndense 5ep lr=0.1", "dense 5ep lr=1 # fmt: skip\nfork {"])
def test_comments_of_a_text_with_an_open_block(text: str) -> None:
    assert [found.code for found in check_text(text, selected=frozenset({"DSD903"}))] == ["DSD104"]
