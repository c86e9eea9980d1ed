"""`dsd-plan`'s page: widths, encodings, colour, very long plans, counts, `--why`, and what the command starts."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys

import pytest

from dsd_lang.cli import plan as command

EXAMPLE = "set wd=1e-4\ndense 50ep lr=8e-4; sparse 0.5 layers=fc 50ep; dense lr=3e-4; repeat sparse 0.25\n"
LAYERS = {"layers": [{"name": "a", "kind": "fc", "weights": [{"name": "a.weight", "shape": [10, 20]}]}]}


@pytest.fixture
def schedule(tmp_path):
    path = tmp_path / "a.dsd"
    path.write_text(EXAMPLE)
    return str(path)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_with_a_width_all_of_it_fits(schedule, capsys, width: int) -> None:
    assert command.main([schedule, "--width", str(width), "--why"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("hash:")) <= width
    assert lines[0].startswith("#  mode")


def test_what_finds_no_room_is_named(schedule, capsys) -> None:
    assert command.main([schedule, "--width", "40"]) == 0
    out = capsys.readouterr().out
    assert "columns left out for width: layers, why (see `--json`)" in " ".join(out.split())
    assert "see `--why`" in " ".join(out.split())


def test_the_timeline_is_a_choice(schedule, capsys) -> None:
    assert command.main([schedule, "--timeline", "none"]) == 0
    assert "epochs" not in capsys.readouterr().out
    assert command.main([schedule, "--timeline", "ascii"]) == 0
    out = capsys.readouterr().out
    assert "# 0 dense" in out
    assert out.isascii()


def test_an_encoding_without_blocks_gets_ascii(schedule, monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    assert command.main([schedule]) == 0
    stream.flush()
    text = stream.buffer.getvalue().decode("latin-1")
    assert "# 0 dense" in text
    assert "\\u" not in text


def test_colour_by_the_usual_rules(schedule, monkeypatch, capsys) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    command.main([schedule])
    plain = capsys.readouterr().out
    assert "\033" not in plain
    command.main([schedule, "--color", "always"])
    coloured = capsys.readouterr().out
    assert re.sub(r"\033\[[\d;]*m", "", coloured) == plain
    monkeypatch.setenv("FORCE_COLOR", "1")
    command.main([schedule])
    assert capsys.readouterr().out == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    command.main([schedule])
    assert capsys.readouterr().out == plain


def test_why(schedule, capsys) -> None:
    assert command.main([schedule, "--why", "--set", "wd=0.1", "--timeline", "none"]) == 0
    out = capsys.readouterr().out
    assert "  3 sparse 25%, at 2:70\n" in out
    assert "    lr 8e-5: copied from phase 1 (8e-4) x 0.1, by the `repeat` at 2:63; written\n      at 2:12\n" in out
    assert "  wd=0.1: `--set`, overrides `set` (1e-4 at 1:5)\n" in out
    assert "settings: wd" not in out


def test_why_says_so_where_nothing_is_derived(tmp_path, capsys) -> None:
    path = tmp_path / "a.dsd"
    path.write_text("dense 5ep lr=1")
    assert command.main([str(path), "--why"]) == 0
    assert "every value is written in the schedule" in capsys.readouterr().out


def test_counts_with_a_layers_file(schedule, tmp_path, capsys) -> None:
    layers = tmp_path / "layers.json"
    layers.write_text(json.dumps(LAYERS))
    assert command.main([schedule, "--layers", str(layers)]) == 0
    out = capsys.readouterr().out
    assert "weights of the model (200 parameters), in each sparse phase:" in out
    assert "1  1       200      100     100    50%\n3  1       200      50      150    75%\n" in out
    layers.write_text("[]")
    assert command.main([schedule, "--layers", str(layers)]) == 2


def test_ten_thousand_phases_are_cut_unless_all_are_wanted(tmp_path, capsys) -> None:
    path = tmp_path / "a.dsd"
    path.write_text("dense 10ep lr=0.1\nrepeat 5000 { sparse 50% 5ep; dense 5ep lr=prev }")
    assert command.main([str(path)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 140
    assert "phases 100 to 9990 are left out: `--all` shows every one" in out
    assert command.main([str(path), "--all", "--timeline", "none"]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 10_000


def test_the_timeline_takes_the_steps_of_an_epoch(tmp_path, capsys) -> None:
    path = tmp_path / "a.dsd"
    path.write_text("dense 10ep lr=0.1; sparse 50% 100it")
    assert command.main([str(path)]) == 0
    assert "--steps-per-epoch N" in capsys.readouterr().out
    assert command.main([str(path), "--steps-per-epoch", "10"]) == 0
    assert "Drawn with 10 updates per epoch." in capsys.readouterr().out


@pytest.mark.parametrize(("extra", "forbidden"), [([], ("networkx", "torch", "numpy")), (["--json"], ("networkx",))])
def test_the_start_is_light(schedule, extra: list[str], forbidden: tuple[str, ...]) -> None:
    code = (
        "import sys; from dsd_lang.cli.plan import main; main(sys.argv[1:]); "
        f"print([name for name in {forbidden!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, schedule, *extra], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("flags", [[], ["--why"], ["--json"], ["--graph", "svg"], ["--graph", "dot"]])
def test_a_schedule_without_phases_has_a_page(tmp_path, capsys, flags: list[str]) -> None:
    path = tmp_path / "empty.dsd"
    path.write_text("# nothing yet\n")
    assert command.main([str(path), *flags]) == 0
    out = capsys.readouterr().out
    assert "no phases" in out or flags not in ([], ["--why"])
