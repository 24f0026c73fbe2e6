"""The HTTP server: the Task System's API for tasks that run in containers.

security        checks Host, Origin, token and body size
request_body    reads and validates JSON bodies
routes/         the endpoints
error_handlers  errors as an HTTP status and a `detail`
request_log     journal entries about requests
broadcast       task events for clients that wait or stream
"""
