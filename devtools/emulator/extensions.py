"""Install all extensions of the emulator, in the order in which they wrap each other."""

from devtools.emulator import (
    access_log,
    alarms,
    api_metrics,
    cloudformation,
    control_plane,
    embedded_metrics,
    execution_history,
    execution_log,
    execution_metrics,
    execution_start,
    function_code,
    function_log,
    function_metrics,
    function_runtime,
    gateway_responses,
    handler_errors,
    identifiers,
    index_queries,
    log_filter,
    log_metrics,
    log_queries,
    log_redaction,
    mock_integration,
    mocked_responses,
    openapi_import,
    queue_metrics,
    queues,
    raw_request,
    request_context,
    request_signature,
    request_validation,
    reserved_concurrency,
    shutdown,
    state_machine_versions,
    states_language,
    step_functions_integration,
    subscriptions,
    timeouts,
    user_names,
    user_pool_token,
    worker_limit,
)


def install() -> None:
    """Extend the emulator. Raises patch.EmulatorChangedError."""
    # Functions
    function_runtime.install()
    function_code.install()
    handler_errors.install()
    # Around handler_errors, which finds errors; within worker_limit: the wait for a worker does not count.
    function_metrics.install()
    shutdown.install()
    worker_limit.install()  # around shutdown: an invocation that waited for a worker must not start one then
    function_log.install()  # around handler_errors: it logs the errors
    embedded_metrics.install()
    reserved_concurrency.install()

    # REST APIs
    openapi_import.install()
    request_signature.install()
    user_pool_token.install()
    request_validation.install()
    gateway_responses.install()  # around request_validation, which fills in the chosen template
    request_context.install()  # around gateway_responses: they have request ids, too
    access_log.install()  # around request_context: it logs the ids of the response
    api_metrics.install()
    step_functions_integration.install()
    mock_integration.install()

    # State machines
    execution_start.install()
    state_machine_versions.install()  # around execution_start: the version determines what it runs
    states_language.install()
    timeouts.install()  # around states_language: it refuses events after the end of the execution
    mocked_responses.install()
    execution_log.install()  # around timeouts: an event that it refuses is not logged
    execution_metrics.install()
    execution_history.install()  # around the others: each event that it adds is logged and counted

    # Other services
    alarms.install()
    cloudformation.install()
    index_queries.install()
    log_filter.install()
    log_metrics.install()
    log_queries.install()
    log_redaction.install()
    queue_metrics.install()
    queues.install()
    subscriptions.install()
    user_names.install()

    # All services
    identifiers.install()

    # The HTTP server
    control_plane.install()
    raw_request.install()  # around control_plane, which looks header names up in lower case
