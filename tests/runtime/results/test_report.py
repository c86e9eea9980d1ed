"""The report: one file that shows everything, and shows what users wrote as it is. The command that writes it."""

from __future__ import annotations

import csv
import html
import html.parser
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from made_run import FLOPS, made_run, record_of

from dsd_lang.plan import Phase
from dsd_runtime.results import cli, report
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.report import read_runs, report_html
from dsd_runtime.results.results import Results

TEXT = """# Is it better?
# Claim: it is.
base: dense 2ep lr=0.1
fork seeds=3 {
  dsd: { sparse 50% 1ep; dense 1ep }
  plain: dense 2ep
}
compare dsd vs plain on=test.err
expect dsd.test.err < 1
"""
EVIL = "</script><script>alert('x')</script><img src=x onerror=alert(1)>"
MOST_BYTES = 1_500_000


def measure(phase: Phase, epoch: int) -> Mapping[str, float | None]:
    err = 10.0 - epoch + phase.seed_index * (0.2 if phase.mode == "sparse" else 0.3) + len(phase.path) / 7
    return {"val.err": err + 1, "test.err": err, "train.loss": 1 / epoch}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    made_run(tmp_path / "one", TEXT, measure, schedule_text=TEXT, command=["dsd-run", "a b.dsd"], seed=4)
    return tmp_path / "one"


class Page(html.parser.HTMLParser):
    """The elements of a page with their attributes, and its text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.charts: list[str] = []
        self._in: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._in = dict(attrs).get("type") or tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._in = None

    def handle_data(self, data: str) -> None:
        if self._in is None:
            self.text += data
        elif self._in == "application/json":
            self.charts.append(data)


def page_of(*folders: Path) -> Page:
    return Page(report_html(read_runs(folders)))


def test_the_verdicts_come_first_and_a_failed_expectation_has_a_word(run: Path) -> None:
    text = " ".join(page_of(run).text.partition("Question and verdicts")[2].split())
    verdict = read_results(run).comparisons[0].verdict.replace("`", "")
    sections = ("Results by phase", "Timeline", "Curves", "Cost", "How to run it again")
    order = [text.index(words) for words in (verdict, "Expected dsd.test.err < 1: fails, by 9.59", *sections)]
    assert order == sorted(order)


def test_every_chart_has_its_table_and_every_number_of_it(run: Path) -> None:
    page = page_of(run)
    charts = [attributes for tag, attributes in page.tags if tag == "div" and attributes.get("class") == "chart"]
    assert len(charts) == len(page.charts) == sum(attributes.get("class") == "data" for _, attributes in page.tags) > 0
    for chart in page.charts:
        for row in json.loads(chart)["data"]["values"]:
            assert f"{row['mean']:.4g}" in page.text


def test_how_to_run_it_again_is_complete(run: Path) -> None:
    text, it = page_of(run).text, read_results(run)
    assert TEXT.strip() in text
    assert "dsd-run 'a b.dsd'" in text
    assert it.provenance.plan_hash in text
    assert all(phase.node in text for phase in it.phases if phase.node)


def test_nothing_is_fetched_and_the_file_is_small(run: Path) -> None:
    text = report_html(read_runs([run]))
    for tag, attributes in Page(text).tags:
        fetched = attributes.get("src") or (attributes.get("href") if tag == "link" else None)
        assert fetched in (None, "data:,"), (tag, attributes)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert len(text.encode()) < MOST_BYTES


def test_the_report_of_a_large_run_is_small_too(tmp_path: Path) -> None:
    ratios = ", ".join(f"{10 * ratio}%" for ratio in range(1, 10))
    sweep = f"sweep s in {ratios} {{ sparse s 60ep; dense 60ep }}"
    text = f"base: dense 60ep lr=0.1; fork seeds=3 {{ dsd: {{ {sweep} }} }}"
    made_run(tmp_path, text, measure, records=record_of)
    assert len(report_html(read_runs([tmp_path])).encode()) < MOST_BYTES


def test_a_figure_that_there_is_no_room_for_is_named(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_MOST_BYTES", 0)
    made_run(run.parent / "new", TEXT, measure, records=record_of)
    assert "Left out, so that the page stays small: Weights at the boundaries, " in page_of(run.parent / "new").text


def test_of_very_many_phases_the_first_and_the_last_are_listed(tmp_path: Path) -> None:
    made_run(tmp_path, "repeat 1000 { dense 1ep lr=0.1 }", lambda phase, epoch: {"test.err": 1.0})
    page = report_html(read_runs([tmp_path]))
    assert "... 400 more rows are in results.json ..." in page
    assert "Node keys, 1000 phases" in page
    assert [f">p{number}<" in page for number in (0, 299, 300, 699, 700, 999)] == [True, True, False, False, True, True]


def test_skipped_phases_are_counted_and_not_listed(run: Path) -> None:
    [first] = read_runs([run])
    phases = [phase.model_copy(update={"state": "skipped" if phase.mode == "sparse" else phase.state})
              for phase in first.results.phases]  # fmt: skip
    page = Page(report_html([first._replace(results=first.results.model_copy(update={"phases": tuple(phases)}))]))
    assert "1 phases that were skipped" in page.text
    assert "sparse 50% (skipped)" not in page.text


def test_what_users_wrote_is_data(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    evil = {**manifest, "model": EVIL, "data": EVIL, "schedule_text": f"# {EVIL}\n", "schedule": EVIL, "scale": EVIL}
    (run / "manifest.json").write_text(json.dumps(evil))
    lines = (run / "metrics.jsonl").read_text()
    (run / "metrics.jsonl").write_text(lines.replace("val.err", "val." + EVIL.replace('"', "")))
    page = page_of(run)
    assert page.text.count(EVIL) >= 4
    assert [tag for tag, _ in page.tags].count("script") == len(page.charts) + 2
    assert "img" not in [tag for tag, _ in page.tags]
    for chart in page.charts:
        json.loads(chart)


def test_a_label_like_a_tag_is_escaped_in_the_data_of_charts(run: Path) -> None:
    [first] = read_runs([run])
    phases = tuple(phase.model_copy(update={"path": EVIL if phase.path else ""}) for phase in first.results.phases)
    page = Page(report_html([first._replace(results=first.results.model_copy(update={"phases": phases}), name=EVIL)]))
    assert any(row["arm"] == EVIL for chart in page.charts for row in json.loads(chart)["data"]["values"])
    assert EVIL in page.text


def test_flops_by_layer_are_below_the_cost_where_they_were_counted(tmp_path: Path, run: Path) -> None:
    assert "FLOPs by layer" not in report_html(read_runs([run]))
    layers = {"<fc>": FLOPS["layers"]["fc"], **FLOPS["layers"]}
    counted = {**FLOPS, "layers": layers, "samples_per_epoch": {"p0": 10}}
    made_run(tmp_path / "a", "dense 2ep lr=1", measure, flops=counted)
    page = report_html(read_runs([tmp_path / "a"]))
    assert "FLOPs by layer, 3 layers" in page
    assert "&lt;fc&gt;" in page
    assert "counted on one batch: images 5 x 3" in page


def test_several_runs_have_one_table_matched_by_path_and_label(tmp_path: Path, run: Path) -> None:
    made_run(tmp_path / "two", TEXT.replace("plain", "dense_only"), measure)
    text = report_html(read_runs([run, tmp_path / "two"]))
    page = Page(text)
    assert "one: test.err" in page.text
    assert "two: test.err" in page.text
    rows = [line for line in text.splitlines() if line.startswith('<tr><th scope="row">dsd</th>')]
    assert all("±" in row.rpartition("<td")[2] for row in rows[:2])  # both runs have the arm `dsd`


def test_weights_that_were_not_recorded_are_told(tmp_path: Path, run: Path) -> None:
    words = "trained by a version that did not record them"
    assert words in page_of(run).text
    made_run(tmp_path / "new", TEXT, measure, records=record_of)
    assert words not in page_of(tmp_path / "new").text


@pytest.mark.parametrize("harm", ["metrics.jsonl", "manifest.json", "checkpoints"])
def test_a_damaged_folder_gives_what_is_there(run: Path, harm: str) -> None:
    path = run / harm
    if path.is_dir():
        path.rename(run / "gone")
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    page = page_of(run)
    assert "Results by phase" in page.text
    assert "not finished" in page.text or "damaged" in page.text


@pytest.mark.parametrize(
    ("field", "value", "note"),
    [
        ("seed", "</script>", "`manifest.json` is damaged, and left out: seed"),
        ("command", 7, "`manifest.json` is damaged, and left out: command"),
        ("versions", [1], "`manifest.json` is damaged, and left out: versions"),
        ("setting", {"precision": "\ud800"}, None),
        ("schedule_text", "# \ud800 half a character", None),
    ],
)
def test_a_damaged_manifest_is_told_by_field(run: Path, field: str, value: object, note: str | None) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, field: value}))
    results = read_results(run)
    assert [found for found in results.notes if "damaged" in found] == ([] if note is None else [note])
    assert results.provenance.data == manifest.get("data")
    results.to_json()
    page_of(run)


@pytest.mark.parametrize("content", ["", "[]", '{"moments": {"before": {"": {"limit": 0}}}}', '{"sizes": {"w": "x"}}'])
def test_a_damaged_record_of_weights_is_told_and_left_out(tmp_path: Path, content: str) -> None:
    made_run(tmp_path, TEXT, measure, records=record_of)
    damaged = sorted(tmp_path.glob("checkpoints/*/weights.json"))[0]
    damaged.write_text(content)
    assert read_results(tmp_path).notes == (f"`{damaged.parent.name}/weights.json` is damaged and left out",)
    assert "Weights at the boundaries" in page_of(tmp_path).text


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_writes_the_report_and_a_failed_expectation_is_exit_1(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([str(run)]) == 1
    assert capsys.readouterr().out == f"report  {run / 'report.html'}\n"
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")


def test_without_a_failed_expectation_it_is_exit_0(tmp_path: Path) -> None:
    made_run(tmp_path / "run", TEXT.replace("< 1", "< 100"), measure)
    assert cli.main([str(tmp_path / "run"), "--out", str(tmp_path / "a.html")]) == 0
    assert (tmp_path / "a.html").is_file()


@pytest.mark.parametrize("words", [["nowhere"], ["nowhere", "--format", "csv"], ["run", "--open", "--format", "csv"]])
def test_bad_usage_is_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err.startswith("dsd-report: ")


def test_a_run_is_given_once(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(run), str(run / ".." / run.name)]) == 2
    assert "is given twice" in capsys.readouterr().err


def test_csv_has_the_table_and_the_verdicts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([str(run), "--format", "csv"])
    table, _, verdicts = capsys.readouterr().out.partition("\n\n")
    rows = list(csv.DictReader(table.splitlines()))
    results = read_results(run)
    assert [row["phase"] for row in rows] == ["base", "p1", "p2", "p7"]
    assert float(rows[0]["test.err mean"]) == results.phases[0].metrics["test.err"]
    assert [row["verdict"] for row in csv.DictReader(verdicts.splitlines())] == list(results.verdicts)


def test_markdown_has_the_table_and_the_verdicts(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([str(run), "--format", "markdown"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("* ")][1] == "* expected dsd.test.err \\< 1: fails, by 9.59"
    assert sum(line.startswith("| ") for line in lines) == 2 + 4


def test_json_is_results_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([str(run), "--format", "json"])
    assert capsys.readouterr().out == read_results(run).to_json()


@pytest.mark.parametrize("use", ["_repr_html_()", "figure('curve val.err')", "to_json()"])
def test_results_can_be_used_first_thing_in_a_process(run: Path, use: str) -> None:
    code = f"import dsd_runtime, sys; dsd_runtime.read_results(sys.argv[1]).{use}"
    subprocess.run([sys.executable, "-c", code, str(run)], check=True, capture_output=True)


def test_a_notebook_shows_verdicts_table_and_timeline_of_what_was_read(run: Path) -> None:
    found = read_results(run)
    shown = found._repr_html_()
    assert all(html.escape(verdict) in shown for verdict in found.verdicts)
    assert shown.count("<table") == shown.count("<svg") == 1
    assert "<svg" not in Results.from_json(found.to_json())._repr_html_(), "the plan is not in the data"
    assert Results.from_json(found.to_json()) == found != found.model_copy(update={"run": "other"})


def test_neither_reading_nor_writing_needs_torch(run: Path) -> None:
    code = "import sys; from dsd_runtime.results.cli import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, str(run)], check=True, capture_output=True)


def test_the_help_is_frozen(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert capsys.readouterr().out == HELP


HELP = """\
usage: dsd-report [-h] [--out FILE] [--format {html,markdown,json,csv}] [--open] [--schema]
                  [--version]
                  [RUN ...]

Write the report of one or several run folders, without training.

positional arguments:
  RUN                   a run folder; several are compared

options:
  -h, --help            show this help message and exit
  --out FILE            the file to write; default: report.html in the run folder (of several: in
                        this one), else stdout
  --format {html,markdown,json,csv}
                        default html
  --open                show the report in the browser
  --schema              print the JSON Schema of results.json (needs no RUN)
  --version             print the version and exit

exit status: 0 done, 1 an `expect` of the schedule failed, 2 wrong usage or no run folder.
A damaged or unfinished run gives what is there, and the report says what is missing.
"""


def test_a_report_that_shares_the_charts_script_names_it_and_is_small(run: Path) -> None:
    text = report_html(read_runs([run]), charts_at="charts.js")
    scripts = [attributes["src"] for tag, attributes in Page(text).tags if tag == "script" and "src" in attributes]
    assert scripts == ["charts.js"]
    assert "script-src 'self'" in text
    assert len(text) < 100_000
