"""What the page asks is answered as the command-line tools would, in the browser's way of counting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from answers import MAX_CHARACTERS, MAX_DIAGNOSTICS, MAX_PHASES, MAX_ROWS, Places, answer

import dsd_lang
from dsd_lang.views.table import table_rows

FILES = {"common.dsd": "let rate = 0.1\ndef cycle(s) { sparse s 5ep; dense }\n"}
USING = 'use "common.dsd"\ndense 5ep lr=rate\ncycle(50%)\n'
README = "dense 50ep lr=8e-4\nsparse 50% layers=fc,birnn\ndense lr=3e-4\nrepeat sparse 25%\n"


def ask(what: str, text: str = "", **more: Any) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(answer(json.dumps({"ask": what, "text": text, **more})))
    return reply


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """As an editor does it: offsets in UTF-16 units."""
    units = text.encode("utf-16-le")
    for edit in sorted(edits, key=lambda one: -one["from"]):
        units = units[: 2 * edit["from"]] + edit["insert"].encode("utf-16-le") + units[2 * edit["to"] :]
    return units.decode("utf-16-le")


class TestPlaces:
    def test_characters_beyond_the_first_plane_are_two(self) -> None:
        places = Places("a𝒳b\n𝒴c")
        assert [places.offset(index) for index in range(6)] == [0, 1, 3, 4, 5, 7]

    def test_plain_text_counts_as_it_is(self) -> None:
        assert Places("abc\ndef").of(2, 5) == {"from": 2, "to": 5}


class TestFiles:
    def test_a_schedule_uses_the_files_beside_it(self) -> None:
        assert ask("check", USING, files=FILES)["findings"] == []
        plan = ask("plan", USING, files=FILES)["plan"]
        assert [row["mode"] for row in plan["rows"]] == ["dense", "sparse", "dense"]
        assert dsd_lang.compile(FILES["common.dsd"] + USING.split("\n", 1)[1]).hash in dict(plan["totals"])["hash"]
        labels = [offer["label"] for offer in ask("complete", USING, files=FILES, line=3)["offers"]]
        assert "cycle" in labels
        assert "0.1" in ask("hover", USING, files=FILES, line=1, character=15)["page"]

    def test_a_file_that_is_not_there_is_told(self) -> None:
        [found] = ask("check", 'use "common.dsd"\ndense 5ep lr=0.1\n')["findings"]
        assert found["code"] == "DSD211"

    @pytest.mark.parametrize("name", ["../common.dsd", "/common.dsd", "common.txt", ""])
    def test_a_name_with_a_folder_is_refused(self, name: str) -> None:
        assert "is not the name of a schedule" in ask("check", README, files={name: ""})["problem"]["message"]


class TestCheck:
    def test_a_diagnostic_has_its_place_page_and_fix(self) -> None:
        text = "# 𝒳 here\ndense 50 lr=0.1\n"
        [found] = ask("check", text)["findings"]
        assert (found["code"], found["severity"], found["line"], found["column"]) == ("DSD402", "error", 2, 7)
        assert text.encode("utf-16-le")[2 * found["from"] : 2 * found["to"]].decode("utf-16-le") == "50"
        assert found["url"] == "../rules/length-without-unit/"
        assert found["summary"]
        assert applied(text, found["fix"]["edits"]) == "# 𝒳 here\ndense 50ep lr=0.1\n"

    def test_comments_suppress(self) -> None:
        text = "dense 5ep lr=0.1\nsparse 50%  # dsd: ignore[DSD303] wanted\n"
        assert ask("check", text) == {"findings": [], "left_out": 0}

    def test_a_model_knows_its_layers(self) -> None:
        text = "dense 5ep lr=0.1; sparse 50% layers=birnn; dense\n"
        assert ask("check", text)["findings"] == []
        assert [one["code"] for one in ask("check", text, model="resnet20")["findings"]] == ["DSD201"]

    def test_an_unknown_model_is_a_problem(self) -> None:
        problem = ask("check", README, model="ds9")["problem"]
        assert "ds9" in problem["message"]

    def test_very_many_diagnostics_are_cut(self) -> None:
        reply = ask("check", "dense 5ep lr=0.1 restore=init\n" * (MAX_DIAGNOSTICS + 50))
        assert len(reply["findings"]) == MAX_DIAGNOSTICS
        assert reply["left_out"] == 50


class TestPlan:
    def test_rows_are_those_of_dsd_plan(self) -> None:
        plan = ask("plan", README)["plan"]
        headers, rows = table_rows(dsd_lang.compile(README))
        shown = [[cell["text"] + "*" * cell["derived"] for cell in row["cells"]] for row in plan["rows"]]
        assert plan["headers"] == headers
        assert shown == rows
        assert plan["is_derived"]

    def test_rows_know_where_they_are_written(self) -> None:
        rows = ask("plan", README)["plan"]["rows"]
        written = [README[row["from"] : row["to"]] for row in rows[:3]]
        assert written == ["dense 50ep lr=8e-4", "sparse 50% layers=fc,birnn", "dense lr=3e-4"]
        assert [row["mode"] for row in rows] == ["dense", "sparse", "dense", "sparse", "dense"]

    def test_totals_and_hash(self) -> None:
        totals = dict(ask("plan", README)["plan"]["totals"])
        assert totals["total"].startswith("250ep")
        assert totals["hash"] == dsd_lang.compile(README).hash

    def test_arms_and_claims_are_totals_too(self) -> None:
        text = "fork { a: dense 10ep lr=0.1\n b: dense 30ep lr=0.1 }\ncompare a vs b on=test.err\n"
        assert [name for name, _ in ask("plan", text)["plan"]["totals"]] == ["total", "a", "compares", "hash"]

    def test_a_model_brings_exact_counts(self) -> None:
        text = "dense 5ep; sparse 50%; dense\n"
        plan = ask("plan", text, model="lenet_300_100")["plan"]
        assert "266,610 parameters" in plan["counts"]
        assert ask("plan", text)["plan"]["counts"] == ""

    def test_errors_leave_no_plan(self) -> None:
        assert ask("plan", "dense lr=0.1") == {"plan": None}

    def test_an_empty_text_leaves_no_traceback(self) -> None:
        for what in ("check", "plan", "json", "graph", "format", "fix", "hover", "complete"):
            assert isinstance(ask(what, ""), dict)

    def test_long_tables_are_cut(self) -> None:
        plan = ask("plan", f"dense 1ep lr=0.1\nrepeat {MAX_ROWS} {{ dense 1ep }}\n")["plan"]
        assert len(plan["rows"]) == MAX_ROWS
        assert plan["left_out"] == 1


class TestTooLarge:
    @pytest.mark.parametrize("what", ["check", "plan", "graph", "json", "format", "fix", "hover", "complete"])
    def test_a_program_past_the_limit_is_refused_before_it_is_expanded(self, what: str) -> None:
        problem = ask(what, f"dense 1ep lr=0.1\nrepeat {MAX_PHASES} {{ dense 1ep }}\n")["problem"]
        assert problem["message"] == "the schedule expands to 1,001 phases, and this page compiles at most 1,000"
        assert "dsd-plan" in problem["help"]

    def test_a_very_long_text_is_refused_before_it_is_parsed(self) -> None:
        problem = ask("check", "# so long\n" * MAX_CHARACTERS)["problem"]
        assert problem["message"] == "the schedule has 2,000,000 characters, and this page compiles at most 200,000"

    def test_at_the_limit_it_compiles(self) -> None:
        assert ask("plan", f"repeat {MAX_PHASES} {{ dense 1ep lr=0.1 }}\n")["plan"]["left_out"] == MAX_PHASES - MAX_ROWS

    def test_past_the_limit_of_the_language_it_is_a_diagnostic(self) -> None:
        text = "repeat 1000 { repeat 1000 { dense 1ep lr=0.1 } }\n"
        assert [one["code"] for one in ask("check", text)["findings"]] == ["DSD405"]


class TestRewriting:
    def test_format(self) -> None:
        assert ask("format", "dense 5ep;sparse .5 layers=fc")["text"] == "dense 5ep\nsparse 50% layers=fc\n"

    def test_a_text_with_syntax_errors_cannot_be_formatted(self) -> None:
        assert "message" in ask("format", "dense 5ep {")["problem"]

    def test_fix_applies_what_keeps_the_plan(self) -> None:
        text = "dense 5ep lr=0.1  # dsd: ignore[DSD303]\n"
        assert [one["code"] for one in ask("check", text)["findings"]] == ["DSD903"]
        reply = ask("fix", text)
        assert reply["num_applied"] == 1
        assert ask("check", reply["text"])["findings"] == []

    def test_fix_leaves_alone_what_changes_the_plan(self) -> None:
        text = "dense 50 lr=0.1\n"
        assert ask("fix", text) == {"text": text, "num_applied": 0}


class TestPicturesAndFiles:
    def test_the_graph_is_svg(self) -> None:
        assert ask("graph", README)["graph"].startswith("<svg")

    def test_the_json_is_the_plan(self) -> None:
        plan = dsd_lang.Plan.from_json(ask("json", README)["json"])
        assert plan.hash == dsd_lang.compile(README).hash


class TestWords:
    def test_completion_is_the_language_servers(self) -> None:
        text = "dense 5ep lr=0.1\nsparse 50%\ndense restore=\n"
        labels = [offer["label"] for offer in ask("complete", text, line=2, character=14)["offers"]]
        assert {"zero", "saved", "init", "random"} <= set(labels)

    def test_hover_says_what_a_word_means(self) -> None:
        page = ask("hover", "dense 5ep lr=0.1 decay=cosine\n", line=0, character=18)["page"]
        assert "decay" in page

    def test_hover_over_nothing(self) -> None:
        assert ask("hover", "\n\ndense 5ep", line=0, character=0) == {"page": None}

    def test_places_are_utf16(self) -> None:
        text = "# 𝒳𝒳\ndense 5ep lr=0.1 label='𝒳' decay="
        offers = ask("complete", text, line=1, character=len("dense 5ep lr=0.1 label='xx' decay="))["offers"]
        assert "cosine" in [offer["label"] for offer in offers]

    def test_models_are_the_catalogues(self) -> None:
        assert "ds2" in [one["name"] for one in ask("models")["models"]]
