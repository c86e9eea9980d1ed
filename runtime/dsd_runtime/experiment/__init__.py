"""The phase tree of a plan, walked: content keys, reuse, run folders."""
