"""The phase tree is walked once: reuse, forks, loops, references, and what a run folder holds."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dsd_lang.plan import Plan
from dsd_runtime.data.registry import open_data
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import Lease
from dsd_runtime.experiment.manifest import build_manifest
from dsd_runtime.experiment.request import Request, resolve
from dsd_runtime.experiment.setup import prepare
from dsd_runtime.models.registry import build_model
from dsd_runtime.results.reading import read_results

from .conftest import DSD, Run

SCHEDULES = Path(__file__).resolve().parents[3] / "schedules"


def test_a_run_folder_holds_everything_that_is_promised(dsd_run: Run) -> None:
    outcome = dsd_run(DSD)
    assert outcome.code == 0
    assert outcome.states() == ["trained"] * 3
    folder = outcome.folder
    assert Plan.from_json((folder / "plan.json").read_text()).hash == outcome.result["plan_hash"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["finished"]
    assert manifest["seed"] == 0
    weights = load_file(folder / "final.safetensors")
    model = build_model("lenet_300_100", open_data("digits").traits)
    assert set(weights) == set(model.state_dict())
    assert list((folder / "events").rglob("events.out.tfevents.*"))
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {"node", "label", "epoch", "update", "name", "value"} <= set(lines[0])
    names = {line["name"] for line in lines}
    assert {"loss", "lr", "train.loss", "val.err", "val.loss", "test.err", "sparsity"} <= names
    assert {line["label"] for line in lines} == {"d0", "s", "d1"}
    sparse_end = next(phase for phase in outcome.result["phases"] if phase["label"] == "s")
    masked = load_file(next((folder / "checkpoints" / sparse_end["node"]).glob("end-*")) / "weights.safetensors")
    zeros = sum(int((value == 0).sum()) for name, value in masked.items())
    assert zeros > 0


def test_the_manifest_has_the_revision_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    code = tmp_path / "code"
    code.mkdir()
    monkeypatch.chdir(code)
    (tmp_path / "a.dsd").write_text("dense 1ep lr=0.05")
    request = Request(tmp_path / "a.dsd", model="lenet_300_100", device="cpu")
    prepared = prepare(request, resolve(request))

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def told() -> str | None:
        found: str | None = build_manifest(prepared, {}, (), None)["git"]
        return found

    assert told() is None, "outside a repository"
    git("init", "-q")
    assert told() is None, "before the first commit"
    (code / "nets.py").write_text("")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    assert told() == git("rev-parse", "HEAD")
    (code / "nets.py").write_text("width = 3\n")
    assert told() == git("rev-parse", "HEAD") + "+"


def test_nothing_is_trained_twice(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    again = dsd_run(DSD)
    assert again.states() == ["reused"] * 3
    assert again.weights() == first.weights()
    metrics = [phase["metrics"] for phase in first.result["phases"]]
    assert [phase["metrics"] for phase in again.result["phases"]] == metrics


def test_editing_the_last_phase_trains_only_that(dsd_run: Run) -> None:
    dsd_run(DSD)
    edited = DSD.replace("d1: dense 2ep", "d1: dense 2ep lr=1e-3")
    outcome = dsd_run(edited)
    assert outcome.states() == ["reused", "reused", "trained"]
    assert outcome.weights() == dsd_run(edited, out="fresh").weights()


def test_a_label_or_a_comment_does_not_train_again(dsd_run: Run) -> None:
    dsd_run(DSD)
    renamed = "# a comment\n" + DSD.replace("s: sparse 50%", "prune: sparse 0.5")
    assert dsd_run(renamed).states() == ["reused"] * 3


@pytest.mark.parametrize("flags", [("--seed", "1"), ("--set", "wd=1e-3"), ("--data", "digits:size=10")])
def test_what_changes_numbers_trains_again(dsd_run: Run, flags: tuple[str, ...]) -> None:
    dsd_run("dense 1ep lr=0.05")
    assert dsd_run("dense 1ep lr=0.05", *flags).states() == ["trained"]


def test_a_fork_trains_its_prefix_once_and_equals_the_lines_alone(dsd_run: Run) -> None:
    fork = dsd_run("dense 1ep lr=0.05\nfork {\n  a: sparse 50% 1ep\n  b: sparse 80% 1ep\n}\ndense 1ep lr=0.01\n")
    assert fork.states() == ["trained"] * 4
    alone = dsd_run("dense 1ep lr=0.05\nsparse 80% 1ep\n", out="alone")
    assert fork.weights("branches/b") == alone.weights()
    main_line = dsd_run("dense 1ep lr=0.05\ndense 1ep lr=0.01\n", out="main")
    assert fork.weights() == main_line.weights()


def test_branches_that_train_the_same_share_nodes(dsd_run: Run) -> None:
    outcome = dsd_run(
        "dense 1ep lr=0.05\nfork {\n  a: { sparse 50% 1ep; dense 1ep }\n  b: { sparse 0.5 1ep; dense 1ep lr=1e-4 }\n}"
    )
    assert outcome.states() == ["trained", "trained", "trained", "reused", "trained"]


def test_seeds_differ_and_sweeps_expand(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05\nfork seeds=2 { a: dense 1ep }\nsweep s in 25%, 50% { sparse s 1ep }")
    assert outcome.states() == ["trained"] * 5
    assert outcome.weights("branches/a.seed0") != outcome.weights("branches/a.seed1")
    paths = {phase["path"] for phase in outcome.result["phases"]}
    assert {"a.seed0", "a.seed1", "s=25%", "s=50%"} <= paths


def test_a_lottery_ticket_rewinds_to_the_start(dsd_run: Run) -> None:
    outcome = dsd_run("full: dense 1ep lr=0.05\nticket: sparse 90% from=@full.start 0ep\n")
    assert outcome.code == 0
    ticket = load_file(outcome.folder / "final.safetensors")
    init = _initial_weights()
    kept = ticket["output.weight"] != 0 if "output.weight" in ticket else None
    name = next(name for name in ticket if name.endswith("weight"))
    kept = ticket[name] != 0
    assert 0 < int(kept.sum()) < kept.numel()
    assert torch.equal(ticket[name][kept], init[name][kept])


def test_the_random_masks_of_the_lottery_schedule_are_drawn_over_all_weights(dsd_run: Run) -> None:
    """They have the densities of the round's ticket, and lie in its mask no more often than chance has it."""
    text = (SCHEDULES / "lottery_ticket.dsd").read_text()
    for long, short in (("50000it", "2it"), ("repeat 18", "repeat 3"), ("seeds=3", "seeds=1")):
        assert long in text
        text = text.replace(long, short)
    folder = dsd_run(text, out="lottery").folder
    ticket = load_file(folder / "final.safetensors")
    masks = {f"random_mask{number}": load_file(_branch(folder, f"random_mask{number}")) for number in ("", "#3")}
    for name in (name for name in ticket if name.endswith("weight")):
        kept, drawn = ticket[name] != 0, masks["random_mask#3"][name] != 0
        assert abs(int(kept.sum()) - int(drawn.sum())) <= 4  # a ticket's counts are rounded in every round
        density = float(kept.float().mean())
        assert float((kept & drawn).sum() / drawn.sum()) == pytest.approx(density, abs=0.06)
        assert float((drawn & (masks["random_mask"][name] != 0)).sum()) < float(drawn.sum())


def _branch(folder: Path, name: str) -> Path:
    return folder / "branches" / f"{name}.seed0.safetensors"


def _initial_weights() -> dict[str, torch.Tensor]:
    from dsd_runtime.engine.randomness import stream_key

    with torch.random.fork_rng():
        torch.manual_seed(stream_key(0, 0, "init"))
        return build_model("lenet_300_100", open_data("digits").traits).state_dict()


def test_a_checkpoint_asked_for_later_is_taken_by_training_that_node_again(dsd_run: Run) -> None:
    dsd_run("full: dense 1ep lr=0.05\nsparse 50% 1ep\n")
    outcome = dsd_run("full: dense 1ep lr=0.05\nsparse 50% 1ep from=@full.5it\n")
    assert outcome.states() == ["trained", "trained"]


def test_behind_a_phase_trained_again_the_next_is_reused_and_the_last_goes_on_from_it(dsd_run: Run) -> None:
    text = "full: dense 1ep lr=0.05\ndense 1ep lr=0.01\n"
    dsd_run(text)
    longer = text + "sparse 50% 1ep from=@full.5it\n"
    outcome = dsd_run(longer)
    assert outcome.states() == ["trained", "reused", "trained"]
    assert outcome.weights() == dsd_run(longer, out="whole").weights()


def test_until_ends_a_loop_and_skips_its_later_cycles(dsd_run: Run) -> None:
    outcome = dsd_run("dense 2ep lr=0.05\nrepeat 4 until gain(val.err) < 100 { sparse 50% 1ep; dense 1ep }\ndense 1ep")
    assert outcome.states() == ["trained"] * 3 + ["skipped"] * 6 + ["trained"]
    skipped = outcome.result["phases"][3]
    mark = outcome.folder / "checkpoints" / skipped["node"] / "skipped.json"
    assert json.loads(mark.read_text()) == {"paths": [""]}
    again = dsd_run("dense 2ep lr=0.05\nrepeat 4 until gain(val.err) < 100 { sparse 50% 1ep; dense 1ep }\ndense 1ep")
    assert again.states() == ["reused"] * 3 + ["skipped"] * 6 + ["reused"]


@pytest.mark.parametrize("order", ["early whole", "whole early"])
def test_a_branch_that_stops_early_ends_there_though_another_trains_the_same_rounds(dsd_run: Run, order: str) -> None:
    loop = "{ sparse 20% of=remaining 1ep lr=0.05 }"
    branches = {
        "early": f"early: {{ dense 1ep lr=0.05; repeat 3 until val.err > 0 {loop} }}\n",
        "whole": f"whole: {{ dense 1ep lr=0.05; repeat 3 {loop} }}\n",
    }
    text = "fork {\n" + "".join(branches[name] for name in order.split()) + "}\ncompare early vs whole on=test.err\n"
    outcome = dsd_run(text)
    states = {name: [one["state"] for one in outcome.result["phases"] if one["path"] == name] for name in branches}
    assert states["early"][2:] == ["skipped", "skipped"]
    assert "skipped" not in states["whole"]
    results = read_results(outcome.folder)
    assert [phase.state for phase in results.phases if phase.path == "early"] == ["trained"] * 2 + ["skipped"] * 2
    assert (results.cost.trained, results.cost.epochs) == (4, 4)
    found = results.comparisons[0]
    assert (found.left.budget and found.left.budget.epochs, found.right.budget and found.right.budget.epochs) == (2, 4)
    assert "unequal budgets" in found.verdict
    assert dsd_run(text).states() == [state.replace("trained", "reused") for state in outcome.states()]


def test_a_loop_around_what_is_trained_already_decides_as_from_the_start(dsd_run: Run) -> None:
    """The checkpoints of its first cycle were written by a session that knew of no loop."""
    looped = "dense 2ep lr=0.05\nrepeat 3 until gain(val.err) < 100 { sparse 50% 1ep; dense 1ep }\ndense 1ep"
    dsd_run("dense 2ep lr=0.05\nsparse 50% 1ep\ndense 1ep")
    outcome = dsd_run(looped)
    assert outcome.states() == ["reused"] * 3 + ["skipped"] * 4 + ["trained"]
    assert outcome.weights() == dsd_run(looped, out="whole").weights()


def test_until_ends_a_phase(dsd_run: Run) -> None:
    outcome = dsd_run("dense 50ep lr=0.05 until val.acc > 50%")
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines if json.loads(line)["name"] == "val.acc"]
    assert 0 < max(epochs) < 50
    assert "test.err" in outcome.result["phases"][0]["metrics"]


def test_phases_without_updates_are_nodes_too(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05\nsparse 50% 0ep\ndense 1ep\nsparse 90% 0ep")
    assert outcome.states() == ["trained"] * 4
    weights = load_file(outcome.folder / "final.safetensors")
    matrix = next(value for name, value in weights.items() if value.dim() == 2)
    assert float((matrix == 0).float().mean()) == pytest.approx(0.9, abs=1e-3)


def test_scale_multiplies_lengths_and_is_told(dsd_run: Run) -> None:
    outcome = dsd_run(DSD, "--scale", "0.5")
    assert outcome.code == 0
    assert json.loads((outcome.folder / "manifest.json").read_text())["scale"] == "0.5"
    plan = Plan.from_json((outcome.folder / "plan.json").read_text())
    assert [phase.duration.value for phase in plan.phases] == ["1", "1", "1"]


def test_the_dry_run_writes_nothing(dsd_run: Run) -> None:
    outcome = dsd_run(DSD, "--dry-run")
    assert outcome.code == 0
    assert not outcome.folder.exists()
    assert [row["state"] for row in outcome.result["phases"]] == ["to train"] * 3
    assert outcome.result["cost"]["updates_left"] == sum(row["updates"] for row in outcome.result["phases"])


def test_layers_can_be_written_for_the_linter(dsd_run: Run, tmp_path: Path) -> None:
    target = tmp_path / "layers.json"
    outcome = dsd_run(DSD, "--dry-run", "--write-layers", str(target))
    assert outcome.code == 0
    layers = json.loads(target.read_text())["layers"]
    assert {layer["kind"] for layer in layers} == {"fc"}


def test_a_node_that_another_process_trains_is_waited_for(dsd_run: Run) -> None:
    other = dsd_run(DSD, out="other")
    key, folder = other.result["phases"][0]["node"], other.folder.parent / "run"
    taken = threading.Event()

    def train_elsewhere() -> None:
        lease = Lease(RunFolder(folder).lease(key))
        assert lease.take()
        taken.set()
        time.sleep(2.0)
        shutil.copytree(RunFolder(other.folder).node(key), RunFolder(folder).node(key))
        lease.give_back()

    thread = threading.Thread(target=train_elsewhere)
    thread.start()
    taken.wait()
    outcome = dsd_run(DSD, "--progress", "plain")
    thread.join()
    assert "d0: trained by another process" in outcome.err
    assert "d0: dense" not in outcome.err
    assert outcome.weights() == other.weights()
