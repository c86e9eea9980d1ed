"""Settings are shown in the words of the language: read again, they are the same settings."""

from __future__ import annotations

import pytest

import dsd_lang
from dsd_lang.plan.setting_text import setting_text

SETTINGS = {
    "decay=cosine": "cosine",
    "decay=cosine(floor=0.01)": "cosine(floor=0.01)",
    "decay=linear(floor=0.5)": "linear(floor=0.5)",
    "decay=step(50%, 3ep, by=0.5)": "step(50%, 3ep, by=0.5)",
    "decay=step(1/3, 80it, by=0.1)": "step(1/3, 80it, by=0.1)",
    "decay=exp(0.9)": "exp(0.9)",
    "decay=exp(0.9, floor=0.02)": "exp(0.9, floor=0.02)",
    "opt=sgd(momentum=0.9, nesterov=on)": "sgd(momentum=0.9, nesterov=on)",
    "opt=sgd(momentum=0.9, nesterov=off)": "sgd(momentum=0.9, nesterov=off)",
    "opt=adam": "adam",
    "clip=value(5)": "value(5)",
    "noise=pairflip(20%)": "pairflip(0.2)",
    'noise=file("my labels/2.csv")': 'file("my labels/2.csv")',
    "layers=fc,conv": "fc,conv",
    "lr=3e-4": "3e-4",
    "batch=64": "64",
    "seed=7": "7",
    'model="lenet_300_100"': "lenet_300_100",
}


@pytest.mark.parametrize("written", SETTINGS)
def test_a_setting_reads_as_it_is_meant(written: str) -> None:
    name = written.partition("=")[0]
    value = dsd_lang.compile(f"set {written}\ndense 1ep").settings[name]
    text = setting_text(value)
    assert text == SETTINGS[written]
    quoted = f'"{text}"' if name == "model" else text
    assert dsd_lang.compile(f"set {name}={quoted}\ndense 1ep").settings[name] == value
