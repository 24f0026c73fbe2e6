"""A task in detail, as JSON-ready data for `localrun describe`, the web page and reports."""
