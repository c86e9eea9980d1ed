"""Recognises Python's functions of numbers, `math.sqrt(2)`, and computes what they stand for.

Imported only when a dotted name is called.
"""

from __future__ import annotations

import math
import re

from dsd_lang.base.diagnostics import Diagnostic, Span, replacement
from dsd_lang.syntax.terminals import Token, clipped, widened

_FUNCTIONS = ("sqrt", "exp", "log", "log2", "log10", "pow", "sin", "cos", "tan", "tanh", "floor", "ceil")
_MODULES = ("math", "np", "numpy", "torch", "jnp")
_CALL = re.compile(rf"(?:{'|'.join(_MODULES)})\.(?P<function>{'|'.join(_FUNCTIONS)})\((?P<given>[^()\r\n]*)\)")


def read_call(source: str, span: Span) -> tuple[Token, Diagnostic] | None:
    """The number that a call at ``span`` stands for, and the diagnostic; None if it is no known function."""
    found = _CALL.match(source, span.start)
    if found is None:
        return None
    whole = widened(span, len(found[0]))
    better = _value(found["function"], found["given"])
    diagnostic = Diagnostic(
        "DSD101",
        f"`{clipped(found[0])}` is a call of Python: write the number itself",
        whole,
        label=f"write `{better}`" if better else "write a number",
        help="arithmetic is written with `+ - * / ^ ( )`",
        fix=replacement(whole, better) if better else None,
    )
    return Token("NUMBER", better or "0.5", whole), diagnostic


def _value(function: str, given: str) -> str | None:
    """The result to six digits, as this language writes numbers; None if it cannot be computed."""
    try:
        value = float(getattr(math, function)(*(float(part) for part in given.split(","))))
    except (ValueError, TypeError, OverflowError, ZeroDivisionError):
        return None  # a word, a number outside of the function's domain, or too many of them: nothing to propose
    return f"{value:.6g}" if math.isfinite(value) and 1e-300 < abs(value) < 1e300 and value > 0 else None
