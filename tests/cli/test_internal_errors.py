"""A bug of ours ends in status 2, with its traceback and one line that asks for a report."""

from __future__ import annotations

import pytest

from dsd_lang.cli import lint, plan


@pytest.mark.parametrize("tool", [lint, plan])
def test_a_bug_is_told_as_one(tool, tmp_path, monkeypatch, capsys) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("two\nlines")

    path = tmp_path / "a.dsd"
    path.write_text("dense 5ep lr=1\n")
    monkeypatch.setattr("dsd_lang.analysis.analyse", fail)
    assert tool.main([str(path)]) == 2
    written = capsys.readouterr().err
    assert written.startswith("Traceback (most recent call last):")
    last = f"{tool.PROGRAM}: internal error: ValueError: two lines; please report it with the file"
    assert written.splitlines()[-1] == last


def test_a_bug_of_dsd_run(monkeypatch, capsys) -> None:
    cli = pytest.importorskip("dsd_runtime.cli")

    def fail() -> None:
        raise AssertionError

    monkeypatch.setattr(cli, "build_parser", fail)
    assert cli.main(["a.dsd"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "dsd-run: internal error: AssertionError; please report it with the file"
    )
