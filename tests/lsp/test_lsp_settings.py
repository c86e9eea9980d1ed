"""What is configured: the model, the rules, `[tool.dsd]` of the project; and what is configured wrongly."""

from __future__ import annotations

from pathlib import Path

from lsp_editor import Editor, session
from lsprotocol import types

LAYERS = """{"layers": [{"name": "head", "kind": "fc", "weights": [{"name": "head.weight", "shape": [2, 3]}]}]}"""
SCHEDULE = "dense 5ep lr=1\nsparse 50% layers=conv\ndense\n"


def codes(editor: Editor, text: str, uri: str = "untitled:x", version: int = 1) -> list[object]:
    editor.open(text, uri=uri, version=version)
    return [item.code for item in editor.diagnostics(uri=uri, version=version)]


def test_the_layers_of_a_model(tmp_path: Path) -> None:
    layers = tmp_path / "layers.json"
    layers.write_text(LAYERS, encoding="utf-8")
    with session(options={"layers": str(layers)}) as editor:
        assert codes(editor, SCHEDULE) == ["DSD201"]
        assert codes(editor, SCHEDULE.replace("conv", "fc"), version=2) == []
        assert editor.shown == []


def test_the_rules_looked_for() -> None:
    with session(options={"select": ["DSD3"], "extendSelect": "derived-value", "ignore": ["DSD303"]}) as editor:
        assert codes(editor, "dense 5ep lr=1; dense 5 lr=0; sparse 50%\n") == ["DSD402", "DSD403"]  # errors always show
        assert "DSD901" in codes(editor, SCHEDULE, version=2)


def test_an_editor_that_pulls_is_told_to(tmp_path: Path) -> None:
    capabilities = types.ClientCapabilities(
        workspace=types.WorkspaceClientCapabilities(
            diagnostics=types.DiagnosticWorkspaceClientCapabilities(refresh_support=True)
        ),
        text_document=types.TextDocumentClientCapabilities(diagnostic=types.DiagnosticClientCapabilities()),
    )
    project = tmp_path / "pyproject.toml"
    project.write_text("[tool.dsd.lint]\n", encoding="utf-8")
    uri = (tmp_path / "x.dsd").as_uri()
    refreshed: list[bool] = []
    with session(capabilities=capabilities) as editor:
        editor.client.feature(types.WORKSPACE_DIAGNOSTIC_REFRESH)(lambda *_: refreshed.append(True))
        editor.open("dense 5ep lr=1\nsparse 50%\n", uri=uri)
        report = editor.about(types.TEXT_DOCUMENT_DIAGNOSTIC, uri=uri)
        assert [item.code for item in report.items] == ["DSD303"]
        project.write_text('[tool.dsd.lint]\nignore = ["DSD303"]\n', encoding="utf-8")
        changed = types.FileEvent(project.as_uri(), types.FileChangeType.Changed)
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([changed]))
        editor.until(lambda: refreshed)
        again = editor.about(types.TEXT_DOCUMENT_DIAGNOSTIC, uri=uri, previous_result_id=report.result_id)
        assert list(again.items) == []


def test_wrong_settings_are_told_and_left_out(tmp_path: Path) -> None:
    for options, told in (
        ({"model": "no_such_model"}, "no_such_model"),
        ({"select": ["DSD999"]}, "unknown rule `DSD999`"),
        ({"select": 3}, "the option `select` must be a list of rules"),
        ({"model": 3}, "the option `model` must be a string"),
        ({"model": "ds2", "layers": "x"}, "`layers` and `model` cannot be used together"),
        ({"layers": str(tmp_path / "absent.json")}, "absent.json"),
    ):
        with session(options=options) as editor:
            assert codes(editor, "dense 5 lr=1") == ["DSD402"]
            [message] = editor.shown
            assert told in message.message
            assert message.message.startswith("dsd-lsp: ")


def test_the_project_says_what_holds(tmp_path: Path) -> None:
    (tmp_path / "layers.json").write_text(LAYERS, encoding="utf-8")
    project = tmp_path / "pyproject.toml"
    project.write_text('[tool.dsd]\nlayers = "layers.json"\n[tool.dsd.lint]\nignore = ["DSD303"]\n', encoding="utf-8")
    uri = (tmp_path / "a b" / "x.dsd").as_uri()
    with session(root_uri=tmp_path.as_uri()) as editor:
        assert codes(editor, "dense 5ep lr=1\nsparse 50% layers=conv\n", uri) == ["DSD201"]
        project.write_text("[tool.dsd.lint]\n", encoding="utf-8")
        changed = types.FileEvent(project.as_uri(), types.FileChangeType.Changed)
        editor.published.clear()
        editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([changed]))
        assert [item.code for item in editor.diagnostics(uri=uri)] == ["DSD303"]
        project.write_text("[tool.dsd.lint]\nnonsense = 3\n", encoding="utf-8")
        editor.published.clear()
        target = types.TextDocumentIdentifier(uri)
        editor.client.text_document_did_save(types.DidSaveTextDocumentParams(target))
        assert [item.code for item in editor.diagnostics(uri=uri)] == ["DSD303"]
        assert "nonsense" in editor.shown[-1].message
