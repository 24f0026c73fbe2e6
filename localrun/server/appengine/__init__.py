"""App Engine's REST API: Cytomine's clients upload tasks and run them here."""
