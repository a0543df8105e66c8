"""Connections that are closed if no request arrives."""

from uvicorn.protocols.http.auto import AutoHTTPProtocol


class LimitedProtocol(AutoHTTPProtocol):
    """HTTP whose connections are closed when a request takes too long to arrive.

    Uvicorn by itself waits for ever for the rest of a request that has begun, and for the first
    one.
    """

    #: Seconds that the beginning of a request, up to the end of its headers, may take.
    request_seconds = 10.0

    _timer = None

    def connection_made(self, transport):
        """Wait for a request, for a while."""
        super().connection_made(transport)
        self._await_request()

    def data_received(self, data):
        """Go on waiting if the request is not complete, or stop."""
        super().data_received(data)
        self._await_request()

    def connection_lost(self, exc):
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_request(self):
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.request_seconds, self.transport.close)

    def _stop_waiting(self):
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
