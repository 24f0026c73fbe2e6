"""The import paths of the Task System's guide, provided by `localrun`."""
