"""Writes the commented schedule of `dsd-new` from a few choices."""
