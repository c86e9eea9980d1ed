"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the tree: what they add is found everywhere.

Each test edits only files that its recipe names, then asks the tools of the copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the recipes end in the runtime: pip install 'dsd-lang[run]'")
pytest.importorskip("pygls", reason="hover and completion are asked too: pip install 'dsd-lang[lsp]'")

REPOSITORY = Path(__file__).resolve().parents[2]
COPIED = ("dsd_lang", "runtime/dsd_runtime", "tools", "tests/lsp", "pyproject.toml", "schedules/quickstart.dsd")
PRELUDE = """
import sys
sys.path[:0] = ["tests/lsp", "tools"]
import dsd_lang
from pathlib import Path
from dsd_lang.cli import lint
from dsd_lang.cli import plan as plan_tool
from dsd_lang.base.errors import DsdError

def lint_text(text, *flags):
    Path("a.dsd").write_text(text)
    return lint.main(["--color", "never", *flags, "a.dsd"])

def plan_text(text, *flags):
    Path("a.dsd").write_text(text)
    return plan_tool.main(["--color", "never", "--width", "300", *flags, "a.dsd"])

def hover(marked):
    from lsp_editor import place_of, session
    from lsprotocol import types
    with session() as editor:
        text, place = place_of(marked)
        editor.open(text)
        answer = editor.at(types.TEXT_DOCUMENT_HOVER, place)
        return "" if answer is None else answer.contents.value

def completion(marked):
    from lsp_editor import place_of, session
    from lsprotocol import types
    with session() as editor:
        text, place = place_of(marked)
        editor.open(text)
        return [item.label for item in editor.at(types.TEXT_DOCUMENT_COMPLETION, place).items]
"""


@dataclass(frozen=True)
class Tree:
    """A copy of the repository in which one recipe is followed."""

    root: Path
    recipe: str

    def edit(self, path: str, before: str, after: str) -> None:
        """Puts ``after`` in the place of the first ``before`` in a file that the recipe names."""
        self._require_named(path)
        text = (self.root / path).read_text(encoding="utf-8")
        assert before in text, f"{path} has no {before!r}"
        (self.root / path).write_text(text.replace(before, after, 1), encoding="utf-8")

    def write(self, path: str, text: str) -> None:
        """Adds a file where the recipe says that one goes."""
        self._require_named(str(Path(path).parent) + "/")
        (self.root / path).write_text(text, encoding="utf-8")

    def run(self, code: str) -> str:
        """What Python prints in the copy."""
        paths = (self.root, self.root / "runtime")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-c", PRELUDE + code]
        result = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    def _require_named(self, path: str) -> None:
        assert path in self.recipe, f"the recipe does not name `{path}`"


@pytest.fixture
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """A copy of the tree, and the recipe whose title the test names."""
    for name in COPIED:
        source, target = REPOSITORY / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "corpora"))
        else:
            shutil.copy(source, target)
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    [recipe] = re.findall(rf"^\*\*{re.escape(request.param)}.*?(?=^\*\*|\Z)", text, re.MULTILINE | re.DOTALL)
    return Tree(tmp_path, recipe)


@pytest.mark.parametrize("tree", ["An argument"], indirect=True)
def test_an_argument(tree: Tree) -> None:
    tree.edit(
        "dsd_lang/base/arguments.py",
        "ARGUMENTS: tuple[Argument, ...] = (\n",
        "ARGUMENTS: tuple[Argument, ...] = (\n"
        '    Argument("warp", PHASE_OR_SET, "number", "0", "how far the weights are warped", "overrides",'
        ' example="2", is_supported=False),\n',
    )
    tree.edit(
        "dsd_lang/plan/parts.py",
        "    batch: Annotated[int, Field(ge=1)] | None = None\n",
        "    batch: Annotated[int, Field(ge=1)] | None = None\n    warp: str | None = None\n",
    )
    said = tree.run(
        """
from dsd_lang.views.diff import diff_plans
one, two = (dsd_lang.compile(f"dense 2ep lr=0.1\\nsparse 50% warp={warp}\\ndense") for warp in (3, 4))
assert one.phases[1].warp == "3" and one.phases[2].warp is None and one.hash != two.hash
assert dsd_lang.Plan.from_json(one.to_json()) == one
changed = [(item.name, item.old, item.new) for change in diff_plans(one, two).phases for item in change.attributes]
assert changed == [("warp", "3", "4")], changed
assert plan_text("dense 2ep lr=0.1\\nsparse 50% warp=3\\ndense\\n") == 0
assert lint_text("dense 2ep lr=0.1\\nsparse 50% warp=3\\ndense\\n") == 1
assert lint_text("dense 2ep lr=0.1\\nsparse 50% wrap=3\\ndense\\n") == 1
assert lint_text("dense 2ep lr=0.1\\nsparse 50% warp=-1\\ndense\\n") == 1
print(hover("dense 2ep lr=0.1 wa|rp=3"))
assert "warp=" in completion("dense 2ep lr=0.1 |")
import docs_tables
assert "| `warp=` | `0` |" in docs_tables.arguments_table("overrides")
from dsd_runtime.engine.support import unsupported
print(*map(str, unsupported(one)))
"""
    )
    assert "warp=3" in said, "the plan's table has it"
    assert "error[DSD207]: `warp=` is not supported yet" in said
    assert "did you mean `warp`?" in said
    assert "`warp=` takes a number of 0 or more" in said
    assert "**`warp=`** how far the weights are warped" in said
    assert "DSD207: `warp=` is not supported yet (line 2)" in said
    tree.edit("dsd_lang/base/arguments.py", 'example="2", is_supported=False', 'example="2"')
    tree.run(
        """
from dsd_runtime.engine.support import unsupported
plan = dsd_lang.compile("set warp=3; dense 2ep lr=0.1")
assert not unsupported(plan) and plan.phases[0].warp == "3"
assert lint_text("set warp=3\\ndense 2ep lr=0.1\\n") == 0
"""
    )


@pytest.mark.parametrize("tree", ["A score"], indirect=True)
def test_a_score(tree: Tree) -> None:
    tree.edit(
        "dsd_lang/base/options.py",
        "SCORES = (\n",
        'SCORES = (\n    Option("tallest", source="this test"),\n',
    )
    tree.edit(
        "runtime/dsd_runtime/masks/scores.py",
        "SCORES: dict[str, ScoreMethod] = {\n",
        "SCORES: dict[str, ScoreMethod] = {\n"
        '    "tallest": ScoreMethod(lambda request: Scores(-request.weights.detach(), "value")),\n',
    )
    said = tree.run(
        """
import torch, dsd_runtime
text = "sparse 50% by=tallest 1it lr=0.1\\ndense\\n"
assert lint_text(text) == 0 and plan_text(text) == 0
assert lint_text(text.replace("tallest", "talest")) == 1
print(hover("sparse 50% 1it by=tal|lest lr=0.1"))
assert "tallest" in completion("sparse 50% 1it by=|")
import docs_methods, docs_tables
assert "`tallest`" in docs_tables.arguments_table("pruning")
assert "| `by=tallest` | this test | yes |" in docs_methods.methods_table()
model = torch.nn.Linear(4, 1)
with torch.no_grad():
    model.weight.copy_(torch.tensor([[1.0, -2.0, 3.0, -4.0]]))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
session = dsd_runtime.attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=1)
assert model.weight.tolist() == [[0.0, -2.0, 0.0, -4.0]], model.weight
"""
    )
    assert "by=tallest" in said, "the plan's table has it"
    assert "did you mean `tallest`?" in said
    assert "**`tallest`** a value of `by=`" in said
    assert "source: this test" in said


@pytest.mark.parametrize("tree", ["A metric"], indirect=True)
def test_a_metric(tree: Tree) -> None:
    tree.edit(
        "dsd_lang/base/metrics.py",
        "METRICS: tuple[Metric, ...] = (\n",
        'METRICS: tuple[Metric, ...] = (\n    Metric("kappa", "ratio", True, "agreement beyond chance"),\n',
    )
    said = tree.run(
        """
import torch, dsd_runtime
text = "a: dense 3it lr=0.1\\nsparse 50% 1it from=@a.best\\ndense\\n"
assert lint_text("dense 2ep lr=0.1 until val.kapa > 0.5\\n") == 1
assert lint_text("dense 2ep lr=0.1 until val.kappa > 0.5\\n") == 0
print(hover("dense 2ep lr=0.1 until plateau(val.ka|ppa)"))
assert "val.kappa" in completion("dense 2ep lr=0.1 until plateau(|")
import docs_tables
assert "`*.kappa`" in docs_tables.metrics_table()
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
plan = dsd_lang.compile(text)
session = dsd_runtime.attach(plan, model, optimizer, steps_per_epoch=1, best_metric="val.kappa")
weights = []
for value in (0.2, 0.9, 0.1):
    optimizer.zero_grad()
    model(torch.ones(1, 4)).sum().backward()
    session.step()
    weights.append(model.weight.detach().clone())
    session.report({"val.kappa": value})
session.begin_step()
kept = model.weight != 0
assert torch.equal(model.weight[kept], weights[1][kept]), "the best is the highest"
"""
    )
    assert "did you mean `val.kappa`?" in said
    assert "agreement beyond chance, measured on the validation data" in said


@pytest.mark.parametrize("tree", ["A setting"], indirect=True)
def test_a_setting(tree: Tree) -> None:
    tree.edit(
        "dsd_lang/base/arguments.py",
        "ARGUMENTS: tuple[Argument, ...] = (\n",
        "ARGUMENTS: tuple[Argument, ...] = (\n"
        '    Argument("mood", SET, "choice", "calm", "how the run feels", "settings", words("calm", "wild"),'
        ' home="elsewhere"),\n',
    )
    said = tree.run(
        """
from dsd_lang.views.diff import diff_plans
text = "set mood=wild\\ndense 2ep lr=0.1\\n"
plan = dsd_lang.compile(text)
assert plan.settings["mood"] == "wild"
assert dsd_lang.compile(text, overrides={"mood": "calm"}).settings["mood"] == "calm"
assert [item.name for item in diff_plans(plan, dsd_lang.compile("dense 2ep lr=0.1")).settings] == ["mood"]
assert plan_text(text) == 0 and lint_text(text) == 0 and lint_text(text.replace("wild", "wld")) == 1
print(hover("set mo|od=wild"))
assert "mood=" in completion("set |") and "wild" in completion("set mood=|")
import docs_tables
assert "| `mood=` | `calm` |" in docs_tables.arguments_table("settings")
"""
    )
    assert "mood=wild" in said, "the plan's page has it"
    assert "did you mean `wild`?" in said
    assert "**`mood=`** how the run feels" in said


@pytest.mark.parametrize("tree", ["A rule"], indirect=True)
def test_a_rule(tree: Tree) -> None:
    last = '        Code("DSD903", "unused-suppression", "warning"),\n'
    tree.edit("dsd_lang/base/diagnostics.py", last, f'{last}        Code("DSD999", "no-sparse-phase", "warning"),\n')
    page = '''"""No phase is sparse.

What it does
------------
Reports a schedule without a `sparse` phase.

Why is this bad
---------------
It prunes nothing.

Example
-------
::

    dense 2ep lr=0.1

Use instead
-----------
::

    dense 2ep lr=0.1; sparse 50%; dense

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.rules.subject import Subject

CODE = "DSD999"


def check(subject: Subject) -> None:
    """The phases in execution order."""
    phases = subject.book.phases if subject.book is not None else []
    if phases and all(phase.mode == "dense" for phase in phases):
        subject.diagnostics.add(CODE, "no phase is sparse", phases[0].node.span)
'''
    tree.write("dsd_lang/rules/no_sparse_phase.py", page)
    tree.edit(
        "dsd_lang/rules/checks.py", "    milestone_past_end,\n", "    milestone_past_end,\n    no_sparse_phase,\n"
    )
    tree.edit("dsd_lang/rules/checks.py", "ORDER_RULES = (\n", "ORDER_RULES = (\n    no_sparse_phase.check,\n")
    said = tree.run(
        """
text = "dense 2ep lr=0.1\\n"
assert lint_text(text) == 1
assert lint_text(text, "--ignore", "no-sparse-phase") == 0
assert lint_text("dense 2ep lr=0.1  # dsd: ignore[DSD999]\\n") == 0
assert lint.main(["--explain", "DSD999"]) == 0
assert "It prunes nothing." in hover("de|nse 2ep lr=0.1")
assert "DSD999" in completion("dense 2ep lr=0.1  # dsd: ignore[|")
import docs_rules
assert "warning[DSD999]: no phase is sparse" in docs_rules.rule_page("DSD999")
assert "DSD999" in docs_rules.index_page()
"""
    )
    assert "warning[DSD999]: no phase is sparse" in said
    assert "Reports a schedule without a `sparse` phase." in said


@pytest.mark.parametrize("tree", ["A model"], indirect=True)
def test_a_model(tree: Tree) -> None:
    tree.write(
        "runtime/dsd_runtime/models/perceptron.py",
        '''"""A perceptron."""

from torch import Tensor, nn


class Perceptron(nn.Module):
    """One linear layer on flat pictures."""

    def __init__(self, *, image_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = image_shape
        self.fc = nn.Linear(channels * height * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1))

    def reset_parameters(self) -> None:
        self.fc.reset_parameters()
''',
    )
    tree.edit(
        "runtime/dsd_runtime/models/inventories.py",
        "def lenet_300_100(",
        'def perceptron(options: Options) -> Layers:\n    """`perceptron` on 1x8x8 images."""\n'
        '    return with_inferred_roles([_fc("fc", 64, _number(options, "classes"))])\n\n\ndef lenet_300_100(',
    )
    tree.edit(
        "runtime/dsd_runtime/models/catalogue.py",
        "_SPECS = (\n",
        '_SPECS = (\n    ModelSpec("perceptron", "one linear layer", "dsd_runtime.models.perceptron:Perceptron",'
        ' {"classes": 10}, _lottery("1e-3"), inventories.perceptron, _SIZED_IMAGES),\n',
    )
    said = tree.run(
        """
text = "dense 1it\\nsparse 50% layers=fc\\ndense\\n"
assert lint_text(text, "--model", "perceptron") == 0
assert lint_text(text.replace("fc", "conv"), "--model", "perceptron") == 1
assert plan_text(text, "--model", "perceptron") == 0
from dsd_runtime import inventory
from dsd_runtime.cli import main
from dsd_runtime.data.traits import image_traits
from dsd_runtime.models.registry import build_model
from dsd_runtime.models import catalogue
model = build_model("perceptron", image_traits(tuple("0123456789"), (1, 8, 8)))
def shapes(layers):
    return [(layer.name, layer.kind, [weight.shape for weight in layer.weights]) for layer in layers]
built, described = shapes(inventory(model)), shapes(catalogue.inventory("perceptron"))
assert built == described, (built, described)
import docs_catalogue
assert "| `perceptron` | one linear layer |" in docs_catalogue.models_table()
sys.argv = ["dsd-run"]
assert main(["a.dsd", "--model", "perceptron", "--dry-run", "--out", "run"]) == 0
assert main(["--list-models"]) == 0
"""
    )
    assert "perceptron" in said
    assert "one linear layer" in said
    assert "640" in said, "the plan counts its weights"


@pytest.mark.parametrize("tree", ["A data set"], indirect=True)
def test_a_data_set(tree: Tree) -> None:
    tree.write(
        "runtime/dsd_runtime/data/images/stripes.py",
        '''"""Every digit is a stripe: the digits under another name."""

from dsd_runtime.data.images.digits import open_digits
from dsd_runtime.data.source import DataSource


def open_stripes(path: str | None, *, size: int = 8) -> DataSource:
    """Pictures of one channel."""
    return open_digits(path, size=size)
''',
    )
    tree.edit(
        "dsd_lang/base/data_sets.py",
        '        DataSet("digits"',
        '        DataSet("stripes", "stripes of one channel, built in"),\n        DataSet("digits"',
    )
    tree.edit(
        "runtime/dsd_runtime/data/registry.py",
        '        "digits": "dsd_runtime.data.images.digits:open_digits",\n',
        '        "digits": "dsd_runtime.data.images.digits:open_digits",\n'
        '        "stripes": "dsd_runtime.data.images.stripes:open_stripes",\n',
    )
    said = tree.run(
        """
text = 'set data="stripes"\\ndense 1it\\n'
assert lint_text(text) == 0
from dsd_runtime.cli import main
Path("a.dsd").write_text(text)
assert main(["a.dsd", "--model", "lenet_300_100", "--dry-run", "--out", "run"]) == 0
assert main(["--list-data"]) == 0
import docs_catalogue
assert "| `stripes` | stripes of one channel, built in |" in docs_catalogue.data_table()
"""
    )
    assert "data    stripes" in said
    assert "stripes of one channel, built in" in said
