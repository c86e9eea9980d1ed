"""`dsd-plan`: the table, the formats, the exit codes."""

from __future__ import annotations

import json

import pytest

from dsd_lang.base.layers import LayerInfo, WeightInfo
from dsd_lang.cli import plan as command
from dsd_lang.plan import Plan

EXAMPLE = "dense 50ep lr=8e-4; sparse 0.5 layers=fc,birnn 50ep; dense lr=3e-4; repeat sparse 0.25\n"
TABLE = """\
#  mode    pruned  layers      length  start lr  why
-  ------  ------  ----------  ------  --------  --------------------------------------------
0  dense   0       -           50ep    8e-4      given
1  sparse  50%     fc, birnn   50ep    8e-4*     lr inherited from the previous phase's start
2  dense   0       -           50ep*   3e-4      length inherited, lr given
3  sparse  25%     fc, birnn*  50ep*   8e-5*     `repeat` copies 1 with its lr x 0.1
4  dense   0       -           50ep*   3e-5*     `repeat` copies 2 with its lr x 0.1

* derived, not written: see `why`

epochs  0             50             100           150            200        250
"""


@pytest.fixture
def schedule(tmp_path):
    path = tmp_path / "a.dsd"
    path.write_text(EXAMPLE)
    return str(path)


def test_the_table(schedule, capsys) -> None:
    assert command.main([schedule]) == 0
    assert capsys.readouterr().out.startswith(TABLE)


def test_json_is_the_plan(schedule, capsys) -> None:
    assert command.main([schedule, "--json"]) == 0
    plan = Plan.from_json(capsys.readouterr().out)
    assert (len(plan.phases), plan.source) == (5, schedule)


def test_schema(capsys) -> None:
    assert command.main(["--schema"]) == 0
    assert "dsd_plan" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize(("format", "head"), [("mermaid", "flowchart TD"), ("dot", "digraph"), ("svg", "<svg")])
def test_graphs(schedule, capsys, format: str, head: str) -> None:
    assert command.main([schedule, "--graph", format]) == 0
    assert capsys.readouterr().out.startswith(head)


def test_settings_show_who_won(tmp_path, capsys) -> None:
    path = tmp_path / "a.dsd"
    path.write_text(
        "set lr=0.1 opt=sgd(momentum=0.9, nesterov=on)\n"
        "fork { a: dense 5ep until val.err < 1; b: sparse 0->90% 9ep by=random }\n"
    )
    assert command.main([str(path), "--set", "lr=0.2"]) == 0
    out = capsys.readouterr().out
    assert "settings: lr=0.2 (--set), opt=sgd(momentum=0.9, nesterov=on) (set)" in out
    assert "<=5ep" in out
    assert "by=random" in out
    assert "density-weighted: 7.925ep" in out


def test_errors_are_shown_as_lint_shows_them(tmp_path, capsys) -> None:
    path = tmp_path / "a.dsd"
    path.write_text("dense lr=1\nsparse 50")
    assert command.main([str(path)]) == 1
    out = capsys.readouterr().out
    assert f"--> {path}:1:1" in out
    assert "error[DSD401]" in out
    assert "2 errors" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["a.dsd", "b.dsd"], ["no-such.dsd"], ["--graph", "png", "x"], ["--nope"], ["-", "--json", "--graph", "dot"],
        ["x", "--json", "--why"], ["x", "--graph", "dot", "--diff", "y"], ["x", "--diff", "y", "--timeline", "none"],
        ["x", "--graph", "dot", "--steps-per-epoch", "9"], ["--schema", "--json"], ["x", "--json", "--all"],
        ["x", "--width", "9"], ["x", "--steps-per-epoch", "0"], ["x", "--model", "ds2", "--layers", "y.json"],
    ],
)  # fmt: skip
def test_bad_usage_is_2(arguments: list[str], tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x", "y"):
        (tmp_path / name).write_text(EXAMPLE)
    assert command.main(arguments) == 2
    assert capsys.readouterr().err.startswith("dsd-plan: ")


@pytest.mark.parametrize("flag", ["lr", "lr=", "lrr=1", "lr=0"])
def test_bad_settings_are_2(schedule, flag: str, capsys) -> None:
    assert command.main([schedule, "--set", flag]) == 2


class Entry:
    def __init__(self, function) -> None:
        self.value = "test"
        self._function = function

    def load(self):
        return self._function


def install(monkeypatch, **groups) -> None:
    monkeypatch.setattr(
        "importlib.metadata.entry_points",
        lambda *, group: [Entry(groups[group.removeprefix("dsd.")])] if group.removeprefix("dsd.") in groups else [],
    )


def test_a_models_layers_and_preset(schedule, monkeypatch, capsys) -> None:
    def inventory(name: str):
        return (LayerInfo("a", "fc", (WeightInfo("a.weight", (2, 2)),)),)

    install(monkeypatch, inventories=inventory, presets=lambda name: {"wd": "1e-4"})
    assert command.main([schedule, "--model", "x"]) == 1
    assert "no layer matches `birnn`" in capsys.readouterr().out
    with open(schedule, "w") as file:
        file.write("dense 5ep; sparse 50% layers=fc; dense")
    assert command.main([schedule, "--model", "x"]) == 0
    assert "settings: wd=1e-4 (preset), model=x (--set)" in capsys.readouterr().out


def test_what_a_run_has_trained(schedule, tmp_path, monkeypatch, capsys) -> None:
    import dsd_lang

    run = tmp_path / "run"
    run.mkdir()
    defaults = {"opt": "sgd(momentum=0.9)", "decay": "step(50%, 10ep, by=0.1)", "clip": "norm(4)", "batch": "8"}
    saved = dsd_lang.compile(EXAMPLE, overrides={"wd": "1e-4"}, defaults=defaults)
    (run / "plan.json").write_text(saved.to_json())
    seen: list[str] = []

    def describe(plan: Plan, folder) -> list[tuple[str, str]]:
        seen.append(plan.hash)
        return [(phase.id, "trained" if phase.id < "p2" else "to train", phase.id) for phase in plan.phases]

    install(monkeypatch, run_progress=describe)
    assert command.main([schedule, "--out", str(run)]) == 0
    out = capsys.readouterr().out
    assert seen == [saved.hash]
    assert "trained: 2 of 5 phases; left: 3" in out
    assert "to train" in out
    assert command.main([schedule, "--out", str(tmp_path / "none")]) == 2


SCHEDULE = "dense 5ep; sparse 50% layers=fc; dense\n"


def test_the_scale_of_a_run_is_honoured(schedule, tmp_path, monkeypatch, capsys) -> None:
    """`--scale 0.1` was trained: lengths, totals and keys are those of the run."""
    import dsd_lang
    from dsd_lang.cli import installed
    from dsd_lang.plan.scaling import scaled_plan

    seen = []
    run = tmp_path / "run"
    run.mkdir()
    plan = scaled_plan(dsd_lang.compile_file(schedule), "0.1")
    (run / "plan.json").write_text(plan.to_json())
    (run / "manifest.json").write_text('{"scale": "0.1"}')
    monkeypatch.setattr(installed, "node_states", lambda plan, folder: seen.append(plan) or {})
    assert command.main([str(schedule), "--out", str(run)]) == 0
    assert [phase.duration.value for phase in seen[0].phases] == [phase.duration.value for phase in plan.phases]
    assert f"scale: every length x 0.1, as in {run}" in capsys.readouterr().out
    (run / "manifest.json").write_text("{")
    assert command.main([str(schedule), "--out", str(run)]) == 2


@pytest.fixture
def plain(tmp_path):
    path = tmp_path / "plain.dsd"
    path.write_text(SCHEDULE)
    return str(path)


@pytest.mark.parametrize("name", ["ds2", "torchvision:resnet18", "my.package:net"])
def test_the_preset_is_the_one_dsd_run_takes(plain, capsys, name: str) -> None:
    import dsd_lang

    catalogue = pytest.importorskip("dsd_runtime.models.catalogue")
    assert command.main([plain, "--model", name, "--json"]) == 0
    captured = capsys.readouterr()
    plan = Plan.from_json(captured.out)
    preset = catalogue.preset_settings(catalogue.preset_of(name))
    assert plan.hash == dsd_lang.compile(SCHEDULE, defaults=preset).hash
    assert (plan.settings_from["lr"], plan.settings["lr"]) == ("preset", preset["lr"])
    assert ("the selectors are not checked" in captured.err) is (name != "ds2")
    assert command.main([plain, "--model", "dss2"]) == 2
    assert "did you mean `ds2`?" in capsys.readouterr().err


def test_the_model_of_the_schedule_brings_its_preset_too(plain, monkeypatch, capsys) -> None:
    install(monkeypatch, presets=lambda name: {"lr": "0.25"} if name == "x" else {})
    with open(plain, "a") as file:
        file.write('set model="x"\n')
    assert command.main([plain]) == 0
    assert "settings: lr=0.25 (preset), model=x (set)" in capsys.readouterr().out


def test_nothing_installed_is_said(plain, monkeypatch, capsys) -> None:
    install(monkeypatch)
    assert command.main([plain, "--model", "x"]) == 2
    assert "no installed package knows the preset of the model `x`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("fork { dsd: { dense 50ep lr=1; sparse 50%; dense }; baseline: dense 90ep }", "dsd: 150ep, 1.67 x baseline"),
        ("dense 10ep lr=1; fork seeds=2 { a: dense 10ep; b: dense 30ep }\ncompare b vs a on=test.err",
         "b: 40ep, 2 x a"),
        ("fork { a: dense 10it; baseline: dense 30it }", "a: 10it, 0.333 x baseline"),
    ],
)  # fmt: skip
def test_the_multiple_of_the_baseline(plain, capsys, text: str, line: str) -> None:
    with open(plain, "w") as file:
        file.write(text)
    assert command.main([plain]) == 0
    assert line in capsys.readouterr().out.splitlines()


def test_epochs_and_updates_have_no_ratio(plain, capsys) -> None:
    with open(plain, "w") as file:
        file.write("fork { a: dense 10it; baseline: dense 30ep }")
    assert command.main([plain]) == 0
    assert "x baseline" not in capsys.readouterr().out
