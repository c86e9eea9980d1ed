"""Results: from a run folder to an answer. Reads runs, tests arms, writes `results.json` and reports; without torch."""
