"""Reads LibriSpeech as published (`--data librispeech:PATH`).

PATH is the folder (or archive) with `train-clean-100`, `dev-clean`, `test-clean` and so on, possibly inside the folder
`LibriSpeech`; below them `SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt` with one `ID TRANSCRIPT` per line beside
`ID.flac`. By default every `train-*` folder is used for training, every `dev-*` for validation and every `test-*` for
test; options select others. The alphabet is fixed: space, apostrophe, A to Z (29 outputs with the blank).
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Unpack

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.archive import resolve_archive
from dsd_runtime.data.speech.alphabet import ENGLISH, Alphabet
from dsd_runtime.data.speech.files import Transcribed, source_of_files
from dsd_runtime.data.speech.source import SpeechOptions, SpeechSource, speech_settings, takes_speech_options
from dsd_runtime.data.text_files import read_text

CAPITALS = Alphabet(tuple(symbol.upper() for symbol in ENGLISH))
_AUDIO_SUFFIXES = (".flac", ".wav", ".ogg")


@takes_speech_options
def open_librispeech(
    path: str | None,
    *,
    train: str = "train-*",
    val: str = "dev-*",
    test: str = "test-*",
    **options: Unpack[SpeechOptions],
) -> SpeechSource:
    """The utterances in ``path``; ``train``, ``val`` and ``test`` are folder patterns separated by commas."""
    if path is None:
        raise DsdError("`librispeech` needs a path", help="write `librispeech:PATH`")
    settings = speech_settings(**options)
    root = resolve_archive(path)
    root = root / "LibriSpeech" if (root / "LibriSpeech").is_dir() else root
    patterns = {"train": train, "val": val, "test": test}
    splits = {split: _read_split(root, split, pattern) for split, pattern in patterns.items()}
    return source_of_files(f"librispeech:{Path(path).name}", splits, alphabet=CAPITALS, settings=settings)


def read_transcripts(transcripts: Path) -> list[Transcribed]:
    """The entries of one `*.trans.txt`; DsdError with file and line for one without a transcript."""
    entries = []
    for number, line in enumerate(read_text(transcripts).splitlines(), start=1):
        identity, _, text = line.strip().partition(" ")
        if identity and not text:
            raise DsdError(f"{transcripts}:{number}: no transcript after `{identity}`", help="write `ID TRANSCRIPT`")
        if identity:
            speaker = identity.split("-")[0]
            entries.append(Transcribed(_audio(transcripts.parent / identity), text, f"{transcripts}:{number}", speaker))
    return entries


def _audio(stem: Path) -> Path:
    candidates = [stem.parent / f"{stem.name}{suffix}" for suffix in _AUDIO_SUFFIXES]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def _read_split(root: Path, split: str, pattern: str) -> list[Transcribed]:
    wanted = [part.strip() for part in pattern.split(",")]
    present = sorted(folder for folder in root.iterdir() if folder.is_dir())
    chosen = [folder for folder in present if any(fnmatch(folder.name, part) for part in wanted)]
    if not chosen:
        names = ", ".join(f"`{folder.name}`" for folder in present) or "no folder"
        raise DsdError(f"`{root}` has no folder `{pattern}` for {split}; it has {names}", help=f"set `{split}`")
    transcripts = [file for folder in chosen for file in sorted(folder.rglob("*.trans.txt"))]
    entries = [entry for file in transcripts for entry in read_transcripts(file)]
    if not entries:
        raise DsdError(f"`{root}` has no transcripts (`*.trans.txt`) under `{pattern}`")
    return entries
