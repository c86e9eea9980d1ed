"""Runs the phase tree of a plan: content keys, reuse, run folders."""
