"""The size of the functions' artifact, which all functions share, by package."""

from pathlib import Path

from benchmarks.results import Measurements
from infra.artifact import CODE
from local.build import BUILD, build
from local.emulator import Emulator
from local.settings import PROJECT, Settings

_MB = 1_000_000


def measure() -> Measurements:
    """Measure `artifact.unzippedMb`, with bytecode; `artifact.withoutBytecodeMb`; `artifact.packagesMb.*`."""
    folder = artifact()
    files = [path for path in folder.rglob("*") if path.is_file()]
    sources = [path for path in files if path.suffix != ".pyc"]
    packages: Measurements = {}
    for path in files:
        package = packages.setdefault(f"artifact.packagesMb.{_package(path.relative_to(folder))}", [0.0])
        package[0] += path.stat().st_size / _MB
    return {
        "artifact.unzippedMb": [_size(files)],
        "artifact.withoutBytecodeMb": [_size(sources)],
        **packages,
    }


def artifact() -> Path:
    """Build the functions as `make run` and `make deploy` do; return the folder of their code.

    Raises:
        StackError: the build failed.
    """
    settings = Settings(port=0, emulator_port=0, folder=PROJECT / ".local" / "bench")
    settings.temporary.mkdir(parents=True, exist_ok=True)
    # The build calls no AWS service: nothing runs at this address.
    build(settings, Emulator.with_random_key(settings.endpoint_url))
    return BUILD / CODE


def _size(files: list[Path]) -> float:
    return sum(path.stat().st_size for path in files) / _MB


def _package(path: Path) -> str:
    """The package that a file belongs to; dots would divide the key."""
    name = path.parts[1].split(".")[0] if path.parts[0] == "__pycache__" else path.parts[0]
    return "metadata" if name.endswith((".dist-info", ".data", ".txt")) else name.removesuffix(".py")
