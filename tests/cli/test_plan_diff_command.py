"""`dsd-plan --diff`: files, git revisions, run folders, exit codes, and every way it can go wrong."""

from __future__ import annotations

import json
import subprocess

import pytest

from dsd_lang.cli import plan as command

OLD = "dense 50ep lr=8e-4\nsparse 50% 40ep\ndense\n"
NEW = OLD.replace("50% 40ep", "60% 40ep")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "old.dsd").write_text(OLD)
    (tmp_path / "new.dsd").write_text(NEW)
    return tmp_path


def git(folder, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository_with_two_versions(folder):
    path = folder / "inner" / "a.dsd"
    path.parent.mkdir()
    git(folder, "init", "-q")
    for text in (OLD, NEW):
        path.write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "a version")
    return path


def test_two_files(folder, capsys) -> None:
    assert command.main([str(folder / "new.dsd"), "--diff", str(folder / "old.dsd")]) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[3:] == [
        "~ 1  sparse 60%",
        "    pruned: 50% -> 60%",
        "2 phases the same",
        "total: 130ep",
        "density-weighted: 110ep -> 106ep (-4ep)",
    ]
    assert command.main([str(folder / "new.dsd"), "--diff", str(folder / "new.dsd")]) == 0
    assert "the same schedule" in capsys.readouterr().out


def test_json(folder, capsys) -> None:
    assert command.main([str(folder / "new.dsd"), "--diff", str(folder / "old.dsd"), "--json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["phases"][0]["attributes"] == {"pruned": {"old": "50%", "new": "60%", "derived": False}}


def test_a_saved_plan_and_a_run_folder_stand_for_their_schedules(folder, capsys) -> None:
    assert command.main([str(folder / "old.dsd"), "--json"]) == 0
    (folder / "plan.json").write_text(capsys.readouterr().out)
    for other in (folder / "plan.json", folder):
        assert command.main([str(folder / "new.dsd"), "--diff", str(other)]) == 1
        assert "pruned: 50% -> 60%" in capsys.readouterr().out
        assert command.main([str(folder / "old.dsd"), "--diff", str(other)]) == 0
        assert "the same schedule" in capsys.readouterr().out
    assert command.main([str(folder / "plan.json"), "--diff", str(folder / "old.dsd")]) == 0
    capsys.readouterr()
    assert command.main([str(folder / "plan.json")]) == 0
    assert "density-weighted: 110ep" in capsys.readouterr().out
    assert command.main([str(folder / "plan.json"), "--why"]) == 2
    assert "`--why` explains a schedule" in capsys.readouterr().err


def test_a_plan_that_is_none(folder, capsys) -> None:
    (folder / "plan.json").write_text('{"dsd_plan": 2}')
    assert command.main([str(folder / "new.dsd"), "--diff", str(folder / "plan.json")]) == 2
    assert "this is not a version 1 plan" in capsys.readouterr().err


def test_a_saved_plan_is_no_schedule_to_lint_or_compile(folder, capsys) -> None:
    import dsd_lang
    from dsd_lang.analysis import analyse

    text = dsd_lang.compile(OLD).to_json()
    assert [item.message for item in analyse(text).diagnostics] == ["this is a saved plan (JSON), not a schedule"]
    with pytest.raises(dsd_lang.ScheduleError, match="1 error"):
        dsd_lang.compile(text)


def test_a_revision(repository_with_two_versions, monkeypatch, capsys) -> None:
    path = repository_with_two_versions
    assert command.main([str(path), "--diff", "HEAD~1"]) == 1
    assert f"--- HEAD~1:{path} (3 phases)" in capsys.readouterr().out
    assert command.main([str(path), "--diff", "HEAD"]) == 0
    monkeypatch.chdir(path.parent)
    assert command.main(["a.dsd", "--diff", "HEAD~1"]) == 1


def test_what_is_wrong_with_a_revision(repository_with_two_versions, folder, capsys) -> None:
    path = repository_with_two_versions
    for other, message in (
        ("nowhere", "`nowhere` is neither a file nor a git revision"),
        ("--help", "`--help` is neither a file nor a git revision"),
        ("HEAD~9", "`HEAD~9` is neither"),
    ):
        assert command.main([str(path), "--diff", other]) == 2
        assert message in capsys.readouterr().err
    (folder / "later.dsd").write_text(NEW)
    assert command.main([str(folder / "later.dsd"), "--diff", "HEAD"]) == 2
    assert "the revision `HEAD` has no file" in capsys.readouterr().err


def test_no_repository_no_git_no_file(folder, monkeypatch, capsys) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    assert command.main([str(folder / "new.dsd"), "--diff", "HEAD"]) == 2
    assert "is not in a git repository" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(folder))
    assert command.main([str(folder / "new.dsd"), "--diff", "HEAD"]) == 2
    assert "git cannot be run" in capsys.readouterr().err
    assert command.main([str(folder / "new.dsd"), "--diff", str(folder)]) == 2
    assert "is a directory" in capsys.readouterr().err
    assert command.main(["-", "--diff", "HEAD"]) == 2


def test_a_schedule_with_errors_is_trouble_and_rendered(folder, capsys) -> None:
    (folder / "old.dsd").write_text("dense 5ep; sparse 50 3ep")
    assert command.main([str(folder / "new.dsd"), "--diff", str(folder / "old.dsd")]) == 2
    out = capsys.readouterr().out
    assert f"--> {folder / 'old.dsd'}:1:19" in out
    assert "error[DSD401]" in out


class Entry:
    value = "test"

    def load(self):
        def describe(plan, folder):
            return [
                (
                    phase.id,
                    "trained" if index < 2 else "unfinished (5it)",
                    f"{index}{phase.target and phase.target.pruned}",
                )
                for index, phase in enumerate(plan.phases)
            ]

        return describe


def test_what_a_run_loses(folder, monkeypatch, capsys) -> None:
    import dsd_lang

    run = folder / "run"
    run.mkdir()
    (run / "plan.json").write_text(dsd_lang.compile(OLD).to_json())
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda *, group: [Entry()] if group == "dsd.run_progress" else []
    )
    arguments = [str(folder / "new.dsd"), "--diff", str(folder / "old.dsd"), "--out", str(run)]
    assert command.main(arguments) == 1
    out = capsys.readouterr().out
    assert f"in {run}: 3 phases of the old plan trained" in " ".join(out.split())
    assert "invalidated: phase 1 of the old plan, 40ep of training as written" in out
    assert command.main([*arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["run"]["invalidated"] == ["p1"]
    assert command.main([*arguments[:3], "--out", str(folder / "none")]) == 2
