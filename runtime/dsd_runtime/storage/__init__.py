"""State on disk: checkpoints with checksums, and atomic writes."""
