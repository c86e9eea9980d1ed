"""Reads speech listed by JSON-lines manifests (`--data manifest:PATH`).

PATH is a folder or an archive with `train.jsonl`, `val.jsonl` and `test.jsonl`, at the top or one folder deeper. Each
line is an object with `audio_filepath` (relative to the manifest's folder or its parent, or absolute) and `text`, and
optionally `speaker`, by which errors on the test data are grouped, and `duration`, which is not used: the length is
read from the audio file. Transcripts are used as written, including letter case. The alphabet is the characters of the
training transcripts in the order of their code points.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Unpack

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import SPLITS
from dsd_runtime.data.archive import resolve_archive
from dsd_runtime.data.speech.files import Transcribed, source_of_files
from dsd_runtime.data.speech.source import SpeechOptions, SpeechSource, speech_settings, takes_speech_options
from dsd_runtime.data.text_files import read_text

_LINE = '{"audio_filepath": "clips/one.flac", "duration": 1.5, "text": "YES"}'


@takes_speech_options
def open_manifest(path: str | None, **options: Unpack[SpeechOptions]) -> SpeechSource:
    """The utterances listed by the three manifests in ``path``."""
    if path is None:
        raise DsdError("`manifest` needs a path", help="write `manifest:PATH`")
    settings = speech_settings(**options)
    folder = _find_manifests(resolve_archive(path), path)
    splits = {split: read_manifest(folder / f"{split}.jsonl") for split in SPLITS}
    return source_of_files(f"manifest:{Path(path).name}", splits, alphabet=None, settings=settings)


def read_manifest(manifest: Path) -> list[Transcribed]:
    """The entries of one manifest; DsdError with file and line for one that is not an object with sound and text."""
    lines = read_text(manifest).splitlines()
    return [
        _read_line(line, manifest, f"{manifest}:{number}") for number, line in enumerate(lines, start=1) if line.strip()
    ]


def _read_line(line: str, manifest: Path, location: str) -> Transcribed:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        raise DsdError(f"{location}: this line is not JSON ({error.msg})", help=f"write {_LINE}") from error
    if not isinstance(entry, dict):
        raise DsdError(f"{location}: this line is not a JSON object", help=f"write {_LINE}")
    for field in ("audio_filepath", "text"):
        if not isinstance(entry.get(field), str):
            raise DsdError(f"{location}: the field `{field}` is missing or is not a string", help=f"write {_LINE}")
    speaker = entry.get("speaker")
    if speaker is not None and not isinstance(speaker, str | int):
        raise DsdError(
            f"{location}: the field `speaker` is not a string", help='write `"speaker": "f01"`, or leave it out'
        )
    audio = _resolve(entry["audio_filepath"], manifest)
    return Transcribed(audio, entry["text"], location, None if speaker is None else str(speaker))


def _resolve(audio: str, manifest: Path) -> Path:
    beside = manifest.parent / audio
    above = manifest.parent.parent / audio
    return above if above.exists() and not beside.exists() else beside


def _find_manifests(root: Path, path: str) -> Path:
    candidates = [root, *sorted(folder for folder in root.iterdir() if folder.is_dir())]
    found = [folder for folder in candidates if (folder / "train.jsonl").is_file()]
    if len(found) != 1:
        problem = "has no `train.jsonl`" if not found else f"has `train.jsonl` in {len(found)} folders"
        raise DsdError(f"`{path}` {problem}", help="give the folder that has train.jsonl, val.jsonl and test.jsonl")
    for split in SPLITS:
        if not (found[0] / f"{split}.jsonl").is_file():
            raise DsdError(f"`{found[0]}` has no `{split}.jsonl`", help="each split needs a manifest")
    return found[0]
