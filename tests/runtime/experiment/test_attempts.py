"""An attempt becomes the node when it is complete; nothing that is there is replaced, and nothing saved is lost."""

from __future__ import annotations

from pathlib import Path

from dsd_runtime.experiment.attempts import attempted, finish_publishing, publish_attempt
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.storage.checkpoint import save_checkpoint

KEY = "0123456789abcdef"


def _write(folder: Path, kind: str, text: str) -> None:
    save_checkpoint(folder / kind, {"part": {"text": text}})
    (folder / "metrics.jsonl").write_text(text)


def _entries(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in folder.node(KEY).iterdir())


def test_a_complete_attempt_becomes_the_node(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with attempted(folder, KEY):
        _write(folder.work(KEY), "progress-0000000003", "so far")
        _write(folder.work(KEY), "end-0000000005", "done")
        assert folder.latest(KEY, "end") is None, "nobody sees it before it is complete"
        assert folder.node_metrics(KEY).read_text() == "done"
        assert publish_attempt(folder, KEY, replaces=False)
    assert _entries(folder) == ["end-0000000005", "metrics.jsonl"]
    assert folder.state(KEY) == "trained"


def test_the_first_result_stays(tmp_path: Path) -> None:
    one, other = RunFolder(tmp_path), RunFolder(tmp_path)
    with attempted(one, KEY):
        _write(one.work(KEY), "end-0000000005", "first")
        assert publish_attempt(one, KEY, replaces=False)
    with attempted(other, KEY):
        _write(other.work(KEY), "end-0000000005", "second")
        assert publish_attempt(other, KEY, replaces=False)
    assert one.node_metrics(KEY).read_text() == "first"
    assert _entries(one) == ["end-0000000005", "metrics.jsonl"]
    with attempted(other, KEY):
        _write(other.work(KEY), "end-0000000005", "what the plan needs now")
        assert publish_attempt(other, KEY, replaces=True)
    assert one.node_metrics(KEY).read_text() == "what the plan needs now"


def test_the_progress_of_an_attempt_that_was_stopped_is_taken_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with attempted(folder, KEY):
        _write(folder.work(KEY), "progress-0000000003", "so far")
        (folder.work(KEY) / ".writing-progress-0000000004-17").mkdir()
    assert folder.state(KEY) == "unfinished (3it)"
    assert folder.node_metrics(KEY).read_text() == "so far", "others can read how far it is"
    with attempted(folder, KEY):
        assert [path.name for path in folder.attempts(KEY)] == [folder.work(KEY).name]
        assert folder.progress_updates(KEY) == 3
        assert not list(folder.work(KEY).glob(".writing-*"))


def test_what_version_0_1_has_left_of_an_unfinished_node_is_taken_over(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    _write(folder.node(KEY), "progress-0000000003", "so far")
    _write(folder.node(KEY), "ref-best-0000000002", "so far")
    assert folder.state(KEY) == "unfinished (3it)"
    with attempted(folder, KEY):
        assert folder.progress(KEY) == folder.work(KEY) / "progress-0000000003"
        assert (folder.work(KEY) / "ref-best-0000000002").is_dir()


def test_who_lost_an_attempt_publishes_nothing(tmp_path: Path) -> None:
    """It stood still, and another process has gone on with what it had saved."""
    slow, quick = RunFolder(tmp_path), RunFolder(tmp_path)
    with attempted(slow, KEY):
        _write(slow.work(KEY), "progress-0000000003", "so far")
        with attempted(quick, KEY):
            assert not slow.work(KEY).exists()
            assert not publish_attempt(slow, KEY, replaces=False)
            slow.own[KEY] = slow.node(KEY) / "attempt-slow"
            _write_after_all(slow)
            assert not publish_attempt(slow, KEY, replaces=False)
            _write(quick.work(KEY), "end-0000000005", "quick")
            assert publish_attempt(quick, KEY, replaces=False)
    assert quick.node_metrics(KEY).read_text() == "quick"
    assert _entries(quick) == ["end-0000000005", "metrics.jsonl"]


def _write_after_all(folder: RunFolder) -> None:
    """Writing a checkpoint makes its folder again."""
    save_checkpoint(folder.work(KEY) / "end-0000000005", {"part": {"text": "slow"}})


def test_a_kill_while_a_node_is_published_loses_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with attempted(folder, KEY):
        _write(folder.work(KEY), "end-0000000005", "done")  # killed before it was renamed
    finish_publishing(folder, KEY)
    assert folder.state(KEY) == "trained"
    other = RunFolder(tmp_path / "other")
    with attempted(other, KEY):
        _write(other.work(KEY), "end-0000000005", "done")
        other.work(KEY).rename(other.node(KEY) / "complete-17")  # and before its parts were moved
    (other.node(KEY) / "metrics.jsonl").write_text("moved already")
    finish_publishing(other, KEY)
    assert other.state(KEY) == "trained"
    assert _entries(other) == ["end-0000000005", "metrics.jsonl"]
