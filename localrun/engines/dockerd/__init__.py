"""The Docker engine, spoken to over its HTTP API.

The verbs of a run go over a plain socket, because importing docker-py takes as long as half a
container; docker-py serves what is rare: registry credentials and build contexts.
"""

from localrun.engines.dockerd.engine import DockerEngine

__all__ = ["DockerEngine"]
