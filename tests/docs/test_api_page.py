"""The Python reference has every public name, with its signature and docstring."""

from __future__ import annotations

import ast

import docs_api
import pytest

import dsd_lang
import dsd_runtime

PUBLIC = [public for names in docs_api.SECTIONS.values() for public in names]


def test_every_public_name_is_in_it() -> None:
    exported = {f"dsd_lang.{name}" for name in dsd_lang.__all__ if not name.startswith("__")}
    exported |= {f"dsd_runtime.{name}" for name in dsd_runtime.__all__}
    assert exported - {public.name for public in PUBLIC} == set()


@pytest.mark.parametrize("public", PUBLIC, ids=lambda public: public.name)
def test_an_entry_has_a_signature_that_python_reads_and_words(public: docs_api.Public) -> None:
    text = docs_api.entry(public)
    assert f"### `{public.name}`" in text
    for block in text.split("```python\n")[1:]:
        signature = block.split("```")[0]
        ast.parse(
            f"def f{signature[signature.index('(') :].rstrip()}: ..." if "(" in signature.split(":")[0] else signature
        )
    prose = [line for line in text.splitlines() if line and line[0] not in "#`>[ "]
    assert prose
    assert ":class:" not in text
    assert "``" not in text.replace("```", "")


def test_members_of_a_class_are_shown() -> None:
    text = docs_api.api_page()
    assert "#### `Session.step`" in text
    assert "Session.done: bool" in text
    assert "Session.state_dict(*, is_sharded: bool = False) -> dict[str, Any]" in text
