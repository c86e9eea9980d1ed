"""The plan: the example of the language reference in every spelling, round trips, exact rates, settings."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_lang.plan import Plan
from dsd_lang.views.table import rate_text, target_text

EXAMPLE = "dense 50ep lr=8e-4; sparse 0.5 layers=fc,birnn 50ep; dense lr=3e-4; repeat sparse 0.25"
SPELLINGS = [
    EXAMPLE.replace("; ", "\n"),
    "# Table 7\n\ndense lr=8e-4 50ep ;\n  sparse 50% 50ep layers=fc,birnn # half\ndense lr=3e-4\nrepeat sparse 25%\n",
    "dense 50ep lr=0.0008; sparse layers=birnn,fc 50.0% 50ep lr=8e-4; dense 50ep lr=3e-4; repeat 1 sparse 0.250",
    "start: dense 50ep lr=8e-4; S: sparse 0.5 layers=fc,birnn by=magnitude scope=layer 50ep; dense lr=0.3e-3\n"
    "repeat sparse 0.25 scale=1e-1",
    "dense 50ep lr=8e-4; sparse 0.5 layers=fc,birnn; dense lr=3e-4; sparse 0.25 lr=base/10; dense lr=3e-5",
]


def test_the_example_resolves_to_its_table() -> None:
    plan = dsd_lang.compile(EXAMPLE)
    rows = [
        (
            phase.mode,
            target_text(phase.target),
            phase.layers,
            str(phase.duration.length),
            rate_text(phase.lr),
            phase.why,
        )
        for phase in plan.phases
    ]
    assert rows == [
        ("dense", "0", (), "50ep", "8e-4", "given"),
        ("sparse", "50%", ("fc", "birnn"), "50ep", "8e-4", "lr inherited from the previous phase's start"),
        ("dense", "0", (), "50ep", "3e-4", "length inherited, lr given"),
        ("sparse", "25%", ("fc", "birnn"), "50ep", "8e-5", "`repeat` copies 1 with its lr x 0.1"),
        ("dense", "0", (), "50ep", "3e-5", "`repeat` copies 2 with its lr x 0.1"),
    ]
    assert [phase.derived for phase in plan.phases] == [
        (), ("lr",), ("duration",), ("lr", "duration", "layers"), ("lr", "duration"),
    ]  # fmt: skip


def test_the_rates_of_groups_are_multiples_of_the_last_items() -> None:
    text = "dense 1ep lr=[embed: 1e-5, norm: 3e-5, all: 1e-4] decay=cosine; sparse 50%; dense; "
    text += "dense lr=[fc: last/4, all: last]"
    plan = dsd_lang.compile(text)
    assert [rate_text(phase.lr) for phase in plan.phases] == [
        "1e-4 [embed: 1e-5, norm: 3e-5] cosine",
        "1e-4 [embed: 1e-5, norm: 3e-5]",
        "1e-5 [embed: 1e-6, norm: 3e-6]",
        "1e-5 [fc: 2.5e-6]",
    ]


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_has_one_hash(text: str) -> None:
    assert dsd_lang.compile(text).hash == dsd_lang.compile(EXAMPLE).hash


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE.replace("0.25", "0.26"),
        EXAMPLE.replace("fc,birnn", "fc"),
        EXAMPLE.replace("lr=3e-4", "lr=3e-4 decay=cosine"),
        EXAMPLE.replace("50ep lr", "51ep lr"),
    ],
)
def test_another_schedule_has_another_hash(text: str) -> None:
    assert dsd_lang.compile(text).hash != dsd_lang.compile(EXAMPLE).hash


def test_the_json_shape_of_the_reference() -> None:
    data = json.loads(dsd_lang.compile(EXAMPLE, source="deepspeech.dsd").to_json())
    assert (data["dsd_plan"], data["source"], data["settings"]) == (1, "deepspeech.dsd", {})
    assert data["hash"].startswith("sha256:")
    first, second = data["phases"][:2]
    assert first["span"] == {"line": 1, "column": 1, "end_line": 1, "end_column": 19}
    assert (first["id"], first["parent"], first["label"], first["path"]) == ("p0", None, None, "")
    assert first["lr"] == {"start": "8e-4", "decay": {"kind": "constant"}}
    assert first["duration"] == {"unit": "ep", "value": "50"}
    assert second["target"] == {"kind": "fraction", "pruned": "0.5"}
    assert (second["parent"], second["layers"], second["except"]) == ("p0", ["fc", "birnn"], [])
    assert data["comparisons"] == data["expectations"] == data["checkpoints"] == []


RICH = """
set model="ds2" opt=sgd(momentum=0.9, nesterov=on) wd=1e-4 decay=step(50%, 75%, by=0.1) noise=symmetric(20%) seed=3
full: dense 10ep lr=0.1 until plateau(val.loss, patience=3, delta=1e-3) and val.err < 10%
sparse [output: 10%, fc: 2:4] from=@full.500it clip=value(5) distill=@full.best(alpha=0.5, T=4)
fork seeds=2 rng=distinct { a: { sparse 0->90% every=10it; dense restore=saved }  b: dense 20ep warmup=1ep }
compare a vs b on=test.err test=student
expect a.test.err < b.test.err - 0.1
"""


def test_json_round_trip() -> None:
    plan = dsd_lang.compile(RICH)
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json(indent=None)).with_hash().hash == plan.hash


def test_schema_accepts_what_is_written() -> None:
    schema = Plan.model_json_schema()
    assert "dsd_plan" in schema["properties"]
    data = json.loads(dsd_lang.compile(RICH).to_json())
    assert set(data) <= set(schema["properties"])
    assert set(data["phases"][1]) <= set(schema["$defs"]["Phase"]["properties"])


def test_rates_stay_exact() -> None:
    plan = dsd_lang.compile("dense 1ep lr=3e-4; sparse 50%; dense; sparse 30% lr=prev*0.1; dense lr=base/3")
    assert [phase.lr.start for phase in plan.phases] == ["3e-4", "3e-4", "3e-5", "3e-6", "1e-4"]
    assert exact(plan.phases[2].lr.start or "") == Fraction(3, 100000)


def test_ratios_and_lengths_stay_exact() -> None:
    plan = dsd_lang.compile("dense 1.25ep lr=1e-2; sparse 30% 50_0it; dense")
    assert [phase.duration.value for phase in plan.phases] == ["1.25", "500", "500"]
    assert plan.phases[1].target is not None
    assert exact(plan.phases[1].target.pruned or "") * 1000 == 300


def test_last_of_the_optimizers_own_rate_is_a_multiple_of_it() -> None:
    plan = dsd_lang.compile("dense 10ep decay=exp(0.5); dense lr=last/2")
    assert (plan.phases[1].lr.of, exact(plan.phases[1].lr.scale or "1")) == ("optimizer", Fraction(1, 2**11))


def test_a_branch_has_the_hash_of_the_same_schedule_by_itself() -> None:
    plan = dsd_lang.compile("dense 1ep lr=1; fork { x: dense 3ep\n y: { a: dense 2ep; dense 1ep; dense from=@a.end } }")
    alone = dsd_lang.compile("dense 1ep lr=1; a: dense 2ep; dense 1ep; dense from=@a.end")
    assert plan.branch("y").hash == alone.hash


def test_without_lr_the_optimizers_own_is_the_base() -> None:
    plan = dsd_lang.compile("dense 1ep; sparse 50%; dense; dense lr=prev/4")
    rates = [(phase.lr.of, phase.lr.scale) for phase in plan.phases]
    assert rates == [("optimizer", "1"), ("optimizer", "1"), ("optimizer", "0.1"), ("optimizer", "0.025")]


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        ("", "0.1"),
        ("decay=step(30%, 60%, by=0.1)", "1e-3"),
        ("decay=step(3ep, 100%, by=0.5)", "0.05"),
        ("decay=cosine(floor=1e-5)", "1e-5"),
        ("decay=linear floor=2e-5", "2e-5"),
        ("decay=exp(0.5)", "9.765625e-5"),
    ],
)
def test_last_is_the_exact_final_rate(decay: str, expected: str) -> None:
    plan = dsd_lang.compile(f"dense 10ep lr=0.1 {decay}; dense lr=last")
    assert exact(plan.phases[1].lr.start or "0") == exact(expected)


@pytest.mark.parametrize(
    "words", ["decay=exp(0.9) until val.err < 1", "decay=step(100it)", "decay=exp(0.99) clock=global"]
)
def test_last_that_only_the_run_knows_is_symbolic(words: str) -> None:
    plan = dsd_lang.compile(f"dense 10ep lr=0.1 {words}; dense lr=last/2")
    lr = plan.phases[1].lr
    assert (lr.start, lr.of, lr.phase, lr.scale) == (None, "last", "p0", "0.5")


def test_flags_win_over_set_and_set_over_the_preset() -> None:
    text = "set lr=3e-4 wd=1e-4\ndense 1ep; sparse 50% wd=0; dense"
    plan = dsd_lang.compile(
        text, overrides={"lr": "1e-3", "model": "ds2:hidden=128"},
        defaults={"lr": "0.5", "wd": "0.5", "clip": "norm(4)", "opt": "sgd(momentum=0.9, nesterov=on)", "batch": "16"},
    )  # fmt: skip
    assert plan.settings_from == {
        "lr": "flag", "wd": "set", "clip": "preset", "opt": "preset", "batch": "preset", "model": "flag",
    }  # fmt: skip
    assert plan.settings["lr"] == "1e-3"
    assert plan.settings["model"] == "ds2:hidden=128"
    assert plan.settings["opt"] == {"name": "sgd", "arguments": {"momentum": "0.9", "nesterov": True}}
    assert [phase.lr.start for phase in plan.phases] == ["1e-3", "1e-3", "1e-4"]
    assert [phase.wd for phase in plan.phases] == ["1e-4", "0", "1e-4"]
    assert plan.phases[0].batch == 16
    assert plan.phases[0].clip is not None
    assert plan.phases[0].why == "lr from `--set`"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"lrr": "1"}, "has no `lrr`"),
        ({"lr": "0"}, "above 0"),
        ({"lr": "1; dense"}, "not a value"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_a_wrong_flag_is_a_usage_error(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(DsdError, match=message) as caught:
        dsd_lang.compile("dense 1ep", overrides=overrides)
    assert not isinstance(caught.value, dsd_lang.ScheduleError)


def test_errors_are_collected_and_shown() -> None:
    with pytest.raises(dsd_lang.ScheduleError) as caught:
        dsd_lang.compile("dense lr=0\nsparse 50 laers=fc", source="x.dsd")
    assert [item.code for item in caught.value.diagnostics] == ["DSD301", "DSD403", "DSD401", "DSD202"]
    assert "x.dsd:2:8" in str(caught.value)


def test_compile_file(tmp_path) -> None:
    path = tmp_path / "a.dsd"
    path.write_text(EXAMPLE)
    assert dsd_lang.compile_file(path).source == str(path)
    with pytest.raises(DsdError, match="there is no file"):
        dsd_lang.compile_file(tmp_path / "b.dsd")
    path.write_bytes(b"dense \xff")
    with pytest.raises(DsdError, match="UTF-8"):
        dsd_lang.compile_file(path)


PHASES = st.lists(
    st.tuples(
        st.sampled_from(["dense", "sparse 50%", "sparse 0->80%", "sparse 20% of=remaining"]),
        st.permutations(["7ep", "lr=1e-2", "wd=1e-4", "decay=cosine"]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    phases=PHASES,
    separators=st.lists(st.sampled_from(["; ", "\n", " # note\n", "\n\n# alone\n", ";\n"]), min_size=6, max_size=6),
)
def test_order_separators_and_comments_do_not_change_the_hash(phases, separators) -> None:
    plain = "\n".join(f"{mode} {' '.join(sorted(words))}" for mode, words in phases)
    spelled = ""
    for (mode, words), separator in zip(phases, separators, strict=False):
        spelled += f"{mode} {' '.join(words)}{separator}"
    assert dsd_lang.compile(spelled).hash == dsd_lang.compile(plain).hash


@settings(max_examples=40, deadline=None)
@given(numerator=st.integers(1, 10**6), exponent=st.integers(-9, 3), divisor=st.integers(1, 1000))
def test_rate_arithmetic_is_rational(numerator: int, exponent: int, divisor: int) -> None:
    plan = dsd_lang.compile(f"dense 1ep lr={numerator}e{exponent}; sparse 50% lr=prev/{divisor}; dense")
    start = Fraction(numerator) * Fraction(10) ** exponent / divisor
    assert exact(plan.phases[1].lr.start or "0") == start
    assert exact(plan.phases[2].lr.start or "0") == start / 10


def test_a_phase_is_found_by_its_id() -> None:
    plan = dsd_lang.compile("dense 1ep; sparse 50%; dense")
    assert [plan.phase(f"p{index}") for index in (2, 0, 1)] == [plan.phases[2], plan.phases[0], plan.phases[1]]
    with pytest.raises(DsdError, match="the plan has no phase `p3`"):
        plan.phase("p3")


def test_a_thousand_phases_have_one_plan_quickly() -> None:
    import time

    dsd_lang.compile("dense 1ep")
    text = "\n".join(["dense 1ep lr=0.1", "sparse 50% 1ep lr=0.01"] * 500)
    started = time.process_time()
    assert len(dsd_lang.compile(text).phases) == 1000
    assert time.process_time() - started < 1
