#!/usr/bin/env python3
"""Receives webhooks of ospd and checks that they are genuine. Standard library only.

    webhook_receiver.py --port 8443 --secret-file secret.txt

The secret is what `osp admin webhooks add` printed (whsec_...). It is read anew
for each message, so that it can be replaced. Each message that is genuine, and
was not seen before, is printed as one line of JSON: its id, and what it says.
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import sys
import threading
import time

TOLERANCE = 5 * 60  # seconds that a message may be old, or ahead
MAX_BODY = 1 << 20


def verify(secret, headers, body, now):
    """Gives the id of the message, or raises ValueError."""
    message_id = headers["webhook-id"]
    stamp = headers["webhook-timestamp"]
    signatures = headers["webhook-signature"]
    if not (message_id and stamp and signatures):
        raise ValueError("a header is missing")
    if not stamp.isascii() or not stamp.isdigit() or abs(now - int(stamp)) > TOLERANCE:
        raise ValueError("the message is too old, or of the future")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = b".".join([message_id.encode(), stamp.encode(), body])
    want = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    for signature in signatures.split(" "):
        version, _, value = signature.partition(",")
        if version == "v1" and hmac.compare_digest(value.encode(), want):
            return message_id
    raise ValueError("no signature fits")


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        with open(self.server.secret_file, encoding="ascii") as f:
            secret = f.read().strip()
        try:
            message_id = verify(secret, self.headers, body, time.time())
        except (ValueError, TypeError) as e:
            print(f"refused: {e}", file=sys.stderr, flush=True)
            return self.answer(401)
        self.server.take(message_id, json.loads(body))
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, secret_file):
        super().__init__(address, Receiver)
        self.secret_file = secret_file
        self.lock = threading.Lock()
        self.seen = set()  # a real receiver keeps these where they outlive it

    def take(self, message_id, message):
        """What arrives again is answered like what is new, and done once."""
        with self.lock:
            again = message_id in self.seen
            self.seen.add(message_id)
            if not again:
                print(json.dumps({"id": message_id, "message": message}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8443, help="0 chooses a free one")
    parser.add_argument("--secret-file", required=True)
    args = parser.parse_args()
    server = Server((args.host, args.port), args.secret_file)
    print(f"listening on {server.server_address[0]}:{server.server_address[1]}", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
