"""Where this API differs from App Engine's: one table, in the order of its parts.

A bug of App Engine that only hurts its clients is not repeated. Where its documentation and its server
differ, localrun follows the server, unless the table says otherwise. A row of kind "safety" protects this
machine. A response that differs has a `Warning` header with App Engine's behavior.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from starlette.types import Scope

SCOPE_KEY = "localrun.deviations"

Kind = Literal["bug", "difference", "safety"]


class Deviation(NamedTuple):
    """A row of the table: what App Engine does, as the end of "App Engine ...", and what localrun does."""

    id: str
    kind: Kind
    app_engine: str
    here: str


# fmt: off
_COMMON: tuple[Deviation, ...] = (
    Deviation("origin", "safety",
              "answers web pages of every origin, with credentials",
              "a web page of another origin is refused; a page of this server gets the CORS headers"),
    Deviation("token", "safety",
              "asks for no authentication",
              "a server with a token refuses requests without it (401)"),
    Deviation("host", "safety",
              "accepts every Host header",
              "a server on the loopback interface accepts its own names only (421)"),
    Deviation("too_large", "safety",
              "accepts requests of every size",
              "a body larger than the upload limit is refused (413)"),
)

_TASKS: tuple[Deviation, ...] = (
    Deviation("image_first", "bug",
              "answers 500 to an invalid descriptor or a duplicate behind the image of a bundle, and deletes"
              " the image of that name",
              "the order of a bundle does not matter"),
    Deviation("upload_details", "difference",
              "sends no details with this refusal",
              "the details list every problem of the bundle"),
    Deviation("bundle_unusable", "difference",
              "accepts this bundle, although no run of it can succeed",
              "a bundle that localrun cannot run is refused (400)"),
    Deviation("image_name", "difference",
              "accepts this bundle, but never starts its runs, because the name of the image does not end in"
              " .tar",
              "an image in a .tar.gz or .tgz runs"),
    Deviation("bundle_zip", "difference",
              "has no such address; only its stores have it",
              "localrun is a store, too: it serves its bundles"),
)

_PROVISIONS: tuple[Deviation, ...] = (
    Deviation("provision_deleted", "difference",
              "stores inputs of a run whose files were deleted",
              "such a run is refused (403)"),
    Deviation("provision_name", "bug",
              "names the file of an input as the request writes the name",
              "the file has the name of the descriptor"),
    Deviation("file_path", "safety",
              "copies every file of its machine that a request names",
              "a file outside of the served folders is refused (400)"),
    Deviation("put_multipart", "bug",
              "refuses PUT with a form (500), which Cytomine sends for an input of type file",
              "it is handled like POST"),
    Deviation("refused_file", "bug",
              "keeps the bytes of a file that it refuses",
              "the earlier value is kept"),
    Deviation("region_replaced", "bug",
              "keeps the region of an earlier image next to a new image without one",
              "a region is replaced with its image"),
    Deviation("slide_folders", "bug",
              "answers error 500 to a zipped slide with entries for folders",
              "the entries are ignored"),
    Deviation("array_bare_list", "bug",
              "answers error 500 to a list without indexes, which Cytomine sends for arrays",
              "its items are numbered from 0"),
    Deviation("array_geojson", "bug",
              "answers error 500 to a GeoJSON collection as the value of an array",
              "each of its members becomes an item"),
    Deviation("array_size", "bug",
              "counts items that are sent again in array.yml",
              "array.yml has the number of items"),
    Deviation("array_bounds", "bug",
              "answers error 500 to items of an array, and to nested arrays, without both min_size and"
              " max_size",
              "they are stored"),
    Deviation("array_one_size", "bug",
              "checks the size of an array only if it has both min_size and max_size",
              "each of them is checked"),
    Deviation("item_text", "bug",
              "reads an item that is text as JSON, and answers error 500 to any other text",
              "the text is stored"),
)

_RUNS: tuple[Deviation, ...] = (
    Deviation("states", "difference",
              "shows QUEUING until the outputs of a run were read",
              "QUEUED, PENDING and RUNNING are shown when a run is in these states"),
    Deviation("failed", "difference",
              "shows FAILED only if an output is invalid",
              "a run also fails for its exit code, a missing output or a limit, or if it is killed"),
    Deviation("matching_unset", "bug",
              "answers error 500 if an array that must match another one is not set",
              "only arrays that are set are compared"),
    Deviation("number_words", "bug",
              "shows an input of nan or infinity as 0.0",
              "it is shown as the string NaN, Infinity or -Infinity"),
    Deviation("inputs_zip", "bug",
              "answers error 500 to inputs.zip with arrays, slides, or inputs that were sent twice",
              "the zip has all inputs"),
    Deviation("deleted_values", "difference",
              "lists the values of a run whose files were deleted",
              "the list is empty"),
    Deviation("posted_arrays", "bug",
              "stores the items of arrays in a posted outputs.zip under wrong names",
              "they are outputs like all others"),
    Deviation("posted_missing_arrays", "bug",
              "answers error 500 if only arrays are missing in a posted outputs.zip",
              "missing arrays are reported like all missing outputs (400)"),
)

_STORES: tuple[Deviation, ...] = (
    Deviation("store_default", "bug",
              "has no default store any more after a request for an unknown one",
              "the default store is kept"),
)
# fmt: on

DEVIATIONS: dict[str, Deviation] = {
    row.id: row for row in (*_COMMON, *_TASKS, *_PROVISIONS, *_RUNS, *_STORES)
}


def deviate(scope: Scope, row: str) -> None:
    """Add the `Warning` header of a row to the response of a request."""
    found: list[str] = scope.setdefault(SCOPE_KEY, [])
    if row not in found:
        found.append(row)


def warning_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """Return the `Warning` headers of a response."""
    texts = (f"App Engine {DEVIATIONS[row].app_engine}" for row in scope.get(SCOPE_KEY, ()))
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return [(b"warning", f'299 localrun "{text}"'.encode()) for text in quoted]
