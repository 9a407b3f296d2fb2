"""A Python handler's exception keeps its class name.

AWS answers `{"errorMessage", "errorType": "<class name>", "requestId", "stackTrace"}` and keeps the execution
environment warm; Step Functions matches Retry and Catch by that name. The emulator answers
`Runtime.HandlerError` for every exception and kills the worker. This module makes the worker report an
exception as a result under a name that no handler can guess, and turns that result into AWS's answer.

A worker that died (out of memory, `os._exit`, killed) answers `Runtime.ExitError`, however the emulator found
out: it answers with whatever exception that gave it. A time-out stays `Sandbox.Timedout`.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from devtools.emulator import guard

_REPORT = f"handler-error-{uuid4()}"

_ERROR_LINE = r"""
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\n")
"""  # noqa: E501 (a line of the emulator)
_REPORT_LINES = rf"""
            _real_stdout.write(json.dumps({{"status": "ok", "result": {{"{_REPORT}": {{
                "errorMessage": str(e).encode(errors="replace").decode(),
                "errorType": type(e).__name__,
                "requestId": context.aws_request_id,
                "stackTrace": traceback.format_list(traceback.extract_tb(e.__traceback__)[1:]),
            }}}}}}) + "\n")
"""


def install() -> None:
    """Extend the emulator."""
    guard.replace_line(lambda_runtime, "_PYTHON_WORKER_SCRIPT", _ERROR_LINE, _REPORT_LINES)
    guard.wrap(lambda_svc, "_execute_function_warm", _execute)


def _execute(original: Callable[..., Any], func: Any, event: Any, request_id: str) -> Any:
    result = original(func, event, request_id)
    body = result["body"]
    if not isinstance(body, dict):
        return result
    if _REPORT in body:
        return _failure(body[_REPORT], result["log"])
    if result.get("error") and _died(func.get("config") or func, body):
        body["errorType"] = "Runtime.ExitError"
    return result


def _died(config: dict[str, Any], error: dict[str, Any]) -> bool:
    """Whether a Python worker is gone: what its handler raised has been reported, so little else is left."""
    if not config["Runtime"].startswith("python") or "errorMessage" not in error:
        return False
    is_start = error["errorMessage"].startswith("Worker init failed")
    return not is_start and error["errorType"] != "Sandbox.Timedout"


def _failure(error: dict[str, Any], log: str) -> dict[str, Any]:
    traceback = "".join(error["stackTrace"]).rstrip("\n")
    report = f"[ERROR] {error['errorType']}: {error['errorMessage']}\nTraceback (most recent call last):\n"
    return {"body": error, "error": True, "log": "\n".join(filter(None, [log, report + traceback]))}
