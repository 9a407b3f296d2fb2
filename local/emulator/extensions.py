"""All extensions of the emulator, in the order in which they build on each other."""

from local.emulator import (
    execution_log,
    function_log,
    handler_errors,
    mocked_responses,
    openapi_import,
    request_id,
    shutdown,
    start_execution,
    step_functions,
    validation_error,
    worker_limit,
    yaml_definition,
)


def install() -> None:
    """Extend the emulator. Raises guard.EmulatorChangedError."""
    handler_errors.install()
    shutdown.install()
    worker_limit.install()  # around shutdown: what still waits for a worker then must not start one
    function_log.install()  # around all of them: it logs what they report
    openapi_import.install()
    validation_error.install()
    request_id.install()
    start_execution.install()
    step_functions.install()
    mocked_responses.install()
    execution_log.install()  # around step_functions: an event that it refuses is not logged
    yaml_definition.install()
