"""The web servers of the demo, and the panel that stops and starts them."""

import http.server
import sys
import threading
from contextlib import ExitStack
from typing import Any

from dnslb_backend.demo import DemoError
from dnslb_backend.demo.settings import HOST, Ports


class WebServer:
    """A target: answers 200 to everything while it runs, and is not there while it does not.

    `unheard` is a node that gets no answer, as if its packets were lost; `unanswered` counts what
    it asked.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address = address
        self.unheard = ""
        self.unanswered = 0
        self._port = port
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def is_running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        if self._server is not None:
            return
        try:
            server = http.server.ThreadingHTTPServer((self.address, self._port), self._handler())
        except OSError as error:
            raise DemoError(f"cannot listen on {self.address}:{self._port}: {error}") from error
        self._server = server
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        class Healthy(_Handler):
            def do_GET(handler) -> None:  # noqa: N805 - self is the web server
                if self.unheard and handler.headers["Authorization"] == f"Bearer {self.unheard}":
                    self.unanswered += 1
                    # Until the client gives up.
                    handler.rfile.read()
                    return
                handler.reply(200, "healthy")

        return Healthy


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
        """The demo's own output is all that should be seen."""

    def reply(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def start_panel(stack: ExitStack, ports: Ports, webs: dict[str, WebServer]) -> None:
    """Serve a panel with which people stop and start the web servers."""

    class Panel(_Handler):
        def do_GET(self) -> None:
            rows = (
                f"{name} {web.address} {'runs' if web.is_running else 'is stopped'}"
                for name, web in webs.items()
            )
            self.reply(200, "\n".join(rows))

        def do_POST(self) -> None:
            name, _, action = self.path.strip("/").partition("/")
            web = webs.get(name)
            if web is None or action not in ("start", "stop"):
                self.reply(404, "POST /web1/stop or /web1/start; also web2 and web3")
                return
            getattr(web, action)()
            say(f"demo: {name} ({web.address}): {action}")
            self.do_GET()

    try:
        server = http.server.ThreadingHTTPServer((HOST, ports.panel), Panel)
    except OSError as error:
        raise DemoError(f"cannot listen on {HOST}:{ports.panel}: {error}") from error
    stack.callback(server.server_close)
    stack.callback(server.shutdown)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
