"""All extensions of the emulator, in the order in which they build on each other."""

from devtools.emulator import (
    access_log,
    alarms,
    batch_permissions,
    caller_identity,
    conditions,
    control_plane,
    encoded_path,
    event_source_mapping,
    execution_log,
    execution_metrics,
    execution_name,
    express_execution,
    function_log,
    function_runtime,
    gateway_errors,
    handler_errors,
    header_names,
    invocation_log,
    log_filter,
    log_stream_name,
    message_delay,
    method_settings,
    mock_integration,
    mocked_responses,
    openapi_import,
    openapi_methods,
    private_log,
    request_id,
    request_signature,
    shutdown,
    start_execution,
    state_machine_versions,
    step_functions,
    timeouts,
    user_names,
    user_pool_token,
    validation_error,
    worker_limit,
    yaml_definition,
)


def install() -> None:
    """Extend the emulator. Raises guard.EmulatorChangedError."""
    function_runtime.install()
    handler_errors.install()
    invocation_log.install()
    shutdown.install()
    worker_limit.install()  # around shutdown: what still waits for a worker then must not start one
    log_stream_name.install()
    function_log.install()  # around all of them: it logs what they report
    openapi_import.install()
    openapi_methods.install()  # around openapi_import: it gets the document as API Gateway reads it
    method_settings.install()
    request_signature.install()
    user_pool_token.install()
    validation_error.install()
    gateway_errors.install()  # around validation_error: it chooses the template in which that is filled in
    request_id.install()  # around gateway_errors: they have an id, too
    caller_identity.install()
    access_log.install()  # around request_id: it logs the ids that the answer has
    encoded_path.install()  # around access_log: it names the resource that the encoded path leads to
    start_execution.install()
    mock_integration.install()
    conditions.install()
    express_execution.install()
    state_machine_versions.install()  # around express_execution: the version chooses what that runs
    step_functions.install()
    timeouts.install()  # around step_functions: an event after the end is refused
    execution_name.install()
    mocked_responses.install()
    execution_log.install()  # around timeouts: an event that it refuses is not logged
    execution_metrics.install()
    alarms.install()
    log_filter.install()
    yaml_definition.install()
    batch_permissions.install()
    event_source_mapping.install()
    message_delay.install()
    user_names.install()
    private_log.install()
    control_plane.install()  # around the whole emulator
    header_names.install()  # around control_plane, which looks names up in lower case
