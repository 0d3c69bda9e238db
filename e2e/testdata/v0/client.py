"""A client of the API of version 0, written from its description alone and with
Python's standard library alone, the way its applications were: it takes a link's
query apart, puts it together again, and sends files as multipart forms.
"""

import hashlib
import http.client
import json
import random
import urllib.parse

PREFIX = "/api/storage/v0"


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status, message, data):
        super().__init__("%d %s" % (status, message))
        self.status = status
        self.message = message
        self.data = data


def md5(data):
    return hashlib.md5(data).hexdigest()


def form(data, boundary=None, name="file.bin", field="file", before=()):
    """The body of a form with one file, and its Content-Type."""
    boundary = boundary or "----v0client%016x" % random.getrandbits(64)
    body = b""
    for key, value in before:
        body += ('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (boundary, key, value)).encode()
    body += ('--%s\r\nContent-Disposition: form-data; name="%s"; filename="%s"\r\n'
             "Content-Type: application/octet-stream\r\n\r\n" % (boundary, field, name)).encode()
    body += data + ("\r\n--%s--\r\n" % boundary).encode()
    return body, "multipart/form-data; boundary=" + boundary


class Client:
    """Speaks to one daemon. token is None for callers that are let in by their
    address. rebuild makes the query that is sent of the one of a link and of
    what the client adds."""

    def __init__(self, base, token=None, rebuild=None):
        url = urllib.parse.urlsplit(base)
        self.host, self.port = url.hostname, url.port
        self.token = token
        self.rebuild = rebuild or plain

    # -- requests

    def request(self, method, target, body=None, headers=None):
        """Sends one request and gives status, header and body as they came."""
        conn = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            conn.request(method, target, body=body, headers=headers or {})
            answer = conn.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            conn.close()

    def ask(self, method, target, body=None, headers=None):
        """Sends one request and gives the data of its envelope."""
        return envelope(*self.request(method, target, body, headers))

    def rights(self):
        return {"Authorization": "Bearer " + self.token} if self.token else {}

    def get(self, path, **query):
        return self.ask("GET", PREFIX + path + ("?" + urllib.parse.urlencode(query) if query else ""), None, self.rights())

    def post(self, path, value):
        headers = dict(self.rights(), **{"Content-Type": "application/json"})
        return self.ask("POST", PREFIX + path, json.dumps(value).encode(), headers)

    def signed(self, link, more):
        """The target of a signed link once the client has rebuilt its query."""
        path, _, query = link.partition("?")
        return path + "?" + self.rebuild(urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=True), more)

    # -- routes

    def ping(self):
        return self.get("/ping")

    def health(self):
        return self.get("/health")

    def resume(self, *wanted):
        return self.post("/resume", {"data": [{"md5": sum, "path": path} for sum, path in wanted]})

    def checkpoint(self, uid):
        return self.get("/checkpoint", uid=uid)

    def proxy(self, uid):
        return self.get("/proxy", uid=uid)

    def link_upload(self, *paths, expire=3600):
        return self.post("/link/upload", {"filePath": list(paths), "expire": expire})

    def link_download(self, *uids, expire=3600):
        return self.post("/link/download", {"uid": list(uids), "expire": expire})

    def upload(self, link, data, sum=None, **form_options):
        body, kind = form(data, **form_options)
        return self.ask("PUT", self.signed(link, [("md5", sum or md5(data))]), body, {"Content-Type": kind})

    def upload_chunk(self, link, number, data, sum=None):
        body, kind = form(data)
        return self.ask("PUT", self.signed(link, [("md5", sum or md5(data)), ("chunkNum", str(number))]), body, {"Content-Type": kind})

    def merge(self, link, num, size, sum):
        return self.ask("PUT", self.signed(link, [("num", str(num)), ("size", str(size)), ("md5", sum)]))

    def download(self, link, range=None, more=()):
        """The bytes, the status and the header."""
        status, headers, body = self.request("GET", self.signed(link, list(more)), None, {"Range": range} if range else {})
        if status not in (200, 206):
            envelope(status, headers, body)
        return body, status, headers

    def read(self, uid):
        """All bytes of a file by its uid."""
        links = self.link_download(uid)
        assert [link["uid"] for link in links] == [uid], links
        return self.download(links[0]["url"])[0]


def envelope(status, headers, body):
    kind = headers.get("Content-Type", "")
    assert kind.split(";")[0].strip() == "application/json", "an answer has the type %r: %r" % (kind, body[:200])
    answer = json.loads(body)
    assert sorted(answer) == ["code", "data", "message"], answer
    assert answer["code"] == 0, answer
    if status != 200:
        assert answer["data"] == "", answer
        assert answer["message"] not in ("", "ok"), answer
        raise Refused(status, answer["message"], answer["data"])
    assert answer["message"] == "ok", answer
    return answer["data"]


# -- how clients put a query together


def plain(link, more):
    return urllib.parse.urlencode(link + more)


def doubled(link, more):
    """The link's query as it was, and everything of it once more behind."""
    return urllib.parse.urlencode(link + link + more)


def doubled_all(link, more):
    return urllib.parse.urlencode((link + more) * 2)


def reordered(link, more):
    both = link + more
    random.shuffle(both)
    return urllib.parse.urlencode(both, quote_via=urllib.parse.quote)


def stray(link, more):
    """What clients send along that nobody reads."""
    return urllib.parse.urlencode([("bucket", "osproxy"), ("object", "a/b.txt"), ("name", "other & name.html"), ("nobody", "knows")] + link[::-1] + more)
