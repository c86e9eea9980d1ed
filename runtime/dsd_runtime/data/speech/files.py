"""A speech source of transcribed files, shared by `manifest:` and `librispeech:`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from dsd_lang.base.metrics import SPLITS
from dsd_runtime.data.broken_files import BrokenFiles
from dsd_runtime.data.speech.alphabet import Alphabet
from dsd_runtime.data.speech.audio import BrokenAudioError, audio_seconds
from dsd_runtime.data.speech.source import SpeechSettings, SpeechSource, broken_audio
from dsd_runtime.data.speech.store import Utterance
from dsd_runtime.storage.content import content_digests

_PROBES_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class Transcribed:
    """An audio file with its transcript and the position (file:line) of the transcript."""

    audio: Path
    text: str
    location: str
    speaker: str | None = None


def source_of_files(
    name: str,
    splits: Mapping[str, Sequence[Transcribed]],
    *,
    alphabet: Alphabet | None,
    settings: SpeechSettings,
) -> SpeechSource:
    """A source of the files with a readable header; by default the alphabet is that of the training texts."""
    chosen = alphabet or Alphabet.of(entry.text for entry in splits["train"])
    for entry in splits["train"]:
        chosen.require(entry.text, entry.location)
    broken = broken_audio(sum(len(entries) for entries in splits.values()), settings.max_broken)
    utterances = {split: _probe(splits[split], broken) for split in SPLITS}
    return SpeechSource(
        name, utterances, alphabet=chosen, settings=settings, content=_digest(utterances), broken=broken
    )


def _probe(entries: Sequence[Transcribed], broken: BrokenFiles) -> list[Utterance]:
    with ThreadPoolExecutor(_PROBES_AT_A_TIME) as pool:
        lengths = list(pool.map(_seconds_or_error, entries))
    found = []
    for entry, seconds in zip(entries, lengths, strict=True):
        if isinstance(seconds, BrokenAudioError):
            broken.report(entry.audio, f"{entry.location}: {seconds.message}")
        else:
            found.append(Utterance(entry.audio, entry.text, seconds, speaker=entry.speaker))
    return found


def _seconds_or_error(entry: Transcribed) -> float | BrokenAudioError:
    try:
        return audio_seconds(entry.audio)
    except BrokenAudioError as error:
        return error


def _digest(utterances: Mapping[str, Sequence[Utterance]]) -> str:
    everything = [(split, utterance) for split in SPLITS for utterance in utterances[split]]
    contents = content_digests([utterance.audio for _, utterance in everything])
    digest = hashlib.sha256()
    for (split, utterance), content in zip(everything, contents, strict=True):
        digest.update("\0".join((split, utterance.audio.name, content, utterance.text, "")).encode())
    return digest.hexdigest()
