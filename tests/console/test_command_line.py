"""`python -m console`: one sentence when it cannot start."""

from pathlib import Path

import pytest

from console.__main__ import main


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PORT": "http"}, "PORT must be a number, not http."),
        ({"STACK": ""}, "No local stack is running. Start one with `make run`"),
        ({"STACK": "dev", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}, "AWS_ENDPOINT_URL is set"),
        ({"STACK": "dev", "PROFILE": "no-such-profile"}, "The AWS profile cannot be used"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], environment: dict[str, str], message: str
) -> None:
    assert main({"STACK_DIR": str(tmp_path), **environment}) == 2

    assert capsys.readouterr().err.startswith(message)
