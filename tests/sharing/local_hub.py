"""A hub on 127.0.0.1 that answers what huggingface_hub asks: repositories, commits with large files, downloads."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_for_tests_on_this_machine"

LARGE = (".safetensors", ".npz")
"""What the public hub keeps as large files, too."""


@dataclass
class LocalHub:
    """The hub's state.

    Attributes:
        url: its address.
        branches: by repository and branch, the contents of all files by name.
        private: repositories that only the token's owner sees.
        blobs: large files that were uploaded, by SHA-256.
        asked: method and path of every request.
    """

    url: str = ""
    branches: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def commit(self, repo: str, branch: str) -> str:
        """A commit's name that follows from its contents, as git's does."""
        text = json.dumps({name: _sha(content) for name, content in sorted(self.branches[repo][branch].items())})
        return hashlib.sha1(text.encode()).hexdigest()

    def find(self, repo: str, revision: str) -> dict[str, bytes] | None:
        """The files of a branch or a commit."""
        branches = self.branches.get(repo, {})
        by_commit = {self.commit(repo, branch): branch for branch in branches}
        return branches.get(by_commit.get(revision, revision))


@contextmanager
def local_hub() -> Iterator[LocalHub]:
    """A hub that runs within the block."""
    hub = LocalHub()
    handler = type("_Bound", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.asked.append(f"{self.command} {path}")
        for pattern, answer in ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                answer(self, body, *found.groups())
                return
        self._json({"error": f"no such page: {path}"}, 404)

    def _json(self, document: Any, status: int = 200, **headers: str) -> None:
        self._bytes(json.dumps(document).encode(), status, **{"Content-Type": "application/json", **headers})

    def _bytes(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _known(self, repo: str, revision: str = "main", *, write: bool = False) -> dict[str, bytes] | None:
        """The files of a revision; answers and gives None where this reader may not have them."""
        owner = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if write and not owner:
            self._json({"error": "Invalid username or password."}, 401)
        elif repo not in self.hub.branches or (repo in self.hub.private and not owner):
            self._json({"error": "Repository not found"}, 404, **{"X-Error-Code": "RepoNotFound"})
        elif (files := self.hub.find(repo, revision)) is None:
            self._json({"error": "Invalid rev id"}, 404, **{"X-Error-Code": "RevisionNotFound"})
        else:
            return files
        return None

    def create(self, body: bytes) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._json({"error": "Invalid username or password."}, 401)
            return
        asked = json.loads(body)
        repo = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if repo in self.hub.branches:
            self._json({"error": "You already created this model repo", "url": f"{self.hub.url}/{repo}"}, 409)
            return
        self.hub.branches[repo] = {"main": {".gitattributes": b""}}
        if asked.get("private") or asked.get("visibility") == "private":
            self.hub.private.add(repo)
        self._json({"url": f"{self.hub.url}/{repo}", "name": repo})

    def branch(self, body: bytes, repo: str, name: str) -> None:
        if (files := self._known(repo, write=True)) is None:
            return
        if name in self.hub.branches[repo]:
            self._json({"error": "Reference already exists"}, 409)
            return
        self.hub.branches[repo][name] = dict(files)
        self._json({})

    def validate(self, body: bytes) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, body: bytes, repo: str, revision: str) -> None:
        if self._known(repo, revision, write=True) is None:
            return
        names = [each["path"] for each in json.loads(body)["files"]]
        modes = [{"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular", "shouldIgnore": False}
                 for name in names]  # fmt: skip
        self._json({"files": modes})

    def batch(self, body: bytes, repo: str) -> None:
        objects = [
            {"oid": each["oid"], "size": each["size"]}
            | (
                {}
                if each["oid"] in self.hub.blobs
                else {"actions": {"upload": {"href": f"{self.hub.url}/upload/{each['oid']}", "header": {}}}}
            )
            for each in json.loads(body)["objects"]
        ]
        self._json({"transfer": "basic", "objects": objects})

    def upload(self, body: bytes, oid: str) -> None:
        if _sha(body) != oid:
            self._json({"error": "the content has another hash"}, 400)
            return
        self.hub.blobs[oid] = body
        self._bytes(b"")

    def write(self, body: bytes, repo: str, revision: str) -> None:
        if self._known(repo, revision, write=True) is None:
            return
        files = self.hub.branches[repo][revision]
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        oid = self.hub.commit(repo, revision)
        self._json({"success": True, "commitOid": oid, "commitUrl": f"{self.hub.url}/{repo}/commit/{oid}"})

    def info(self, body: bytes, repo: str, revision: str | None = None) -> None:
        if (files := self._known(repo, revision or "main")) is None:
            return
        branch = next(name for name, each in self.hub.branches[repo].items() if each is files)
        siblings = [{"rfilename": name} for name in files]
        self._json({"id": repo, "modelId": repo, "sha": self.hub.commit(repo, branch), "siblings": siblings,
                    "private": repo in self.hub.private, "tags": [], "downloads": 0, "likes": 0})  # fmt: skip

    def tree(self, body: bytes, repo: str, revision: str) -> None:
        if (files := self._known(repo, revision)) is None:
            return
        rows = []
        for name, content in files.items():
            row = {"type": "file", "path": name, "size": len(content), "oid": _blob(content)}
            if name.endswith(LARGE):
                row["lfs"] = {"oid": _sha(content), "size": len(content), "pointerSize": 130}
            rows.append(row)
        self._json(rows)

    def resolve(self, body: bytes, repo: str, revision: str, name: str) -> None:
        if (files := self._known(repo, revision)) is None:
            return
        if name not in files:
            self._json({"error": "Entry not found"}, 404, **{"X-Error-Code": "EntryNotFound"})
            return
        branch = next(each for each, known in self.hub.branches[repo].items() if known is files)
        tag = _sha(files[name]) if name.endswith(LARGE) else _blob(files[name])
        headers = {"X-Repo-Commit": self.hub.commit(repo, branch), "ETag": f'"{tag}"'}
        self._bytes(files[name], 200, **headers)


REPO = r"([^/]+/[^/]+)"
ROUTES = (
    (r"POST /api/repos/create", _Handler.create),
    (r"POST /api/validate-yaml", _Handler.validate),
    (rf"POST /api/models/{REPO}/branch/(.+)", _Handler.branch),
    (rf"POST /api/models/{REPO}/preupload/(.+)", _Handler.preupload),
    (rf"POST /{REPO}\.git/info/lfs/objects/batch", _Handler.batch),
    (r"PUT /upload/([0-9a-f]{64})", _Handler.upload),
    (rf"POST /api/models/{REPO}/commit/(.+)", _Handler.write),
    (rf"GET /api/models/{REPO}", _Handler.info),
    (rf"GET /api/models/{REPO}/revision/(.+)", _Handler.info),
    (rf"GET /api/models/{REPO}/tree/([^/]+)", _Handler.tree),
    (rf"(?:GET|HEAD) /{REPO}/resolve/([^/]+)/(.+)", _Handler.resolve),
)
