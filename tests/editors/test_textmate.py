"""The TextMate grammar, run by the engine of VS Code: the same tokens as the language's lexer; fences in Markdown."""

from __future__ import annotations

import json
from pathlib import Path

from engine import tokenize
from token_kinds import disagreements, random_texts, real_programs

from dsd_lang.editors.build import EXTENSION
from dsd_lang.editors.patterns import PatternPart, patterns
from dsd_lang.editors.textmate import MARKDOWN_SCOPE, SCOPE, grammar, scope_of
from dsd_lang.editors.vocabulary import vocabulary

PARTS: tuple[PatternPart, ...] = PatternPart.__args__  # type: ignore[attr-defined]
BY_SCOPE: dict[str, set[str]] = {}
for part in PARTS:
    BY_SCOPE.setdefault(scope_of(part), set()).add(part)


def parts_of(scopes: list[str]) -> set[str]:
    return set(BY_SCOPE[" ".join(scopes)])


def compare(texts: list[str]) -> list[str]:
    answers = tokenize(texts)
    return [
        wrong
        for text, tokens in zip(texts, answers, strict=True)
        for wrong in disagreements(text, [(start, end, parts_of(scopes)) for start, end, scopes in tokens])
    ]


def scopes_by_text(text: str) -> dict[str, str]:
    """The innermost scope of each stretch, blanks left out."""
    [tokens] = tokenize([text])
    return {text[start:end]: scopes[-1] for start, end, scopes in tokens if scopes}


def test_agrees_with_the_lexer_on_real_programs() -> None:
    assert compare(real_programs()) == []


def test_agrees_with_the_lexer_on_random_texts() -> None:
    assert compare(random_texts(3000, seed=1)) == []


def test_every_part_has_a_scope_and_every_scope_a_part() -> None:
    assert BY_SCOPE.pop("") == {"blank"}
    try:
        written = json.dumps(grammar(patterns(vocabulary())))
        for part in PARTS:
            assert part == "blank" or f'"{scope_of(part)}"' in written
    finally:
        BY_SCOPE[""] = {"blank"}


def test_each_kind_of_token_has_its_scope() -> None:
    found = scopes_by_text(
        "a: sparse [conv: 2:4, fc: 0->90%] 1.25ep layers=birnn.hh,/b/ by=magnitude(order=largest) \\\n"
        "  from=@full.500it lr=prev until not dsd.val.err < 3 # dsd: ignore[DSD303] why\n"
        "compare linear vs cosine on=test.err\nset model=ds2"
    )
    expected = {
        "a": "entity.name.function.label.dsd", "sparse": "storage.type.phase.dsd", "conv": "support.type.layer.dsd",
        "->": "keyword.operator.ramp.dsd", "ep": "keyword.other.unit.dsd", "birnn.hh": "support.type.layer.dsd",
        "/b/": "string.regexp.dsd", "magnitude": "support.function.dsd", "order": "variable.parameter.dsd",
        "largest": "support.constant.property-value.dsd", "\\": "punctuation.separator.continuation.dsd",
        "@full": "entity.name.function.reference.dsd", ".500it": "support.constant.moment.dsd",
        "prev": "variable.language.dsd", "until": "keyword.control.dsd", "not": "keyword.operator.expression.dsd",
        "val.err": "variable.other.property.metric.dsd", "DSD303": "constant.other.rule.dsd",
        "linear": "entity.name.function.label.dsd", "cosine": "entity.name.function.label.dsd",
        "ds2": "string.unquoted.dsd",
    }  # fmt: skip
    assert {text: found.get(text) for text in expected} == expected


def test_a_missing_bracket_does_not_colour_the_rest() -> None:
    for text in (
        "sparse 50% by=magnitude(order=largest\nD2: dense 5ep",
        "sparse [conv: 5%\ndense 5ep",
        "dense 1ep lr=(0.1; dense 5ep",
    ):
        assert scopes_by_text(text)["dense"] == "storage.type.phase.dsd"
        assert scopes_by_text(text + "\n5: 3\nb: dense")["b"] == "entity.name.function.label.dsd"


def test_wrong_text_is_marked() -> None:
    for text, wrong in (("dense 50epochs", "50epochs"), ("model='x", "'x"), ("// no comment", "// no comment")):
        assert scopes_by_text(text)[wrong] == "invalid.illegal.dsd"


def test_fences_in_markdown_are_coloured(tmp_path: Path) -> None:
    host = tmp_path / "markdown.json"
    host.write_text(json.dumps({"scopeName": "text.html.markdown", "patterns": []}))
    grammars = {
        "text.html.markdown": host,
        MARKDOWN_SCOPE: EXTENSION / "syntaxes" / "dsd.markdown.tmLanguage.json",
        SCOPE: EXTENSION / "syntaxes" / "dsd.tmLanguage.json",
    }
    text = "dense\n```dsd title\ndense 5ep\n```\nsparse\n~~~python\ndense\n~~~\n   ```dsd\n   sparse 50%\n   ```\n"
    [tokens] = tokenize([text], scope="text.html.markdown", grammars=grammars, injections=(MARKDOWN_SCOPE,))
    coloured = [text[start:end] for start, end, scopes in tokens if scopes and scopes[-1] == "storage.type.phase.dsd"]
    assert coloured == ["dense", "sparse"]
    inside = [scopes for start, _, scopes in tokens if text[start : start + 6] == "sparse" and scopes]
    assert inside == [["markup.fenced_code.block.markdown", "meta.embedded.block.dsd", "storage.type.phase.dsd"]]
