"""Build contexts: the files of a folder that a build sees, and the tar that is sent to an engine."""
