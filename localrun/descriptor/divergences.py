"""Where App Engine's documentation, schema and server disagree, and where localrun differs: one table.

localrun accepts everything that the documentation or the schema allows, and warns if the server would refuse
it. If the server accepts more than they allow, localrun refuses it: a bundle that passes here passes there.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "App Engine would refuse this: "
_TAKES = "App Engine would accept this: "
_DIFFERS = "App Engine behaves differently: "

Verdict = Literal["refuses", "takes", "differs"]
# when the server refuses: at the upload, or later, although the upload succeeds
Step = Literal["upload", "run creation", "provisioning", "run start", "output validation"]


class Divergence(NamedTuple):
    """A row of the table.

    `location` is the key or object concerned, `reason` is the server's behavior, `remedy` is a way that works
    with both, and `code` is the server's error code ("" if there is none). `verdict` is the server's: it
    refuses what localrun accepts, takes what localrun refuses, or differs in its behavior. `step` is when it
    refuses. `fragments` are parts of localrun's messages that identify the row, for messages that do not
    contain `reason`.
    """

    id: str
    location: str
    reason: str
    remedy: str
    code: str = ""
    verdict: Verdict = "refuses"
    fragments: tuple[str, ...] = ()
    step: Step = "upload"

    @property
    def warning(self) -> str:
        """The text of the warning; its prefix depends on the verdict."""
        return {"refuses": PREFIX, "takes": _TAKES, "differs": _DIFFERS}[self.verdict] + self.reason

    def format_warning(self, path: str) -> str:
        """Return the warning for the value at `path`, on one line."""
        head = self.warning.removesuffix(self.reason)
        return f"{head}{path}: {self.reason}; {self.remedy}"


_UPLOAD = "APPE-internal-bundle-validation-error"
_SCHEMA = "APPE-internal-bundle-schema-validation-error"
_VALUE = "APPE-internal-request-validation-error"
_SERVER = "APPE-internal-server-error"
_EXTRACT = "APPE-internal-descriptor-extraction-error"
_SIZES = "APPE-internal-invalid-dimensions"

# fmt: off
_DESCRIPTOR: tuple[Divergence, ...] = (
    Divergence("name_short", "name_short",
               "its upload fails with error 500 without 'name_short', which its schema does not mention",
               "add name_short with a short form of the name", _UPLOAD),
    Divergence("folder", "configuration.input_folder, output_folder",
               "its upload fails with error 500 without this key, although the schema has a default",
               "write the default explicitly", _UPLOAD),
    Divergence("folder_unsafe", "configuration.input_folder, output_folder",
               "its schema allows any path that starts with /, including the root, paths with '..' and one"
               " path for both", "use two folders such as /inputs and /outputs", verdict="takes",
               fragments=("input_folder and output_folder are both", "the path contains '..': ",
                          "the root folder / is not allowed")),
    Divergence("author", "authors[]",
               "its schema requires this key for every author, although the documentation says optional",
               "add it", _SCHEMA),
    Divergence("author_contact", "authors[]", "older servers refuse this: an author without 'is_contact'",
               "add is_contact: true or false", verdict="differs"),
    Divergence("version_build", "version", "a version with '+' is not a valid image tag",
               "remove the build part", _UPLOAD),
    Divergence("image_file", "configuration.image.file",
               "it ignores this key and uses the name of the .tar in the bundle",
               "name the .tar NAMESPACE-VERSION.tar, and use the same name here", verdict="differs"),
    Divergence("no_inputs", "inputs",
               "a task without inputs can be uploaded, but no run of it can be created",
               "declare at least one input", "APPE-internal-task-not-found", step="run creation"),
    Divergence("ram_default", "configuration.resources.ram",
               "its default is 4Gi, although the schema says 1Gi; localrun uses 4Gi too",
               "set the memory that the task needs", verdict="differs"),
    Divergence("ram_quantity", "configuration.resources.ram",
               "the upload succeeds, but no run can start: it passes the string to Kubernetes, which does not"
               " support this spelling of a quantity",
               "write only a number and a prefix, e.g. 2Gi", _SERVER, step="run start"),
    Divergence("ram_zero", "configuration.resources.ram",
               "it passes 0 to Kubernetes, which then sets no limit; localrun uses 4Gi",
               "set the memory that the task needs", verdict="differs", fragments=(" is treated as 4Gi",)),
    Divergence("resources_negative", "configuration.resources.cpus, gpus",
               "its schema allows a negative number, but no run could be scheduled", "use 0 or more", _SERVER,
               "takes", fragments=("invalid count -",)),
    Divergence("internet", "configuration.resources.internet",
               "it ignores this key and gives every task network access; localrun requires internet: true",
               "set internet: true if the task needs it", verdict="differs"),
    Divergence("display_name", "inputs, outputs: display_name",
               "its upload fails with error 500 if a parameter has no 'display_name'",
               "add display_name", _UPLOAD),
    Divergence("derived_from", "outputs: dependencies",
               "its upload fails with error 500 if an output has 'dependencies' without 'derived_from'",
               "add derived_from: inputs/<name>, or remove dependencies", _UPLOAD),
    Divergence("derived_from_short", "outputs: dependencies.derived_from",
               "it removes the first 7 characters of 'derived_from' without a check, and this is shorter",
               "write inputs/<name>", _SERVER),
    Divergence("derived_from_ignored", "outputs: dependencies.derived_from",
               "it silently drops a 'derived_from' that does not name an input",
               "write inputs/<name>", verdict="differs"),
    Divergence("matching_type", "dependencies.matching",
               "the upload succeeds, but its 'matching' check of every run fails if one of the two"
               " parameters is not an array", "use matching between arrays only", _SERVER, step="run start"),
    Divergence("matching_names", "dependencies.matching",
               "the upload succeeds, but its 'matching' check looks up the parameter by name only, and an"
               " input and an output share this name", "rename one of them", _SERVER,
               step="output validation"),
    Divergence("matching_absent", "inputs with dependencies.matching",
               "it cannot start a run if one of two matching arrays is missing", "provide both", _UPLOAD,
               step="run start"),
    Divergence("output_optional", "outputs: optional",
               "the upload succeeds, but it requires every output of a run, even an optional one",
               "write the output in every run", _SERVER, step="output validation"),
    Divergence("default_unused", "inputs: default",
               "it never applies a default: a required input must be given, and an optional one gets no file",
               "pass the value, and implement the default in the task", verdict="differs",
               fragments=(" is not set; using the default ",)),
    Divergence("default_unchecked", "inputs: default",
               "it does not check a default against the constraints; localrun warns of an invalid one",
               "correct the default", verdict="differs", fragments=("invalid default: ",)),
    Divergence("bounds_both", "integer, number: gt, geq, lt, leq",
               "it checks both bounds, as localrun does, although the documentation says that one excludes"
               " the other", "keep one", verdict="differs",
               fragments=("exclude each other; both are checked",)),
    Divergence("key_unknown", "any key", "it silently ignores unknown fields; localrun warns of each",
               "correct or remove the field", verdict="differs", fragments=("unknown field (ignored)",)),
    Divergence("alias", "descriptor.yml", "it reads a YAML alias as text, the name of the anchor",
               "repeat the value", verdict="differs"),
    Divergence("alias_type", "descriptor.yml",
               "it reads a YAML alias as text, where its schema requires another type", "repeat the value",
               _SCHEMA),
)

_BUNDLE: tuple[Divergence, ...] = (
    Divergence("tar_name", "the image archive", "it must be NAMESPACE-VERSION.tar, with a '-'",
               "rename it", _UPLOAD),
    Divergence("tar_ending", "the image archive",
               "its upload succeeds, but its runs never start, because it looks for a name that ends in .tar",
               "unpack it and name it NAMESPACE-VERSION.tar", step="run start",
               fragments=("it looks for a name that ends in .tar",)),
    Divergence("tar_folder", "the image archive",
               "its documented place is the root, but the server accepts it in any folder",
               "move it to the root", verdict="differs", fragments=("its documented place is the root",)),
    Divergence("tar_gzip", "the image archive", "it wants a plain .tar", "unpack it", _UPLOAD),
    Divergence("tar_registry", "the image archive",
               "it names the image after the archive, up to the first '-', and no registry accepts that name",
               "write the namespace in lower case", _UPLOAD, fragments=("which no registry takes",)),
    Divergence("tar_fit", "the image archive",
               "it does not compare the archive name with namespace and version",
               "name it NAMESPACE-VERSION.tar", verdict="differs",
               fragments=("which does not fit the descriptor",)),
    Divergence("tar_unnamed", "the image archive", "it fails on an archive whose first image has no name",
               "save it by name: docker save -o NAMESPACE-VERSION.tar NAME", _UPLOAD,
               fragments=("its first image has no name",)),
    Divergence("tar_attested", "the image archive",
               "it fails on an archive whose first entry is an image index, e.g. because of attestations",
               "build with --provenance=false --sbom=false", _UPLOAD,
               fragments=("its first entry is a list of images",)),
    Divergence("tar_stray", "the bundle", "it takes every name that ends in .tar for an image",
               "pack it without the files that the system has added", _UPLOAD),
    Divergence("tar_several", "the bundle",
               "it pushes every .tar of a bundle and keeps the name of the last one",
               "keep one", verdict="takes", fragments=("takes every .tar for an image", "image archives: ")),
    Divergence("tar_missing", "the bundle",
               "it accepts a bundle without an image, but no run of it ever starts",
               "add the image: docker save -o NAMESPACE-VERSION.tar IMAGE", verdict="takes",
               fragments=("there is no image archive",)),
    Divergence("zip_order", "the zip",
               "if the image comes before the descriptor, it does not report what is wrong in the descriptor",
               "pack descriptor.yml first", _UPLOAD, "differs",
               fragments=("the image comes before the descriptor",)),
    Divergence("descriptor_dot", "descriptor.yml", "its name must have no ./ before it",
               "pack it as descriptor.yml", _UPLOAD),
    Divergence("zip_streamed", "the zip", "it is stored with its size behind it",
               "pack it again: zip -0 bundle.zip descriptor.yml NAMESPACE-VERSION.tar", _EXTRACT),
)

_TYPES: tuple[Divergence, ...] = (
    Divergence("datetime_range", "datetime: before, after",
               "its upload fails with error 500 if a datetime has 'before' or 'after'",
               "check the range in the task", _SERVER),
    Divergence("file_size_bare", "file, image: max_file_size",
               "its schema requires a prefix such as k, Mi or G, although the documentation says optional",
               "add one, e.g. 10MB", _SCHEMA),
    Divergence("file_size_unit", "file, image: max_file_size",
               "it accepts this size at upload, then refuses every value with 'invalid size format'",
               "end the size with B", _VALUE, step="provisioning"),
    Divergence("file_size_rounding", "file, image: max_file_size",
               "it rounds a size to the nearest byte; the documentation and localrun round up",
               "use a whole number of bytes", verdict="differs"),
    Divergence("file_limits", "file: max_file_size, formats",
               "it checks neither the size nor the format of a file",
               "stay within the limits of the descriptor", verdict="takes"),
    Divergence("array_one_size", "array: min_size, max_size",
               "it checks the size of an array only if both bounds are set", "set both", verdict="takes"),
    Divergence("array_datetime", "array of datetime, output",
               "the upload succeeds, but it cannot read a datetime in an output array and fails every run",
               "use an array of strings", _VALUE, step="output validation"),
    Divergence("array_nested_sizes", "array of arrays",
               "the upload succeeds, but it fails on a value of a nested array without min_size or max_size",
               "set both", _UPLOAD, step="provisioning"),
    Divergence("array_nested_output", "array of arrays, output",
               "the upload succeeds, but it counts only the files of an output array, not its folders, so"
               " this nested array is too small", "leave min_size at 0, or use a flat array", _SIZES,
               step="output validation"),
)

_VALUES: tuple[Divergence, ...] = (
    Divergence("name_case", "names of inputs", "it ignores upper and lower case in names",
               "write the name as in the descriptor", verdict="takes"),
    Divergence("value_null", "inputs", "it accepts null and writes the word null into the file",
               "provide a value, or make the input optional", verdict="takes",
               fragments=("must not be null (not optional)",)),
    Divergence("boolean_word", "boolean, output", "it silently reads every other word as false",
               "write true or false", verdict="takes", fragments=("(App Engine would read it as false)",)),
    Divergence("integer_spelling", "integer, output",
               "it reads decimal integers only, although the documentation allows base 2, 8 and 16 and '_'",
               "write plain decimal digits", _UPLOAD, step="output validation"),
    Divergence("integer_fraction", "integer, input",
               "it refuses integers with a decimal point as values, although its schema allows them as"
               " defaults", "remove the decimal point", _SERVER, step="provisioning"),
    Divergence("array_not_a_number", "array of number, output",
               "in an array it reads only the spellings NaN, Infinity and -Infinity",
               "write one of these", _UPLOAD, step="output validation"),
    Divergence("array_stray", "array, output",
               "it cannot list an array whose folder has files other than array.yml and items named 0, 1, 2"
               " and so on", "write other files elsewhere", _SERVER, step="output validation"),
    Divergence("array_size_text", "array, output: array.yml",
               "it never compares the size in array.yml with the number of items",
               "write the number of items into it", verdict="takes"),
    Divergence("array_gap", "array, output", "it does not notice a missing index",
               "name the items 0, 1, 2, ...", verdict="takes", fragments=("name the items 0 to",)),
    Divergence("array_nested_values", "array of arrays, output",
               "it does not check the values of nested arrays", "write valid values", verdict="takes"),
    Divergence("geometry_object", "geometry, input",
               "it accepts a geometry only as a string, although its documentation shows an object",
               "pass the GeoJSON as a string or a file", _VALUE, step="provisioning"),
    Divergence("geometry_properties", "geometry: Feature",
               "it refuses a Feature whose properties have no 'subType', although its documentation allows"
               " them", "remove the properties, or add subType: Circle or Rectangle", _VALUE,
               step="provisioning"),
    Divergence("geometry_shape", "geometry: Feature with a subType",
               "it does not check that the geometry matches its 'subType'",
               "use a Point for a Circle, and four right angles for a Rectangle", verdict="takes"),
    Divergence("geometry_places", "geometry: coordinates", "it ignores all numbers after the third",
               "write [x, y]", verdict="differs"),
    Divergence("image_any", "image without formats",
               "it accepts any file if no formats are set; the documentation names five",
               "use dicom, jpeg, png, tiff or wsidicom, or the type file", verdict="takes"),
    Divergence("image_damaged", "image",
               "it checks only the first bytes, unless a width or height is limited",
               "use an image that can be read", verdict="takes",
               fragments=("corrupt png: ", "corrupt jpeg: ", "corrupt tiff: ")),
    Divergence("image_zip_formats", "image, as a zip",
               "it treats every zip as WSI-DICOM, whatever formats are allowed, and skips the limits",
               "add wsidicom to the formats", verdict="takes"),
    Divergence("image_zip_folder", "image, as a zip",
               "it fails with error 500 on a zip that has entries for its folders",
               "pack without them: zip -D", _SERVER, step="provisioning"),
    Divergence("image_tiff_kind", "image with the format tiff",
               "with the format tiff it accepts only untiled images with 3 samples per pixel",
               "remove formats, or save it as an RGB image in strips", _VALUE, step="provisioning"),
    Divergence("image_bigtiff", "image with the format tiff", "it does not recognize BigTIFF files",
               "remove formats, or save it as a classic TIFF", _VALUE, step="provisioning"),
    Divergence("image_size_unread", "image with max_width or max_height, without formats",
               "it cannot determine the size of this kind of image unless its format is listed in formats",
               "add the format to formats", _VALUE, step="provisioning"),
    Divergence("image_folder_nested", "image, as a folder",
               "it accepts only a flat folder of DICOM files as WSI-DICOM",
               "write all files into one folder", _VALUE, step="output validation"),
    Divergence("image_folder_array", "array of image, output",
               "it reads a folder in an array as an array and finds no array.yml in it",
               "write single files", "APPE-internal-missing-metadata", step="output validation"),
)

_RUN: tuple[Divergence, ...] = (
    Divergence("exit_code", "the end of a task",
               "it ignores the exit code: a task that failed but left valid outputs is FINISHED",
               "exit with 0 only on success", verdict="takes"),
    Divergence("output_missing", "outputs",
               "its local mode leaves a run with a missing output in QUEUING forever; localrun fails it",
               "write every output", _SERVER, "differs"),
    Divergence("output_extra", "the output folder",
               "its cluster mode refuses undeclared outputs, its local mode ignores them",
               "declare it, or write it elsewhere", "APPE-internal-task-run-unknown-output",
               fragments=("; App Engine's local mode ignores it",)),
)
# fmt: on

ROWS: tuple[Divergence, ...] = _DESCRIPTOR + _BUNDLE + _TYPES + _VALUES + _RUN
TABLE: dict[str, Divergence] = {row.id: row for row in ROWS}


def divergence(key: str) -> Divergence:
    """Return the row with this id."""
    return TABLE[key]


def find_by_message(message: str) -> Divergence | None:
    """Return the row that a message of localrun is based on, or None."""
    return next((row for row in ROWS if any(one in message for one in row.fragments or (row.reason,))), None)
