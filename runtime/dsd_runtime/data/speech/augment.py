"""Masks frequency bands and time intervals of features (SpecAugment, arXiv:1904.08779) with torchaudio.

Results are a function of (key, epoch, utterance): torchaudio draws from the global generator, which is seeded for each
utterance and restored afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torchaudio.transforms
from torch import Tensor

_SEED_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class SpecAugment:
    """How many masks, how wide (frames, bins), and the largest share of an utterance that one time mask may cover."""

    num_time_masks: int = 2
    time_frames: int = 40
    num_frequency_masks: int = 2
    frequency_bins: int = 20
    largest_share: float = 0.2

    def apply(self, features: Tensor, *, key: int, epoch: int, utterance: int) -> Tensor:
        """Features [T, F] to a masked copy; masked cells are 0, the mean of normalised features."""
        mask = torchaudio.transforms.SpecAugment(
            n_time_masks=self.num_time_masks,
            time_mask_param=self.time_frames,
            n_freq_masks=self.num_frequency_masks,
            freq_mask_param=self.frequency_bins,
            iid_masks=False,
            p=self.largest_share,
            zero_masking=True,
        )
        words = np.random.SeedSequence([key & _SEED_MASK, epoch, utterance]).generate_state(1, np.uint64)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(words[0]))
            masked: Tensor = mask(features.T[None].clone())[0].T.contiguous()
        return masked
