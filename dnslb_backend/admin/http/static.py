"""The web page: static files of the package, served as they are.

They are read when this module is, never on the event loop, and are the only ones that can be
asked for: what is asked is a key of a table, no path. They hold no data and are open to
everybody; all that the page shows it asks the API for, as its reader.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files

from aiohttp import web

INDEX = "index.html"

MEDIA = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Nothing inline, nothing from elsewhere; and no text can become markup, whatever a script does."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file, and the tag by which a browser knows that it has it."""

    body: bytes
    media: str
    tag: str


def _load() -> Mapping[str, PageFile]:
    found: dict[str, PageFile] = {}
    for entry in (files("dnslb_backend.admin") / "page").iterdir():
        media = next((kind for end, kind in MEDIA.items() if entry.name.endswith(end)), None)
        if media is not None:
            body = entry.read_bytes()
            found[entry.name] = PageFile(body, media, hashlib.sha256(body).hexdigest()[:32])
    return found


FILES = _load()


async def show_page(request: web.Request) -> web.Response:
    return _reply(request, FILES[INDEX])


async def show_page_file(request: web.Request) -> web.Response:
    found = FILES.get(request.match_info["file"])
    if found is None:
        raise web.HTTPNotFound
    return _reply(request, found)


def _reply(request: web.Request, file: PageFile) -> web.Response:
    headers = {
        # Revalidated every time: the page must be that of the running daemon.
        "Cache-Control": "no-cache",
        "Content-Security-Policy": POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "ETag": f'"{file.tag}"',
    }
    known = request.if_none_match or ()
    if any(etag.value == file.tag for etag in known):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=file.body, content_type=file.media, charset="utf-8", headers=headers)
