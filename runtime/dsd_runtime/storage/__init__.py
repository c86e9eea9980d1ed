"""State on disk: checksummed checkpoints and atomic files."""
