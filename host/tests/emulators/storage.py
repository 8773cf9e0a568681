"""Cloud Storage on loopback, for the tests: what the crate object_store uses of its XML API.

    python storage.py --port N --bucket NAME... [--cut-after BYTES] [--page-size KEYS] [--first-generation N]
                      [--lose-every N]

`--bucket` is given once per bucket. The standard library is all it needs; objects are in memory. The
client gets a service account key with the address in `gcs_base_url`, and `disable_oauth`. It prints
`ready` once the port answers, and ends when its standard input does, so that it cannot outlive the
test run that holds the other end of the pipe.

Other emulators speak the JSON API only, in which object_store can neither put nor list.

- An object's ETag and generation change with every write, of the same bytes too, as a client that
  resumes a read or creates a name only once relies on it.
- `--cut-after` closes the connection after so many bytes of an object's body, of every answer, so
  that a read of anything longer has to be resumed.
- `--first-generation` makes generations and ETags those of an earlier run: a ledger that was kept knows
  objects by them.
- `--lose-every` does every Nth write and answers 503 all the same: a client that tries again finds what it has
  written, or that what it removes is gone.
- What is stored with `content-encoding: gzip` is decompressed on the way for whoever does not accept
  gzip: from its first byte on whatever range was asked for, in chunks, without a length or a tag.
- An object with the header `x-goog-meta-unkind` is unkind to whoever reads it: `gone` deletes it just
  before, `replaced` writes it anew just before, each once; `busy=N` answers 503 N times; `unpacked`
  decompresses it also for those who accept gzip, as some proxies do.
- A part of a multipart upload other than the last has to have 5 MiB, as at Cloud Storage.
"""

import argparse
import base64
import gzip
import hashlib
import itertools
import os
import re
import sys
import threading
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

SMALLEST_PART = 5 << 20
CHUNK = 64 << 10
# Kept with an object and given back with it.
KEPT = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
)
KEPT_PREFIX = "x-goog-meta-"
UNKIND = KEPT_PREFIX + "unkind"

generations = itertools.count(time.time_ns() // 1000)


@dataclass
class Object:
    data: bytes
    headers: dict
    generation: int = field(default_factory=lambda: next(generations))
    written: float = field(default_factory=time.time)

    @property
    def etag(self):
        return f'"{self.generation:x}"'


@dataclass
class Upload:
    bucket: str
    key: str
    headers: dict
    parts: dict = field(default_factory=dict)


class Refusal(Exception):
    def __init__(self, status, code, headers=None):
        super().__init__(code)
        self.status, self.code, self.headers = status, code, headers or {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def serve(self):
        # Read even if it is refused: the next request follows it on the connection.
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        bucket, _, key = (unquote(part) for part in url.path[1:].partition("/"))
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            if "Transfer-Encoding" in self.headers:
                self.close_connection = True
                raise Refusal(411, "MissingContentLength")
            with self.server.lock:
                objects = self.server.buckets.get(bucket)
                if objects is None:
                    raise Refusal(404, "NoSuchBucket")
                answer = self.handler(key, query)(bucket, objects, key, query, body)
                if self.command in ("PUT", "POST", "DELETE") and self.server.loses():
                    raise Refusal(503, "ServiceUnavailable")
        except Refusal as refusal:
            answer = refusal.status, refusal.headers, document("Error", Code=refusal.code)
        self.answer(*answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def handler(self, key, query):
        match self.command:
            case "GET" if not key:
                return self.list
            case "GET" | "HEAD" if key:
                return self.read
            case "PUT" if key and "uploadId" in query:
                return self.put_part
            case "PUT" if key and "x-goog-copy-source" in self.headers:
                return self.copy
            case "PUT" if key:
                return self.put
            case "POST" if key and "uploads" in query:
                return self.start_upload
            case "POST" if key and "uploadId" in query:
                return self.complete_upload
            case "DELETE" if key and "uploadId" in query:
                return self.abort_upload
            case "DELETE" if key:
                return self.delete
        raise Refusal(405, "MethodNotAllowed")

    def answer(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        chunked = headers.get("Transfer-Encoding") == "chunked"
        if status not in (204, 304) and not chunked:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD" or status in (204, 304):
            return
        cut = self.server.cut_after
        # Answers without a generation are lists and errors, which no client resumes.
        if cut and self.command == "GET" and "x-goog-generation" in headers and len(body) > cut:
            body = body[:cut]
            self.close_connection = True
        if chunked:
            for at in range(0, len(body), CHUNK):
                piece = body[at : at + CHUNK]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            body = b"" if self.close_connection else b"0\r\n\r\n"
        self.wfile.write(body)

    def list(self, bucket, objects, key, query, body):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        room = min(int(query.get("max-keys", 1000)), self.server.page_size)
        token = base64.urlsafe_b64decode(query.get("continuation-token", "")).decode()
        found, folders, last, more = [], [], "", False
        for name in sorted(objects):
            if not name.startswith(prefix) or name <= query.get("start-after", ""):
                continue
            folder, inside = name[len(prefix) :], ""
            if delimiter:
                folder, inside, _ = folder.partition(delimiter)
            entry = prefix + folder + delimiter if inside else name
            # A page ends at an entry: a name, or a folder with all that is in it.
            if entry <= token or entry == last:
                continue
            if len(found) + len(folders) == room:
                more = True
                break
            last = entry
            folders.append(entry) if inside else found.append(entry)
        entries = [("Contents", contents(name, objects[name])) for name in found]
        entries += [("CommonPrefixes", {"Prefix": folder}) for folder in folders]
        if more:
            token = base64.urlsafe_b64encode(last.encode()).decode()
            entries.append(("NextContinuationToken", token))
        truncated = str(more).lower()
        return 200, XML, document("ListBucketResult", *entries, Name=bucket, IsTruncated=truncated)

    def read(self, bucket, objects, key, query, body):
        if self.command == "GET":
            self.be_unkind(objects, key)
        found = objects.get(key)
        # No old generation is kept.
        if not found or query.get("generation", str(found.generation)) != str(found.generation):
            raise Refusal(404, "NoSuchKey")
        headers = found.headers | {
            "ETag": found.etag,
            "Last-Modified": formatdate(found.written, usegmt=True),
            "Accept-Ranges": "bytes",
            "x-goog-generation": found.generation,
        }
        self.check_conditions(found)
        if self.unmodified(found):
            return 304, headers
        if self.is_unpacked(found):
            headers = {
                name: value
                for name, value in headers.items()
                if name not in ("content-encoding", "ETag", "Accept-Ranges")
            }
            headers |= {
                "Transfer-Encoding": "chunked",
                "x-goog-stored-content-encoding": "gzip",
                "x-goog-stored-content-length": len(found.data),
                "Warning": "214 UploadServer gunzipped",
            }
            return 200, headers, gzip.decompress(found.data)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            return 200, headers, found.data
        (first, last), size = wanted.groups(), len(found.data)
        if first:
            start, end = int(first), min(int(last or size) + 1, size)
        else:
            start, end = max(size - int(last or 0), 0), size
        if start >= end:
            raise Refusal(416, "InvalidRange", {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return 206, headers, found.data[start:end]

    def be_unkind(self, objects, key):
        found = objects.get(key)
        how = found and found.headers.get(UNKIND, "")
        if how == "gone":
            del objects[key]
        elif how == "replaced":
            kept = {name: value for name, value in found.headers.items() if name != UNKIND}
            objects[key] = Object(found.data, kept)
        elif how and how.startswith("busy="):
            left = int(how.removeprefix("busy="))
            if left > 0:
                found.headers[UNKIND] = f"busy={left - 1}"
                raise Refusal(503, "ServiceUnavailable")

    def is_unpacked(self, found):
        if found.headers.get("content-encoding") != "gzip":
            return False
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        return not accepted or found.headers.get(UNKIND) == "unpacked"

    def check_conditions(self, found):
        generation = self.headers.get("x-goog-if-generation-match")
        if generation not in (None, str(found.generation)):
            raise Refusal(412, "PreconditionFailed")
        tags, date = self.headers.get("If-Match"), self.headers.get("If-Unmodified-Since")
        if tags is not None:
            if not named(tags, found.etag):
                raise Refusal(412, "PreconditionFailed")
        elif date and int(found.written) > parsedate_to_datetime(date).timestamp():
            raise Refusal(412, "PreconditionFailed")

    def unmodified(self, found):
        tags, date = self.headers.get("If-None-Match"), self.headers.get("If-Modified-Since")
        if tags is not None:
            return named(tags, found.etag)
        return bool(date) and int(found.written) <= parsedate_to_datetime(date).timestamp()

    def put(self, bucket, objects, key, query, body):
        return self.store(objects, key, Object(body, self.kept_headers()))

    def copy(self, bucket, objects, key, query, body):
        source, _, name = unquote(self.headers["x-goog-copy-source"]).lstrip("/").partition("/")
        found = self.server.buckets.get(source, {}).get(name)
        if found is None:
            raise Refusal(404, "NoSuchKey")
        status, headers, _ = self.store(objects, key, Object(found.data, found.headers))
        return status, headers | XML, document("CopyObjectResult", ETag=headers["ETag"])

    def store(self, objects, key, new):
        old = objects.get(key)
        expected = self.headers.get("x-goog-if-generation-match")
        if expected not in (None, str(old.generation if old else 0)):
            raise Refusal(412, "PreconditionFailed")
        objects[key] = new
        return 200, {"ETag": new.etag, "x-goog-generation": new.generation}, b""

    def delete(self, bucket, objects, key, query, body):
        if objects.pop(key, None) is None:
            raise Refusal(404, "NoSuchKey")
        return 204, {}

    def start_upload(self, bucket, objects, key, query, body):
        name = f"upload-{next(generations)}"
        self.server.uploads[name] = Upload(bucket, key, self.kept_headers())
        answer = document("InitiateMultipartUploadResult", Bucket=bucket, Key=key, UploadId=name)
        return 200, XML, answer

    def put_part(self, bucket, objects, key, query, body):
        self.upload(bucket, key, query).parts[int(query["partNumber"])] = body
        return 200, {"ETag": part_etag(body)}

    def complete_upload(self, bucket, objects, key, query, body):
        upload = self.upload(bucket, key, query)
        parts = []
        for part in xml.fromstring(body).iter("Part"):
            data = upload.parts.get(int(part.findtext("PartNumber")))
            if data is None or part_etag(data) != part.findtext("ETag"):
                raise Refusal(400, "InvalidPart")
            parts.append(data)
        if not parts or any(len(data) < SMALLEST_PART for data in parts[:-1]):
            raise Refusal(400, "EntityTooSmall" if parts else "MalformedXML")
        status, headers, _ = self.store(objects, key, Object(b"".join(parts), upload.headers))
        del self.server.uploads[query["uploadId"]]
        answer = document(
            "CompleteMultipartUploadResult", Bucket=bucket, Key=key, ETag=headers["ETag"]
        )
        return status, headers | XML, answer

    def abort_upload(self, bucket, objects, key, query, body):
        self.upload(bucket, key, query)
        del self.server.uploads[query["uploadId"]]
        return 204, {}

    def upload(self, bucket, key, query):
        upload = self.server.uploads.get(query["uploadId"])
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise Refusal(404, "NoSuchUpload")
        return upload

    def kept_headers(self):
        lower = {name.lower(): value for name, value in self.headers.items()}
        return {
            name: value
            for name, value in lower.items()
            if name in KEPT or name.startswith(KEPT_PREFIX)
        }

    def log_request(self, *_):
        pass


XML = {"Content-Type": "application/xml; charset=UTF-8"}


def document(root, *entries, **texts):
    def add(parent, name, value):
        child = xml.SubElement(parent, name)
        if isinstance(value, dict):
            for entry in value.items():
                add(child, *entry)
        else:
            child.text = value

    element = xml.Element(root)
    for entry in (*texts.items(), *entries):
        add(element, *entry)
    return xml.tostring(element, encoding="UTF-8", xml_declaration=True)


def contents(name, found):
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(found.written))
    return {
        "Key": name,
        "Generation": str(found.generation),
        "MetaGeneration": "1",
        "LastModified": f"{moment}.{int(found.written % 1 * 1000):03}Z",
        "ETag": found.etag,
        "Size": str(len(found.data)),
    }


def named(tags, etag):
    return tags.strip() == "*" or etag in (tag.strip() for tag in tags.split(","))


def part_etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def loses(self):
        self.writes += 1
        return self.lose_every and self.writes % self.lose_every == 0

    def handle_error(self, request, client_address):
        # A client that goes away in the middle of an answer is no fault of the emulator.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def end_with_standard_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--bucket", action="append", required=True)
    options.add_argument("--cut-after", type=int)
    options.add_argument("--page-size", type=int, default=1000)
    options.add_argument("--first-generation", type=int)
    options.add_argument("--lose-every", type=int)
    options = options.parse_args()
    if options.first_generation is not None:
        global generations
        generations = itertools.count(options.first_generation)

    try:
        server = Server(("127.0.0.1", options.port), Handler)
    except OSError as error:
        sys.exit(f"storage.py: port {options.port}: {error.strerror}")
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    server.lock = threading.Lock()
    server.buckets = {name: {} for name in options.bucket}
    server.uploads = {}
    server.cut_after = options.cut_after
    server.page_size = options.page_size
    server.lose_every = options.lose_every
    server.writes = 0
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
