"""What is put into the site: the language as an archive, the examples, the highlighter's table; and honest failures."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import build_playground
import playground_downloads
import pytest
from playground_downloads import cached, run
from playground_parts import examples, language_archive, pattern_table

from dsd_lang.analysis import analyse
from dsd_lang.base.errors import DsdError

REPOSITORY = Path(__file__).resolve().parents[2]


class TestLanguageArchive:
    def test_it_answers_on_its_own_without_the_tree(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(io.BytesIO(language_archive(REPOSITORY))) as archive:
            archive.extractall(tmp_path)
        script = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "import dsd_lang; assert dsd_lang.__file__.startswith(sys.argv[1])\n"
            "import json; from answers import answer\n"
            "ask = lambda **question: json.loads(answer(json.dumps(question)))\n"
            "assert ask(ask='check', text='dense 5ep; sparse 50%; dense', model='ds2')['findings'] == []\n"
            "assert 'pydantic' not in sys.modules, 'findings need no pydantic'\n"
            "assert ask(ask='plan', text='dense 5ep', model='ds2')['plan']['rows']\n"
            "assert not {'torch', 'numpy', 'networkx', 'lark'} & set(sys.modules)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path, check=False
        )
        assert done.returncode == 0, done.stderr

    def test_equal_trees_give_equal_bytes(self) -> None:
        assert language_archive(REPOSITORY) == language_archive(REPOSITORY)


class TestExamples:
    def test_readme_is_first_and_every_schedule_is_there(self) -> None:
        found = examples(REPOSITORY)
        assert found[0]["text"].startswith("dense 50ep lr=8e-4")
        stems = [path.stem for path in sorted((REPOSITORY / "schedules").glob("*.dsd"))]
        stems.remove("common")  # has no phases of its own
        schedules = [one for one in found if one["group"] == "Schedules"]
        assert [one["name"] for one in schedules] == stems
        assert {one["name"]: list(one["files"]) for one in schedules if "files" in one} == {"imagenet": ["common.dsd"]}

    def test_the_language_page_is_there_by_heading(self) -> None:
        of_page = [one for one in examples(REPOSITORY) if one["group"].startswith("Language: ")]
        assert len(of_page) > 40
        assert {"Language: 2. Phases", "Language: 7. Loops"} <= {one["group"] for one in of_page}
        assert any(one["name"].startswith("DSD402 ") for one in of_page)

    def test_schedules_compile(self) -> None:
        for one in examples(REPOSITORY):
            if one["group"] == "Schedules":
                files = one.get("files", {})
                assert analyse(one["text"], read=files.__getitem__).errors == ()


class TestPatternTable:
    def test_it_is_plain_data_with_as_many_groups_as_parts(self) -> None:
        table = json.loads(json.dumps(pattern_table()))
        rules = [rule for group in table["groups"].values() for rule in group]
        rules += [rule for region in table["regions"] for rule in (region["opens"], *region["ends"])]
        for rule in rules:
            assert re.compile(rule["pattern"]).groups == len(rule["parts"])
            assert set(rule["parts"]) <= set(table["parts"])

    def test_every_group_that_is_named_exists(self) -> None:
        table = pattern_table()
        known = {*table["groups"], *(region["name"] for region in table["regions"])}
        named = {*table["outside"], *(name for region in table["regions"] for name in region["inside"])}
        assert named <= known


class TestCache:
    def fetch(self, folder: Path) -> None:
        self.count += 1
        (folder / "file").write_text(f"fetched {self.count}")

    def get(self, folder: Path, wanted: str = "it", *, is_fresh: bool = False) -> str:
        return (cached(folder, wanted, self.fetch, is_fresh=is_fresh) / "file").read_text()

    @pytest.fixture(autouse=True)
    def _nothing_fetched(self) -> None:
        self.count = 0

    def test_what_is_there_is_not_fetched_again(self, tmp_path: Path) -> None:
        assert [self.get(tmp_path / "part") for _ in range(3)] == ["fetched 1"] * 3

    def test_a_damaged_file_is_fetched_again(self, tmp_path: Path) -> None:
        self.get(tmp_path / "part")
        (tmp_path / "part" / "file").write_text("damaged")
        assert self.get(tmp_path / "part") == "fetched 2"

    def test_a_missing_file_is_fetched_again(self, tmp_path: Path) -> None:
        self.get(tmp_path / "part")
        (tmp_path / "part" / "file").unlink()
        assert self.get(tmp_path / "part") == "fetched 2"

    def test_another_wish_is_fetched(self, tmp_path: Path) -> None:
        self.get(tmp_path / "part")
        assert self.get(tmp_path / "part", "something else") == "fetched 2"

    def test_refresh_fetches(self, tmp_path: Path) -> None:
        self.get(tmp_path / "part")
        assert self.get(tmp_path / "part", is_fresh=True) == "fetched 2"


class TestFailures:
    def test_a_missing_program_is_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(DsdError, match=r"^`no-such-npm` is not installed"):
            run(["no-such-npm", "view"], tmp_path)

    def test_a_failing_program_says_its_error(self, tmp_path: Path) -> None:
        script = "import sys; sys.exit('warning: nothing\\nerror: there is no network\\nmore')"
        with pytest.raises(DsdError, match=r"parts: error: there is no network\n  = help: ") as caught:
            run([sys.executable, "-c", script], tmp_path)
        assert "\n" not in caught.value.message

    def test_a_site_without_the_page_is_refused(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert build_playground.main(["--site", str(tmp_path), "--cache", str(tmp_path / "cache")]) == 2
        assert "build the site first" in capsys.readouterr().err

    def test_without_npm_the_site_stays_as_it_is(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        page = tmp_path / "site" / "playground"
        page.mkdir(parents=True)
        (page / "index.html").write_text("page")
        monkeypatch.setenv("PATH", str(tmp_path))
        assert build_playground.main(["--site", str(tmp_path / "site"), "--cache", str(tmp_path / "cache")]) == 2
        assert capsys.readouterr().err.startswith("error: `npm` is not installed")
        assert [path.name for path in page.iterdir()] == ["index.html"]

    def test_a_package_that_is_not_what_the_registry_says_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def answers(command: list[str], folder: Path) -> str:
            if command[1] == "view":
                return json.dumps(
                    [{"version": "314.0.9", "dist.integrity": "a"}, {"version": "314.0.10", "dist.integrity": "b"}]
                )
            assert command[2] == "pyodide@314.0.10", "the newest of the range"
            (folder / "pyodide.tgz").write_bytes(b"something else")
            return json.dumps([{"filename": "pyodide.tgz"}])

        monkeypatch.setattr(playground_downloads, "run", answers)
        with pytest.raises(DsdError, match="is not what the registry says it is"):
            playground_downloads.fetch_pyodide(tmp_path)
