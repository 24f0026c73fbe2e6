"""The routes of App Engine's API, one module per group."""
