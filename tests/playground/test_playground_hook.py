"""The hook of the documentation: nothing unless it is asked for, and then the playground or an error."""

from __future__ import annotations

from pathlib import Path

import pytest

config_module = pytest.importorskip("mkdocs.config.defaults", reason="needs mkdocs (extra `docs`)")


def configuration(site: Path) -> object:
    config = config_module.MkDocsConfig()
    config.site_dir = str(site)
    return config


def test_it_does_nothing_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from docs_playground import on_post_build

    monkeypatch.delenv("DSD_PLAYGROUND", raising=False)
    on_post_build(configuration(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_for_and_fails_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from docs_playground import on_post_build
    from mkdocs.exceptions import PluginError

    monkeypatch.setenv("DSD_PLAYGROUND", "1")
    with pytest.raises(PluginError, match=r"^error: `.*` has no playground page"):
        on_post_build(configuration(tmp_path))
