"""Connections of the page: how long one may be idle or slow, and how many may be open at once."""

import asyncio
import contextlib

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_OPEN = 256  # connections; one more closes the oldest one that asks for nothing
SECONDS = 10.0  # until a request's header is whole, from the connection or the end of the request before


class Connection(H11Protocol):
    """A connection that is closed when no whole header comes in time, or when others need its place."""

    _timer: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Starts the time limit; closes another connection if there are too many."""
        super().connection_made(transport)
        self._wait()
        others = [one for one in self.connections if one is not self and isinstance(one, Connection)]
        if len(others) >= MAX_OPEN:
            min(others, key=lambda one: (one._is_busy, one._since)).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Ends the time limit when a request has begun; bytes of a header alone do not extend it."""
        super().data_received(data)
        if self._is_busy:
            self._stop_waiting()
        elif self._timer is None:
            self._wait()

    def on_response_complete(self) -> None:
        """Starts the time limit of the next request."""
        super().on_response_complete()
        if not self._is_busy:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Answers a request that is no HTTP; where an answer has begun already, the connection is only closed."""
        if self._is_busy:  # what is in work ends as if its client had gone
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        with contextlib.suppress(h11.LocalProtocolError):  # after HEAD it may send no body
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                super().send_400_response(msg)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the time limit."""
        self._stop_waiting()
        super().connection_lost(exc)

    @property
    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._stop_waiting()
        self._since = self.loop.time()
        self._timer = self.loop.call_later(SECONDS, self._expire)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if not self._is_busy:
            self.transport.abort()
