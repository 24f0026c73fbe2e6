"""`localrun.Client`: the tasks and batches of a server, `localrun serve`, over HTTP."""
