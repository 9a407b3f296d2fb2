from benchmarks.functions.cold_start import FIRST_EVENT_CLIENTS
from benchmarks.functions.environment import functions
from benchmarks.functions.tokens import measure


def test_every_function_of_the_template_can_be_measured() -> None:
    keys = [function.key for function in functions()]

    assert sorted(keys) == sorted(FIRST_EVENT_CLIENTS)


def test_a_function_has_the_variables_of_the_template_with_values() -> None:
    store = next(function for function in functions() if function.key == "store")

    assert store.module == "support.tasks.store"
    assert store.variables["POWERTOOLS_SERVICE_NAME"] == "support-pipeline"
    assert store.variables["TICKETS_TABLE"]


def test_the_estimated_tokens_are_those_of_the_request_that_is_sent() -> None:
    estimates = measure()

    assert 100 < estimates["tokens.output"][0] < 600
    assert estimates["tokens.input"][0] > 10 * estimates["tokens.ticket"][0]
