"""What other tools do where pruning goes wrong: resume, recurrent layers, dense after sparse, tied weights.

    python benchmarks/peer_methods.py

Each tool prunes half of the smallest weights of a small network, in its own way and with its defaults, on a CPU. The
tables of `docs/how-to/which-tool.md` say which classes a tool has; this says what four of them do. A tool that is not
installed is skipped with a line that says so.

* plain network: the saved weights are loaded into a network that the tool has not touched, and trained for 10 updates.
  How many of the pruned weights are still 0;
* resume: trained with masks, saved with all that the tool saves, loaded into new objects that were prepared as the
  tool wants it, 10 more updates; then once more. How many of the pruned weights are 0 after each, and whether the
  first matrix has the bits of the training that was not cut;
* recurrent layers: which share of an `nn.LSTM`'s two matrices (`ih`, `hh`) and of a classifier (`out`) is 0 if nothing
  else is said (`torch.nn.utils.prune` and PAT have no default, and are told all three), and "named", if it is;
* dense after sparse: the largest value of a pruned weight on the return to dense, and its largest momentum; for
  fasterai how many of 640 weights are alive in the updates of the falling half of its schedule;
* tied weights: which share of an embedding and of a classifier tied to it is 0 in the forward pass, and how many
  weights the tool counts (the network has 192); fasterai, which prunes one class of layers, has in place of the
  embedding a matrix that is an `nn.Linear` as well.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from importlib.metadata import PackageNotFoundError, version

import torch
from peer_loops import CoreAi, Dsd, Nncf, SparseMl, TorchAo, TorchaoPat, TorchPrune
from peer_probes import Probes
from peer_trainers import Fasterai, Lightning

TOOLS: dict[str, tuple[str, type[Probes]]] = {
    "dsd": ("dsd-lang", Dsd),
    "`torch.nn.utils.prune`": ("torch", TorchPrune),
    "`torch.ao.pruning`": ("torch", TorchAo),
    "torchao PAT": ("torchao", TorchaoPat),
    "NNCF": ("nncf", Nncf),
    "coreai-opt": ("coreai-opt", CoreAi),
    "Lightning": ("lightning", Lightning),
    "SparseML": ("sparseml", SparseMl),
    "fasterai": ("fasterai", Fasterai),
}
CLAIMS = ("plain", "resume", "recurrent", "redense", "tied")
HEADERS = ("tool", "version", "plain network", "resume", "recurrent layers", "dense after sparse", "tied weights")


def main() -> int:
    """Prints one row for each tool that is installed, and the names of those that are not."""
    sys.stdout.write(_row(HEADERS) + _row(["---"] * len(HEADERS)))
    missing = [name for name, (package, _) in TOOLS.items() if _version(package) is None]
    for name, (package, probes) in TOOLS.items():
        if name not in missing:
            sys.stdout.write(_row([name, str(_version(package)), *(_seen(probes, claim) for claim in CLAIMS)]))
            sys.stdout.flush()
    lines = [f"skipped: {name} (`{TOOLS[name][0]}` is not installed)\n" for name in missing]
    sys.stdout.write("".join(["\n", *lines]) if lines else "")
    return 0


def _seen(probes: type[Probes], claim: str) -> str:
    """What a tool does, without what it prints, warns and logs on the way."""
    torch.manual_seed(0)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return str(getattr(probes(), claim)())
    finally:
        logging.disable(logging.NOTSET)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(main())
