"""`make eval` from the options to the report, with the stand-in as a process of its own."""

import json
import re
from contextlib import chdir, redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import pytest

from evals import __main__ as program
from evals import gold
from evals.tests.conftest import document
from evals.tests.test_baseline import made
from evals.tests.test_files import TICKET, gold_file

ATTACK = "<script>alert(1)</script> {{ run.model }} <img src=x onerror=alert(2)>"
TICKETS = [
    TICKET | {"content": "I was charged twice for my subscription, please refund one charge."},
    TICKET
    | {"id": "b-2", "content": f"Die Rechnung ist falsch. {ATTACK}", "subject": ATTACK, "language": "de"},
    TICKET
    | {"id": "b-3", "content": "Hola, ¿cómo exporto mis datos?", "category": "HOW_TO", "language": "es"},
]


class Result(NamedTuple):
    """What a run did: its exit code, its outputs, and the files of its report."""

    code: int
    output: str
    progress: str
    files: dict[str, str]

    @property
    def document(self) -> Any:
        return json.loads(self.files["results.json"])


def run(folder: Path, **options: str) -> Result:
    """Run in a folder, whose gold set is there too."""
    output, progress = StringIO(), StringIO()
    with chdir(folder), redirect_stdout(output), redirect_stderr(progress):
        code = program.main({"OUT": "report", **options}, folder)
    files = {path.name: path.read_text() for path in (folder / "report").glob("*")}
    return Result(code, output.getvalue(), progress.getvalue(), files)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a gold file of three tickets."""
    return gold_file(tmp_path_factory.mktemp("evals"), *TICKETS).parent


@pytest.fixture(scope="module")
def first(folder: Path) -> Result:
    """The first run with the stand-in."""
    return run(folder)


def test_the_stand_in_is_measured_and_labelled_everywhere(first: Result) -> None:
    assert first.code == 0
    assert "3 tickets, 0 of them in the cache; 3 to ask: about " in first.progress
    assert first.output.startswith("No evidence of model quality")
    for name in ("report.html", "report.md"):
        assert "No evidence of model quality" in first.files[name]
    assert first.document["isStandIn"]
    assert first.document["figures"]["answered"]["value"] == 1
    assert first.document["perLanguage"]["others"]["tickets"] == 3


def test_a_second_run_takes_everything_from_the_cache(first: Result, folder: Path) -> None:
    second = run(folder)

    assert second.code == 0
    assert "3 tickets, all answered in the cache." in second.progress
    assert second.document["tickets"] == first.document["tickets"]


def test_no_log_line_or_metric_is_printed(first: Result) -> None:
    assert "{" not in first.output + first.progress


def test_the_cap_gives_a_partial_report_that_says_so(tmp_path: Path) -> None:
    """At these prices, the cap allows one call, but not another one's worst case after it."""
    gold_file(tmp_path, *TICKETS)

    result = run(tmp_path, TOKEN_PRICES="100,100", MAX_USD="0.28", CONCURRENCY="1")

    assert result.code == 1
    assert "Partial: some tickets have no answer (2: spending cap)." in result.output
    assert "Run it again to continue." in result.progress
    assert "Partial" in result.files["report.html"]
    assert 0 < result.document["spentUsd"] < 0.28


def test_the_page_shows_tickets_as_text_and_loads_nothing(first: Result) -> None:
    page = first.files["report.html"]

    assert "&lt;script&gt;alert(1)&lt;/script&gt; {{ run.model }}" in page
    assert not re.search(r"<(?:script|img|link|iframe|object)|url\(|https?://", page)
    assert "default-src 'none'" in page


def test_the_report_on_held_out_tickets_shows_none_of_them(tmp_path: Path) -> None:
    gold_file(tmp_path, *TICKETS).rename(tmp_path / gold.HELD_OUT)

    result = run(tmp_path, HELD_OUT="1")

    assert "These tickets are held out" in result.files["report.html"]
    for name in ("report.html", "report.md"):
        assert not any(word in result.files[name] for word in ("alert(1)", "Rechnung", "exporto"))


def test_the_width_of_the_terminal_is_no_option(first: Result, folder: Path) -> None:
    assert run(folder, COLUMNS="80").code == 0


def test_results_hold_no_text_of_tickets(first: Result) -> None:
    for name in ("results.json", "report.md"):
        assert not any(word in first.files[name] for word in ("charged twice", "Rechnung", "exporto"))


def test_a_foreign_set_is_measured_with_the_baseline(tmp_path: Path) -> None:
    made(tmp_path, "foreign.csv", seed=1)
    taxonomy = {"categories": ["card_arrival", "exchange_rate", "pin_blocked", "oos"], "other": "oos"}
    (tmp_path / "taxonomy.json").write_text(json.dumps(taxonomy))

    result = run(
        tmp_path,
        MODEL="baseline",
        DATA="foreign.csv",
        MAPPING="text=content,label=category",
        TAXONOMY="taxonomy.json",
    )

    assert result.code == 0
    assert "No evidence" not in result.output
    assert 0.82 <= result.document["figures"]["categoryAccuracy"]["value"] <= 0.97
    assert set(result.document["perClass"]) == {"card_arrival", "exchange_rate", "pin_blocked", "OTHER"}
    assert "urgencyKappa" not in result.document["figures"]


class ChatServer(BaseHTTPRequestHandler):
    """An OpenAI-compatible server with one model, which finds every ticket about billing."""

    def do_GET(self) -> None:
        self._send({"data": [{"id": "first"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = {"function": {"name": "record_analysis", "arguments": json.dumps(document())}}
        usage = {"prompt_tokens": 500, "completion_tokens": 100}
        choice = {"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
        self._send({"choices": [choice], "usage": usage} if request["model"] == "second" else {})

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, body: Any) -> None:
        payload = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def test_a_model_on_an_openai_compatible_server_is_measured_with_its_price(tmp_path: Path) -> None:
    gold_file(tmp_path, *TICKETS)
    with ThreadingHTTPServer(("127.0.0.1", 0), ChatServer) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        result = run(tmp_path, MODEL=url, MODEL_ID="second", TOKEN_PRICES="1,10")
        server.shutdown()

    assert result.code == 0
    assert "No evidence" not in result.output
    assert result.document["model"] == f"second at {url}"
    figures = {name: figure["value"] for name, figure in result.document["figures"].items()}
    assert figures["categoryAccuracy"] == pytest.approx(2 / 3)
    assert figures["inputTokens"] == 500
    assert figures["usdPerThousand"] == pytest.approx(1.5)
    assert result.document["spentUsd"] == pytest.approx(0.0045)


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        ({"MODEL": "gpt"}, 2, "MODEL=gpt is unknown"),
        ({"MODEL": "http://127.0.0.1:9"}, 2, "needs MODEL_ID"),
        ({"MODEL": "http://127.0.0.1:9", "MODEL_ID": "m"}, 1, "The model stand-in did not start"),
        ({"MODEL": "bedrock", "MODEL_ID": "acme.model"}, 2, "infra/prices.toml has no price for acme.model"),
        ({"DATA": "missing.csv", "MODEL": "baseline"}, 2, "missing.csv cannot be read"),
        ({"HELD_OUT": "1"}, 2, "held_out.jsonl cannot be read"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    tmp_path: Path, options: dict[str, str], code: int, expected: str
) -> None:
    gold_file(tmp_path, *TICKETS)

    result = run(tmp_path, **options)

    assert (result.code, result.output) == (code, "")
    assert expected in result.progress
