"""The registry of data sets that a schedule or a command line can name; the runtime has a loader for each."""

from __future__ import annotations

from dsd_lang.base.records import record


@record
class DataSet:
    """One row: the name, a one-line description, and whether it needs a path (`NAME:PATH`)."""

    name: str
    summary: str
    needs_path: bool = False


DATA_SETS: dict[str, DataSet] = {
    row.name: row
    for row in (
        DataSet("digits", "scikit-learn's 1,797 handwritten digits, 8x8, built in"),
        DataSet("spoken", "1,140 synthesized spoken commands and numbers, built in"),
        DataSet("scenes", "drawn scenes with five captions each, built in"),
        DataSet("imagefolder", "pictures in train/<class>/ and test/<class>/, a folder or an archive", needs_path=True),
        DataSet("cifar10", "CIFAR-10 in its binary version or as an image folder", needs_path=True),
        DataSet("manifest", "speech listed by train.jsonl, val.jsonl and test.jsonl", needs_path=True),
        DataSet("librispeech", "LibriSpeech as published", needs_path=True),
        DataSet("flickr8k", "Flickr-8k's captions with image features", needs_path=True),
    )
}
