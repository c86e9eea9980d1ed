"""Computes normalised features of utterances; small sets are decoded once and kept in memory.

Shape legend: T frames, F frequency bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.broken_files import BrokenFiles
from dsd_runtime.data.speech.audio import BrokenAudioError, read_audio
from dsd_runtime.data.speech.features import FeatureSettings, Normalisation, log_spectrogram, measure_normalisation

NORMALISATION_UTTERANCES = 256
"""Training utterances, evenly spread over the set, that the mean and deviation of each bin are taken from."""

_BYTES_PER_NUMBER = 4


@dataclass(frozen=True, slots=True)
class Utterance:
    """One transcript and its sound: a file, or ``samples`` samples of it from ``start`` on."""

    audio: Path
    text: str
    seconds: float
    start: int = 0
    samples: int | None = None
    speaker: str | None = None


class FeatureStore:
    """Features of utterances; the values are the same whether they come from memory or from the file."""

    def __init__(
        self,
        train: Sequence[Utterance],
        *,
        settings: FeatureSettings,
        broken: BrokenFiles,
        is_kept: bool,
    ) -> None:
        self._train = train
        self._settings = settings
        self._broken = broken
        self._is_kept = is_kept
        self._features: dict[Utterance, Tensor] = {}
        self._normalisation: Normalisation | None = None

    def prepare(self) -> None:
        """Measures the normalisation, once, before several threads ask for features."""
        if self._settings.normalise == "train" and self._normalisation is None:
            step = max(1, len(self._train) // NORMALISATION_UTTERANCES)
            spectrograms = [self._spectrogram(utterance) for utterance in self._train[::step]]
            readable = [features for features in spectrograms if features is not None]
            if not readable:
                raise DsdError("no training utterance could be read", help="check the audio files")
            self._normalisation = measure_normalisation(readable)

    def normalisation(self) -> Normalisation | None:
        """The normalisation of the training utterances; None if each utterance has its own."""
        self.prepare()
        return self._normalisation

    def normalised_by(self, normalisation: Normalisation) -> FeatureStore:
        """A store of the same utterances with a given normalisation."""
        other = FeatureStore(self._train, settings=self._settings, broken=self._broken, is_kept=self._is_kept)
        other._normalisation = normalisation
        return other

    def features(self, utterance: Utterance) -> Tensor | None:
        """Normalised features [T, F] float32, or None for a broken file (which has been reported)."""
        kept = self._features.get(utterance)
        if kept is not None:
            return kept
        spectrogram = self._spectrogram(utterance)
        if spectrogram is None:
            return None
        normalisation = self._normalisation or measure_normalisation([spectrogram])
        features = normalisation.apply(spectrogram)
        if self._is_kept:
            self._features[utterance] = features
        return features

    def _spectrogram(self, utterance: Utterance) -> Tensor | None:
        try:
            waveform = read_audio(
                utterance.audio,
                sample_rate=self._settings.sample_rate,
                start=utterance.start,
                samples=utterance.samples,
            )
        except BrokenAudioError as error:
            self._broken.report(utterance.audio, error.message)
            return None
        with torch.no_grad():
            return log_spectrogram(waveform, self._settings)


def features_bytes(utterances: Sequence[Utterance], settings: FeatureSettings) -> int:
    """The memory for the features of all these utterances."""
    num_frames = sum(settings.num_frames(utterance.seconds) for utterance in utterances)
    return num_frames * settings.num_bins * _BYTES_PER_NUMBER
