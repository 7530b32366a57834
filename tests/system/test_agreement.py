"""The agreement on a step, in one process, and in two whose key-value store is a dict."""

import pytest

from foodjax.system import agreement, hosts
from foodjax.system.agreement import Agreement


def test_one_process_gets_its_own_request_at_once():
    one = Agreement("end")
    assert one.at(1) is None
    one.ask(15)
    one.ask(2)  # the first one counts
    assert one.at(2) == 15
    assert one.at(3) is None


@pytest.fixture
def two(monkeypatch):
    """Two agreements of one name; `two[i](method, ...)` calls a method as process i."""
    store, now = {}, [0]
    monkeypatch.setattr(hosts, "count", lambda: 2)
    monkeypatch.setattr(hosts, "index", lambda: now[0])
    monkeypatch.setattr(hosts, "every", lambda function: lambda: None)
    monkeypatch.setattr(hosts, "set_value", store.__setitem__)
    monkeypatch.setattr(hosts, "gathered_in", lambda folder: [store[f"{folder}/{i}"] for i in range(2)])

    def values_in(folder):
        return {
            path.removeprefix(f"{folder}/"): value for path, value in store.items() if path.startswith(f"{folder}/")
        }

    monkeypatch.setattr(hosts, "values_in", values_in)

    def process(number):
        monkeypatch.setattr(agreement, "_made", iter([7]))
        made = Agreement("end")

        def call(method, *arguments):
            now[0] = number
            return getattr(made, method)(*arguments)

        return call

    return [process(0), process(1)]


def test_two_processes_act_before_the_first_step_that_neither_has_begun(two):
    first, second = two
    assert first("at", 4) is None
    assert second("at", 4) is None
    assert second("at", 5) is None  # one is a step ahead
    first("ask", 15)
    assert first("at", 5) is None  # the request is there, and who has begun which step is not
    first("_listen")
    second("_listen")
    assert first("at", 6) == 15
    assert second("at", 6) == 15


def test_a_process_that_is_behind_goes_on_to_the_step_of_the_other(two):
    first, second = two
    second("at", 3)
    first("at", 1)
    second("ask", 2)
    second("_listen")
    first("_listen")
    assert [first("at", step) for step in (2, 3, 4)] == [None, None, 2]
    assert second("at", 4) == 2
    first("at", 5)
    second("at", 6)
    first("ask", 9)  # a new round
    for one in two:
        one("_listen")
    assert [first("at", step) for step in (6, 7)] == [None, 9]
    assert second("at", 7) == 9
