"""JupyterLab's server sends what a kernel says at once: a lab answers 40 ms sooner.

A moved slider is answered by several small messages. Unless told otherwise, the second waits until
the browser has acknowledged the first (Nagle, RFC 896), and the browser takes its time for that
(delayed acknowledgement, RFC 1122).
"""

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """The way from a kernel to the browser, where no message waits for another."""

    def connect(self) -> Any:
        """Connect as usual, but without waiting."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
