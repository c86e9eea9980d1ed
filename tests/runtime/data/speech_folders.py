"""Small speech data sets written to disk for tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000


def tone(seconds: float, *, pitch: float = 440.0, rate: int = RATE) -> np.ndarray:
    """A tone with a little seeded noise, [L] float32."""
    clock = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(int(pitch)).normal(0, 0.01, len(clock))
    return (0.3 * np.sin(2 * np.pi * pitch * clock) + noise).astype(np.float32)


def write_audio(path: Path, seconds: float, *, pitch: float = 440.0, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(seconds, pitch=pitch, rate=rate), rate)


def write_manifest_folder(folder: Path, sizes: dict[str, int] | None = None) -> Path:
    """`{train,val,test}.jsonl` with flac files of different lengths; texts "A", "AB", "AB C" in turn."""
    for split, count in (sizes or {"train": 10, "val": 3, "test": 2}).items():
        lines = []
        for number in range(count):
            seconds = 0.2 + 0.03 * ((number * 7) % 10)
            name = f"{split}/{number}.flac"
            write_audio(folder / name, seconds, pitch=200 + 50 * number)
            text = ("A", "AB", "AB C")[number % 3]
            lines.append(json.dumps({"audio_filepath": name, "duration": seconds, "text": text}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return folder
