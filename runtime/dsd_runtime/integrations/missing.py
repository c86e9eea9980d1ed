"""What is said where the package of an integration is not installed."""

from __future__ import annotations


def missing_package(package: str, error: ModuleNotFoundError) -> ModuleNotFoundError:
    """The error for a package that its extra brings."""
    if (error.name or "").partition(".")[0] != package:
        return error
    return ModuleNotFoundError(
        f"`dsd_runtime.integrations.{package}` needs `{package}`, which is not installed: "
        f"pip install 'dsd-lang[{package}]'",
        name=error.name,
    )
