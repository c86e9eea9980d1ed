"""Generates the embedded corpus `spoken`: short commands and numbers spoken by espeak-ng in many voices.

Run once by a maintainer, with espeak-ng installed; the result is package data, so that nobody else needs it:

    python tools/make_spoken_corpus.py [--out runtime/dsd_runtime/data/corpora/spoken]

A voice is an accent with one of espeak-ng's variants (`en-029+f2`), and each belongs to one split: no voice of `val` or
`test` is heard in training, though its accent and its variant are, in other pairs. Speed, pitch and loudness are drawn
for each utterance from a fixed seed. A split is one Ogg Vorbis file with all its utterances end to end; `index.json`
says where each starts, how long it is and what is said.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
import torchaudio.functional

SAMPLE_RATE = 16_000
SEED = 1
COMPRESSION = 0.7
"""0 is the best quality and largest file, 1 the smallest."""

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COMMANDS = (
    *("yes", "no", "go", "stop", "left", "right", "up", "down", "on", "off"),
    *("open", "start", "help", "don't"),
)
WORDS = (*NUMBERS, *COMMANDS)
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us-nyc")


VARIANTS = (*("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"), *("f1", "f2", "f3", "f4", "f5"), "klatt", "klatt2")


@dataclass(frozen=True, slots=True)
class Split:
    """The voices (out of every ten) of a split, and its number of utterances."""

    name: str
    turns: tuple[int, ...]
    num_utterances: int

    @property
    def voices(self) -> list[str]:
        """Pairs of accent and variant that no other split has."""
        pairs = [(a, v) for a in range(len(ACCENTS)) for v in range(len(VARIANTS))]
        return [f"{ACCENTS[a]}+{VARIANTS[v]}" for a, v in pairs if (3 * a + v) % 10 in self.turns]


SPLITS = (Split("train", (0, 1, 2, 4, 5, 6, 7, 8), 900), Split("val", (3,), 120), Split("test", (9,), 120))


@dataclass(frozen=True, slots=True)
class Saying:
    """One utterance: words, espeak-ng voice, words per minute, pitch (0 to 99), peak amplitude."""

    text: str
    voice: str
    speed: int
    pitch: int
    peak: float


def draw_sayings(split: Split) -> list[Saying]:
    """The split's utterances: 1 to 3 words each, with every voice and word about equally often."""
    chance = random.Random(f"{SEED} {split.name}")
    sayings, bag = [], list[str]()
    for number in range(split.num_utterances):
        voice = split.voices[number % len(split.voices)]
        words = []
        for _ in range(chance.choice((1, 2, 2, 3))):
            if not bag:
                bag = chance.sample(WORDS, len(WORDS))
            words.append(bag.pop())
        speed, pitch = chance.randrange(150, 221), chance.randrange(30, 71)
        sayings.append(Saying(" ".join(words), voice, speed, pitch, chance.uniform(0.2, 0.8)))
    return sayings


def synthesize(saying: Saying) -> np.ndarray:
    """Samples [L] float32 at SAMPLE_RATE."""
    command = ["espeak-ng", "-v", saying.voice, "-s", str(saying.speed), "-p", str(saying.pitch), "--stdout"]
    spoken = subprocess.run([*command, saying.text], check=True, capture_output=True)
    # On a pipe espeak-ng cannot know the length that the header should give: the samples follow its 44 bytes.
    samples = np.frombuffer(spoken.stdout[44:], dtype="<i2").astype(np.float32)
    rate = int.from_bytes(spoken.stdout[24:28], "little")
    resampled = torchaudio.functional.resample(torch.from_numpy(samples), rate, SAMPLE_RATE).numpy()
    scaled: np.ndarray = resampled * (saying.peak / np.abs(resampled).max())
    return scaled


def encode(samples: np.ndarray) -> bytes:
    """Ogg Vorbis, mono."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(
        buffer,
        "w",
        samplerate=SAMPLE_RATE,
        channels=1,
        format="OGG",
        subtype="VORBIS",
        compression_level=COMPRESSION,
    ) as file:
        for start in range(0, len(samples), SAMPLE_RATE):  # libsndfile's Vorbis encoder overflows on one huge write
            file.write(samples[start : start + SAMPLE_RATE])
    return buffer.getvalue()


def make_split(split: Split, out: Path) -> dict[str, object]:
    """Writes the split's sound and returns its part of the index."""
    sayings = draw_sayings(split)
    sounds = [synthesize(saying) for saying in sayings]
    starts = np.cumsum([0, *(len(sound) for sound in sounds)]).tolist()
    encoded = encode(np.concatenate(sounds))
    (out / f"{split.name}.ogg").write_bytes(encoded)
    utterances = [
        {"start": start, "samples": len(sound), "voice": saying.voice, "text": saying.text}
        for start, sound, saying in zip(starts, sounds, sayings, strict=False)
    ]
    seconds = starts[-1] / SAMPLE_RATE
    print(f"{split.name}: {len(sayings)} utterances, {seconds:.0f} s, {len(encoded)} bytes")
    return {"file": f"{split.name}.ogg", "sha256": hashlib.sha256(encoded).hexdigest(), "utterances": utterances}


def espeak_version() -> str:
    """The synthesizer's version text, without the path of its data."""
    said = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    return said.split("  ")[0].strip()


def write_index(index: dict[str, object], path: Path) -> None:
    """Writes one line per utterance, so that a new synthesis can be compared with the old one."""
    text = json.dumps(index, indent=1)
    path.write_text(text.replace("{\n     ", "{").replace(",\n     ", ", ").replace("\n    }", "}") + "\n")


def main() -> None:
    """Synthesizes all splits and writes the index."""
    parser = argparse.ArgumentParser(description="synthesize the embedded spoken corpus with espeak-ng")
    default = Path(__file__).resolve().parent.parent / "runtime" / "dsd_runtime" / "data" / "corpora" / "spoken"
    parser.add_argument("--out", type=Path, default=default, help="folder to write to")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    index: dict[str, object] = {
        "format": 1,
        "synthesizer": espeak_version(),
        "sample_rate": SAMPLE_RATE,
        "words": list(WORDS),
        "splits": {split.name: make_split(split, out) for split in SPLITS},
    }
    write_index(index, out / "index.json")


if __name__ == "__main__":
    main()
