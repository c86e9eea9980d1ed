"""A lease has one holder; it ends with its process, or when its machine gives no sign of life any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment import leases
from dsd_runtime.experiment.leases import Lease, Membership, is_in_use

HOLD = """
import socket, sys, time
if len(sys.argv) > 2:
    socket.gethostname = lambda: sys.argv[2]
from pathlib import Path
from dsd_runtime.experiment import leases
leases.LEASE_SECONDS = 1.0
lease = leases.Lease(Path(sys.argv[1]))
assert lease.take()
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def holding(repository: Path, path: Path, *host: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lease, as if on a machine of that name."""
    environment = {**os.environ, "PYTHONPATH": f"{repository}{os.pathsep}{repository / 'runtime'}"}
    command = [sys.executable, "-c", HOLD, str(path), *host]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 1.0)


def test_a_lease_has_one_holder(tmp_path: Path) -> None:
    one, other = Lease(tmp_path / "x" / "a.lock"), Lease(tmp_path / "x" / "a.lock")
    assert one.take()
    assert not other.take()
    one.give_back()
    assert other.take()
    other.give_back()
    assert list((tmp_path / "x").iterdir()) == []


def test_the_lease_of_a_process_that_was_killed_is_free_at_once(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holding(repository, path) as process:
        assert not Lease(path).take()
        process.send_signal(signal.SIGKILL)
        process.wait()
        lease = Lease(path)
        assert lease.take(wait=0.5)
        lease.give_back()


def test_the_lease_of_a_machine_that_is_gone_is_free_when_it_was_watched_for_long_enough(
    repository: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.lock"
    with holding(repository, path, "far-away") as process:
        lease = Lease(path)
        assert not lease.take(wait=1.5), "its holder touches it"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not lease.take(), "nobody knows yet"
        assert lease.take(wait=5.0)
        lease.give_back()


def test_a_lease_whose_holder_was_killed_before_it_wrote_its_name_ends_as_well(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.write_text("")
    lease = Lease(path)
    assert not lease.take(), "it may be about to be written"
    assert not lease.take(wait=0.5)
    assert lease.take(wait=5.0)
    assert not Lease(path).take()
    lease.give_back()


def test_who_stood_still_for_too_long_notices_that_the_lease_is_another_s(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    lease = Lease(path)
    assert lease.take()
    path.unlink()  # as if it had expired and been taken
    with holding(repository, path):
        until = time.monotonic() + 5.0
        while not lease.is_lost and time.monotonic() < until:
            time.sleep(0.05)
        assert lease.is_lost
        lease.give_back()
        assert path.is_file(), "the new holder's is not touched"


def test_members_see_each_other_and_not_the_dead(repository: Path, tmp_path: Path) -> None:
    membership = Membership(tmp_path)
    with membership.joined():
        assert membership.others() == 0
        with holding(repository, tmp_path / "run-0.lock") as process:
            assert membership.others() == 1
            assert is_in_use(tmp_path)
            process.kill()
            process.wait()
            assert membership.others() == 0
    assert not is_in_use(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DsdError, match="cannot write to"):
        Lease(tmp_path / "file" / "a.lock").take()


def test_only_one_process_writes_the_plan_and_the_results_at_a_time(tmp_path: Path) -> None:
    with Membership(tmp_path).alone():
        assert not Lease(tmp_path / "folder.lock").take()
    lease = Lease(tmp_path / "folder.lock")
    assert lease.take()
    lease.give_back()
