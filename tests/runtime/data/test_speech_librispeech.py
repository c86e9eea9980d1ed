"""LibriSpeech's layout: splits from folder names, transcripts per chapter, a fixed alphabet."""

from __future__ import annotations

import pytest
from speech_folders import write_audio

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.speech.librispeech import open_librispeech

SETS = {"train-clean-100": 3, "train-other-500": 2, "dev-clean": 2, "test-clean": 1, "test-other": 1}


@pytest.fixture
def root(tmp_path):
    for number, (name, count) in enumerate(SETS.items()):
        chapter = tmp_path / "LibriSpeech" / name / str(19 + number) / "198"
        identities = [f"{19 + number}-198-{index:04d}" for index in range(count)]
        for index, identity in enumerate(identities):
            write_audio(chapter / f"{identity}.flac", 0.3 + 0.1 * index)
        lines = [f"{identity} DON'T GO {'ON ' * index}".strip() for index, identity in enumerate(identities)]
        (chapter / f"{19 + number}-198.trans.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_splits_come_from_folder_names(root):
    source = open_librispeech(str(root))
    assert source.sizes == {"train": 5, "val": 2, "test": 2}
    assert source.traits.num_symbols == 29
    assert source.texts("val") == ("DON'T GO", "DON'T GO ON")
    assert open_librispeech(str(root / "LibriSpeech")).fingerprint == source.fingerprint
    batch = next(source.evaluation_batches("test", batch_size=2))
    assert batch.texts == ("DON'T GO", "DON'T GO")


def test_options_choose_the_folders(root):
    source = open_librispeech(str(root), train="train-clean-100", test="test-other, test-clean")
    assert source.sizes == {"train": 3, "val": 2, "test": 2}
    with pytest.raises(DsdError, match=r"no folder `train-clean-360` for train; it has `dev-clean`"):
        open_librispeech(str(root), train="train-clean-360")


def test_errors_name_file_and_line(root):
    transcripts = next(root.rglob("19-198.trans.txt"))
    transcripts.write_text("19-198-0000 GO\n19-198-0001\n")
    with pytest.raises(DsdError, match=r"19-198\.trans\.txt:2: no transcript after `19-198-0001`"):
        open_librispeech(str(root))
    transcripts.write_text("19-198-0000 GO\n19-198-0001 go\n")
    with pytest.raises(DsdError, match=r"19-198\.trans\.txt:2: the character `g` is not in the alphabet"):
        open_librispeech(str(root))
    with pytest.raises(DsdError, match="needs a path"):
        open_librispeech(None)
