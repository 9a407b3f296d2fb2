"""The errors of the pipeline.

    PipelineError
    ├── TransientError            a retry may succeed: the state machine retries the task
    │   ├── StoreUnavailable
    │   ├── ModelThrottled
    │   ├── ModelUnavailable
    │   ├── ModelOutputInvalid
    │   ├── NotifyUnavailable
    │   ├── ConfigurationUnavailable
    │   ├── StartUnavailable      (background only)
    │   └── QueueUnavailable      (background only)
    └── PermanentError            a retry fails again: an operator must act
        ├── InvalidTicket
        ├── TicketNotFound
        ├── StoreRejected
        ├── ModelRejected
        ├── ModelRefused
        ├── NotifyRejected
        ├── ConfigurationInvalid
        ├── StartRejected         (background only)
        └── QueueRejected         (background only)

Step Functions matches the bare class name and never a parent class, so only leaves are raised, and the state
machine's definition names only leaves: all that its tasks can raise. Error messages are logged, so they never
contain ticket content.
"""


class PipelineError(Exception):
    """Root of the hierarchy; never raised."""


class TransientError(PipelineError):
    """A retry may succeed; never raised itself."""


class PermanentError(PipelineError):
    """A retry fails again; never raised itself."""


class StoreUnavailable(TransientError):
    """DynamoDB throttled the call, failed, or did not answer in time."""


class ModelThrottled(TransientError):
    """Bedrock throttled the call: a quota of requests or tokens is used up for now."""


class ModelUnavailable(TransientError):
    """Bedrock or the model failed, is not ready, or did not answer in time."""


class ModelOutputInvalid(TransientError):
    """The model's answer is not a valid analysis; another attempt often succeeds."""


class NotifyUnavailable(TransientError):
    """SNS throttled the call, failed, or did not answer in time."""


class ConfigurationUnavailable(TransientError):
    """Parameter Store throttled the call, failed, or did not answer in time."""


class StartUnavailable(TransientError):
    """Step Functions throttled the start of an execution, failed, or did not answer in time."""


class QueueUnavailable(TransientError):
    """SQS throttled the call, failed, or did not answer in time."""


class InvalidTicket(PermanentError):
    """A submission, ticket or message is invalid: a field is missing or has the wrong type."""


class TicketNotFound(PermanentError):
    """The ticket is not in the table, although an earlier step stored it."""


class StoreRejected(PermanentError):
    """DynamoDB refused the call: permissions, a missing table, or an invalid request."""


class ModelRejected(PermanentError):
    """Bedrock rejected the call: no access to the model, no such model, or an invalid request."""


class ModelRefused(PermanentError):
    """The model's content filter or a guardrail stopped the answer."""


class NotifyRejected(PermanentError):
    """SNS rejected the call: permissions, no such topic, or an invalid message."""


class ConfigurationInvalid(PermanentError):
    """A parameter does not exist, cannot be read, or has an invalid value."""


class StartRejected(PermanentError):
    """Step Functions rejected the start of an execution: permissions, or no such state machine."""


class QueueRejected(PermanentError):
    """SQS rejected the call: permissions, or no such queue."""
