"""Every message stands in the module of its rule: what a pass finds on its way, it reports by a function of a rule."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import dsd_lang
from dsd_lang.base.diagnostics import CATALOGUE

PASSES = sorted((Path(dsd_lang.__file__).parent / "passes").glob("*.py"))
PARTS = {"wrong_condition": "DSD209", "wrong_value_names": "DSD209"}
"""Modules with a part of a rule's messages."""
RULES = {entry.name.replace("-", "_"): code for code, entry in CATALOGUE.items()} | PARTS


def _reported(source: str) -> list[ast.expr]:
    """The arguments of `diagnostics.report(...)`; `diagnostics.add(...)`, which makes its own, is not allowed."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    called = [(node.func, node) for node in calls if isinstance(node.func, ast.Attribute)]
    added = [
        ast.unparse(node) for func, node in called if func.attr == "add" and "diagnostics" in ast.unparse(func.value)
    ]
    assert not added
    return [node.args[0] for func, node in called if func.attr == "report"]


def test_passes_report_what_a_rule_has_made() -> None:
    reported = [expression for path in PASSES for expression in _reported(path.read_text("utf-8"))]
    made = [node.func for node in reported if isinstance(node, ast.Call)]
    assert len(made) > 70
    for function in made:
        assert isinstance(function, ast.Attribute), ast.unparse(function)
        module, name = ast.unparse(function.value).removeprefix("rules."), function.attr
        assert module in RULES
        assert callable(getattr(import_module(f"dsd_lang.rules.{module}"), name))
    for other in (node for node in reported if not isinstance(node, ast.Call)):
        assert ast.unparse(other) in ("diagnostic", "problem", "result"), "a diagnostic that was made by a rule"


def test_a_rule_s_module_makes_only_its_own_code() -> None:
    for name, code in RULES.items():
        module = import_module(f"dsd_lang.rules.{name}")
        assert getattr(module, "CODE", code) == code
        source = Path(str(module.__file__)).read_text("utf-8")
        made = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
        first = [ast.unparse(node.args[0]) for node in made if ast.unparse(node.func) == "Diagnostic"]
        assert set(first) <= {"CODE"}
