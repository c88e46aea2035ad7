"""What a kernel says leaves the server at once."""

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from detlab.cli.commands import PROMPT
from detlab.course.server import PromptConnection


class Handler:
    """What is called on the websocket, in order."""

    def __init__(self):
        self.called = []

    def set_nodelay(self, value):
        self.called.append(("nodelay", value))


def test_no_message_waits_for_another(monkeypatch):
    handler = Handler()
    monkeypatch.setattr(PromptConnection, "websocket_handler", handler)
    monkeypatch.setattr(
        ZMQChannelsWebsocketConnection, "connect", lambda self: handler.called.append("connected")
    )
    PromptConnection().connect()
    assert handler.called == [("nodelay", True), "connected"]


def test_jupyter_takes_the_option():
    option, _, value = PROMPT.removeprefix("--ServerApp.").partition("=")
    assert getattr(ServerApp(**{option: value}), option) is PromptConnection
