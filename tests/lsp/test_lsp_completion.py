"""What is offered at a place: all that fits there, and nothing that would be wrong there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lsp_editor import Editor, edited, place_of, session
from lsprotocol import types

from dsd_lang.analysis import analyse
from dsd_lang.base.arguments import ARGUMENTS, allowed_at
from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.layers import KINDS, ROLES
from dsd_lang.lsp.completion import offers_at
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.offers import filled
from dsd_lang.lsp.offers_arguments import option_offer
from dsd_lang.lsp.word import word_at
from dsd_lang.syntax.parser import scan

EVERYTHING_ONCE = """set lr=0.1
base: dense 5ep lr=prev decay=step(50%, by=0.1) opt=sgd(momentum=0.9, nesterov=on)
a: sparse [conv: 30%, fc: 0->50%] layers=fc,birnn.hh every=10it 5ep until plateau(val.loss) and not val.err < 1
dense restore=@base.end clip=norm(5)
sparse held update=none
repeat 2 until gain(val.err) < 0.1 scale=0.5 sparse 25% by=magnitude(order=largest) then dense lr=6e-6
repeat 3 as i until drop(val.acc) > 2% and falling(entropy.relu, rounds=2) { sparse 0.5/2^i 5ep ; dense lr=prev/2 }
for s in 30%, 50% { sparse s 5ep }
sweep s in 25%, 50%, w in 0, 1e-4 { sparse s wd=w 5ep; dense 5ep }
fork seeds=2 rng=shared {
  x: { S: sparse 50% 5ep; dense distill=@base(alpha=0.5, T=4) 5ep }
  y: dense 5ep
}
fork { p: { fork { q: dense 5ep } } }
compare x vs y on=test.err test=paired at=best
expect x.test.err < y.test.err - 0.1 and p.q.test.err < 3
dense from=@p.q.end
"""
# what is missing behind the item, not wrong in it
INCOMPLETE = re.compile(
    "`compare` needs the metric|is not the label of a sweep|"
    "needs a metric|this is not a condition|is a number, not a condition|division by zero"
)
WRONG = ("DSD101", "DSD102", "DSD103", "DSD104", "DSD201", "DSD202", "DSD203", "DSD205", "DSD206")


def labels_at(editor: Editor, marked: str) -> list[str]:
    text, place = place_of(marked)
    editor.open(text)
    return [item.label for item in editor.at(types.TEXT_DOCUMENT_COMPLETION, place).items]


def test_statements_where_one_may_begin(editor: Editor) -> None:
    assert labels_at(editor, "dense 5ep lr=0.1\n|") == [
        "dense", "sparse", "set", "repeat", "for", "sweep", "fork", "expect", "let", "def", "use", "within",
    ]  # fmt: skip
    inside = labels_at(editor, "repeat 2 {\n  |\n}\n")
    assert "dense" in inside
    assert "set" not in inside
    assert labels_at(editor, "fork {\n  |\n}\n") == ["branch"]
    assert labels_at(editor, "fork { a: |") == ["dense", "sparse", "within"]


def test_arguments_of_the_statement(editor: Editor) -> None:
    offered = labels_at(editor, "dense 5ep lr=0.1 |")
    wanted = set(allowed_at("dense")) - {"lr", "floor"}  # given; and without a decay there is no floor
    assert {f"{name}=" for name in wanted} == {label for label in offered if label.endswith("=")}
    assert "until" in offered
    assert labels_at(editor, "fork |") == ["seeds=", "rng="]
    assert labels_at(editor, "fork { a: dense 5ep lr=1 } compare a vs a |") == ["on=", "test=", "at="]
    assert "scale=" in labels_at(editor, "repeat sparse 25% |")
    assert {"ramp=", "every="} <= set(labels_at(editor, "sparse 0->90% |"))
    assert not {"ramp=", "every=", "of=", "masks="} & set(labels_at(editor, "sparse 2:4 |"))
    assert "masks=" in labels_at(editor, "sparse held |")


def test_values_of_an_argument(editor: Editor) -> None:
    for row in ARGUMENTS:
        if row.kind in ("choice", "function", "decay"):
            head = {"fork": "fork ", "compare": "compare a vs b "}.get(
                row.places[0], "set " if "set" in row.places else "sparse 50% "
            )
            assert labels_at(editor, f"{head}{row.name}=|") == [
                option.name for option in sorted(row.options, key=lambda option: not option.is_supported)
            ]
    assert labels_at(editor, "dense 5ep lr=|") == ["prev", "last", "base"]
    assert labels_at(editor, "dense 5ep opt=sgd(|") == ["momentum=", "nesterov=", "dampening="]
    assert labels_at(editor, "dense 5ep opt=sgd(nesterov=|") == ["on", "off"]
    assert labels_at(editor, "dense 5ep decay=step(|") == []
    assert labels_at(editor, "dense 5ep decay=step(5ep, |") == ["by=", "floor="]


def test_selectors(editor: Editor) -> None:
    offered = labels_at(editor, "sparse 50% layers=fc,|")
    assert set(offered) >= {*KINDS, *ROLES, "birnn.hh", "lstm.ih"}
    assert set(labels_at(editor, "sparse [|")) == set(offered)
    for argument in ("sparse 50% except", "dense freeze"):
        assert set(labels_at(editor, f"{argument}=|")) == {"none", *offered}
        assert set(labels_at(editor, f"{argument}=fc,|")) == set(offered)


def test_names_in_references(editor: Editor) -> None:
    schedule = "full: dense 5ep lr=1\nfork seeds=2 { a: { S: sparse 50% } b: dense from=@| }\nlater: dense\n"
    assert labels_at(editor, schedule) == ["@init", "@a", "@full"]
    assert labels_at(editor, schedule.replace("@|", "@a.|")) == [
        "@a.start", "@a.entered", "@a.end", "@a.best", "@a.500it", "@a.S",
    ]  # fmt: skip
    assert labels_at(editor, "fork seeds=2 { a: dense 1ep lr=1 }\ndense from=@|") == ["@init", "@a.seed0"]
    assert labels_at(editor, "fork seeds=2 { a: dense 1ep lr=1 }\ndense from=@a.|") == ["@a.seed0", "@a.seed1"]
    assert "@S" in labels_at(editor, "fork { a: { S: sparse 50% 5ep\n  dense from=@|")
    assert labels_at(editor, "me: dense 5ep lr=1 from=@|") == ["@init"]
    assert labels_at(editor, "full: dense 5ep lr=@|") == []


def test_conditions(editor: Editor) -> None:
    offered = labels_at(editor, "dense 5ep until |")
    assert {"not", "plateau", "val.loss", "sparsity"} <= set(offered)
    assert not {"gain", "and", "lr="} & set(offered)
    assert "gain" in labels_at(editor, "repeat 3 until |")
    assert labels_at(editor, "dense 5ep until val.err |") == []
    after = labels_at(editor, "dense 5ep until val.err < 3 |")
    assert {"and", "or", "lr="} <= set(after)
    assert labels_at(editor, "dense 5ep until plateau(val.loss, |") == ["patience=", "delta="]


def test_arms_and_metrics(editor: Editor) -> None:
    fork = "fork { a: dense 1ep lr=1\n b: { fork { c: dense } } }\n"
    assert labels_at(editor, f"{fork}compare |") == ["b", "b.c", "a"]
    assert labels_at(editor, f"{fork}compare a |") == ["vs"]
    assert "test.err" in labels_at(editor, f"{fork}compare a vs b on=|")
    assert "b.c.test.err" in labels_at(editor, f"{fork}expect |")


def test_variables(editor: Editor) -> None:
    assert "s" in labels_at(editor, "for s in 25%, 50% { sparse |")
    assert "s" not in labels_at(editor, "for s in 25%, 50% { sparse 50% |")
    assert "s" in labels_at(editor, "for s in 25%, 50% {\n  sparse |\n}\n")
    assert "i" in labels_at(editor, "repeat 3 as i { dense 5ep lr=prev/|")
    assert "i" not in labels_at(editor, "repeat 3 as i { dense 5ep }\ndense lr=|")
    assert "w" in labels_at(editor, "for w in 1ep, 2ep { dense 5ep lr=1 warmup=|")
    assert "w" not in labels_at(editor, "for w in 1ep, 2ep { dense 5ep lr=|")
    assert "m" in labels_at(editor, "for m in magnitude, random { sparse 50% 5ep by=|")


@pytest.mark.parametrize(
    "marked",
    [
        "dense 5|",
        "dense 5ep|",
        "sparse 50|%",
        "sparse 50%|",
        "# a comment |",
        'set model="d|"',
        "sparse 50% layers=/a|b/",
        "expect 3 3 |",
        "sparse 0-|>90%",
        "\x00|",
        "dense 5ep lr=1e|-3",
    ],
)
def test_nothing_where_nothing_can_be_said(editor: Editor, marked: str) -> None:
    assert labels_at(editor, marked) == []


def test_codes_in_a_suppression(editor: Editor) -> None:
    offered = labels_at(editor, "dense 5ep lr=1  # dsd: ignore[DSD303, |]")
    assert "DSD304" in offered
    assert "DSD303" not in offered
    assert labels_at(editor, "dense 5ep lr=1  # dsd: ignore[DSD303] because |") == []


def test_an_item_takes_the_place_of_the_whole_word(editor: Editor) -> None:
    text, place = place_of("sparse 50% 5ep lr=0.1 lay|er=fc\n")
    editor.open(text)
    items = editor.at(types.TEXT_DOCUMENT_COMPLETION, place).items
    item = next(item for item in items if item.label == "layers=")
    assert edited(text, [item.text_edit]) == "sparse 50% 5ep lr=0.1 layers=fc\n"  # the `=` was there
    assert item.filter_text == "layers"
    assert "which layers are pruned" in item.documentation.value


def test_snippets_only_where_they_are_understood(editor: Editor) -> None:
    text, place = place_of("dense 5ep dec|")
    editor.open(text)
    items = editor.at(types.TEXT_DOCUMENT_COMPLETION, place).items
    item = next(item for item in items if item.label == "decay=")
    assert item.insert_text_format == types.InsertTextFormat.Snippet
    assert item.text_edit.new_text == "decay=${1:constant}"
    with session(capabilities=types.ClientCapabilities()) as plain:
        plain.open(text)
        items = plain.at(types.TEXT_DOCUMENT_COMPLETION, place).items
        assert all(item.insert_text_format == types.InsertTextFormat.PlainText for item in items)
        assert all("${" not in item.text_edit.new_text for item in items)


def schedules() -> list[str]:
    folder = Path(__file__).resolve().parents[2] / "schedules"
    return [EVERYTHING_ONCE, *(path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.dsd")))]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=pytest.mark.slow if number == 0 or len(text.splitlines()) > 30 else ())
        for number, text in enumerate(schedules())
    ],
)
def test_every_offer_fits_where_it_is_made(number: int) -> None:
    """At both ends of every word of the schedules, every item, inserted with its defaults, is free of mistakes."""
    text = schedules()[number]
    document = Document("file:///x.dsd", 1, text)
    ends = {
        place for token in document.tokens.tokens for place in (token.span.start, token.span.end, token.span.end + 1)
    }
    num_offers = 0
    known: dict[str, tuple[Diagnostic, ...]] = {}
    for offset in sorted(place for place in ends if place <= len(text)):
        word = word_at(text, offset)
        for offer in offers_at(document, offset, word):
            inserted = filled(offer.snippet) or offer.plain or offer.label
            cut = closed(text[: word.start] + inserted)
            if cut not in known:
                known[cut] = analyse(cut).diagnostics
            end = word.start + len(inserted)
            here = [
                item for item in known[cut] if item.span.start < end and item.span.end > word.start and is_wrong(item)
            ]
            assert here == [], (offer.label, cut[-200:])
            num_offers += 1
    assert num_offers > 100


def closed(text: str) -> str:
    """A text with its open blocks closed."""
    scanned, _ = scan(text)
    assert scanned is not None
    kinds = [token.kind for token in scanned.tokens if token.text]
    return f"{text}\n{'}' * (kinds.count('LBRACE') - kinds.count('RBRACE'))}\n"


def is_wrong(diagnostic: Diagnostic) -> bool:
    is_broken_off = diagnostic.label == "the statement is incomplete here"
    return diagnostic.code in WRONG and not is_broken_off and INCOMPLETE.search(diagnostic.message) is None


@pytest.mark.parametrize("row", ARGUMENTS, ids=lambda row: row.name)
def test_every_argument_starts_with_a_value_that_it_takes(row: object) -> None:
    from dsd_lang.base.arguments import Argument

    assert isinstance(row, Argument)
    values = [
        row.start,
        *(filled(offer.snippet) or offer.label for offer in (option_offer(row, option) for option in row.options)),
    ]
    for value in values:
        for place in row.places:
            assert [item.message for item in analyse(written(row.name, value, place)).errors] == []


def written(name: str, value: str, place: str) -> str:
    given = f"{name}={value}"
    fork = "fork seeds=2 {{ a: dense 5ep lr=0.1 decay=cosine\n b: dense 5ep lr=0.1 }}\n"
    decay = "" if name == "decay" else "decay=cosine "
    target = {"ramp": "0->50%", "every": "0->50%", "masks": "held"}.get(name, "50%")
    return {
        "dense": f"dense 5ep {'' if name == 'lr' else 'lr=0.1 '}{decay}{given}\n",
        "sparse": f"sparse {target} 5ep {'' if name == 'lr' else 'lr=0.1 '}{decay}{given}\ndense\n",
        "set": f"set {decay}{given}\ndense 5ep\n",
        "repeat": f"dense 5ep lr=0.1; sparse 50%; dense\nrepeat {given}\n",
        "fork": f"fork {given} {{ a: dense 5ep lr=0.1 }}\n",
        "compare": f"{fork}compare a vs b {'' if name == 'on' else 'on=test.err '}{given}\n".replace("{{", "{").replace(
            "}}", "}"
        ),
    }[place]
