"""What a client of version 0 does, one scenario a run:

    python3 scenarios.py SCENARIO URL [OWNER=TOKEN ...]

The daemon at URL lets this machine's addresses in without a token, as an owner
of their own, unless the scenario says otherwise. A scenario that wants the
daemon killed prints KILL, and reads the URL of the next one from its input.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.parse

import client
from client import Client, Refused, md5

STYLES = [client.plain, client.doubled, client.doubled_all, client.reordered, client.stray]
NAMES = ["plain.txt", "日本語 的文件.txt", "a & b # c % d.txt", "100%41 + 1=2?.txt", "ä;\"quoted\".tar.gz", "x.y"]
KIB, MIB = 1 << 10, 1 << 20
PATIENCE = 60


class World:
    def __init__(self, url, tokens):
        self.url, self.tokens = url, tokens

    def client(self, owner=None, rebuild=None):
        return Client(self.url, self.tokens[owner] if owner else None, rebuild)

    def kill(self):
        """Has the daemon killed, and another one started on its data."""
        print("KILL", flush=True)
        self.url = sys.stdin.readline().strip()
        assert self.url.startswith("http://"), "no next daemon"


def content(seed, size):
    return random.Random(seed).randbytes(size)


def same(got, want, what=""):
    assert got == want, "%s: got %.300r, want %.300r" % (what, got, want)


def refused(status, do, *args, **kwargs):
    """Expects that something is refused, and gives the message."""
    try:
        got = do(*args, **kwargs)
    except Refused as e:
        assert e.status == status, "refused with %s, not %d" % (e, status)
        return e.message
    raise AssertionError("not refused: %.300r" % (got,))


def eventually(what, ask):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if ask():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain: " + what)


def put(c, name, data):
    """Puts a file in one request and gives its uid."""
    link, = c.link_upload(name)
    c.upload(link["url"]["single"], data)
    return link["uid"]


def put_chunks(c, link, chunks, order=None):
    for n in order or range(1, len(chunks) + 1):
        c.upload_chunk(link["url"]["multi"]["upload"], n, chunks[n - 1])


def cut(data, sizes):
    """Chunks of those sizes; the last one is what remains."""
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at:at + size])
        at += size
    return chunks + ([data[at:]] if at < len(data) else [])


# -- scenarios


def says(w):
    c = w.client()
    same(c.ping(), "Test Router...")
    same(c.health(), "Health...")


def single(w):
    """Files of all sizes and names, in one request, by every way to put a query
    together; whole and in ranges."""
    where = None
    for i, size in enumerate([0, 1, 10, 4 * MIB, MIB - 1, MIB, MIB + 1, 5 * MIB + 7]):
        c, data = w.client(rebuild=STYLES[i % len(STYLES)]), content(i, size)
        name = NAMES[i % len(NAMES)]
        link, = c.link_upload(name)
        same(link["path"], name)
        assert re.fullmatch("[1-9][0-9]*", link["uid"]), link
        c.upload(link["url"]["single"], data, before=[("comment", "first")] if i % 2 else ())
        got, = c.link_download(link["uid"])
        meta = got["meta"]
        same(sorted(meta), ["dstName", "height", "md5", "size", "srcName", "width"])
        same([meta["srcName"], meta["size"], meta["md5"]], [name, str(size), md5(data)], "meta")
        assert all(type(meta[k]) is int for k in ("width", "height")), meta
        query = dict(urllib.parse.parse_qsl(got["url"].partition("?")[2]))
        where = where or (query.get("bucket"), query.get("object"))
        same((query.get("bucket"), query.get("object")), where, "what a link says of where the bytes are")
        for style in STYLES:
            body, status, headers = w.client(rebuild=style).download(got["url"], more=[("md5", md5(data)), ("online", "0")])
            same([status, body], [200, data], style.__name__)
            same(file_name(headers["Content-Disposition"]), name)
        if size < 10:
            continue
        for asked, first, last in [("bytes=0-0", 0, 0), ("bytes=3-8", 3, 8), ("bytes=%d-" % (size - 2), size - 2, size - 1),
                                   ("bytes=-3", size - 3, size - 1), ("bytes=1-%d" % (2 * size), 1, size - 1)]:
            body, status, headers = c.download(got["url"], range=asked)
            same([status, body, headers["Content-Range"]], [206, data[first:last + 1], "bytes %d-%d/%d" % (first, last, size)], asked)


def file_name(field):
    """The name that a Content-Disposition gives (RFC 6266)."""
    extended = re.search(r"filename\*=UTF-8''([^;]+)", field, re.IGNORECASE)
    if extended:
        return urllib.parse.unquote(extended[1])
    return re.search(r'filename="?([^";]+)', field)[1]


def instant(w):
    """What is there is not sent again: a file of its own for each that is asked
    for, also twice, and as soon as the daemon has looked at what was sent."""
    c = w.client()
    data = content("instant", 3 * MIB + 5)
    first = put(c, "first.bin", data)
    unknown = md5(b"unknown")
    got = c.resume((md5(data), "a/b/second.bin"), (unknown, "third.bin"), (md5(data).upper(), "日本 & # %.bin"), (md5(data), "second.bin"))
    same([g["md5"] for g in got], [md5(data), unknown, md5(data).upper(), md5(data)])
    uids = [g["uid"] for g in got]
    same([bool(uid) for uid in uids], [True, False, True, True])
    same(len(set(uids + [first])), 5, "uids that differ")
    for uid, name in [(uids[0], "second.bin"), (uids[2], "日本 & # %.bin"), (uids[3], "second.bin")]:
        link, = c.link_download(uid)
        same([link["meta"][k] for k in ("srcName", "size", "md5")], [name, str(len(data)), md5(data)])
        same(c.read(uid), data)
    same(c.resume(), [])
    same(w.client("other").resume((md5(data), "mine.bin")), [{"md5": md5(data), "uid": ""}], "another owner")
    same(w.client("other").resume((md5(b""), "empty.bin"))[0]["uid"], "", "nothing, which was never put")
    put(c, "nothing.bin", b"")
    assert c.resume((md5(b""), "empty.bin"))[0]["uid"]
    for bad in ["", "xyz", md5(data)[:-1], md5(data) + "0", md5(data)[:-1] + "g"]:
        refused(422, c.resume, (md5(data), "a.bin"), (bad, "b.bin"))
    for bad in ["", "..", "a/", "a\x00.bin", "x" * 300 + ".bin"]:
        refused(422, c.resume, (md5(data), bad))
    refused(422, c.resume, *[(unknown, "a.bin")] * 51)
    refused(422, c.post, "/resume", {})


def chunks(w):
    """Chunks of the client's own sizes, out of order, some twice; what is held;
    merges that are wrong, which change nothing, and the one that is right."""
    for style in STYLES:
        c = w.client(rebuild=style)
        data = content("chunks", 6 * MIB + 123)
        parts = cut(data, [1, 70 * KIB, 2 * MIB, MIB + 1, 3])
        link, = c.link_upload("日本 & # %.bin")
        uid, multi = link["uid"], link["url"]["multi"]
        same(c.checkpoint(uid), [])
        put_chunks(c, link, parts, order=[5, 2, 6, 3])
        same(sorted(c.checkpoint(uid)), [2, 3, 5, 6])
        refused(422, c.upload_chunk, multi["upload"], 4, parts[3], sum=md5(parts[0]))
        same(sorted(c.checkpoint(uid)), [2, 3, 5, 6], "after a chunk that was not what it was said to be")
        refused(422, c.upload_chunk, multi["upload"], 3, parts[3][:-1], sum=md5(parts[2]))
        same(sorted(c.checkpoint(uid)), [2, 3, 5, 6], "after a bad second try of one that is held")
        refused(422, c.merge, multi["merge"], len(parts), len(data), md5(data))
        put_chunks(c, link, parts, order=[4, 1, 4])
        held = [1, 2, 3, 4, 5, 6]
        for num, size in [(5, len(data)), (7, len(data)), (6, len(data) - 1), (6, len(data) + 1), (0, len(data)), (-6, len(data)), (6, -1)]:
            refused(422, c.merge, multi["merge"], num, size, md5(data))
            same(sorted(c.checkpoint(uid)), held, "after a wrong merge")
        for number in [0, -1, 10001, "x", "", "1.5", "+7", "07"]:
            refused(422, c.upload_chunk, multi["upload"], number, parts[0])
        same(sorted(c.checkpoint(uid)), held)
        refused(422, c.merge, multi["merge"], len(parts), len(data), "no md5")
        c.merge(multi["merge"], len(parts), len(data), md5(data))
        same(c.read(uid), data)
        c.merge(multi["merge"], len(parts), len(data), md5(data))  # whose answer was lost
        same(c.read(uid), data)
        refused(422, c.upload_chunk, multi["upload"], 1, b"other")
        same(c.read(uid), data)


def in_order(w):
    """Of chunks that come in order the MD5 of the whole is known, and a
    difference is refused."""
    c = w.client()
    data = content("in order", 3 * MIB)
    parts = cut(data, [MIB, 10, MIB])
    link, = c.link_upload("a.bin")
    put_chunks(c, link, parts)
    refused(422, c.merge, link["url"]["multi"]["merge"], len(parts), len(data), md5(b"another"))
    same(sorted(c.checkpoint(link["uid"])), [1, 2, 3, 4])
    c.merge(link["url"]["multi"]["merge"], len(parts), len(data), md5(data))
    same(c.read(link["uid"]), data)
    meta = c.link_download(link["uid"])[0]["meta"]
    same([meta["size"], meta["md5"]], [str(len(data)), md5(data)])


def out_of_order(w):
    """Of others it is not: the merge answers, the file can be read, and a
    difference is found later, from when on reads are refused."""
    c = w.client()
    data = content("out of order", 3 * MIB)
    parts = cut(data, [MIB, 10, MIB])
    link, = c.link_upload("a.bin")
    put_chunks(c, link, parts, order=[3, 1, 4, 2])
    c.merge(link["url"]["multi"]["merge"], len(parts), len(data), md5(b"another"))
    get = c.link_download(link["uid"])[0]["url"]

    def is_refused():
        try:
            c.download(get)
        except Refused as e:
            same(e.status, 500)
            return True
        return False

    eventually("the file that is not what it was said to be is refused", is_refused)
    for wrong in (md5(data), md5(b"another")):
        same(c.resume((wrong, "again.bin"))[0]["uid"], "")


def killed_client(w):
    """A client is killed in the middle of a chunk. The next one asks what is
    held, and sends the rest."""
    data = content("killed", 5 * MIB)
    parts = cut(data, [MIB, 300 * KIB, MIB, 5, MIB])
    c = w.client()
    link, = c.link_upload("killed.bin")
    child = subprocess.Popen([sys.executable, __file__, "sends_until_killed", w.url, json.dumps(link)], stdout=subprocess.PIPE, text=True)
    try:
        for line in child.stdout:
            if line.strip() == "half":
                break
        else:
            raise AssertionError("the client that was to be killed ended")
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    same(sorted(c.checkpoint(link["uid"])), [1, 2])
    rest = [n for n in range(1, len(parts) + 1) if n not in c.checkpoint(link["uid"])]
    put_chunks(c, link, parts, order=rest)
    c.merge(link["url"]["multi"]["merge"], len(parts), len(data), md5(data))
    same(c.read(link["uid"]), data)


def sends_until_killed(w, link):
    """The client of killed_client: two chunks, and half of the third."""
    data = content("killed", 5 * MIB)
    parts = cut(data, [MIB, 300 * KIB, MIB, 5, MIB])
    c, link = w.client(), json.loads(link)
    put_chunks(c, link, parts, order=[1, 2])
    body, kind = client.form(parts[2])
    conn = client.http.client.HTTPConnection(c.host, c.port)
    conn.putrequest("PUT", c.signed(link["url"]["multi"]["upload"], [("md5", md5(parts[2])), ("chunkNum", "3")]))
    conn.putheader("Content-Type", kind)
    conn.putheader("Content-Length", str(len(body)))
    conn.endheaders(body[:len(body) // 2])
    print("half", flush=True)
    time.sleep(PATIENCE)


def killed_daemon(w):
    """The daemon is killed between chunks, before the merge, and after it. What
    was answered holds."""
    data = content("killed daemon", 4 * MIB + 99)
    parts = cut(data, [MIB, 1, MIB, 700 * KIB])
    link, = w.client().link_upload("killed.bin")
    small = put(w.client(), "small.bin", data[:77])
    for n in [2, 5, 1]:
        put_chunks(w.client(), link, parts, order=[n])
        w.kill()
    c = w.client()
    same(sorted(c.checkpoint(link["uid"])), [1, 2, 5])
    same(c.read(small), data[:77])
    put_chunks(c, link, parts, order=[n for n in range(1, 6) if n not in c.checkpoint(link["uid"])])
    w.kill()
    same(sorted(w.client().checkpoint(link["uid"])), [1, 2, 3, 4, 5])
    w.client().merge(link["url"]["multi"]["merge"], len(parts), len(data), md5(data))
    w.kill()
    c = w.client()
    same(c.read(link["uid"]), data)
    twins = []
    eventually("the daemon has looked at it and knows it", lambda: twins.extend(t["uid"] for t in c.resume((md5(data), "twin.bin")) if t["uid"]) or twins)
    w.kill()
    same(w.client().read(twins[0]), data)


def owners(w):
    """Nobody is told of what others have."""
    mine, other = w.client(), w.client("other")
    data = content("owners", 100)
    uid = put(mine, "mine.bin", data)
    same(other.link_download(uid), [])
    refused(404, other.proxy, uid)
    same(other.resume((md5(data), "a.bin")), [{"md5": md5(data), "uid": ""}])
    chunked, = other.link_upload("chunks.bin")
    put_chunks(other, chunked, [data])
    same([other.checkpoint(chunked["uid"]), mine.checkpoint(chunked["uid"])], [[1], []])
    link, = other.link_upload("a.bin")
    other.upload(link["url"]["single"], data)
    same(other.read(link["uid"]), data)
    same(mine.link_download(link["uid"], uid, uid)[0]["uid"], uid)
    assert other.resume((md5(data), "a.bin"))[0]["uid"]
    # A link is the right to what it does, whoever has it.
    same(other.download(mine.link_download(uid)[0]["url"])[0], data)
    refused(401, Client(w.url, "osp_nobody").link_upload, "a.bin")


def changed(link, **values):
    """A link with other values in its query."""
    path, _, query = link.partition("?")
    pairs = [(k, values.pop(k, v)) for k, v in urllib.parse.parse_qsl(query)]
    return path + "?" + urllib.parse.urlencode([(k, v) for k, v in pairs + list(values.items()) if v is not None])


def errors(w):
    """Every refusal has the form of an answer, and one of four statuses."""
    c = w.client()
    data = b"some bytes"
    link, other = c.link_upload("a.txt", "b.txt")
    put_url = link["url"]["single"]
    uid = put(c, "c.txt", data)
    get = c.link_download(uid)[0]["url"]
    # 401: what was signed was changed, or is for something else.
    query = dict(urllib.parse.parse_qsl(put_url.partition("?")[2]))
    broken = query["signature"][:-1] + ("A" if query["signature"][-1] != "A" else "Q")
    for change in [{"uid": other["uid"]}, {"signature": broken}, {"date": "2030-01-01T00:00:00Z"}, {"expire": str(int(query["expire"]) + 1)},
                   {"signature": dict(urllib.parse.parse_qsl(get.partition("?")[2]))["signature"]}]:
        refused(401, c.upload, changed(put_url, **change), data)
        refused(401, c.merge, changed(link["url"]["multi"]["merge"], **change), 1, 1, md5(data))
        refused(401, c.upload_chunk, changed(link["url"]["multi"]["upload"], **change), 1, data)
    refused(401, c.download, changed(get, uid=link["uid"]))
    refused(401, c.download, changed(get, signature=query["signature"]))
    # 422: parameters.
    refused(422, c.upload, put_url, data, sum=md5(b"other"))
    refused(422, c.upload, put_url, data, sum="no md5")
    refused(422, c.upload, put_url, data, field="other")
    refused(422, c.upload, changed(put_url, md5=md5(b"other")), data)  # there twice, and not the same
    refused(422, c.ask, "PUT", put_url, client.form(data)[0], {"Content-Type": client.form(data)[1]})  # without md5
    refused(422, c.ask, "PUT", changed(put_url, md5=md5(data)), data, {"Content-Type": "application/octet-stream"})
    refused(422, c.link_upload, "no extension")
    refused(422, c.link_upload, *["%d.txt" % i for i in range(51)])
    same(len(c.link_upload(*["%d.txt" % (i % 50) for i in range(100)])), 50, "duplicates are removed")
    refused(422, c.link_download, *[str(10**15 + i) for i in range(201)])
    for expire in [0, -1, "soon", None]:
        refused(422, c.link_upload, "a.txt", expire=expire)
        refused(422, c.link_download, uid, expire=expire)
    for path in ("/resume", "/link/upload", "/link/download"):
        for body in (b"", b"no JSON", b"[]", b"{}", b"\xff"):
            refused(422, c.ask, "POST", client.PREFIX + path, body, {"Content-Type": "application/json"})
    # 404: what is not there.
    refused(404, c.proxy, "1")
    same(c.checkpoint("1"), [], "a link that was not used holds nothing, and no link holds no more")
    refused(404, c.get, "/nothing")
    refused(404, c.ask, "POST", client.PREFIX + "/ping")
    same(c.link_download("1", uid, "2")[0]["uid"], uid, "unknown uids are left out")
    assert c.proxy(uid)
    # Of all that nothing was put, and the link is as good as before.
    c.upload(put_url, data)
    same(c.read(link["uid"]), data)
    c.upload(put_url, data)  # whose answer was lost
    refused(422, c.upload, put_url, b"other bytes")
    same(c.read(link["uid"]), data)


def expires(w):
    """A link ends; one that was to be good for longer than may be is cut."""
    c = w.client()
    uid = put(c, "a.txt", b"abc")
    short = c.link_download(uid, expire=1)[0]["url"]

    def ended():
        try:
            c.download(short)
        except Refused as e:
            same(e.status, 401)
            return True
        return False

    eventually("the link ends", ended)
    long = c.link_download(uid, expire=10**9)[0]["url"]
    same(c.download(long)[0], b"abc")
    assert int(dict(urllib.parse.parse_qsl(long.partition("?")[2]))["expire"]) < 10**9


def stranger(w):
    """A daemon that lets nobody in by the address: who has no token is refused,
    and what needs none answers."""
    c = w.client()
    says(w)
    for ask in [lambda: c.resume((md5(b""), "a.txt")), lambda: c.checkpoint("1"), lambda: c.proxy("1"), lambda: c.link_upload("a.txt"),
                lambda: c.link_download("1")]:
        refused(401, ask)
    if not w.tokens:
        return
    ann = w.client("ann")
    uid = put(ann, "a.txt", b"abc")
    same(ann.read(uid), b"abc")
    same(c.download(ann.link_download(uid)[0]["url"])[0], b"abc", "a link needs no token")


def main(scenario, url, *args):
    if scenario == "sends_until_killed":
        return sends_until_killed(World(url, {}), args[0])
    random.seed(scenario)
    globals()[scenario](World(url, dict(arg.split("=", 1) for arg in args)))
    print("DONE", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
