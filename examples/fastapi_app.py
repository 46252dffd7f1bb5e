"""Search and register videos from a FastAPI app: ``uvicorn --app-dir examples fastapi_app:app``."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, StringConstraints

from vidsearch import AsyncVideoSearch, load_settings
from vidsearch.errors import (
    BackendUnavailableError,
    QueryError,
    RegistryError,
    VideoNotRegisteredError,
)
from vidsearch.search import Moment
from vidsearch_tasks.aio import register_video, video_status


class Video(BaseModel):
    id: str
    title: str | None
    score: float
    moments: list[Moment]  # start and end in seconds, cosine, thumbnail


class NewVideo(BaseModel):
    uri: str
    title: str


Text = Annotated[str, StringConstraints(max_length=1000)]  # of people, who may paste anything


class Status(BaseModel):
    id: str
    state: str
    error: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # One for the whole app: it holds the model and the connections.
    async with AsyncVideoSearch.from_settings(load_settings()) as videos:
        with suppress(BackendUnavailableError):  # the app starts all the same, and answers 503
            await videos.embed("a boat")  # loads the model now, not at the first request
        app.state.videos = videos
        yield


app = FastAPI(title="Video search", lifespan=lifespan)


@app.get("/search")
async def search(
    request: Request,
    q: Text,
    # ?tag=harbour&tag=river: one of them
    tag: Annotated[list[Text] | None, Query(max_length=20)] = None,
    page: Annotated[int, Query(ge=1, le=10)] = 1,
) -> list[Video]:
    videos: AsyncVideoSearch = request.app.state.videos
    # What users choose goes into values only; fields, paths and URLs stay yours.
    result = await videos.search(
        q, k=10, from_=10 * (page - 1), filter={"tags": tag} if tag else None, source=["title"]
    )
    return [
        Video(id=hit.id, title=hit.fields.get("title"), score=hit.score, moments=list(hit.moments))
        for hit in result.hits
    ]


@app.get("/embed")
async def embed(request: Request, q: Text) -> list[float]:
    """The unit vector of a text, for a client that writes its own queries."""
    videos: AsyncVideoSearch = request.app.state.videos
    vector: list[float] = (await videos.embed(q)).tolist()
    return vector


@app.get("/body")
async def body(request: Request, q: Text) -> dict[str, Any]:
    """The bodies of a search by leg, for a client that sends them to the engine itself."""
    videos: AsyncVideoSearch = request.app.state.videos
    return await videos.body(q)


@app.post("/videos/{id}", status_code=202)
async def register(id: str, video: NewVideo) -> Status:
    """Set ``sources.roots`` or ``sources.hosts``, and say who may do this."""
    record = await register_video(id, uri=video.uri, fields={"title": video.title})
    return Status(id=id, state=record.state)


@app.get("/videos/{id}")
async def status(id: str) -> Status:
    record = await video_status(id)
    # Its message may name folders and hosts: nothing for users.
    return Status(id=id, state=record.state, error=record.error.type if record.error else None)


@app.exception_handler(VideoNotRegisteredError)
async def unknown_video(request: Request, error: VideoNotRegisteredError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)


@app.exception_handler(RegistryError)
async def wrong_video(request: Request, error: RegistryError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=422)


@app.exception_handler(QueryError)
async def wrong_search(request: Request, error: QueryError) -> JSONResponse:
    # Not what else the index holds; why the engine refused it names hosts: error.engine, to log.
    return JSONResponse({"detail": error.public}, status_code=422)


@app.exception_handler(BackendUnavailableError)
async def search_is_away(request: Request, error: BackendUnavailableError) -> JSONResponse:
    logging.getLogger(__name__).error("%s", error)  # it names hosts: nothing for users
    return JSONResponse({"detail": "the search is away, try again soon"}, status_code=503)
