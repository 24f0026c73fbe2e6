"""All settings, from arguments, variables and files."""

from localrun.settings.loading import PREFIX, load
from localrun.settings.model import Settings
from localrun.settings.places import NO_FOLDER, default_cache, missing_working_directory

__all__ = ["NO_FOLDER", "PREFIX", "Settings", "default_cache", "load", "missing_working_directory"]
