"""Rows on a dask.distributed cluster: each worker runs them with localrun's own runner on its own engine."""
