"""An audio file in, mono samples at one rate out: wav, flac and ogg through libsndfile, resampled by torchaudio."""

from __future__ import annotations

from pathlib import Path

import soundfile
import torch
import torchaudio.functional
from torch import Tensor

from dsd_lang.base.errors import DsdError


class BrokenAudioError(DsdError):
    """One file that cannot be read as audio; a data set may pass over a few of them."""


def audio_seconds(path: Path) -> float:
    """The length of the file by its header; BrokenAudioError when there is none or no sound in it."""
    try:
        header = soundfile.info(str(path))
    except (OSError, RuntimeError) as error:
        raise _broken(path, error) from error
    if header.frames <= 0:
        raise _broken(path, "it holds no samples")
    return float(header.frames) / float(header.samplerate)


def read_audio(path: Path, *, sample_rate: int, start: int = 0, samples: int | None = None) -> Tensor:
    """Samples [L] float32 in -1..1, channels averaged, at ``sample_rate``.

    ``start`` and ``samples`` (counted at the file's own rate) pick a stretch of a longer recording.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            wanted = file.frames - start if samples is None else samples
            file.seek(start)
            channels = file.read(wanted, dtype="float32", always_2d=True)
            file_rate = int(file.samplerate)
    except (OSError, RuntimeError) as error:
        raise _broken(path, error) from error
    if channels.shape[0] < wanted or wanted <= 0:
        raise _broken(path, f"it ends after {channels.shape[0]} of {wanted} samples")
    waveform = torch.from_numpy(channels).mean(dim=1)
    if not bool(torch.isfinite(waveform).all()):
        raise _broken(path, "it holds samples that are not numbers")
    if file_rate == sample_rate:
        return waveform
    resampled: Tensor = torchaudio.functional.resample(waveform, file_rate, sample_rate)
    return resampled


def _broken(path: Path, reason: object) -> BrokenAudioError:
    told = reason if path.exists() else "there is no such file"
    return BrokenAudioError(f"`{path}` cannot be read as audio: {told}")
