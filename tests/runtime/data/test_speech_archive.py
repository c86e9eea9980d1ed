"""Archives: unpacked once, atomically, and never outside their folder."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.data import unpacking
from dsd_runtime.data.archive import resolve_archive


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("DSD_CACHE", str(folder))
    return folder


def make_tar(path: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def make_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_folder_passes_through(tmp_path):
    assert resolve_archive(tmp_path) == tmp_path


@pytest.mark.parametrize(("suffix", "mode"), [(".tar", "w"), (".tar.gz", "w:gz"), (".tgz", "w:gz")])
def test_tar_is_unpacked_to_the_cache(tmp_path, cache, suffix, mode):
    folder = resolve_archive(make_tar(tmp_path / f"set{suffix}", {"set/a.txt": b"hello"}, mode))
    assert (folder / "set" / "a.txt").read_bytes() == b"hello"
    assert cache in folder.parents
    assert os.listdir(folder.parent) == [folder.name]


def test_zip_is_unpacked(tmp_path):
    assert (resolve_archive(make_zip(tmp_path / "set.zip", {"a.txt": b"x"})) / "a.txt").read_bytes() == b"x"


def test_second_call_does_not_unpack_again(tmp_path):
    archive = make_tar(tmp_path / "set.tar", {"a.txt": b"x"})
    folder = resolve_archive(archive)
    (folder / "a.txt").write_bytes(b"kept")
    assert resolve_archive(str(archive)) == folder
    assert (folder / "a.txt").read_bytes() == b"kept"


def test_a_changed_archive_gets_its_own_folder(tmp_path):
    archive = make_tar(tmp_path / "set.tar", {"a.txt": b"x"})
    first = resolve_archive(archive)
    make_tar(archive, {"a.txt": b"y"})
    os.utime(archive, ns=(1, 1))
    second = resolve_archive(archive)
    assert first != second
    assert (second / "a.txt").read_bytes() == b"y"


@pytest.mark.parametrize("name", ["../escape.txt", "a/../../escape.txt"])
def test_tar_members_outside_are_refused(tmp_path, cache, name):
    with pytest.raises(DsdError, match="unsafe member"):
        resolve_archive(make_tar(tmp_path / "bad.tar", {"fine.txt": b"x", name: b"x"}))
    assert not list(tmp_path.rglob("escape.txt"))
    assert os.listdir(cache / "archives") == []


@pytest.mark.parametrize("name", ["../escape.txt", "/escape.txt", "a\\..\\..\\escape.txt", "C:\\escape.txt"])
def test_zip_members_outside_are_refused(tmp_path, cache, name):
    with pytest.raises(DsdError, match="unsafe member"):
        resolve_archive(make_zip(tmp_path / "bad.zip", {name: b"x"}))
    assert os.listdir(cache / "archives") == []


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "link.tar"
    with tarfile.open(path, "w") as archive:
        header = tarfile.TarInfo("link")
        header.type, header.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(header)
    with pytest.raises(DsdError, match="has `link`, which is a link"):
        resolve_archive(path)


def test_damaged_and_absent_archives_are_told(tmp_path, cache):
    whole = make_tar(tmp_path / "whole.tar.gz", {"a": b"x" * 50_000}, "w:gz").read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.zip").write_bytes(b"junk")
    (tmp_path / "notes.txt").write_text("x")
    for name, words in (
        ("half.tar.gz", "unpacked"),
        ("junk.zip", "unpacked"),
        ("notes.txt", "not a folder or an archive"),
    ):
        with pytest.raises(DsdError, match=words):
            resolve_archive(tmp_path / name)
    with pytest.raises(DsdError, match="does not exist"):
        resolve_archive(tmp_path / "absent.tar")
    assert os.listdir(cache / "archives") == []


def test_an_archive_made_to_fill_the_disk_is_refused(tmp_path, cache, monkeypatch):
    monkeypatch.setattr(unpacking, "FREE_BYTES", 1 << 16)
    zeros = {"zeros.bin": bytes(1 << 22)}
    bomb = make_tar(tmp_path / "bomb.tar.gz", zeros, "w:gz")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.bin", zeros["zeros.bin"])
    for path in (bomb, tmp_path / "bomb.zip"):
        with pytest.raises(DsdError, match="unpacks to more than 200 times its size"):
            resolve_archive(path)
    assert os.listdir(cache / "archives") == []
    monkeypatch.setattr(unpacking, "LARGEST_COUNT", 2)
    with pytest.raises(DsdError, match="more than 2 members"):
        resolve_archive(make_tar(tmp_path / "many.tar", {str(number): b"" for number in range(3)}))


def test_a_header_too_large_for_any_name_is_not_read(tmp_path):
    path = tmp_path / "header.tar"
    with tarfile.open(path, "w") as archive:
        header = tarfile.TarInfo("././@LongLink")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2 << 20
        archive.addfile(header, io.BytesIO(bytes(2 << 20)))
    with pytest.raises(DsdError, match="cannot be unpacked"):
        resolve_archive(path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_only_files_and_folders_are_unpacked(tmp_path, kind):
    """The bypass of CVE-2025-4517 needs links; there are none, and files get no mode of the archive's."""
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as archive:
        header = tarfile.TarInfo("folder")
        header.type = tarfile.DIRTYPE
        archive.addfile(header)
        header = tarfile.TarInfo("folder/odd")
        header.type, header.linkname = kind, "x" * 300
        archive.addfile(header)
    with pytest.raises(DsdError, match="has `folder/odd`, which is"):
        resolve_archive(path)
    plain = tmp_path / "plain.tar"
    with tarfile.open(plain, "w") as archive:
        header = tarfile.TarInfo("program")
        header.mode = 0o6777
        archive.addfile(header)
    assert (resolve_archive(plain) / "program").stat().st_mode & 0o7111 == 0


def test_the_same_name_size_and_time_with_other_content_is_another_archive(tmp_path):
    archive = make_tar(tmp_path / "set.tar", {"a.txt": b"x"})
    before = archive.stat()
    first = resolve_archive(archive)
    make_tar(archive, {"a.txt": b"y"})
    os.utime(archive, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert archive.stat().st_size == before.st_size
    assert (first / "a.txt").read_bytes() == b"x"
    assert (resolve_archive(archive) / "a.txt").read_bytes() == b"y"


def test_a_device_is_no_archive(tmp_path):
    (tmp_path / "set.tar").symlink_to("/dev/zero")
    with pytest.raises(DsdError, match="is a device"):
        resolve_archive(tmp_path / "set.tar")
