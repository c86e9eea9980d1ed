"""Every setting said in several ways: the command line wins over the schedule's `set`, that over the model's preset."""

from __future__ import annotations

import json

import pytest

from dsd_lang.plan import Plan

from .conftest import Outcome, Run

HERE = ("--progress", "none", "--device", "cpu")


def _plan(outcome: Outcome) -> Plan:
    assert outcome.code == 0, outcome.err
    return Plan.from_json((outcome.folder / "plan.json").read_text())


def _manifest(outcome: Outcome) -> dict[str, object]:
    assert outcome.code == 0, outcome.err
    return json.loads((outcome.folder / "manifest.json").read_text())


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("lr=0.25", lambda phase: phase.lr.start == "0.25"),
        ("batch=50", lambda phase: phase.batch == 50),
        ("opt=sgd(momentum=0.25)", lambda phase: phase.opt.arguments == {"momentum": "0.25"}),
        ("wd=0.0625", lambda phase: phase.wd == "0.0625"),
        ("decay=cosine", lambda phase: phase.lr.decay.kind == "cosine"),
        ("clip=7", lambda phase: phase.clip is not None and phase.clip.arguments == {"0": "7"}),
    ],
)
def test_the_command_line_wins_over_set_and_set_over_the_preset(dsd_run: Run, setting: str, read) -> None:  # type: ignore[no-untyped-def]
    base = ("--model", "lenet_300_100", *HERE)
    name = setting.partition("=")[0]
    other = {"lr": "0.5", "batch": "20", "opt": "adam", "wd": "0.5", "decay": "linear", "clip": "9"}[name]
    assert not read(_plan(dsd_run("dense 1it", base=base, out="preset")).phases[0])
    assert read(_plan(dsd_run(f"set {setting}\ndense 1it", base=base, out="set")).phases[0])
    flags = ("--set", setting)
    assert read(_plan(dsd_run("dense 1it", *flags, base=base, out="flag")).phases[0])
    assert read(_plan(dsd_run(f"set {name}={other}\ndense 1it", *flags, base=base, out="both")).phases[0])
    own = _plan(dsd_run(f"dense 1it {name}={other}", *flags, base=base, out="phase")).phases[0]
    assert not read(own), "a phase's own argument stays"


def test_the_batch_size_is_the_one_that_is_trained_with(dsd_run: Run) -> None:
    base = ("--model", "lenet_300_100", *HERE)

    def updates(text: str, *flags: str) -> int:
        return dsd_run(text, *flags, "--dry-run", base=base).result["cost"]["updates_left"]

    assert updates("dense 1ep") == 1259 // 60 + 1
    assert updates("set batch=100\ndense 1ep") == 13
    assert updates("set batch=100\ndense 1ep", "--set", "batch=200") == 7
    assert updates("set batch=100\ndense 1ep batch=300", "--set", "batch=200") == 5


@pytest.mark.parametrize(
    ("flag", "value", "said", "key"),
    [
        ("--model", "conv2", 'model="lenet_300_100"', "model"),
        ("--seed", "7", "seed=3", "seed"),
        ("--data", "digits:size=10", 'data="digits"', "data"),
    ],
)
def test_a_flag_wins_over_what_the_schedule_sets(dsd_run: Run, flag: str, value: str, said: str, key: str) -> None:
    wanted = int(value) if value.isdigit() else value
    base = HERE if flag == "--model" else ("--model", "lenet_300_100", *HERE)
    assert _manifest(dsd_run(f"set {said}\ndense 1it", flag, value, base=base, out="both"))[key] == wanted
    assert _manifest(dsd_run(f"set {said}\ndense 1it", base=base, out="set"))[key] != wanted
    assert _manifest(dsd_run("dense 1it", flag, value, base=base, out="flag"))[key] == wanted


def test_the_schedule_s_seed_is_the_run_s(dsd_run: Run) -> None:
    text = "dense 1it lr=0.1"
    by_set = dsd_run(f"set seed=5\n{text}", out="set")
    assert _manifest(by_set)["seed"] == 5
    assert by_set.weights() == dsd_run(text, "--seed", "5", out="flag").weights()
    assert by_set.weights() != dsd_run(text, out="none").weights()
    assert by_set.weights() == dsd_run(f"set seed=4\n{text}", "--set", "seed=5", out="over").weights()


def test_a_flag_s_precision_wins_over_the_schedule_s(dsd_run: Run) -> None:
    text = "set precision=bf16\ndense 1it lr=0.1"
    assert _manifest(dsd_run(text, out="set"))["setting"]["precision"] == "bf16"  # type: ignore[index]
    assert _manifest(dsd_run(text, "--precision", "fp32", out="flag"))["setting"]["precision"] == "fp32"  # type: ignore[index]
