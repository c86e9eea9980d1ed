"""Generates the mutants of a module: every small fault that could be put into it.

A mutant is one change of one expression or statement, kept as the bytes it replaces, so that the rest of the file (and
every line number) stays as it is. What changes nothing a test could see is left out: annotations, docstrings,
messages, assertions made for the type checker.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"[a-z][a-z0-9_.]*")

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitOr, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list", "floor": "ceil"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes ``start`` to ``end`` of a file become ``after``; lines count from 1."""

    file: str
    line: int
    end_line: int
    kind: str
    before: str
    after: str
    start: int
    end: int

    @property
    def key(self) -> str:
        """The identity of a mutant: the position, the kind, and the replacement."""
        return f"{self.file}:{self.start}-{self.end}:{self.kind}:{self.after}"

    def applied(self, source: bytes) -> bytes:
        """The file with the fault."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every mutant of a module that still compiles and means something else to the parser."""
    tree = ast.parse(source)
    finder = _Finder(file, source)
    finder.visit(tree)
    meant = ast.dump(tree)
    found = {mutant.key: mutant for mutant in finder.found}
    return [mutant for mutant in found.values() if _is_another_program(mutant, source, meant)]


def _is_another_program(mutant: Mutant, source: str, meant: str) -> bool:
    try:
        return ast.dump(ast.parse(mutant.applied(source.encode()))) != meant
    except SyntaxError:
        return False


class _Finder(ast.NodeVisitor):
    def __init__(self, file: str, source: str) -> None:
        self.found: list[Mutant] = []
        self._file = file
        self._bytes = source.encode()
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def _add(self, kind: str, node: ast.expr | ast.stmt, after: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[node.end_lineno - 1] + node.end_col_offset
        before = self._bytes[start:end].decode()
        self.found.append(Mutant(self._file, node.lineno, node.end_lineno, kind, before, after, start, end))

    def _replace(self, kind: str, node: ast.expr, by: ast.expr) -> None:
        self._add(kind, node, f"({ast.unparse(by)})")

    # --- where nothing is looked for ----------------------------------------------------------------------------------

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Skipped: assertions are for the type checker."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skipped: f-strings are nearly always messages."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not (isinstance(node.value, ast.Name) and node.value.id == "Literal"):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        for word in ("True", "False"):
            self._add("condition", node.test, word)
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._add("statement", node, "pass")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            return
        for statement in node.body:
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    # --- statements ---------------------------------------------------------------------------------------------------

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return  # a docstring, or `...`
        if isinstance(node.value, ast.Call):
            self._add("statement", node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            return
        if all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets):
            self._add("statement", node, "pass")
        self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._add("statement", node, "pass")
        other = _ARITHMETIC.get(type(node.op))
        if other is not None:
            self._add("arithmetic", node, ast.unparse(ast.AugAssign(node.target, other(), node.value)))
        self.visit(node.value)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is None:
            self._add("return", node, "pass")
        elif not isinstance(node.value, ast.Constant):
            self._add("return", node, "return None")
        self.generic_visit(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._add("statement", node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        self._add("statement", node, "break")

    # --- expressions --------------------------------------------------------------------------------------------------

    def visit_Compare(self, node: ast.Compare) -> None:
        for place, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                operators = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                self._replace("comparison", node, ast.Compare(node.left, operators, node.comparators))
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self._replace("boolean", node, ast.BoolOp(other, node.values))
        for place in range(len(node.values)):
            left = [value for index, value in enumerate(node.values) if index != place]
            self._replace("boolean", node, left[0] if len(left) == 1 else ast.BoolOp(node.op, left))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            self._replace("boolean" if isinstance(node.op, ast.Not) else "arithmetic", node, node.operand)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        other = _ARITHMETIC.get(type(node.op))
        if other is not None and not _is_type_union(node):
            self._replace("arithmetic", node, ast.BinOp(node.left, other(), node.right))
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._replace("condition", node, ast.IfExp(node.test, node.orelse, node.body))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self._add("constant", node, repr(not value))
        elif isinstance(value, int):
            self._add("constant", node, repr(value + 1))
        elif isinstance(value, float):
            self._add("constant", node, repr(value * 2 + 1))
        elif isinstance(value, str) and _WORD.fullmatch(value):
            self._add("constant", node, repr(value + "_"))

    def visit_Dict(self, node: ast.Dict) -> None:
        for place in range(len(node.keys)):
            keys = [key for index, key in enumerate(node.keys) if index != place]
            values = [value for index, value in enumerate(node.values) if index != place]
            self._replace("entry", node, ast.Dict(keys, values))
        self.generic_visit(node)

    def visit_Tuple(self, node: ast.Tuple) -> None:
        if isinstance(node.ctx, ast.Load) and len(node.elts) > 2:
            for place in range(len(node.elts)):
                self._replace("entry", node, ast.Tuple([*node.elts[:place], *node.elts[place + 1 :]], ast.Load()))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if _is_message(node):
            return
        for place in range(len(node.args) - 1):
            args = [*node.args]
            args[place], args[place + 1] = args[place + 1], args[place]
            self._replace("arguments", node, ast.Call(node.func, args, node.keywords))
        for place, keyword in enumerate(node.keywords):
            if keyword.arg != "strict":
                rest = [*node.keywords[:place], *node.keywords[place + 1 :]]
                self._replace("arguments", node, ast.Call(node.func, node.args, rest))
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _CALLS:
            self._replace("call", node, ast.Call(ast.Name(_CALLS[name]), node.args, node.keywords))
        self.visit(node.func)
        for value in (*node.args, *(keyword.value for keyword in node.keywords if keyword.arg != "strict")):
            self.visit(value)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._add("condition", test, "True")
        self.generic_visit(node)


def _is_type_union(node: ast.BinOp) -> bool:
    """`A | B` of types, as aliases write it."""
    sides = (node.left, node.right)
    return isinstance(node.op, ast.BitOr) and any(
        (isinstance(side, ast.Name) and side.id[:1].isupper())
        or (isinstance(side, ast.Name) and side.id in ("int", "float", "str", "bool", "list", "tuple", "dict"))
        or (isinstance(side, ast.Constant) and side.value is None)
        or isinstance(side, ast.Subscript)
        for side in sides
    )


def _is_message(node: ast.Call) -> bool:
    """Whether a call only makes a text for users, or a type for the checker."""
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    return name.endswith(("Error", "warn")) or name in ("cast", "TypeVar", "doc")


def all_mutants(files: Iterator[tuple[str, str]]) -> list[Mutant]:
    """The mutants of several modules, given as (path, source)."""
    return [mutant for path, source in files for mutant in mutants_of(path, source)]
