"""`attach()` and the session: boundaries, updates, learning rates, conditions, references, resume."""
