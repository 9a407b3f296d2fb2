"""The context that Lambda passes to a handler."""

import uuid

from aws_lambda_powertools.utilities.typing import LambdaContext


def lambda_context(function: str = "under-test", *, remaining_milliseconds: int = 60_000) -> LambdaContext:
    """The context of one invocation."""

    class Context(LambdaContext):
        @staticmethod
        def get_remaining_time_in_millis() -> int:
            return remaining_milliseconds

    context = Context()
    context._function_name = function
    context._memory_limit_in_mb = 512
    context._invoked_function_arn = f"arn:aws:lambda:us-east-1:123456789012:function:{function}"
    context._aws_request_id = str(uuid.uuid4())
    return context
