"""Snippets for editors; their choices are taken from the table of arguments.

The bodies use the notation of VS Code: `${1:default}` is a field to fill in, `${1|a,b|}` a choice.
"""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.editors.vocabulary import Vocabulary


class Snippet(NamedTuple):
    """The prefix to type, a description, and the lines to insert."""

    prefix: str
    meaning: str
    body: tuple[str, ...]


def snippets(words: Vocabulary) -> tuple[Snippet, ...]:
    """All snippets; each is a whole statement in canonical form."""
    return (
        Snippet("dense", "a dense phase", ("dense ${1:50ep} lr=${2:0.1}",)),
        Snippet("sparse", "a sparse phase", ("sparse ${1:50%} ${2:50ep}",)),
        Snippet(
            "dsd",
            "dense, sparse, dense (Han et al., ICLR 2017)",
            ("D1: dense ${1:50ep} lr=${2:0.1}", "S1: sparse ${3:50%} ${4:25ep} lr=${5:0.01}", "D2: dense lr=${6:1e-3}"),
        ),
        Snippet("layers", "a sparse phase of some layers", (f"sparse ${{1:50%}} layers={_choice(2, words.kinds)}",)),
        Snippet("ramp", "a target that climbs", ("sparse ${1:0}->${2:90%} every=${3:100it} ${4:60ep}",)),
        Snippet("n-of-m", "the largest n of every m weights", ("sparse ${1:2}:${2:4} ${3:10ep}",)),
        Snippet("held", "train on with the masks as they are", ("sparse held ${1:20ep}",)),
        Snippet("until", "stop early", ("dense ${1:50ep} until plateau(${2:val.loss}, patience=${3:3})",)),
        Snippet(
            "decay",
            "a phase with a shape of its learning rate",
            ("dense ${1:50ep} decay=${2|cosine,linear|} floor=${3:0}",),
        ),
        Snippet("again", "the last sparse and dense phase once more", ("repeat sparse ${1:25%}",)),
        Snippet(
            "repeat",
            "a loop of rounds",
            ("repeat ${1:6} as ${2:i} {", "  sparse ${3:90%} ${4:5ep}", "  dense ${5:5ep} lr=prev", "}"),
        ),
        Snippet("for", "a loop over values", ("for ${1:s} in ${2:30%, 50%, 70%} {", "  sparse ${1:s} ${3:5ep}", "}")),
        Snippet(
            "fork",
            "branches from one state, compared",
            (
                "fork seeds=${1:3} {",
                "  ${2:dsd}: {",
                "    sparse ${4:50%} ${5:10ep}",
                "    dense ${5:10ep}",
                "  }",
                "  ${3:plain}: dense ${6:20ep}",
                "}",
                f"compare ${{2:dsd}} vs ${{3:plain}} on=${{7:test.err}} test={_choice(8, words.options['test'])}",
            ),
        ),
        Snippet(
            "sweep",
            "one branch for each value",
            ("sweep ${1:s} in ${2:25%, 50%, 75%} {", "  sparse ${1:s} ${3:10ep}", "  dense ${3:10ep}", "}"),
        ),
        Snippet("let", "a name for a value", ("let ${1:s} = ${2:50%}",)),
        Snippet(
            "def",
            "a part with parameters, and a call of it",
            (
                "def ${1:dsd}(${2:s}, ${3:n}=${4:5ep}) {",
                "  sparse ${2:s} ${3:n}",
                "  dense ${3:n}",
                "}",
                "${1:dsd}(${5:50%})",
            ),
        ),
        Snippet("use", "the definitions of another file", ('use "${1:common.dsd}"',)),
        Snippet(
            "within",
            "phases whose lengths are shares of a whole",
            ("within ${1:100ep} {", "  dense ${2:10%}", "  sparse ${3:50%} ${4:60%}", "  dense", "}"),
        ),
        Snippet("expect", "a claim that is checked at the end", ("expect ${1:dsd.test.err} < ${2:plain.test.err}",)),
        Snippet(
            "ignore", "silence a diagnostic on the next line", (f"# dsd: ignore[{_choice(1, words.rules)}] ${{2:why}}",)
        ),
    )


def _choice(number: int, words: tuple[str, ...]) -> str:
    return f"${{{number}|{','.join(words)}|}}"
