"""A `use` or `def` cannot bring in anything.

What it does
------------
Reports a `use` of a file that does not exist, cannot be read, has errors, or uses this file in turn, and a `use` or
`def` inside a block.

Why is this bad
---------------
Its `def`s and `let`s are missing, so nothing that needs them can be checked.

Example
-------
::

    repeat 2 { def pair(s) { sparse s 5ep lr=0.1; dense }; pair(50%) }

Use instead
-----------
::

    def pair(s) { sparse s 5ep lr=0.1; dense }
    repeat 2 { pair(50%) }

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic, Related, Span
from dsd_lang.syntax import nodes

CODE = "DSD211"


def unreadable(use: nodes.Use, message: str, help: str) -> Diagnostic:
    """A file that cannot be read; ``message`` and ``help`` say why."""
    return Diagnostic(CODE, message, use.path.span, label="cannot be read", help=help)


def cycle(use: nodes.Use, files: Sequence[str]) -> Diagnostic:
    """Files that use each other in a circle."""
    return Diagnostic(
        CODE,
        f"files use each other in a circle: {' -> '.join(f'`{name}`' for name in files)}",
        use.path.span,
        label="uses this file again",
        help="move what both need to a third file",
    )


def has_errors(use: nodes.Use, found: Sequence[Diagnostic], file: str) -> Diagnostic:
    """A file with errors of its own, of which the first is told."""
    first, count = found[0], len(found)
    where = f"line {first.span.line}: {first.message}"
    return Diagnostic(
        CODE,
        f"`{file}` has an error in {where}" if count == 1 else f"`{file}` has {count} errors, the first in {where}",
        use.path.span,
        label="has errors",
        help=f"see `dsd-lint {file}`",
        related=(Related(first.message, first.span, file),),
    )


def in_block(use: nodes.Use | nodes.Def, span: Span) -> Diagnostic:
    """A `use` or `def` inside a block."""
    word = "use" if isinstance(use, nodes.Use) else "def"
    return Diagnostic(
        CODE,
        f"`{word}` belongs to the program, not to a block",
        span,
        label="inside a block",
        help="move it to the top of the file",
    )
