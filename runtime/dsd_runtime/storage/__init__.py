"""State on disk: checksummed checkpoints, files that are written whole or not at all."""
