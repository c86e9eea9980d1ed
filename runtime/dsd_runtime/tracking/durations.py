"""Times as text. No torch: reports tell them too."""

from __future__ import annotations


def format_seconds(seconds: float) -> str:
    """`3.2ms`, `0.41s`, `8s`, `3m 20s`, `2h 05m`."""
    if seconds < 0.1:
        return f"{1000 * seconds:.2g}ms" if seconds > 0 else "0s"
    if seconds < 1:
        return f"{seconds:.2g}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def format_left(seconds: float) -> str:
    """An estimated time, in whole seconds."""
    return format_seconds(max(1.0, float(round(seconds))))
