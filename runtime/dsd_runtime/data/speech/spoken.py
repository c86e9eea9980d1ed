"""The built-in corpus of spoken commands and numbers (`--data spoken`).

Synthesized by `tools/make_spoken_corpus.py`: 900/120/120 utterances of one to three words out of 24, each split with
its own voices. The alphabet is fixed: space, apostrophe, a to z (29 outputs with the blank).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Unpack

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.speech.alphabet import ENGLISH, Alphabet
from dsd_runtime.data.speech.source import SpeechOptions, SpeechSource, speech_settings, takes_speech_options
from dsd_runtime.data.speech.store import Utterance

CORPUS = Path(__file__).resolve().parents[1] / "corpora" / "spoken"


@takes_speech_options
def open_spoken(path: str | None = None, **options: Unpack[SpeechOptions]) -> SpeechSource:
    """The built-in corpus; ``path`` must be None. By default no file may be broken."""
    if path is not None:
        raise DsdError("`spoken` takes no path", help="for your own recordings write `manifest:PATH`")
    options.setdefault("max_broken", 0.0)
    settings = speech_settings(**options)
    described_in = (CORPUS / "index.json").read_bytes()
    index = json.loads(described_in)
    content = hashlib.sha256(described_in)
    splits = {}
    for split, described in index["splits"].items():
        recording = CORPUS / described["file"]
        digest = hashlib.sha256(recording.read_bytes()).hexdigest()
        if digest != described["sha256"]:
            raise DsdError(
                f"`{recording}` differs from the file that belongs to the corpus", help="reinstall the package"
            )
        content.update(digest.encode())
        splits[split] = _utterances(recording, described["utterances"], index["sample_rate"])
    return SpeechSource("spoken", splits, alphabet=Alphabet(ENGLISH), settings=settings, content=content.hexdigest())


def _utterances(recording: Path, entries: list[dict[str, Any]], rate: int) -> list[Utterance]:
    return [
        Utterance(recording, entry["text"], entry["samples"] / rate, start=entry["start"], samples=entry["samples"])
        for entry in entries
    ]
