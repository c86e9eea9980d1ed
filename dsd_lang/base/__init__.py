"""Exact numbers, spans, diagnostics, a model's layers, and the registries of arguments, methods and metrics."""
