"""A completion item: its label, and its text as plain text and as a snippet."""

from __future__ import annotations

import re

from lsprotocol import types

from dsd_lang.base.records import record

_FIELD = re.compile(r"\$\{\d+:([^{}]*)\}|\$\{\d+\|([^|,]*)[^|]*\|\}|\$\d+")


@record
class Offer:
    """``label`` is displayed; ``snippet`` is inserted, ``plain`` without snippet support, or else the label."""

    label: str
    snippet: str = ""
    plain: str = ""
    detail: str = ""
    page: str = ""
    kind: types.CompletionItemKind = types.CompletionItemKind.Keyword
    filter_text: str = ""

    def text_before(self, following: str, *, has_snippets: bool) -> tuple[str, bool]:
        """The text to insert before the character ``following``, and whether it is a snippet."""
        plain = self.plain or self.label
        for sign in ("=", "("):
            if following == sign and sign in plain:
                return plain[: plain.index(sign)], False
        if has_snippets and self.snippet:
            return self.snippet, True
        return plain, False


def filled(snippet: str) -> str:
    """A snippet with its defaults filled in.

    >>> filled("repeat ${1:3} by=${2|a,b|}$0")
    'repeat 3 by=a'
    """
    return _FIELD.sub(lambda found: found[1] or found[2] or "", snippet)
