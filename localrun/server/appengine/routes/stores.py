"""The stores of apps."""

from __future__ import annotations

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response

from localrun.server.appengine import responses
from localrun.server.appengine.deviations import deviate
from localrun.server.appengine.errors import AppEngineError
from localrun.server.appengine.provisioning.bodies import read_object
from localrun.server.appengine.routing import router as make_router
from localrun.server.appengine.routing import service
from localrun.server.appengine.service import check_id

router = make_router()


@router.get("/stores", summary="List stores")
async def list_stores(request: Request) -> Response:
    """Return all stores."""
    stores = await run_sync(service(request).stores.all)
    return responses.json([store.as_dict() for store in stores])


@router.post("/stores", summary="Add a store")
async def add_store(request: Request) -> Response:
    """Add a store by its name and host. It is not the default one."""
    found = await read_object(request)
    store = await run_sync(service(request).stores.add, found.get("name"), found.get("host"))
    return responses.json(store.as_dict())


@router.get("/stores/default", summary="Get the default store")
async def get_default(request: Request) -> Response:
    """Return the store that tasks are installed from, or null."""
    store = await run_sync(service(request).stores.default)
    return responses.json(None if store is None else store.as_dict())


@router.delete("/stores/{id}", summary="Remove a store", status_code=204)
async def remove_store(request: Request) -> Response:
    """Remove a store, if it exists."""
    store_id = check_id(request.path_params["id"])
    await run_sync(service(request).stores.remove, store_id)
    return responses.empty(204)


@router.put("/stores/{id}/default", summary="Set the default store")
async def set_default(request: Request) -> Response:
    """Install tasks from this store."""
    stores, store_id = service(request).stores, check_id(request.path_params["id"])
    if not await run_sync(stores.make_default, store_id):
        deviate(request.scope, "store_default")
        raise AppEngineError(404, "APPE-internal-store", "store not found")
    return responses.empty()
