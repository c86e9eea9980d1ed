"""Repairs common mistakes, so that the rest of the statement is parsed normally.

Each repair takes the recovery, the index of the token where the grammar fails, that token, and the tokens that the
grammar would accept. It returns the index to continue from, or None if it does not apply. Imported only at a syntax
error.
"""

from dsd_lang.syntax.repairs.assignments import (
    assignment_in_condition,
    doubled_equals,
    missing_equals,
    setting_as_label,
)
from dsd_lang.syntax.repairs.blocks import brace_below, branch_without_colon, missing_brace, python_block
from dsd_lang.syntax.repairs.decimals import decimal_comma, leading_plus
from dsd_lang.syntax.repairs.first_words import first_word
from dsd_lang.syntax.repairs.lists import (
    bracketed_selection,
    missing_comma,
    needless_brackets,
    stray_comma,
    trailing_comma,
)
from dsd_lang.syntax.repairs.other_languages import other_language
from dsd_lang.syntax.repairs.reserved_words import (
    misspelt_connective,
    misspelt_until,
    repeat_without_count,
    repeat_without_then,
    reserved_word,
)
from dsd_lang.syntax.repairs.separators import comma_between_statements, missing_separator, other_separator

# the first that applies is used
REPAIRS = (
    python_block,
    brace_below,
    missing_brace,
    misspelt_until,
    needless_brackets,
    decimal_comma,
    trailing_comma,
    missing_equals,
    other_separator,
    leading_plus,
    setting_as_label,
    other_language,
    doubled_equals,
    repeat_without_then,
    missing_separator,
    comma_between_statements,
    stray_comma,
    first_word,
    branch_without_colon,
    misspelt_connective,
    reserved_word,
    repeat_without_count,
    assignment_in_condition,
    missing_comma,
    bracketed_selection,
)
