"""A short `make storm` on a whole stack."""

import json
import os
import subprocess
import sys
from pathlib import Path

from local.settings import PROJECT

SEED = 20_261_128


def test_a_burst_above_the_models_quota_only_waits(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    options = {"SCENARIO": "quota", "N": "60", "QUOTA": "4", "SEED": str(SEED)}
    # A tenth of Step Functions' waits, because retries alone would otherwise outlast so short a backlog.
    options["SFN_WAIT_SCALE"] = "0.1"

    done = subprocess.run(
        [sys.executable, "-m", "devtools.storm"],
        cwd=PROJECT,
        env=kept | options | {"STACK_DIR": str(tmp_path / "stack")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
    )

    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "storm.json").read_text())
    assert (report["scenario"], report["seed"], report["kept"]) == ("quota", SEED, True)
    assert report["processed"] == report["accepted"] >= 60
    # Without throttled calls the burst would prove nothing.
    assert report["modelCalls"]["throttle"] > 0
