import os
import signal
import threading

import pytest

from foodjax.system.signals import Interrupt, Interrupted


@pytest.fixture
def handler():
    """A SIGTERM handler of the caller's own; the one of before comes back."""
    received = []

    def handle(signum, frame):
        received.append(signum)

    before = signal.signal(signal.SIGTERM, handle)
    yield handle
    signal.signal(signal.SIGTERM, before)


def test_a_signal_is_remembered_and_the_handlers_of_before_come_back(handler):
    of_ctrl_c = signal.getsignal(signal.SIGINT)  # ignored where a shell started the tests in the background
    with Interrupt() as interrupt:
        assert signal.getsignal(signal.SIGINT) is not of_ctrl_c
        interrupt.check()
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            interrupt.check()
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.getsignal(signal.SIGINT) is of_ctrl_c


def test_another_thread_leaves_the_handlers_alone(handler):
    found = []

    def work():
        with Interrupt() as interrupt:
            found.append(signal.getsignal(signal.SIGTERM))
            interrupt.check()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [handler]
