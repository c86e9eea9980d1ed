"""Exact numbers, spans and diagnostics, a model's layers, and the registries that everything else reads."""
