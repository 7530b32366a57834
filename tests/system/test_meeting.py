"""The meeting of processes, with threads in their place."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from foodjax.system import meeting
from foodjax.system.errors import UserError


def hold(numbers, processes, seconds=5.0):
    """Returns what each process, given as (its number, how many it was told), gets: "" or the error."""

    def come(number, told):
        try:
            meeting.meet(f"localhost:{port}", number, told, seconds)
        except UserError as error:
            return str(error).partition(": needs")[0]
        return ""

    server = meeting.listen(0, 0)
    port = server.getsockname()[1]
    with ThreadPoolExecutor(8) as pool:
        received = pool.submit(meeting.receive, server, processes, seconds)
        found = [one.result() for one in [pool.submit(come, *place) for place in numbers]]
        assert received.result() == (not any(found))
    return found


def test_all_get_the_answer_when_the_last_has_come():
    assert hold([(1, 3), (0, 3), (2, 3)], 3) == ["", "", ""]


def test_those_that_do_not_come_are_named():
    assert hold([(0, 3), (2, 3)], 3, 0.3) == ["of 3 processes number 1 did not come within 0 s"] * 2


def test_numbers_that_do_not_fit_are_refused():
    found = hold([(0, 2), (1, 3)], 2)
    assert set(found) == {"process 0 was told that there are 2 processes, and process 1 3"}


def test_those_that_come_after_a_refusal_get_it_too():
    (found,) = set(hold([(0, 2), (1, 3), (2, 3)], 2))
    assert re.fullmatch("process 0 was told that there are 2 processes, and process [12] 3", found)


def test_a_number_is_given_once():
    assert set(hold([(1, 3), (1, 3)], 3)) == {"two processes were told that they are number 1 of 3"}


def test_a_first_process_that_is_not_there_is_an_error():
    with meeting.listen(0, 0) as free:
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=r"1 of 2 cannot reach process 0 at localhost:\d+ within 0 s \(Connection"):
        meeting.meet(f"localhost:{port}", 1, 2, 0.1)
