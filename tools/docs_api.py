"""Writes the reference of the public Python names from the sources with `ast`, without torch."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parent.parent
_DOCTEST = re.compile(r"(?:^ *>>> .*\n(?:^(?! *>>>) *\S.*\n)*)+", re.MULTILINE)


class Public(NamedTuple):
    """One public name: how it is imported, where it is defined, and for a class whether its members are shown,
    or how it is built."""

    name: str
    file: str
    has_members: bool = True

    @property
    def definition(self) -> str:
        """The last part of the name."""
        return self.name.rpartition(".")[2]


_PACKAGES = ("dsd_lang.", "dsd_runtime.")
_INTEGRATIONS = "dsd_runtime.integrations"

SECTIONS: dict[str, tuple[Public, ...]] = {
    "The language": (
        Public("dsd_lang.compile", "dsd_lang/compiler.py"),
        Public("dsd_lang.compile_file", "dsd_lang/compiler.py"),
        Public("dsd_lang.analyse", "dsd_lang/analysis.py"),
        Public("dsd_lang.parse", "dsd_lang/syntax/parser.py"),
        Public("dsd_lang.syntax.formatter.format_text", "dsd_lang/syntax/formatter.py"),
        Public("dsd_lang.Plan", "dsd_lang/plan/model.py"),
        Public("dsd_lang.PhaseGraph", "dsd_lang/views/graph.py"),
        Public("dsd_lang.ScheduleError", "dsd_lang/compiler.py"),
        Public("dsd_lang.DsdError", "dsd_lang/base/errors.py"),
    ),
    "The runtime": (
        Public("dsd_runtime.attach", "runtime/dsd_runtime/engine/attachment.py"),
        Public("dsd_runtime.Session", "runtime/dsd_runtime/engine/session.py"),
        Public("dsd_runtime.CapturedMasks", "runtime/dsd_runtime/engine/captured.py"),
        Public("dsd_runtime.run", "runtime/dsd_runtime/running.py"),
        Public("dsd_runtime.build_model", "runtime/dsd_runtime/experiment/catalogue_model.py"),
        Public("dsd_runtime.load_run", "runtime/dsd_runtime/experiment/trained.py"),
        Public("dsd_runtime.save_checkpoint", "runtime/dsd_runtime/storage/checkpoint.py"),
        Public("dsd_runtime.load_checkpoint", "runtime/dsd_runtime/storage/checkpoint.py"),
        Public("dsd_runtime.noisy_labels", "runtime/dsd_runtime/data/label_noise.py"),
        Public("dsd_runtime.ReluEntropy", "runtime/dsd_runtime/training/relu_entropy.py"),
        Public("dsd_runtime.read_results", "runtime/dsd_runtime/results/reading.py"),
        Public("dsd_runtime.Results", "runtime/dsd_runtime/results/results.py"),
        Public("dsd_runtime.inventory", "runtime/dsd_runtime/engine/layers.py"),
        Public("dsd_runtime.tag", "runtime/dsd_runtime/engine/layers.py"),
        Public("dsd_runtime.DsdWarning", "runtime/dsd_runtime/notices.py"),
    ),
    "Trainers": (
        Public(f"{_INTEGRATIONS}.lightning.SparsitySchedule", "runtime/dsd_runtime/integrations/lightning.py", False),
        Public(
            f"{_INTEGRATIONS}.transformers.SparsitySchedule", "runtime/dsd_runtime/integrations/transformers.py", False
        ),
    ),
}
_INTRODUCTION = """# Python reference

`import dsd_lang` is the language, without torch. `import dsd_runtime` the runtime. What is not on this page may change.
"""


def api_page() -> str:
    """The complete page."""
    parts = [_INTRODUCTION]
    for title, names in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        parts += [entry(public) for public in names]
    return "".join(parts)


def entry(public: Public) -> str:
    """One name: signature, docstring, and the members of a class."""
    node = _definition(public.file, public.definition)
    if isinstance(node, ast.ClassDef) and not public.has_members:
        constructor = next(it for it in _members(public.file, node) if it.name == "__init__")
        constructor.returns = None
        signature = _signature(public.definition, constructor)
        return f"\n### `{public.name}`\n\n```python\n{signature}\n```\n\n{_prose(node)}\n"
    if isinstance(node, ast.ClassDef):
        members = [member for member in _members(public.file, node) if _is_shown(member)]
        text = f"\n### `{public.name}`\n\n{_prose(node)}\n"
        return text + "".join(_member(public.definition, member) for member in members)
    return f"\n### `{public.name}`\n\n```python\n{_signature(public.name, node)}\n```\n\n{_prose(node)}\n"


def _definition(file: str, name: str) -> ast.FunctionDef | ast.ClassDef:
    for node in _module(file).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return node
    raise ValueError(f"{file} defines no `{name}`")


def _module(file: str) -> ast.Module:
    return ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))


def _members(file: str, node: ast.ClassDef) -> list[ast.FunctionDef]:
    """The functions of a class, then those of its base classes that are ours."""
    own = [member for member in node.body if isinstance(member, ast.FunctionDef)]
    imported = {
        name.name: _source_of(statement.module)
        for statement in _module(file).body
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(_PACKAGES)
        for name in statement.names
    }
    for base in (ast.unparse(base) for base in node.bases):
        if base in imported:
            definition = _definition(imported[base], base)
            assert isinstance(definition, ast.ClassDef)
            own += _members(imported[base], definition)
    return own


def _source_of(module: str | None) -> str:
    folder = "runtime/" if (module or "").startswith("dsd_runtime") else ""
    return f"{folder}{(module or '').replace('.', '/')}.py"


def _is_shown(member: ast.FunctionDef) -> bool:
    return not member.name.startswith("_") and ast.get_docstring(member) is not None


def _member(owner: str, node: ast.FunctionDef) -> str:
    is_property = any(isinstance(item, ast.Name) and item.id == "property" for item in node.decorator_list)
    name = f"{owner}.{node.name}"
    if is_property:
        signature = f"{name}: {ast.unparse(node.returns)}" if node.returns is not None else name
    else:
        signature = _signature(name, node)
    return f"\n#### `{name}`\n\n```python\n{signature}\n```\n\n{_prose(node)}\n"


def _signature(name: str, node: ast.FunctionDef) -> str:
    arguments = [*node.args.posonlyargs, *node.args.args]
    if arguments and arguments[0].arg in ("self", "cls"):
        node.args.args = node.args.args[1:]
    parts = [_spaced(part) for part in _split(ast.unparse(node.args))]
    text = ", ".join(parts)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    if len(name) + len(text) + len(returns) <= 90:
        return f"{name}({text}){returns}"
    inner = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{inner}){returns}"


def _split(text: str) -> list[str]:
    """Splits arguments at commas that are not inside brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _spaced(part: str) -> str:
    """`name: type=default`, as `ast` writes it, with the spaces of an annotated default."""
    return part.replace("=", " = ", 1) if ": " in part.partition("=")[0] else part


def _prose(node: ast.FunctionDef | ast.ClassDef) -> str:
    """A docstring as Markdown: roles and double backticks become code, doctests and `::` blocks fences."""
    text = ast.get_docstring(node) or ""
    text = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text).replace("``", "`")
    return _DOCTEST.sub(lambda match: f"```pycon\n{textwrap.dedent(match[0]).rstrip()}\n```\n", text + "\n").strip()
