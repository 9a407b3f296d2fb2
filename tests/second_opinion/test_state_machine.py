"""The scenarios of tests/sfn_local on LocalStack's Step Functions."""

from tests.sfn_local.test_scenarios import (
    machines,
    stepfunctions,
    test_an_execution_takes_the_path_of_its_scenario,
)

__all__ = ["machines", "stepfunctions", "test_an_execution_takes_the_path_of_its_scenario"]
