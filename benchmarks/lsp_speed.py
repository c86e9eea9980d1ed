"""How long an editor waits for `dsd-lsp`: a real process over stdio, a schedule of 1,000 lines, one answer at a time.

    python benchmarks/lsp_speed.py [--rounds 30] [--lines 1000]

"After a keystroke" is from the moment it is sent to the moment its findings or the answer are there, the pause that
gathers keystrokes included; everything else is asked about a text that is checked already.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import Any

URI = "file:///benchmark/large.dsd"
HEAD = """set model="resnet20" data="digits" opt=sgd(momentum=0.9, nesterov=on)
set lr=0.1 wd=1e-4 batch=128 decay=step(50%, 75%, by=0.1) seed=7
"""
PART = """
# experiment {n}: what does the mask cost?
# Each arm trains as long as the others; the first one prunes and gives back.
base{n}: dense 10ep lr=0.1 decay=cosine warmup=100it
prune{n}: sparse {share}% layers=conv,fc except=first_conv scope=global by=magnitude 5ep lr=prev/10
back{n}: dense restore=@base{n}.end state=reset
repeat sparse 25% then dense lr=6e-6

fork seeds=2 {{
  # the full recipe
  dsd{n}: {{ sparse 50% 5ep lr=1e-2; dense 5ep lr=1e-3 }}
  plain{n}: {{
    S: dense 5ep lr=1e-2  # no mask
    dense 5ep lr=1e-3 until plateau(val.loss, patience=3, delta=1e-3)
  }}
}}
compare dsd{n} vs plain{n} on=test.err test=paired
expect dsd{n}.test.err < plain{n}.test.err

# dsd: ignore[DSD306] each round prunes less than the one before
repeat 2 as i {{
  sparse 0.5/2^i 5ep lr=prev
  dense 5ep lr=prev/2
}}
"""


class Server:
    """One process and its two pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dsd_lang.lsp.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.numbers = count(1)
        self.published: dict[int, list[Any]] = {}

    def send(self, method: str, params: Any, **more: Any) -> None:
        """One message to the server."""
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The next message; pushed diagnostics are stored by version."""
        assert self.process.stdout is not None
        size = 0
        while line := self.process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        if not size:
            raise SystemExit("lsp_speed: the server ended")
        message: dict[str, Any] = json.loads(self.process.stdout.read(size))
        if message.get("method") == "textDocument/publishDiagnostics":
            self.published[message["params"]["version"]] = message["params"]["diagnostics"]
        return message

    def ask(self, method: str, params: Any) -> Any:
        """Sends a request and returns its answer."""
        number = next(self.numbers)
        self.send(method, params, id=number)
        while (answer := self.receive()).get("id") != number:
            pass
        if "error" in answer:
            raise SystemExit(f"lsp_speed: {method}: {answer['error']['message']}")
        return answer["result"]

    def diagnostics(self, version: int) -> list[Any]:
        """The diagnostics pushed for a version."""
        while version not in self.published:
            self.receive()
        return self.published[version]


class Typing:
    """A document in which one word is typed and deleted again, repeatedly."""

    def __init__(self, server: Server, text: str) -> None:
        self.server = server
        self.version = 1
        lines = text.split("\n")
        self.line = next(index for index in range(len(lines) // 2, len(lines)) if lines[index].startswith("prune"))
        self.column = lines[self.line].index(" layers=") + len(" layers=")
        self.mode_column = lines[self.line].index("sparse")

    def key(self) -> int:
        """One keystroke; returns the new version."""
        self.version += 1
        is_typed = self.version % 2 == 0
        end = self.column if is_typed else self.column + 5
        change = {"range": _range(self.line, self.column, self.line, end), "text": "birn," if is_typed else ""}
        target = {"uri": URI, "version": self.version}
        self.server.send("textDocument/didChange", {"textDocument": target, "contentChanges": [change]})
        return self.version

    def settle(self) -> None:
        """A keystroke, until its diagnostics arrive."""
        self.server.diagnostics(self.key())

    def rest(self) -> None:
        """Waits until everything is checked."""
        if self.version % 2 == 0:
            self.settle()


def large_schedule(num_lines: int) -> str:
    """A realistic schedule of about that many lines."""
    parts = [HEAD]
    while sum(part.count("\n") for part in parts) + PART.count("\n") < num_lines:
        number = len(parts)
        parts.append(PART.format(n=number, share=30 + number % 20))
    missing = num_lines - sum(part.count("\n") for part in parts)
    return "".join(parts) + "# the end\n" * missing


def main() -> None:
    """Prints a table: median and longest of each kind of wait."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--lines", type=int, default=1000)
    options = parser.parse_args()
    text = large_schedule(options.lines)
    server = Server()
    start = time.perf_counter()
    server.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
    started = time.perf_counter() - start
    server.send("initialized", {})
    opened = {"uri": URI, "languageId": "dsd", "version": 1, "text": text}
    start = time.perf_counter()
    server.send("textDocument/didOpen", {"textDocument": opened})
    found = server.diagnostics(1)
    first = time.perf_counter() - start
    print(f"{text.count(chr(10))} lines, {len(text):,} characters, {len(found)} findings; {options.rounds} rounds")
    print(f"{'':40}{'median':>10}{'longest':>10}  ms")
    print(f"{'start of the server':40}{started * 1000:10.1f}")
    print(f"{'diagnostics, first':40}{first * 1000:10.1f}")
    typing = Typing(server, text)
    for name, ask in _questions(server, typing):
        _report(name, ask, options.rounds)
    server.ask("shutdown", None)
    server.send("exit", None)
    server.process.wait()


def _questions(server: Server, typing: Typing) -> list[tuple[str, Callable[[], float]]]:
    """What is timed: its name, and a function that asks once and returns how long the answer took."""
    document = {"textDocument": {"uri": URI}}
    at_selector = {**document, "position": {"line": typing.line, "character": typing.column}}
    at_mode = {**document, "position": {"line": typing.line, "character": typing.mode_column}}
    screen = {**document, "range": _range(max(0, typing.line - 30), 0, typing.line + 30, 0)}
    options = {"options": {"tabSize": 2, "insertSpaces": True}}
    asked: list[tuple[str, str, Any]] = [
        ("completion", "completion", at_selector),
        ("hover, an argument", "hover", at_selector),
        ("hover, a phase with its resolved row", "hover", at_mode),
        ("go to definition", "definition", at_selector),
        ("inlay hints of a screen", "inlayHint", screen),
        ("code actions of a screen", "codeAction", {**screen, "context": {"diagnostics": []}}),
        ("semantic tokens", "semanticTokens/full", document),
        ("document symbols", "documentSymbol", document),
        ("folding", "foldingRange", document),
        ("formatting", "formatting", {**document, **options}),
    ]

    def typed() -> float:
        start = time.perf_counter()
        typing.settle()
        return time.perf_counter() - start

    def at_rest(method: str, params: Any) -> Callable[[], float]:
        def ask() -> float:
            typing.rest()
            start = time.perf_counter()
            server.ask(f"textDocument/{method}", params)
            return time.perf_counter() - start

        return ask

    def while_typing(method: str, params: Any) -> Callable[[], float]:
        def ask() -> float:
            start = time.perf_counter()
            version = typing.key()
            server.ask(f"textDocument/{method}", params)
            spent = time.perf_counter() - start
            server.diagnostics(version)
            return spent

        return ask

    rows: list[tuple[str, Callable[[], float]]] = [("diagnostics, after a keystroke", typed)]
    rows += [(f"{name}, after a keystroke", while_typing(method, params)) for name, method, params in asked[:1]]
    rows += [(name, at_rest(method, params)) for name, method, params in asked]
    return rows


def _report(name: str, ask: Callable[[], float], num_rounds: int) -> None:
    ask()
    waits = [ask() * 1000 for _ in range(num_rounds)]
    print(f"{name:40}{statistics.median(waits):10.1f}{max(waits):10.1f}")


def _range(line: int, character: int, end_line: int, end_character: int) -> dict[str, Any]:
    return {
        "start": {"line": line, "character": character},
        "end": {"line": end_line, "character": end_character},
    }


if __name__ == "__main__":
    main()
