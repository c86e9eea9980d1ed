"""Reads the files that a schedule uses: their `def`s and top-level `let`s, by name.

A file is read once, relative to the one that uses it. Its phases are not run, and what it uses itself stays its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from dsd_lang import rules
from dsd_lang.base.diagnostics import ERRORS
from dsd_lang.base.errors import DsdError
from dsd_lang.passes.bindings import bind_all
from dsd_lang.passes.calls import respanned
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.scopes import NO_SCOPE, Definition, Scope
from dsd_lang.syntax import nodes
from dsd_lang.syntax.parser import parse

ReadFile = Callable[[str], str]
"""The text of a file by its path; raises :class:`DsdError` if it cannot be read."""


def read_used_files(compilation: Compilation) -> None:
    """Fills in ``used``: the scope that each `use` brings, by the `id` of its statement, and ``used_texts``."""
    library = _Library(compilation)
    compilation.used = {}
    compilation.used_texts = library.texts
    for statement in compilation.program.statements:
        if isinstance(statement, nodes.Use):
            scope = library.scope_of(statement, compilation.source or "", (compilation.source or "",))
            if scope is not None:
                compilation.used[id(statement)] = scope


def path_of(use: nodes.Use, source: str) -> str:
    """The path of a used file, relative to the file that uses it."""
    return os.path.normpath(os.path.join(os.path.dirname(source), use.path.value))


class _Library:
    def __init__(self, compilation: Compilation) -> None:
        self.read = compilation.read
        self.diagnostics = compilation.diagnostics
        self.texts: dict[str, str] = {}
        self._scopes: dict[str, Scope | None] = {}

    def scope_of(self, use: nodes.Use, source: str, users: tuple[str, ...]) -> Scope | None:
        """The names of a used file; None after reporting why it cannot be used."""
        path = path_of(use, source)
        if path in map(os.path.normpath, users):
            self.diagnostics.report(rules.unusable_file.cycle(use, (*users[-1:], path)))
            return None
        if path not in self._scopes:
            self._scopes[path] = self._read(use, path, users)
        return self._scopes[path]

    def _read(self, use: nodes.Use, path: str, users: tuple[str, ...]) -> Scope | None:
        try:
            text = self.texts[path] = self.read(path)
        except DsdError as error:
            self.diagnostics.report(rules.unusable_file.unreadable(use, error.message, error.help or ""))
            return None
        parsed = parse(text)
        errors = [item for item in parsed.diagnostics if item.code in ERRORS]
        program = respanned(parsed.program.statements, use.span, "", path)
        inner = Diagnostics()
        scope = self._scope(program, path, users, inner) if not errors else NO_SCOPE
        errors += [item for item in inner if item.code in ERRORS]
        if errors:
            self.diagnostics.report(rules.unusable_file.has_errors(use, errors, path))
            return None
        return scope

    def _scope(
        self, statements: tuple[nodes.Statement, ...], path: str, users: tuple[str, ...], inner: Diagnostics
    ) -> Scope:
        scope, own = NO_SCOPE, NO_SCOPE
        outer, self.diagnostics = self.diagnostics, inner
        for statement in statements:
            if isinstance(statement, nodes.Use):
                used = self.scope_of(statement, path, (*users, path))
                scope = scope if used is None else joined(scope, used)
            elif isinstance(statement, nodes.Let):
                bound = bind_all(statement.values, scope.names, inner)
                if bound is not None:
                    scope = scope.with_names({statement.name.text: bound})
                    own = own.with_names({statement.name.text: bound})
            elif isinstance(statement, nodes.Def):
                defined = {statement.name.text: Definition(statement, scope, path)}
                scope, own = (one._replace(definitions={**one.definitions, **defined}) for one in (scope, own))
        self.diagnostics = outer
        return own


def joined(scope: Scope, used: Scope) -> Scope:
    """A scope behind a `use`."""
    return scope.with_names(used.names)._replace(definitions={**scope.definitions, **used.definitions})
