"""Reads an audio file as mono samples at one rate: wav, flac and ogg with libsndfile, resampled with torchaudio."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile
import torch
import torchaudio.functional
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import NotRegular, require_regular

LARGEST_SAMPLES = 1 << 28
"""Numbers that one piece of sound may take in memory (1 GiB): an hour in stereo at 37 kHz."""
LARGEST_RATIO = 1 << 22
"""Product of the two rates, reduced, that a resampling filter is made for: 44,100 to 16,000 Hz is 441 x 160."""


class BrokenAudioError(DsdError):
    """A file that cannot be read as audio; a data set may skip a few of them."""


def audio_seconds(path: Path) -> float:
    """The length of the file from its header; raises BrokenAudioError if there is none or no sound in it."""
    with _opened(path) as file:
        if file.frames <= 0:
            raise _broken(path, "it has no samples")
        return float(file.frames) / float(file.samplerate)


def read_audio(path: Path, *, sample_rate: int, start: int = 0, samples: int | None = None) -> Tensor:
    """Samples [L] float32 in -1..1, channels averaged, at ``sample_rate``.

    ``start`` and ``samples`` (at the file's own rate) select a part of a longer recording.
    """
    with _opened(path) as file:
        wanted = file.frames - start if samples is None else samples
        file_rate = int(file.samplerate)
        _require_modest(path, wanted, file_rate, file.channels, sample_rate)
        file.seek(start)
        channels = file.read(wanted, dtype="float32", always_2d=True)
    if channels.shape[0] < wanted or wanted <= 0:
        raise _broken(path, f"it ends after {channels.shape[0]} of {wanted} samples")
    waveform = torch.from_numpy(channels).mean(dim=1)
    if not bool(torch.isfinite(waveform).all()):
        raise _broken(path, "it has samples that are NaN or infinite")
    if file_rate == sample_rate:
        return waveform
    resampled: Tensor = torchaudio.functional.resample(waveform, file_rate, sample_rate)
    return resampled


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """The open audio file; errors of libsndfile while it is open become :class:`BrokenAudioError`."""
    try:
        require_regular(path)
        with soundfile.SoundFile(str(path)) as file:
            yield file
    except (OSError, RuntimeError, NotRegular) as error:
        raise _broken(path, error.message if isinstance(error, DsdError) else error) from error


def _require_modest(path: Path, frames: int, file_rate: int, channels: int, sample_rate: int) -> None:
    """Refuses values of a damaged or malicious header: hours of sound, or a rate that needs a huge filter."""
    expanded = frames * max(channels, sample_rate / file_rate)
    if expanded > LARGEST_SAMPLES:
        raise _broken(path, f"it claims {frames / file_rate / 3600:.1f} hours of sound, too long for one recording")
    common = math.gcd(file_rate, sample_rate)
    if (file_rate // common) * (sample_rate // common) > LARGEST_RATIO:
        raise _broken(path, f"its rate of {file_rate} Hz cannot be resampled to {sample_rate} Hz")


def _broken(path: Path, reason: object) -> BrokenAudioError:
    told = reason if path.exists() else "there is no such file"
    return BrokenAudioError(f"`{path}` cannot be read as audio: {told}")
