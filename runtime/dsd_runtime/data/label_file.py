"""Reads training labels from a CSV file with the columns `index` and `label`, such as human label noise."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import read_regular

_HEADER = ["index", "label"]
_LONGEST_NUMBER = 18
_FORM = "its first line is `index,label`; each other line has a training sample's number, from 0, and its label"


def labels_of_file(path: str, labels: Tensor, class_names: Sequence[str], num_classes: int) -> Tensor:
    """The labels [N], with those of a file replaced; samples that it does not name keep their labels.

    A label is the name or the index of a class. Raises :class:`DsdError` naming the line that cannot be used.
    """
    changed = labels.clone()
    seen: dict[int, int] = {}
    for number, row in _rows(path):
        where = f"line {number} of `{path}`"
        if len(row) != 2:
            raise DsdError(f"{where} has {len(row)} values, expected 2", help=_FORM)
        index = _sample(row[0], len(labels), where)
        if index in seen:
            raise DsdError(f"{where} gives sample {index} a label again, after line {seen[index]}", help="keep one")
        seen[index] = number
        changed[index] = _class(row[1], class_names, num_classes, where)
    return changed


def _rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """The rows after the header with their line numbers, without empty lines."""
    reader = csv.reader(io.StringIO(_text(path)), skipinitialspace=True)
    try:
        header = next(reader, [])
        if [name.strip() for name in header] != _HEADER:
            raise DsdError(f"line 1 of `{path}` is not `index,label`", help=_FORM)
        for row in reader:
            if row:
                yield reader.line_num, [value.strip() for value in row]
    except csv.Error as error:
        raise DsdError(f"line {reader.line_num} of `{path}` cannot be read: {error}", help=_FORM) from error


def _text(path: str) -> str:
    try:
        return read_regular(Path(path).expanduser()).decode("utf-8-sig")
    except OSError as error:
        raise DsdError(f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}", help=_FORM) from error
    except UnicodeDecodeError as error:
        raise DsdError(f"`{path}` is not UTF-8 (byte {error.start})", help=_FORM) from error


def _sample(text: str, size: int, where: str) -> int:
    if not _is_below(text, size):
        raise DsdError(
            f"{where} names the sample `{text[:40]}`, and the training samples are 0 to {size - 1}", help=_FORM
        )
    return int(text)


def _is_below(text: str, size: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER and int(text) < size


def _class(text: str, class_names: Sequence[str], num_classes: int, where: str) -> int:
    if text in class_names:
        return class_names.index(text)
    if _is_below(text, num_classes):
        return int(text)
    raise DsdError(
        f"{where} has the label `{text[:40]}`, which is not a class of the data",
        help=f"a label is a number from 0 to {num_classes - 1}, or the name of a class",
    )
