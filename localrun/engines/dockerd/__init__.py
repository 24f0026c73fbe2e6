"""The Docker engine, used over its HTTP API.

The calls of a run use a plain socket, because importing docker-py takes half as long as running a container.
docker-py is used for docker's contexts and for registry credentials, if there are any.
"""

from localrun.engines.dockerd.engine import DockerEngine

__all__ = ["DockerEngine"]
