"""The VS Code extension: generated files up to date, its lists agree, it is packaged, and it runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from engine import needs_node

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.editors.build import EXTENSION, generated, main
from dsd_lang.editors.snippets import Snippet, snippets
from dsd_lang.editors.textmate import MARKDOWN_SCOPE, SCOPE
from dsd_lang.editors.vocabulary import vocabulary
from dsd_lang.syntax.formatter import format_text

MANIFEST: dict[str, Any] = json.loads((EXTENSION / "package.json").read_text(encoding="utf-8"))
CONTRIBUTED: dict[str, Any] = MANIFEST["contributes"]
SNIPPETS = snippets(vocabulary())
BEFORE = {
    "again": "dense 5ep lr=0.1\nsparse 50%\ndense\n",
    "expect": "fork {\n  dsd: dense 5ep\n  plain: dense 5ep\n}\n",
    "layers": "dense 5ep\n",
    "held": "dense 5ep\nsparse 50%\n",
    "repeat": "dense 5ep lr=0.1\n",
}


def expanded(snippet: Snippet) -> str:
    """The snippet with every default taken, and the first word of every choice."""
    text = "\n".join(snippet.body) + "\n"
    text = re.sub(r"\$\{\d+\|([^,|]*)[^}]*\|\}", r"\1", text)
    return re.sub(r"\$\{\d+:([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("name", sorted(generated()))
def test_a_generated_file_is_up_to_date(name: str) -> None:
    kept = (EXTENSION / name).read_text(encoding="utf-8")
    assert kept == generated()[name], "run `python -m dsd_lang.editors.build`"


def test_the_build_writes_what_it_generates(tmp_path: Path) -> None:
    assert main(tmp_path) == 0
    assert {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.json")} == generated()


def test_the_manifest_agrees_with_the_grammars() -> None:
    [language] = CONTRIBUTED["languages"]
    assert (language["id"], language["extensions"]) == ("dsd", [".dsd"])
    schedule, fences = CONTRIBUTED["grammars"]
    assert (schedule["language"], schedule["scopeName"]) == ("dsd", SCOPE)
    assert fences["scopeName"] == MARKDOWN_SCOPE
    assert fences["embeddedLanguages"] == {"meta.embedded.block.dsd": "dsd"}
    for grammar in CONTRIBUTED["grammars"]:
        content = json.loads((EXTENSION / grammar["path"]).read_text(encoding="utf-8"))
        assert content["scopeName"] == grammar["scopeName"]
    for path in (MANIFEST["icon"], language["configuration"], CONTRIBUTED["snippets"][0]["path"]):
        assert (EXTENSION / path).is_file()


def test_commands_and_settings_are_those_that_the_code_uses() -> None:
    code = (EXTENSION / "src" / "extension.ts").read_text(encoding="utf-8")
    registered = set(re.findall(r'registerCommand\("([^"]+)"', code))
    assert registered == {command["command"] for command in CONTRIBUTED["commands"]}
    read = {f"dsd.{name}" for name in re.findall(r'settings\.get<[^(]*>\("([^"]+)"\)', code)}
    declared = set(CONTRIBUTED["configuration"]["properties"])
    assert read <= declared
    assert declared - read == {"dsd.trace.server"}  # read by the client library itself


def test_the_version_is_that_of_the_language() -> None:
    assert MANIFEST["version"] == dsd_lang.__version__
    assert f"## {MANIFEST['version']}\n" in (EXTENSION / "CHANGELOG.md").read_text(encoding="utf-8")


def test_dependencies_are_ranges_and_no_lock_file_is_kept(repository: Path) -> None:
    wanted = {**MANIFEST["dependencies"], **MANIFEST["devDependencies"]}
    assert [name for name, range_ in wanted.items() if range_[0] not in "^~>"] == []
    ignored = (repository / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"node_modules/", "package-lock.json", "*.vsix"} <= set(ignored)


def test_the_licence_is_that_of_the_repository(repository: Path) -> None:
    assert (EXTENSION / "LICENSE").read_bytes() == (repository / "LICENSE").read_bytes()


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: snippet.prefix)
def test_a_snippet_is_canonical_and_means_something(snippet: Snippet) -> None:
    text = expanded(snippet)
    assert format_text(text) == text
    errors = analyse(BEFORE.get(snippet.prefix, "dense 5ep\n") + text, read=lambda path: "let s = 50%\n").errors
    assert [(error.code, error.message) for error in errors] == []


def test_snippets_have_prefixes_of_their_own() -> None:
    prefixes = [snippet.prefix for snippet in SNIPPETS]
    assert len(set(prefixes)) == len(prefixes)
    words = vocabulary()
    assert {*words.modes, *words.statements} - {"set", "compare"} <= set(prefixes)


def test_the_language_configuration_works() -> None:
    script = Path(__file__).with_name("configuration.cjs")
    command = [needs_node(), str(script), str(EXTENSION / "language-configuration.json")]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found == {
        "words": ["sparse", "0.5", "layers", "größe", "@full", "end", "50ep", "30%"],
        "more": ["fork {", "  dsd: { # why", "sparse ["],
        "less": ["}", "  }"],
        "enter": ["indentOutdent", "indent", None, "outdent", None, "none"],
    }


def npm(*arguments: str) -> None:
    path = shutil.which("npm")
    assert path is not None
    done = subprocess.run([path, *arguments], cwd=EXTENSION, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_node("esbuild", "vscode-languageclient")
    path = tmp_path_factory.mktemp("bundle") / "extension.js"
    npm("run", "bundle", "--silent", "--", f"--outfile={path}", "--log-level=error")
    return path


def run_extension(bundle: Path, **request: Any) -> dict[str, Any]:
    """What the extension does when VS Code's part is played by a stand-in."""
    defaults = {"settings": {}, "trusted": True, "documents": [], "restarts": 0, "waitFor": []}
    script = Path(__file__).with_name("load_extension.cjs")
    done = subprocess.run(
        [needs_node(), str(script)],
        input=json.dumps({"bundle": str(bundle), **defaults, **request}),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_a_missing_server_is_said_once_with_what_to_install(bundle: Path) -> None:
    seen = run_extension(bundle, settings={"dsd.server.path": "no-such-server"})
    [message] = seen["messages"]
    assert "`no-such-server` was not found" in message
    assert "pip install 'dsd-lang[lsp]'" in message
    assert seen["status"] == ["dsd-lsp: not found"]


def test_nothing_is_started_in_a_workspace_that_is_not_trusted(bundle: Path) -> None:
    seen = run_extension(bundle, trusted=False)
    assert seen["messages"] == []
    assert seen["status"] == ["dsd-lsp: not started: the workspace is not trusted"]


@pytest.mark.parametrize("restarts", [0, 2])
def test_it_talks_to_the_real_server(bundle: Path, tmp_path: Path, restarts: int) -> None:
    pytest.importorskip("pygls", reason="needs the extra `lsp`")
    schedule = tmp_path / "wrong.dsd"
    schedule.write_text("dense 5ep lr=0.1\nsparse 50 5ep\n")
    settings = {"dsd.server.path": sys.executable, "dsd.server.args": ["-m", "dsd_lang.lsp.server"]}
    seen = run_extension(
        bundle,
        settings=settings,
        documents=[{"path": str(schedule), "text": schedule.read_text()}],
        restarts=restarts,
        waitFor=[str(schedule)],
    )
    assert seen["messages"] == []
    assert seen["status"].count("dsd-lsp: running") == restarts + 1
    assert ["DSD401", 1] in seen["diagnostics"][str(schedule)]


@pytest.mark.slow
def test_it_is_packaged(tmp_path: Path) -> None:
    needs_node("@vscode/vsce", "esbuild", "typescript", "vscode-languageclient")
    package = tmp_path / "dsd.vsix"
    npm("run", "package", "--silent", "--", "--out", str(package))
    with zipfile.ZipFile(package) as archive:
        names = {name.removeprefix("extension/") for name in archive.namelist()}
        manifest = json.loads(archive.read("extension/package.json"))
        grammar = archive.read("extension/syntaxes/dsd.tmLanguage.json").decode()
    assert names == {
        "[Content_Types].xml", "extension.vsixmanifest", "package.json", "readme.md", "changelog.md", "LICENSE.txt",
        "language-configuration.json", "dist/extension.js", "images/icon.png", "images/icon.svg", "images/file.svg",
        *generated(),
    }  # fmt: skip
    assert manifest["main"] == "./dist/extension.js"
    assert grammar == generated()["syntaxes/dsd.tmLanguage.json"]
