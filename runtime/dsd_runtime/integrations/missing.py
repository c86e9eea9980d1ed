"""What is said where the package of an integration is not installed."""

from __future__ import annotations


def missing_package(package: str, error: ModuleNotFoundError, *needed: str) -> ModuleNotFoundError:
    """The error for a package that its extra brings, or for one of those that it brings with it."""
    missing = (error.name or "").partition(".")[0]
    if missing not in (package, *needed):
        return error
    return ModuleNotFoundError(
        f"`dsd_runtime.integrations.{package}` needs `{missing}`, which is not installed: "
        f"pip install 'dsd-lang[{package}]'",
        name=error.name,
    )
