"""Signs that look like the language's own, or come from another one, and what was meant by them."""

from __future__ import annotations

import re

LOOKALIKES = {
    "→": "->", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "−": "-", "—": "-", "×": "*", "·": "*",
    "÷": "/", "：": ":", "；": ";", "，": ",", "（": "(", "）": ")", "≤": "<=", "≥": ">=", "≠": "!=", "％": "%",
    "\u00a0": " ", "\u2003": " ", "\u2009": " ", "\u200b": "", "\u3000": " ",
}  # fmt: skip
ADVICE = {
    "%": "a percent sign stands directly after its number: `30%`",
    "@": "a reference is written `@label`, `@label.end` or `@init`",
    ".": "a number is written `0.5`, a dotted name `val.loss`",
    "&": "conditions are joined by `and`", "!": "write `not`",
    "|": "statements are separated by `;` or a new line, conditions joined by `or`",
}  # fmt: skip
NUMBER_AND_WORD = re.compile(r"((?:\d[\d_]*(?:\.\d[\d_]*)?|\.\d+)(?:[eE][+-]?\d+)?)([^\W\d]+)")
DASHED = re.compile(r"((?:\d[\d_]*(?:\.\d+)?|\.\d+)[eE])([–−—])(\d{1,3})(?!\w)")
TYPOGRAPHIC_STRING = re.compile("[“„”‘’]([^“”„‘’\r\n]*)[“”‘’]")
UNKNOWN_RUN = re.compile(r"[^\w\s\"'#;:,()\[\]{}<>=+*/^-]+")
