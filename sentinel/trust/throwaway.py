"""An ssh-agent with one key that was made for the occasion: for the demo, and for nobody's real host.

It speaks enough of the agent protocol for `sshagent` and for OpenSSH's own programs. The key is made in
memory, never touches a disk, and is gone with the process.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ed25519

from sentinel.errors import SignatureError
from sentinel.trust.sshagent import ANSWER_BYTES, LIST, LISTED, SIGN, SIGNED
from sentinel.trust.sshsig import Key, Kind, Reader, parse_key, string

FAILURE = b"\x05"


@contextmanager
def agent(socket: Path, comment: str) -> Iterator[Key]:
    """Serve an agent at `socket` (mode 0600) with a new Ed25519 key, and yield its public half."""
    private = ed25519.Ed25519PrivateKey.generate()
    name = string(Kind.ED25519.value.encode())
    key = parse_key(name + string(private.public_key().public_bytes_raw()))

    def answer(request: bytes) -> bytes:
        if request == LIST:
            return LISTED + (1).to_bytes(4, "big") + string(key.blob) + string(comment.encode())
        fields = Reader(request, "request")
        if fields.take(1) != SIGN or fields.string() != key.blob:
            return FAILURE
        return SIGNED + string(name + string(private.sign(fields.string())))

    class Conversation(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while size := int.from_bytes(self.rfile.read(4), "big"):
                if size > ANSWER_BYTES:
                    return
                try:
                    said = answer(self.rfile.read(size))
                except SignatureError:
                    said = FAILURE
                self.wfile.write(string(said))

    with _Server(str(socket), Conversation) as server:
        socket.chmod(0o600)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield key
        finally:
            server.shutdown()
            thread.join()
            socket.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
