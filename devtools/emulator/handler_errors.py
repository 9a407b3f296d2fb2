"""The error of a function that failed: the exception's class name, or Runtime.ExitError.

When a Python handler raises an exception, AWS returns `{"errorMessage", "errorType": "<class name>",
"requestId", "stackTrace"}` and keeps the execution environment warm; Step Functions matches Retry and Catch
by the class name. The emulator returns `Runtime.HandlerError` for every exception and kills the worker. This
module makes the worker report an exception as a result under a key that no handler can guess, and converts
that result into AWS's error.

When a worker has died (out of memory, `os._exit`, killed), the error is `Runtime.ExitError`. The emulator
returns whatever exception it got itself. A timeout remains `Sandbox.Timedout`.

Source: Lambda developer guide, "Lambda function errors in Python".
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from devtools.emulator import patch

_ERROR_KEY = f"handler-error-{uuid4()}"

_ERROR_LINE = r"""
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\n")
"""  # noqa: E501 (a line of the emulator)
_REPORT_LINES = rf"""
            _real_stdout.write(json.dumps({{"status": "ok", "result": {{"{_ERROR_KEY}": {{
                "errorMessage": str(e).encode(errors="replace").decode(),
                "errorType": type(e).__name__,
                "requestId": context.aws_request_id,
                "stackTrace": traceback.format_list(traceback.extract_tb(e.__traceback__)[1:]),
            }}}}}}) + "\n")
"""


def install() -> None:
    """Extend the emulator."""
    patch.replace_line(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _ERROR_LINE, _REPORT_LINES)
    patch.wrap(lambda_svc, "_execute_function_warm", _execute)


def _execute(original: Callable[..., Any], func: Any, event: Any, request_id: str) -> Any:
    result = original(func, event, request_id)
    body = result["body"]
    if not isinstance(body, dict):
        return result
    if _ERROR_KEY in body:
        return _error_result(body[_ERROR_KEY], result["log"])
    if result.get("error") and _is_dead_worker(func.get("config") or func, body):
        body["errorType"] = "Runtime.ExitError"
    return result


def _is_dead_worker(config: dict[str, Any], error: dict[str, Any]) -> bool:
    """Whether the error means that a Python worker died; the handler's exceptions were reported before."""
    if not config["Runtime"].startswith("python") or "errorMessage" not in error:
        return False
    is_init_error = error["errorMessage"].startswith("Worker init failed")
    return not is_init_error and error["errorType"] != "Sandbox.Timedout"


def _error_result(error: dict[str, Any], log: str) -> dict[str, Any]:
    traceback = "".join(error["stackTrace"]).rstrip("\n")
    report = f"[ERROR] {error['errorType']}: {error['errorMessage']}\nTraceback (most recent call last):\n"
    return {"body": error, "error": True, "log": "\n".join(filter(None, [log, report + traceback]))}
