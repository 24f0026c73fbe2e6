"""Two nodes in namespaces on one bridge, each with its own Docker engine, for workers of a Dask cluster."""
