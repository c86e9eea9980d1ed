"""What is trained once has one key and is counted once; numbers for readers are decimals."""

from __future__ import annotations

from fractions import Fraction

import pytest

import dsd_lang
from dsd_lang.base.units import Length, exact, format_percent, format_short
from dsd_lang.plan.content import content_keys, distinct_phases
from dsd_lang.plan.cost import budget, in_words
from dsd_lang.views.table import table_rows


@pytest.mark.parametrize(
    ("text", "expected", "epochs"),
    [
        ("dense 5ep lr=1; sparse 50%; dense", 3, 15),
        ("fork { a: { dense 20ep lr=1; sparse 50% 7ep } b: { dense 20ep lr=1; sparse 30% 3ep } }", 3, 30),
        ("dense 4ep lr=1; fork { a: sparse 50%; b: sparse 50% }", 2, 8),
        ("dense 4ep lr=1; fork { a: sparse 50% from=random; b: sparse 50% from=random }", 3, 12),  # they draw apart
        ("dense 4ep lr=1; fork rng=distinct { a: sparse 50%; b: sparse 50% }", 3, 12),
        ("dense 4ep lr=1; fork seeds=3 { a: sparse 50% }", 4, 16),
        ("dense 4ep lr=1; sweep s in 10%, 20% { dense 2ep; sparse s 1ep }", 4, 8),
        ("dense 4ep lr=1; fork { a: sparse 50% }; sparse 50%", 2, 8),  # the main line goes on as the branch did
        ("dense 4ep lr=1; fork { a: { dense 1ep; dense 2ep } b: { dense 2ep; dense 2ep } }", 5, 11),
        ("fork { a: { x: dense 2ep lr=1; dense from=@x.1ep } b: { y: dense 2ep lr=1; dense from=@y.1ep } }", 2, 4),
        ("fork { a: { x: dense 2ep lr=1; dense from=@x.1ep } b: { y: dense 2ep lr=1; dense from=@y } }", 3, 6),
    ],
)
def test_equal_prefixes_are_counted_once(text: str, expected: int, epochs: int) -> None:
    plan = dsd_lang.compile(text)
    assert len(distinct_phases(plan)) == expected
    assert budget(plan).epochs == epochs


def test_a_key_has_the_content_of_the_file_in_it_and_not_its_name() -> None:
    plans = [dsd_lang.compile(f'dense 5ep lr=1 from="{name}"') for name in ("a.pt", "b.pt")]
    contents = {"a.pt": "one", "b.pt": "two"}
    one, two = (content_keys(plan, "root", digest_of_file=contents.__getitem__)["p0"] for plan in plans)
    assert one != two
    contents["b.pt"] = "one"
    assert content_keys(plans[1], "root", digest_of_file=contents.__getitem__)["p0"] == one


@pytest.mark.parametrize(
    ("value", "shown"),
    [("224705/10304", "21.8076"), ("1/3", "0.333333"), ("1/30000", "3.33333e-5"), ("0.375", "0.375"), ("8e-4", "8e-4"),
     ("2000000/3", "666667"), ("0", "0")],
)  # fmt: skip
def test_a_number_for_a_reader_has_no_slash(value: str, shown: str) -> None:
    assert format_short(exact(value)) == shown


def test_nothing_that_is_shown_is_a_fraction() -> None:
    text = (
        "dense 1ep lr=1/3 wd=0.5/3 dropout=1/7; sparse 1/3 10ep/3; dense until val.err < 1/3; repeat scale=1/3\n"
        "sparse 0->2/3 every=1ep/3 warmup=1ep/7 2ep; dense lr=last/3"
    )
    _, rows = table_rows(dsd_lang.compile(text))
    assert not [cell for row in rows for cell in row if any(part.count("/") for part in cell.split())]
    assert in_words(Fraction(224705, 10304), Fraction(1, 3)) == "21.8076ep + 0.3333it"
    assert (format_percent(Fraction(1, 3)), Length(Fraction(1, 3), "ep").short) == ("33.3333%", "0.333333ep")
