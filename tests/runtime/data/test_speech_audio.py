"""Audio files of every kind become mono samples at one rate; features are what the definition says."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from speech_folders import RATE, tone, write_audio

from dsd_runtime.data.speech import audio
from dsd_runtime.data.speech.audio import BrokenAudioError, audio_seconds, read_audio
from dsd_runtime.data.speech.augment import SpecAugment
from dsd_runtime.data.speech.features import FeatureSettings, log_spectrogram, measure_normalisation


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 1e-4), ("flac", 1e-4), ("ogg", 0.1)])
def test_formats(tmp_path, suffix, tolerance):
    path = tmp_path / f"a.{suffix}"
    write_audio(path, 0.5)
    samples = read_audio(path, sample_rate=RATE)
    assert samples.shape == (RATE // 2,)
    assert samples.dtype == torch.float32
    np.testing.assert_allclose(samples.numpy(), tone(0.5), atol=tolerance)
    assert audio_seconds(path) == 0.5


def test_stereo_is_averaged_and_another_rate_resampled(tmp_path):
    left = tone(0.5, pitch=300, rate=8000)
    soundfile.write(tmp_path / "a.wav", np.stack([left, np.zeros_like(left)], 1), 8000)
    samples = read_audio(tmp_path / "a.wav", sample_rate=RATE)
    assert samples.shape == (RATE // 2,)
    spectrum = torch.fft.rfft(samples).abs()
    assert int(spectrum.argmax()) == 150  # 300 Hz in half a second
    assert 0.1 < float(samples.abs().max()) < 0.2


def test_a_stretch_equals_the_slice(tmp_path):
    write_audio(tmp_path / "a.ogg", 2.0)
    whole = read_audio(tmp_path / "a.ogg", sample_rate=RATE)
    assert torch.equal(read_audio(tmp_path / "a.ogg", sample_rate=RATE, start=7777, samples=5000), whole[7777:12777])


def test_broken_files_name_themselves(tmp_path):
    write_audio(tmp_path / "whole.flac", 1.0)
    whole = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "half.flac").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "junk.flac").write_bytes(b"no sound")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), RATE)
    for name in ("half.flac", "junk.flac", "empty.wav", "absent.flac"):
        with pytest.raises(BrokenAudioError, match=name):
            read_audio(tmp_path / name, sample_rate=RATE)
    for name in ("junk.flac", "empty.wav", "absent.flac"):
        with pytest.raises(BrokenAudioError, match=name):
            audio_seconds(tmp_path / name)


def test_features_are_the_log_power_of_hann_windows():
    settings = FeatureSettings()
    samples = torch.from_numpy(tone(0.1))
    features = log_spectrogram(samples, settings)
    assert features.shape == (settings.num_frames(0.1), 161) == (9, 161)
    window = torch.hann_window(320)
    by_hand = torch.stack([torch.fft.rfft(samples[160 * t : 160 * t + 320] * window).abs() ** 2 for t in range(9)])
    torch.testing.assert_close(features, torch.log(by_hand + settings.epsilon), rtol=1e-3, atol=1e-2)


def test_shorter_than_a_window_is_padded():
    assert log_spectrogram(torch.ones(10), FeatureSettings()).shape == (1, 161)
    assert FeatureSettings().num_frames(0.001) == 1


def test_normalisation_is_over_all_frames():
    utterances = [torch.randn(5, 3) * 2 + 1, torch.randn(9, 3)]
    normalisation = measure_normalisation(utterances)
    together = torch.cat(utterances)
    torch.testing.assert_close(normalisation.mean, together.mean(0))
    torch.testing.assert_close(normalisation.deviation, together.std(0, correction=0))
    assert torch.isfinite(measure_normalisation([torch.ones(4, 3)]).apply(torch.ones(4, 3))).all()


def test_augmentation_is_a_function_of_key_epoch_and_utterance():
    features = torch.ones(200, 161)
    before = torch.random.get_rng_state()
    masked = SpecAugment().apply(features, key=1, epoch=2, utterance=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(masked, SpecAugment().apply(features, key=1, epoch=2, utterance=3))
    others = [(9, 2, 3), (1, 9, 3), (1, 2, 9)]
    assert not any(
        torch.equal(masked, SpecAugment().apply(features, key=k, epoch=e, utterance=u)) for k, e, u in others
    )
    assert 0 < int((masked == 0).sum()) < masked.numel() // 2
    assert bool((features == 1).all())


def test_a_header_that_claims_hours_is_not_believed(tmp_path, monkeypatch):
    write_audio(tmp_path / "a.wav", 2.0)
    monkeypatch.setattr(audio, "LARGEST_SAMPLES", RATE)
    with pytest.raises(BrokenAudioError, match="hours of sound, too long for one recording"):
        read_audio(tmp_path / "a.wav", sample_rate=RATE)
    assert len(read_audio(tmp_path / "a.wav", sample_rate=RATE, samples=RATE)) == RATE
    with pytest.raises(BrokenAudioError, match="too long"):  # it would become eight times as long
        read_audio(tmp_path / "a.wav", sample_rate=8 * RATE, samples=RATE)


def test_a_rate_that_takes_a_huge_filter_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(0.1), 44_101)
    with pytest.raises(BrokenAudioError, match="its rate of 44101 Hz cannot be resampled to 16000 Hz"):
        read_audio(tmp_path / "a.wav", sample_rate=RATE)


def test_a_device_is_no_sound(tmp_path):
    (tmp_path / "a.wav").symlink_to("/dev/zero")
    for read in (audio_seconds, lambda path: read_audio(path, sample_rate=RATE)):
        with pytest.raises(BrokenAudioError, match="is a device"):
            read(tmp_path / "a.wav")
