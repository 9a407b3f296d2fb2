"""The packages that `sam build` installs into the functions' artifact."""

import re
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[2] / "functions" / "requirements.txt"


def test_every_package_is_pinned_and_has_hashes() -> None:
    lines = REQUIREMENTS.read_text().replace("\\\n", "").splitlines()
    packages = [line for line in lines if not line.strip().startswith("#")]
    assert packages
    assert not [p for p in packages if not re.fullmatch(r"[\w-]+==[\w.]+( +--hash=sha256:[0-9a-f]{64})+", p)]


def test_packages_of_lambdas_runtime_are_not_installed() -> None:
    assert not re.findall(r"(?m)^(boto3|botocore|s3transfer|urllib3)==", REQUIREMENTS.read_text())
