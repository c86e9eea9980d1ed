"""Every command has a page with its real help."""

from __future__ import annotations

import docs_commands
import pytest


@pytest.mark.parametrize("name", docs_commands.scripts())
def test_a_command_has_a_page(name: str) -> None:
    page = docs_commands.command_page(name)
    assert page.startswith(f"# {name}\n\n{docs_commands.purpose(name)}\n")
    assert f"usage: {name}" in page
    assert page.count("```") == 2


@pytest.mark.parametrize("name", docs_commands.scripts())
def test_help_says_what_the_exit_status_means(name: str) -> None:
    assert docs_commands.exit_status(name).startswith("0 ")


def test_the_index_and_the_navigation_have_every_command() -> None:
    index = docs_commands.index_page()
    for name in docs_commands.scripts():
        assert f"[{name}]({name}.md)" in index
        assert {name: f"commands/{name}.md"} in docs_commands.navigation()
