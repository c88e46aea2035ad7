"""A web server on this machine that can cut, refuse and forget, for tests of downloads."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Shelf:
    """What the server gives, and what it was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.cut_after: int | None = None  # bytes of one answer before the line goes dead
        self.knows_ranges = True
        self.says_length = True
        self.status = 200
        self.asked: list[str | None] = []  # the Range header of each request
        self.address = ""


@contextmanager
def serve(content: bytes):
    shelf = Shelf(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = self.headers["Range"]
            shelf.asked.append(asked)
            if shelf.status != 200:
                self.send_error(shelf.status)
                return
            first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if not shelf.knows_ranges:
                first = 0
            if first and first >= len(shelf.content):
                self.send_error(416)
                return
            rest = shelf.content[first:]
            self.send_response(206 if first else 200)
            if shelf.says_length:
                self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest if shelf.cut_after is None else rest[: shelf.cut_after])

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    shelf.address = f"http://127.0.0.1:{server.server_port}/set.tar.gz"
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
