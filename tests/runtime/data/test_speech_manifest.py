"""Manifests: found in folders and archives, errors with file and line, and the facts of the real AN4."""

from __future__ import annotations

import json
import shutil
import tarfile

import pytest
import torch
from speech_folders import write_audio, write_manifest_folder

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.speech.manifest import open_manifest, read_manifest


@pytest.fixture
def folder(tmp_path):
    return write_manifest_folder(tmp_path / "set", {"train": 3, "val": 1, "test": 1})


def test_found_at_the_top_below_and_in_an_archive(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(folder, "set")
    shutil.copytree(folder, tmp_path / "above" / "set")
    paths = (folder, tmp_path / "above", tmp_path / "set.tar")
    assert len({open_manifest(str(path)).fingerprint for path in paths}) == 1


def test_audio_relative_to_the_manifests_parent(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    for split in ("train", "val", "test"):
        write_audio(tmp_path / "clips" / f"{split}.wav", 0.3)
        line = {"audio_filepath": f"clips/{split}.wav", "text": "go"}
        (folder / f"{split}.jsonl").write_text(json.dumps(line) + "\n\n")
    assert open_manifest(str(folder)).sizes == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{oops", "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"audio_filepath": "a.wav"}', "`text` is missing"),
        ('{"audio_filepath": 3, "text": "A"}', "`audio_filepath` is missing or is not a string"),
    ],
)
def test_errors_name_file_and_line(folder, line, words):
    manifest = folder / "train.jsonl"
    manifest.write_text(manifest.read_text() + line + "\n")
    with pytest.raises(DsdError, match=rf"train\.jsonl:4: .*{words}"):
        read_manifest(manifest)


def test_missing_manifests_are_told(folder, tmp_path):
    (folder / "val.jsonl").unlink()
    with pytest.raises(DsdError, match=r"has no `val\.jsonl`"):
        open_manifest(str(folder))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DsdError, match=r"has no `train\.jsonl`"):
        open_manifest(str(tmp_path / "nothing"))
    with pytest.raises(DsdError, match="needs a path"):
        open_manifest(None)


def test_missing_audio_names_the_manifest_line(folder):
    (folder / "train" / "1.flac").unlink()
    with pytest.raises(DsdError, match=r"train\.jsonl:2.*1\.flac"):
        open_manifest(str(folder))


def test_an4_is_read_as_published(shared_data):
    source = open_manifest(str(shared_data / "an4.tar"), sorta_grad=True)
    assert source.sizes["train"] + source.sizes["val"] == 948
    assert source.sizes["test"] == 130
    assert len(source.traits.alphabet) == 27
    texts = [text for split in ("train", "val", "test") for text in source.texts(split)]
    assert len({word for text in texts for word in text.split()}) == 101
    assert sum(len(text.split()) for text in source.texts("test")) == 773
    assert max(map(len, texts)) == 57
    batches = list(source.evaluation_batches("test", batch_size=16))
    assert sorted(text for batch in batches for text in batch.texts) == sorted(source.texts("test"))
    assert all(bool(torch.isfinite(batch.features).all()) for batch in batches)
    assert source.broken.paths == ()
