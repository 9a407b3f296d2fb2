"""A changed emulator is detected when it starts."""

import types

import pytest

from devtools.emulator import patch


def double(number: int, times: int = 1) -> int:
    return 2 * number * times


@pytest.fixture
def module() -> types.ModuleType:
    module = types.ModuleType("emulated")
    vars(module).update(double=double, SCRIPT="one\ntwo\none\n")
    return module


def test_a_wrapper_gets_the_original_as_its_first_argument(module: types.ModuleType) -> None:
    patch.wrap(module, "double", lambda original, number: original(number) + 1)
    patch.wrap(module, "double", lambda original, number: original(number) * 10)
    assert module.double(3) == 70


def test_a_missing_function_is_an_error(module: types.ModuleType) -> None:
    with pytest.raises(patch.EmulatorChangedError, match="emulated has no function triple"):
        patch.wrap(module, "triple", lambda original: original())


def test_a_function_with_other_parameters_is_an_error(module: types.ModuleType) -> None:
    with pytest.raises(patch.EmulatorChangedError, match=r"emulated.double takes \['number', 'times'\], not"):
        patch.wrap(module, "double", lambda original, count: original(count))


def test_a_handler_in_a_table_is_wrapped_like_a_function(module: types.ModuleType) -> None:
    vars(module)["HANDLERS"] = {"AWS::Api": {"create": double}}
    patch.wrap_handler(
        module, "HANDLERS", ["AWS::Api", "create"], lambda original, number: original(number) + 1
    )
    assert module.HANDLERS["AWS::Api"]["create"](3) == 7
    with pytest.raises(
        patch.EmulatorChangedError, match=r"emulated.HANDLERS has no function AWS::Api.update"
    ):
        patch.wrap_handler(module, "HANDLERS", ["AWS::Api", "update"], lambda original: original())


def test_a_missing_attribute_is_an_error(module: types.ModuleType) -> None:
    with pytest.raises(patch.EmulatorChangedError, match="emulated has no PATTERN"):
        patch.replace(module, "PATTERN", "x")


def test_a_wrapped_method_gets_its_object() -> None:
    class Counter:
        def count(self, step: int) -> int:
            return step

    patch.wrap(Counter, "count", lambda original, self, step: original(self, step) + 1)
    assert Counter().count(2) == 3


def test_a_constant_that_occurs_once_in_a_function_is_replaced(module: types.ModuleType) -> None:
    def triple(number: int) -> int:
        return 3 * number

    vars(module)["triple"] = triple
    patch.replace_constant(module, "triple", 3, 4)
    assert module.triple(5) == 20


@pytest.mark.parametrize(("name", "reason"), [("double", "constant 7 0 times"), ("triple", "no function")])
def test_a_constant_that_does_not_occur_exactly_once_is_an_error(
    module: types.ModuleType, name: str, reason: str
) -> None:
    with pytest.raises(patch.EmulatorChangedError, match=reason):
        patch.replace_constant(module, name, 7, 8)


def test_a_line_that_occurs_once_is_replaced(module: types.ModuleType) -> None:
    patch.replace_line(module, "SCRIPT", "two\n", "2\n")
    assert module.SCRIPT == "one\n2\none\n"


@pytest.mark.parametrize(("line", "count"), [("one\n", 2), ("three\n", 0)])
def test_a_line_that_does_not_occur_exactly_once_is_an_error(
    module: types.ModuleType, line: str, count: int
) -> None:
    with pytest.raises(patch.EmulatorChangedError, match=f"{count} times, not once"):
        patch.replace_line(module, "SCRIPT", line, "")


def test_another_release_of_the_emulator_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    patch.check_version()
    monkeypatch.setattr(patch, "TESTED_VERSION", "0.1")
    with pytest.raises(patch.EmulatorChangedError, match=r"was tested with ministack 0\.1, but"):
        patch.check_version()


def test_only_a_missing_entry_is_added() -> None:
    table = {"known": 1}
    patch.add(table, "new", 2)
    assert table == {"known": 1, "new": 2}
    with pytest.raises(patch.EmulatorChangedError, match="already has known"):
        patch.add(table, "known", 3)
