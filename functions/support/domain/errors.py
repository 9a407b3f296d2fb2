"""Everything that can go wrong in a task.

    PipelineError
    ├── TransientError            the same call may succeed later: the state machine retries it
    │   ├── StoreUnavailable
    │   ├── ModelThrottled
    │   ├── ModelUnavailable
    │   ├── ModelOutputInvalid
    │   ├── NotifyUnavailable
    │   ├── ConfigurationUnavailable
    │   ├── StartUnavailable      (operations only)
    │   └── QueueUnavailable      (operations only)
    └── PermanentError            the same call will fail again: a person has to look
        ├── InvalidTicket
        ├── TicketNotFound
        ├── StoreRejected
        ├── ModelRejected
        ├── ModelRefused
        ├── NotifyRejected
        ├── ConfigurationInvalid
        ├── StartRejected         (operations only)
        └── QueueRejected         (operations only)

Step Functions matches the bare class name and never a parent, so only leaves are raised, and only leaves
stand in the state machine's definition: all that its tasks can raise. No message holds ticket content:
messages are logged.
"""


class PipelineError(Exception):
    """Root of the hierarchy; never raised."""


class TransientError(PipelineError):
    """A repeat may succeed; never raised itself."""


class PermanentError(PipelineError):
    """A repeat will fail again; never raised itself."""


class StoreUnavailable(TransientError):
    """DynamoDB throttled the call, failed, or did not answer in time."""


class ModelThrottled(TransientError):
    """Bedrock refused the call because a quota of requests or tokens is used up for now."""


class ModelUnavailable(TransientError):
    """Bedrock or the model failed, is not ready, or did not answer in time."""


class ModelOutputInvalid(TransientError):
    """The model answered, but not with a usable analysis; another attempt often does."""


class NotifyUnavailable(TransientError):
    """SNS throttled the call, failed, or did not answer in time."""


class ConfigurationUnavailable(TransientError):
    """Parameter Store throttled the call, failed, or did not answer in time."""


class StartUnavailable(TransientError):
    """Step Functions throttled the start of an execution, failed, or did not answer in time."""


class QueueUnavailable(TransientError):
    """SQS throttled the call, failed, or did not answer in time."""


class InvalidTicket(PermanentError):
    """The execution's input is no submission: a field is missing or has the wrong form."""


class TicketNotFound(PermanentError):
    """No ticket is stored under the id, though an earlier step stored it."""


class StoreRejected(PermanentError):
    """DynamoDB refused the call: permissions, a missing table, or an invalid request."""


class ModelRejected(PermanentError):
    """Bedrock refused the call: no access to the model, no such model, or an invalid request."""


class ModelRefused(PermanentError):
    """The model's content filter or a guardrail stopped the answer."""


class NotifyRejected(PermanentError):
    """SNS refused the call: permissions, a missing topic, or an invalid message."""


class ConfigurationInvalid(PermanentError):
    """A parameter is missing, may not be read, or holds no usable value."""


class StartRejected(PermanentError):
    """Step Functions refused to start an execution: permissions, or no such state machine."""


class QueueRejected(PermanentError):
    """SQS refused the call: permissions, or no such queue."""
