"""Where App Engine's documentation, schema and server disagree, and where localrun differs: one table.

localrun accepts what the documentation or the schema promises, and warns where the server would refuse it.
Where the server takes more than they promise, localrun refuses, so that what passes here passes there.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PREFIX = "App Engine would refuse this: "
_TAKES = "App Engine would take this: "
_DIFFERS = "App Engine does otherwise: "

Verdict = Literal["refuses", "takes", "differs"]


class Divergence(NamedTuple):
    """One row.

    `id` names it, `place` says where it shows, `reason` what the server does, `remedy` how to please both,
    `code` is that of the server's answer ("" when it gives none). `verdict` is the server's: it refuses what
    localrun takes, takes what localrun refuses, or does the same thing otherwise. `signs` are parts of the
    messages that tell of it, where these are not made of `reason`.
    """

    id: str
    location: str
    reason: str
    remedy: str
    code: str = ""
    verdict: Verdict = "refuses"
    fragments: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """The text of the warning; it begins the same way for every row of the same verdict."""
        return {"refuses": PREFIX, "takes": _TAKES, "differs": _DIFFERS}[self.verdict] + self.reason

    def format_warning(self, path: str) -> str:
        """The warning of a value, on one line."""
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
               "its upload ends in error 500 without 'name_short', which its schema does not mention",
               "add name_short with a short form of the name", _UPLOAD),
    Divergence("folder", "configuration.input_folder, output_folder",
               "its upload ends in error 500 without this key, although the schema gives a default",
               "write the default out", _UPLOAD),
    Divergence("folder_unsafe", "configuration.input_folder, output_folder",
               "its schema takes any path that begins with /, also the root, one with '..', or one for both",
               "give two folders such as /inputs and /outputs", verdict="takes",
               fragments=("both folders are", "climbs with", "the root of the container cannot")),
    Divergence("author", "authors[]",
               "its schema demands this key of every author, although the documentation calls it optional",
               "add it", _SCHEMA),
    Divergence("namespace_dash", "namespace",
               "a '-' in the namespace breaks the name of the image, so no run could start",
               "use '_' or leave it out", _UPLOAD),
    Divergence("version_build", "version", "a version with '+' cannot be the tag of an image",
               "leave the build part out", _UPLOAD),
    Divergence("image_file", "configuration.image.file",
               "it never reads this key: what counts is the name of the .tar in the bundle",
               "name the .tar NAMESPACE-VERSION.tar, and write the same here", verdict="differs"),
    Divergence("no_inputs", "inputs",
               "a task without inputs can be uploaded, but no run of it can be created",
               "declare at least one input", "APPE-internal-task-not-found"),
    Divergence("ram_default", "configuration.resources.ram",
               "it gives 4Gi where the schema says 1Gi; here it is 4Gi, too",
               "say how much the task needs", verdict="differs"),
    Divergence("ram_quantity", "configuration.resources.ram",
               "it hands the text to Kubernetes, which does not know this spelling of a quantity",
               "write the number and the prefix alone, such as 2Gi", _SERVER),
    Divergence("ram_zero", "configuration.resources.ram",
               "it hands 0 to Kubernetes, which sets no limit then; here it is 4Gi",
               "write what the task needs", verdict="differs",
               fragments=(" is taken as 4Gi",)),
    Divergence("resources_negative", "configuration.resources.cpus, gpus",
               "its schema takes a number below 0, and no run could be scheduled",
               "write how many are needed", _SERVER, "takes",
               fragments=(" is less than 0",)),
    Divergence("internet", "configuration.resources.internet",
               "it never reads this key and every task reaches the network; here only with internet: true",
               "set internet: true if the task needs it", verdict="differs"),
    Divergence("display_name", "inputs, outputs: display_name",
               "its upload ends in error 500 when a parameter has no 'display_name'",
               "add display_name", _UPLOAD),
    Divergence("derived_from", "outputs: dependencies",
               "its upload ends in error 500 when an output has 'dependencies' without 'derived_from'",
               "add derived_from: inputs/<name>, or leave dependencies out", _UPLOAD),
    Divergence("derived_from_short", "outputs: dependencies.derived_from",
               "it cuts the first 7 letters off 'derived_from' without looking, and this is shorter",
               "write inputs/<name>", _UPLOAD),
    Divergence("derived_from_ignored", "outputs: dependencies.derived_from",
               "it drops a 'derived_from' that names no input, without a word",
               "write inputs/<name>", verdict="differs"),
    Divergence("matching_type", "dependencies.matching",
               "it fails in the check of 'matching' when one of both parameters is no array",
               "declare matching between arrays only", _SERVER),
    Divergence("matching_names", "dependencies.matching",
               "it looks for the parameter by its name alone, and an input and an output share this one",
               "give them two names", _SERVER),
    Divergence("matching_absent", "inputs with dependencies.matching",
               "it cannot start a run when one of two matching arrays is not given",
               "give both", _SERVER),
    Divergence("output_optional", "outputs: optional", "it requires every output, optional or not",
               "let the task write the output in every case", _SERVER),
    Divergence("default_unused", "inputs: default",
               "it never takes a default by itself: a required input must be given, an optional one gets no"
               " file",
               "give the value, and let the task know its default", verdict="differs",
               fragments=("was not given: its default",)),
    Divergence("default_unchecked", "inputs: default",
               "it does not check a default against the constraints; here an unfit one is told, not refused",
               "correct the default", verdict="differs",
               fragments=("this default cannot be taken",)),
    Divergence("bounds_both", "integer, number: gt, geq, lt, leq",
               "it checks both bounds, although the documentation lets one exclude the other; so it is here",
               "keep one", verdict="differs",
               fragments=("exclude each other; both are checked",)),
    Divergence("key_unknown", "any key",
               "it ignores keys that it does not know, without a word; here each is told",
               "correct the key or leave it out", verdict="differs",
               fragments=("is not known and is ignored",)),
    Divergence("alias", "descriptor.yml", "its reader follows no aliases",
               "write the value out", _EXTRACT),
)

_BUNDLE: tuple[Divergence, ...] = (
    Divergence("tar_name", "the image archive", "it must be NAMESPACE-VERSION.tar, with a '-'",
               "rename it", _UPLOAD),
    Divergence("tar_ending", "the image archive", "it looks for a name that ends in .tar",
               "unpack it and name it NAMESPACE-VERSION.tar", _UPLOAD),
    Divergence("tar_folder", "the image archive",
               "its documented place is the root, yet the server takes it from any folder",
               "put it at the root", verdict="differs", fragments=("its documented place is the root",)),
    Divergence("tar_gzip", "the image archive", "it wants a plain .tar", "unpack it", _UPLOAD),
    Divergence("tar_registry", "the image archive",
               "it names the image after the archive, up to the first '-', and no registry takes that name",
               "write the namespace in small letters", _UPLOAD, fragments=("which no registry takes",)),
    Divergence("tar_fit", "the image archive",
               "it does not compare the archive's name with namespace and version",
               "name it NAMESPACE-VERSION.tar", verdict="differs",
               fragments=("which does not fit the descriptor",)),
    Divergence("tar_unnamed", "the image archive",
               "it fails on an archive whose first image has no name",
               "save it by its name: docker save -o NAMESPACE-VERSION.tar NAME", _UPLOAD,
               fragments=("its first image has no name",)),
    Divergence("tar_attested", "the image archive",
               "it fails on an archive whose first entry is a list of images, as attestations make it",
               "build with --provenance=false --sbom=false", _UPLOAD,
               fragments=("its first entry is a list of images",)),
    Divergence("tar_stray", "the bundle", "it takes every name that ends in .tar for an image",
               "pack it without the files that the system has added", _UPLOAD),
    Divergence("tar_several", "the bundle", "it pushes every .tar of a bundle and keeps the last one's name",
               "leave one", verdict="takes", fragments=("takes every .tar for an image", "image archives: ")),
    Divergence("tar_missing", "the bundle",
               "it takes a bundle without an image, and no run of it ever starts",
               "add the image: docker save -o NAMESPACE-VERSION.tar IMAGE", verdict="takes",
               fragments=("there is no image archive",)),
    Divergence("zip_order", "the zip",
               "with the image before the descriptor, it does not tell what is wrong with the descriptor",
               "pack descriptor.yml first", _UPLOAD, "differs",
               fragments=("the image comes before the descriptor",)),
    Divergence("descriptor_dot", "descriptor.yml", "its name must have no ./ before it",
               "pack it as descriptor.yml", _UPLOAD),
    Divergence("zip_streamed", "the zip", "it is stored with its size behind it",
               "pack it again: zip -0 bundle.zip descriptor.yml NAMESPACE-VERSION.tar", _EXTRACT),
)

_TYPES: tuple[Divergence, ...] = (
    Divergence("datetime_range", "datetime: before, after",
               "its upload ends in error 500 when a datetime has 'before' or 'after'",
               "check the range in the task itself", _UPLOAD),
    Divergence("file_size_bare", "file, image: max_file_size",
               "its schema demands a prefix such as k, Mi or G, although the documentation calls it optional",
               "write for example 10MB", _SCHEMA),
    Divergence("file_size_unit", "file, image: max_file_size",
               "it takes this size at upload and then refuses every value with 'invalid size format'",
               "end the size with B", _VALUE),
    Divergence("file_size_rounding", "file, image: max_file_size",
               "it rounds a size to the nearest byte, where the documentation rounds up, as is done here",
               "write a size in whole bytes", verdict="differs"),
    Divergence("file_limits", "file: max_file_size, formats",
               "it checks neither the size nor the format of a file",
               "keep to what the descriptor says", verdict="takes"),
    Divergence("array_one_size", "array: min_size, max_size",
               "it checks the size of an array only when both bounds are given",
               "give both", verdict="takes"),
    Divergence("array_datetime", "array of datetime, output",
               "it cannot read a datetime in an output array and fails every run",
               "use an array of strings", _VALUE),
    Divergence("array_nested_sizes", "array of arrays",
               "it fails on a nested array that lacks min_size or max_size", "set both", _UPLOAD),
    Divergence("array_nested_output", "array of arrays, output",
               "it counts only the files of an output array, not its folders, and finds this nested one too"
               " small", "leave min_size at 0, or use a flat array", _SIZES),
)

_VALUES: tuple[Divergence, ...] = (
    Divergence("name_case", "names of inputs", "it does not tell upper from lower case in names",
               "write the name as the descriptor does", verdict="takes"),
    Divergence("value_null", "inputs", "it takes null and writes the four letters into the file",
               "give a value, or make the input optional", verdict="takes",
               fragments=("is null, and is not optional",)),
    Divergence("boolean_word", "boolean, output", "it reads every other word as false, without a word",
               "write true or false", verdict="takes",
               fragments=("not a boolean (App Engine would read it as false)",)),
    Divergence("integer_spelling", "integer, output",
               "it reads decimal integers only, although the documentation allows base 2, 8 and 16 and '_'",
               "write plain decimal digits", _UPLOAD),
    Divergence("integer_fraction", "integer, input",
               "it takes no integer with a decimal point as a value, although its schema takes one as a"
               " default", "write it without the point", _SERVER),
    Divergence("array_not_a_number", "array of number, output",
               "in an array it knows only the spellings NaN, Infinity and -Infinity",
               "write one of these", _UPLOAD),
    Divergence("array_stray", "array, output",
               "it cannot list an array whose folder holds anything but array.yml and items named 0, 1, 2 and"
               " so on",
               "write other files elsewhere", _SERVER),
    Divergence("array_size_text", "array, output: array.yml",
               "it never compares the size in array.yml with the number of items",
               "write the number of items into it", verdict="takes"),
    Divergence("array_gap", "array, output", "it does not see that an index is missing",
               "name the items 0, 1, 2, ...", verdict="takes",
               fragments=("name the items 0 to",)),
    Divergence("array_nested_values", "array of arrays, output",
               "it does not check the values of nested arrays",
               "write values that fit", verdict="takes"),
    Divergence("geometry_object", "geometry, input",
               "it takes a geometry only as text, although its documentation shows an object",
               "give the GeoJSON in quotes, or as a file", _VALUE),
    Divergence("geometry_properties", "geometry: Feature",
               "it refuses a Feature whose properties have no 'subType', although its documentation keeps"
               " them",
               "leave the properties out, or add subType: Circle or Rectangle", _VALUE),
    Divergence("geometry_shape", "geometry: Feature with a subType",
               "it does not check that the geometry is what its 'subType' says",
               "give a Point for a Circle, four right angles for a Rectangle", verdict="takes"),
    Divergence("geometry_places", "geometry: coordinates", "it ignores what follows the third number",
               "write [x, y]", verdict="differs"),
    Divergence("image_any", "image without formats",
               "it takes any file when no formats are given, where the documentation names five",
               "give dicom, jpeg, png, tiff or wsidicom, or use the type file", verdict="takes"),
    Divergence("image_damaged", "image",
               "it looks only at the first bytes, unless a width or height is limited",
               "give an image that can be read", verdict="takes",
               fragments=("is a damaged png", "is a damaged jpeg", "is a damaged tiff")),
    Divergence("image_zip_formats", "image, as a zip",
               "it takes every zip for WSI-DICOM, whatever formats are allowed, and skips the limits",
               "add wsidicom to the formats", verdict="takes"),
    Divergence("image_zip_folder", "image, as a zip",
               "it fails with error 500 on a zip that lists its folders",
               "pack without them: zip -D", _SERVER),
    Divergence("image_tiff_kind", "image with the format tiff",
               "of the format tiff it takes only images of 3 samples a pixel that are not tiled",
               "leave formats out, or save it as an RGB image in strips", _VALUE),
    Divergence("image_bigtiff", "image with the format tiff", "it does not know BigTIFF by its signature",
               "leave formats out, or save it as a classic TIFF", _VALUE),
    Divergence("image_size_unread", "image with max_width or max_height, without formats",
               "it cannot find the size of this kind of image unless its format is named in formats",
               "name the format in formats", _VALUE),
    Divergence("image_folder_nested", "image, as a folder",
               "it takes only a flat folder of DICOM files for WSI-DICOM", "write the files side by side",
               _VALUE),
    Divergence("image_folder_array", "array of image, output",
               "it takes a folder in an array for an array and finds no array.yml in it",
               "write single files", "APPE-internal-missing-metadata"),
)

_RUN: tuple[Divergence, ...] = (
    Divergence("exit_code", "the end of a task",
               "it does not look at the exit code: a task that failed and left valid outputs is FINISHED",
               "end with 0 only when all went well", verdict="takes"),
    Divergence("output_missing", "outputs",
               "its local mode leaves a run without an output in QUEUING for ever; here it has failed",
               "write every output", _SERVER, "differs"),
    Divergence("output_extra", "the output folder",
               "its cluster mode refuses what is not declared, its local mode ignores it",
               "declare it, or write it elsewhere", "APPE-internal-task-run-unknown-output",
               fragments=("is not declared; App Engine ignores it",)),
)
# fmt: on

ROWS: tuple[Divergence, ...] = _DESCRIPTOR + _BUNDLE + _TYPES + _VALUES + _RUN
TABLE: dict[str, Divergence] = {row.id: row for row in ROWS}


def divergence(key: str) -> Divergence:
    """One row of the table."""
    return TABLE[key]


def find_by_message(message: str) -> Divergence | None:
    """The row that a message tells of; None when it tells of something else."""
    return next(
        (row for row in ROWS if any(sign in message for sign in row.fragments or (row.reason,))), None
    )
