"""A web server on this machine with files that can be cut, slow, silent, missing or replaced."""

import contextlib
import http.server
import re
import threading
import time


class Server(http.server.ThreadingHTTPServer):
    """`files`: bytes by path. `cut`: paths whose next answers stop after so many bytes. `log`: (path, Range) of requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cut, self.log = {}, {}, []
        self.ranges, self.tags, self.pause, self.silent, self.status = True, True, 0.0, False, {}

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def handle_error(self, request, client_address):
        """A client that goes away is no error here."""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.lstrip("/")
        asked = self.headers.get("Range")
        server.log.append((name, asked))
        if name in server.status or name not in server.files:
            return self.send_error(server.status.get(name, 404))
        if server.silent:
            return time.sleep(1.0)
        body, tag = server.files[name], f'"{hash(server.files[name])}"'
        start = 0
        if asked and server.ranges and self.headers.get("If-Range") == tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start > len(body) or (start and start == len(body)):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if server.tags:
            self.send_header("ETag", tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cuts = server.cut.get(name, [])
        end = min(start + cuts.pop(0), len(body)) if cuts else len(body)
        for at in range(start, end, 4096):
            self.wfile.write(body[at : min(at + 4096, end)])
            time.sleep(server.pause)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
