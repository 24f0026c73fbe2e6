"""An empty FastAPI application on uvicorn, as the baseline for the routes of localrun."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from fastapi import FastAPI

api = FastAPI()


@api.get("/")
async def get() -> dict[str, Any]:
    return {}


@api.post("/")
async def post() -> dict[str, Any]:
    return {}


def main() -> None:
    # without the protocol, asyncio would not turn off Nagle's algorithm
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        config = uvicorn.Config(api, log_level="warning", access_log=False, server_header=False)
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
