"""`benchmarks/peer_methods.py` sees today what its results say, in the tools that are installed with torch."""

from __future__ import annotations

from pathlib import Path

import pytest
from peer_loops import Dsd, TorchAo, TorchPrune
from peer_methods import CLAIMS, TOOLS, main
from peer_probes import LoopTool

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "2026-11-22-peer-methods.md"


def written(tool: str) -> dict[str, str]:
    """The cells of a tool's row, by what was asked."""
    [line] = [line for line in RESULTS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {tool} |")]
    return dict(zip(CLAIMS, [cell.strip() for cell in line.strip("|").split("|")][2:], strict=True))


@pytest.mark.parametrize(
    ("tool", "probes", "claim"),
    [
        *(("dsd", Dsd, claim) for claim in CLAIMS),
        *(("`torch.nn.utils.prune`", TorchPrune, claim) for claim in ("plain", "recurrent", "tied")),
        *(("`torch.ao.pruning`", TorchAo, claim) for claim in ("plain", "recurrent", "tied")),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_tool_does_what_the_results_say(tool: str, probes: type[LoopTool], claim: str) -> None:
    assert getattr(probes(), claim)() == written(tool)[claim]


def test_what_is_not_installed_is_skipped_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("peer_methods._version", lambda package: None)
    assert main() == 0
    assert capsys.readouterr().out.count("is not installed)\n") == len(TOOLS)
