"""A table of syntax from other languages, each with its message and fix."""

from __future__ import annotations

import re
from collections.abc import Callable

from dsd_lang.base.arguments import BY_NAME, allowed_at
from dsd_lang.base.units import exact, format_exact, format_percent
from dsd_lang.syntax.habits import Habit
from dsd_lang.syntax.terminals import SOFT_WORDS, STATEMENT_WORDS

_B = r"[ \t]*"
_NUM = r"(?:\d[\d_]*(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?%?"
_ARGUMENT = "(?<![\\w.])(" + "|".join(sorted(BY_NAME)) + ")"
_WORDS = "|".join(sorted(word.lower() for word in STATEMENT_WORDS))
_LABEL = rf"^{_B}((?!(?:{_WORDS}|{'|'.join(SOFT_WORDS)})\b)[A-Za-z]\w*)"
_SELECTING = rf"(?<![\w.])(?P<name>layers|except){_B}={_B}"
_PHASE_HELP = "write a phase on a line: `dense 50ep lr=0.1`"
_ITEM = rf"[A-Za-z*\"'/][\w.*\"'/]*{_B}[:=]?{_B}{_NUM}"


def _as_phase(match: re.Match[str]) -> str:
    """`dense(50ep, lr=0.1)` as `dense 50ep lr=0.1`; commas between selectors stay."""
    items = re.sub(r"[ \t]*,[ \t]*(?=\w+[ \t]*=|[\d.\[])", " ", match["inner"].strip())
    return f"{match['word']} {items}"


def _as_range(match: re.Match[str]) -> str | None:
    """`for i = 1 to 3` as `for i in 1..3`; None if a step is needed and not there, or nothing is in it."""
    given = match.groupdict()
    last, step = match["last"], given.get("step")
    if given.get("open") is not None:
        last = str(int(last) - 1) if last.isdigit() else last
    try:
        if given.get("second") is not None:
            apart = exact(given["second"]) - exact(match["first"])
            step = format_percent(apart) if last.endswith("%") else format_exact(apart)
        elif step is None and not (match["first"].isdigit() and last.isdigit()):
            return None
        if exact(match["first"]) > exact(last) or (step and exact(step) <= 0):
            return None
    except ValueError:  # a number out of range
        return None
    return f"{given.get('word') or 'for'} {match['name']} in {match['first']}..{last}" + (f" by {step}" if step else "")


def _as_list_target(match: re.Match[str]) -> str:
    pair = rf"([A-Za-z*\"'/][\w.*\"'/]*){_B}[:=]?{_B}({_NUM})(?={_B}(?:,|\Z))"
    items = re.sub(pair, r"\1: \2", match["inner"].strip())
    return f" [{items}]"


def _without_brackets(match: re.Match[str]) -> str:
    selectors = re.sub(r"[ \t]*,[ \t]*", ",", match["inner"].strip())
    return f"{match['name']}={selectors}"


def _as_globs(match: re.Match[str]) -> str:
    words = (word.strip() for word in match["inner"].split(","))
    selectors = ",".join(word if word.isidentifier() else f'"{word}"' for word in words)
    return f"{match['name']}={selectors}"


def _turned(match: re.Match[str]) -> str:
    return match[0][::-1]


def _with_caret(match: re.Match[str]) -> str:
    return match[0].replace("**", "^")


def _form(
    pattern: str,
    message: str,
    *,
    fix: str | Callable[[re.Match[str]], str | None] | None = None,
    label: str = "",
    help: str = "",
    resumes: bool = False,
) -> Habit:
    return Habit(re.compile(pattern), message, label, help, fix, resumes)


_OTHER_LANGUAGES = (
    _form(rf"^\s*\{{{_B}\"[^{{}}]{{0,200}}\}}?", "this is JSON, not a schedule", help=_PHASE_HELP),
    _form(
        rf"^\s*\[+{_B}[\w.]+{_B}\]+{_B}(?=\Z|[\r\n])",
        "a schedule has no sections",
        help="settings are written `set lr=0.1`, phases one on a line: `dense 50ep`",
    ),
    _form(r"^\s*</?\w[^>\r\n]*>?", "this is XML, not a schedule", help=_PHASE_HELP),
    _form(rf"^\s*([\"'])((?:{_WORDS})\b[^\"'\r\n]*)\1", "a statement is written without quotes", fix="{1}"),
    _form(
        rf"^{_B}(?:[-*+][ \t]+|\(?\d+[.)][ \t]+|\(\d+\){_B})(?=[A-Za-z])",
        "a statement begins with its keyword, without a bullet or number",
        label="leave it out",
        fix="",
        resumes=True,
    ),
    _form(
        rf"\$?\{{+{_B}(\w+){_B}\}}+",
        "a variable is written by its name alone",
        fix="{0}",
        help="a `let` or a loop binds it: `let s = 50%`, `for s in 25%, 50% {{ sparse s; dense }}`",
    ),
)
_ARGUMENTS = (
    _form(
        rf"^\s*(?P<word>dense|sparse){_B}\((?P<inner>[^(){{}}\r\n]*(?:\([^()]*\)[^(){{}}\r\n]*)*)\){_B}(?=\Z|[;\r\n}}])",
        "a phase is not a call: what belongs to it is separated by spaces",
        fix=_as_phase,
    ),
    _form(
        rf"(?<![\w.])[\"']({'|'.join(sorted(BY_NAME))})[\"']{_B}[=:]{_B}",
        "the name of an argument is written without quotes",
        fix="{0}=",
    ),
    _form(rf"{_ARGUMENT}{_B}(:=|=>|->|<-){_B}", "an argument is written `{0}=`, not `{0} {1}`", fix="{0}="),
    _form(
        rf"^{_B}({'|'.join(allowed_at('set'))})[ \t]+({_NUM}(?:ep|it)?)",
        "a setting is written `set {0}=`, and an argument belongs on the line of its phase",
        fix="set {0}={1}",
    ),
    _form(
        rf"(?<![\w.])lr{_B}([*/])={_B}({_NUM})",
        "an argument is written `lr=`: `{0}=` cannot change one in place",
        fix="lr=prev{0}{1}",
        help="`prev` is the start of the previous phase's rate",
    ),
    _form(
        rf"{_ARGUMENT}{_B}([*/+-])=",
        "an argument is written `{0}=`: `{1}=` cannot change one in place",
        label="write `{0}=`",
    ),
    _form(
        rf"(?<![\w.])lr{_B}={_B}({_NUM}){_B}(?:->|\.\.+){_B}({_NUM})",
        "`lr=` is the rate at the start of the phase, not a ramp",
        fix="lr={0} decay=linear floor={1}",
        help="the way down is `decay=`, the lowest rate `floor=`",
    ),
    _form(
        rf"(?<![\w.])(\w+){_B}={_B}(\d+){_B}:{_B}(\d+)",
        "`{1}:{2}` is a target, not the value of an argument",
        help="write `sparse {1}:{2}`",
    ),
    _form(
        rf"{_ARGUMENT}{_B}={_B}({_NUM}){_B}->{_B}({_NUM})",
        "`{0}=` takes one value for the phase: only a target can be a ramp",
        label="expected one value",
    ),
)
_EXPRESSIONS = (
    _form(rf"[\w.]+{_B}\*\*{_B}[\w.]*", "a power is written `^`, not `**`", fix=_with_caret),
    _form(rf"\^{_B}\{{{_B}(-?{_B}\d+){_B}\}}", "an exponent is written without braces", fix="^{0}"),
    _form(r"=<|=>", "a comparison is written `<=` or `>=`", fix=_turned),
    _form(r"<>|!==", "inequality is written `!=`", fix="!="),
    _form(r"===", "equality is written `==`", fix="=="),
    _form(
        rf"([\w.%]+){_B}(<=?|>=?){_B}([A-Za-z][\w.]*){_B}(<=?|>=?){_B}([\w.%]+)",
        "comparisons cannot be chained",
        fix="{0} {1} {2} and {2} {3} {4}",
    ),
)
_RANGE = "a range is written `1..9`, or with its step `10%..90% by 10%`"
_ROUNDS = "N rounds are `repeat N {{ ... }}`"
_LOOPS = (
    _form(
        rf"\bfor{_B}\({_B}(?:\w+[ \t]+)?(?P<name>\w+){_B}={_B}(?P<first>\d+){_B};"
        rf"[^;{{}}\r\n<]*(?P<open><(?!=))?<?=?{_B}(?P<last>\d+){_B};[^{{}}\r\n]*\)",
        "a loop over values is `for x in 1, 2 {{ ... }}`",
        fix=_as_range,
        help=_ROUNDS,
    ),
    _form(
        rf"\b(?P<word>for|sweep)[ \t]+(?P<name>\w+){_B}(?:=|in\b|from\b){_B}\(?{_B}(?P<first>{_NUM}){_B}"
        rf"(?:(?:to|until|through)\b|-|\.\.+|:(?=[^,{{}}\r\n]*:)){_B}(?P<open><)?=?{_B}(?P<last>{_NUM})"
        rf"(?:{_B},?{_B}(?:(?:by|step|every)\b|:){_B}(?P<step>{_NUM}))?(?:{_B}\))?",
        _RANGE,
        fix=_as_range,
        help=_ROUNDS,
    ),
    _form(
        rf"\b(?P<word>for|sweep)[ \t]+(?P<name>\w+)[ \t]+in[ \t]+(?P<first>{_NUM}){_B},{_B}(?P<second>{_NUM}){_B},"
        rf"(?:{_B}{_NUM}{_B},)*{_B}\.\.+{_B},?{_B}(?P<last>{_NUM})",
        _RANGE,
        fix=_as_range,
    ),
    _form(
        rf"\bfor{_B}\({_B}(\w+)[ \t]+in[ \t]+([^(){{}}\r\n]+)\)",
        "the values of a loop are written without parentheses",
        fix="for {0} in {1}",
    ),
    _form(
        r"\bfor[ \t]+(?:(\w+)[ \t]+in[ \t]+)?(\d+)[ \t]+(?:times|rounds|cycles)\b",
        "rounds are counted by `repeat`",
        fix="repeat {1}",
    ),
    _form(
        rf"\brepeat{_B}\(?(\d+)\)?{_B}(?:times|x|rounds|cycles)\b",
        "a `repeat` is followed by the number of rounds alone",
        fix="repeat {0}",
    ),
    _form(r"\brepeat[ \t]+x(\d+)\b", "a `repeat` is followed by the number of rounds alone", fix="repeat {0}"),
    _form(
        rf"\brepeat[ \t]+(?!until|as)([A-Za-z]\w*)[ \t]+in[ \t]+(?:range{_B}\({_B})?(\d+)(?:{_B}\))?",
        "the rounds of a `repeat` are numbered by `as`",
        fix="repeat {1} as {0}",
    ),
    _form(
        r"\brepeat[ \t]+while\b",
        "a `repeat` continues `until` a condition is true",
        label="invert the condition",
        help="write `repeat 10 until val.err < 10% {{ ... }}`; the number is the most rounds there can be",
    ),
    _form(
        r"\brepeat[ \t]+until\b[^{}\r\n]*(?=\{)",
        "a `repeat` block needs its number of rounds",
        label="how many rounds at most?",
        help="write `repeat 10 until val.err < 10% {{ ... }}`",
    ),
    _form(
        r"\brepeat[ \t]+(\d+)[ \t]+as[ \t]+(\d+)",
        "`as` gives the number of the round a name",
        label="write for instance `repeat {0} as i`",
    ),
    _form(
        rf"\brepeat[ \t]+scale[ \t]+({_NUM})",
        "the argument `scale` needs a `=` before its value",
        fix="repeat scale={0}",
    ),
    _form(
        rf"^{_B}until\b",
        "a condition belongs to a phase or a `repeat`, before its block",
        help="write `dense 50ep until val.err < 10%`, `repeat 3 until val.err < 10% {{ ... }}`",
    ),
)
_EXPERIMENTS = (
    _form(
        rf"\bsweep[ \t]+(seeds|rng){_B}={_B}(\w+)",
        "`sweep` takes no arguments: `{0}=` belongs to `fork`",
        label="not here",
        help="put the sweep into a branch: `fork {0}={1} {{ grid: {{ sweep s in 25%, 50% {{ ... }} }} }}`",
    ),
    _form(rf"\bsweep[ \t]+(\w+){_B}[=:]{_B}", "the values of a sweep follow the word `in`", fix="sweep {0} in "),
    _form(
        r"(?<![\w.])((?:test|val|train)\.\w+)\((\w+)\)",
        "the metric of a branch is written `branch.split.metric`",
        fix="{1}.{0}",
    ),
    _form(r"\bfork[ \t]+(\d+)", "the number of seeds is the argument `seeds=`", fix="fork seeds={0}"),
    _form(
        rf"\bcompare[ \t]+@?(\w[\w.]*){_B}(?:[,<>/]|\b(?:and|with|versus|against|to)\b|\bvs\b\.?|[ \t]){_B}"
        r"@?((?!vs\b)\w[\w.]*)"
        rf"(?=[ \t]+\w+{_B}=|{_B}(?:\Z|[;\r\n]))",
        "two branches are compared by `vs`, each by its name alone",
        fix="compare {0} vs {1}",
    ),
    _form(
        r"\bcompare[ \t]+(\w[\w.]*)[ \t]+vs[ \t]+(\w[\w.]*)(?:[ \t]+vs|[ \t]*,)[ \t]+(\w[\w.]*)",
        "`compare` takes two branches",
        label="`{2}` is a third one",
        help="write a `compare` for each pair: `compare {0} vs {1} on=test.err`, `compare {0} vs {2} on=test.err`",
    ),
    _form(
        r"\bcompare[ \t]+(\w[\w.]*)[ \t]+vs[ \t]+(\w[\w.]*)[ \t]+(?:on[ \t]+)?(\w+\.\w+)",
        "the metric of a comparison is the argument `on=`",
        fix="compare {0} vs {1} on={2}",
    ),
)
_NAMED_VALUES = (
    _form(
        rf"\blet[ \t]+(\w+)(?:{_B}(?::=?|->|<-|\bbe\b|\bto\b){_B}|[ \t]+)(?=[\w@\"\[.])",
        "the value of a `let` follows a `=`",
        fix="let {0} = ",
    ),
    _form(rf"\bdef[ \t]+(\w+){_B}(?=\{{)", "a `def` has parentheses for its parameters", fix="def {0}() "),
    _form(r"\buse[ \t]+([\w./-]+\.dsd)\b", "the name of a file is written in quotes", fix='use "{0}"'),
    _form(
        rf"\b(for|sweep)[ \t]+(\w+(?:{_B},{_B}\w+)+)[ \t]+in\b",
        "several names of a loop are written in parentheses",
        fix="{0} ({1}) in",
    ),
)
_TARGETS = (
    _form(
        rf"{_SELECTING}[\[({{]{_B}(?P<inner>[^\[\](){{}}\r\n]*?){_B},?{_B}[\])}}]",
        "the selectors of `{name}=` are written without brackets, separated by `,`",
        fix=_without_brackets,
    ),
    _form(rf"{_SELECTING}(?P<inner>[\w.,]*\*[\w.*,]*)", "a glob is written in quotes", fix=_as_globs),
    _form(rf"(?<![\w.])layers{_B}={_B}[-!~^]{_B}([\w.\"'*]+)", "layers are left out by `except=`", fix="except={0}"),
    _form(
        rf"{_SELECTING}(?P<left>[\w.\"'*]+){_B}(?P<sign>\+|\band\b|&|/){_B}(?P<right>[\w.\"'*]+)",
        "the selectors of `{name}=` are joined by `,`, not by `{sign}`",
        fix="{name}={left},{right}",
    ),
    _form(
        rf"{_SELECTING}\d+(?:{_B}-{_B}\d+)?",
        "layers are named by their kind or their name, not by their number",
        label="expected a kind such as `fc`, or a name in quotes",
        help='write for instance `{name}=fc,conv` or `{name}="layer1.*"`',
    ),
    _form(
        rf"(?<=sparse){_B}(?:\[|\{{){_B}(?P<inner>{_ITEM}(?:{_B},{_B}{_ITEM})*){_B},?{_B}[\]}}]",
        "a target for each kind of layer is written in `[ ]`, with a `:` after each selector",
        fix=_as_list_target,
    ),
    _form(
        rf"(?<=sparse)[ \t]+((?!(?:{_WORDS})\b)[A-Za-z]\w*){_B}:{_B}({_NUM})",
        "a target for each kind of layer is written in `[ ]`",
        fix=" [{0}: {1}]",
    ),
    _form(
        rf"(?<=sparse){_B}\[{_B}{_NUM}(?:{_B},{_B}{_NUM})+{_B}\]",
        "a list target says which layers each share is for",
        label="whose shares?",
        help="write `sparse [conv: 30%, fc: 50%]`; a phase for each share is `for s in 30%, 50% {{ sparse s; dense }}`",
    ),
    _form(r"\[\d{1,3}\]", "a number in brackets has no meaning here", label="leave it out", fix=""),
    _form(rf"(?<=sparse)[ \t]+({_NUM}){_B}(?:>|=>){_B}({_NUM})", "a ramp is written with `->`", fix=" {0}->{1}"),
    _form(rf"(?<=sparse){_B}->{_B}({_NUM})", "a ramp says where it starts", fix=" 0->{0}"),
    _form(
        rf"({_NUM}){_B}->{_B}({_NUM}){_B}->{_B}({_NUM})",
        "a ramp has a start and an end",
        label="a third part",
        help="each further part is a phase of its own: `sparse {0}->{1} 10ep; sparse {1}->{2} 10ep`",
    ),
)
_NAMES = (
    _form(
        rf"@([A-Za-z]\w*){_B}(?:@|\[|:){_B}(\w+)\]?", "a moment of a phase is written `@label.moment`", fix="@{0}.{1}"
    ),
    _form(r"@[ \t]+([A-Za-z][\w.]*)", "a reference has no spaces", fix="@{0}"),
    _form(
        rf"@{_B}(?=\Z|[;\r\n])",
        "a reference names a phase",
        label="which phase?",
        help="write `@label`, `@label.start` or `@init`",
    ),
    _form(rf"^{_B}([\"'])(\w+)\1{_B}:", "a label is written without quotes", fix="{1}:"),
    _form(rf"{_LABEL}-(\w+){_B}:", "a label has no `-` in it", fix="{0}_{1}:"),
    _form(rf"{_LABEL}\.(\w+){_B}:", "a label has no `.` in it", fix="{0}_{1}:"),
    _form(rf"^{_B}(\d\w*){_B}:", "a label begins with a letter", fix="p{0}:"),
    _form(rf"{_LABEL}{_B}={_B}(?=(?:dense|sparse)\b)", "a label is followed by `:`, not by `=`", fix="{0}: "),
    _form(rf"{_LABEL}[ \t]+(?=(?:dense|sparse)\b)", "the label `{0}` needs a `:` after it", fix="{0}: "),
    _form(r"(?<=[\w%])[ \t]+for[ \t]+(\d)", "a length is written by itself", label="leave `for` out", fix=" {0}"),
    _form(
        rf"^{_B}(\w+){_B}:{_B}(?=\Z|[\r\n;])",
        "`{0}:` is a label, and no phase follows it",
        label="expected `dense` or `sparse` after the `:`",
        help="settings are written `set lr=0.1`, phases `base: dense 50ep`",
    ),
    _form(
        rf"^{_B}\((?={_B}(?:{_WORDS})\b)[^\r\n]*",
        "statements are written without parentheses",
        help="a group of them is a block: `repeat 3 {{ sparse 50%; dense }}`",
    ),
    _form(rf"(?<=[A-Za-z%)\]]){_B}:{_B}(?=\Z|[\r\n;])", "no `:` ends a statement", label="leave it out", fix=""),
)
HABITS = (
    *_OTHER_LANGUAGES,
    *_ARGUMENTS,
    *_NAMED_VALUES,
    *_TARGETS,
    *_EXPRESSIONS,
    *_LOOPS,
    *_EXPERIMENTS,
    *_NAMES,
)
