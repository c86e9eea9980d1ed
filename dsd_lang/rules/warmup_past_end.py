"""A warm-up is longer than its phase.

What it does
------------
Reports a `warmup=` that is longer than its phase.

Why is this bad
---------------
The phase ends while the learning rate is still rising, so it never reaches the rate in `lr=`.

Example
-------
::

    dense 100it lr=0.1 warmup=200it

Use instead
-----------
::

    dense 400it lr=0.1 warmup=200it

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.units import Length, exact
from dsd_lang.rules.subject import Subject

CODE = "DSD410"


def check(subject: Subject) -> None:
    """Checks the warm-up of every phase whose length has the same unit."""
    for draft in subject.book.phases if subject.book is not None else ():
        warmup = draft.rate.get("warmup")
        if not warmup or draft.length is None or draft.length.value == 0 or warmup["unit"] != draft.length.unit:
            continue
        if exact(warmup["value"]) > draft.length.value:
            shown = Length(exact(warmup["value"]), warmup["unit"]).short
            subject.diagnostics.add(
                CODE,
                f"the warm-up lasts {shown}, its phase {draft.length.short}",
                draft.span_of("warmup"),
                label="the phase ends before",
                help="write a shorter `warmup=`, or a longer phase",
            )
