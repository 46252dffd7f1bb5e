"""Search and register videos from a Flask app: ``flask --app examples/flask_app.py run``."""

import logging

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import BadRequest

from vidsearch import VideoSearch, load_settings
from vidsearch.errors import (
    BackendUnavailableError,
    QueryError,
    RegistryError,
    VideoNotRegisteredError,
)
from vidsearch_tasks import register_video, video_status

app = Flask(__name__)
# One for the whole process, for all threads: it holds the model and the connections. It connects
# when it is first needed, so that a server may fork before.
videos = VideoSearch.from_settings(load_settings())


@app.get("/search")
def search() -> Response:
    text = request.args.get("q", "")
    tags = request.args.getlist("tag")  # ?tag=harbour&tag=river: one of them
    if len(tags) > 20 or any(len(each) > 1000 for each in [text, *tags]):
        raise BadRequest("at most 1000 characters, and 20 tags")  # people may paste anything
    page = min(max(request.args.get("page", default=1, type=int), 1), 10)
    # What users choose goes into values only; fields, paths and URLs stay yours.
    result = videos.search(
        text,
        k=10,
        from_=10 * (page - 1),
        filter={"tags": tags} if tags else None,
        source=["title"],
    )
    return jsonify(
        [
            {
                "id": hit.id,
                "title": hit.fields.get("title"),
                "score": hit.score,
                "moments": [moment.to_dict() for moment in hit.moments],
            }
            for hit in result.hits
        ]
    )


@app.post("/videos/<id>")
def register(id: str) -> tuple[Response, int]:
    """``{"uri": …, "title": …}``. Set ``sources.roots`` or ``sources.hosts``, and say who may."""
    video = request.get_json()
    title = video.get("title", "") if isinstance(video, dict) else None
    if not isinstance(title, str):
        return jsonify({"detail": "send a JSON object, with a text as its title"}), 422
    record = register_video(id, uri=video.get("uri", ""), fields={"title": title})
    return jsonify({"id": id, "state": record.state}), 202


@app.get("/videos/<id>")
def status(id: str) -> Response:
    record = video_status(id)
    # The message of an error may name folders and hosts: nothing for users.
    error = record.error.type if record.error else None
    return jsonify({"id": id, "state": record.state, "error": error})


@app.errorhandler(VideoNotRegisteredError)
def unknown_video(error: VideoNotRegisteredError) -> tuple[Response, int]:
    return jsonify({"detail": str(error)}), 404


@app.errorhandler(BadRequest)
def unreadable_request(error: BadRequest) -> tuple[Response, int]:
    return jsonify({"detail": error.description}), 400


@app.errorhandler(RegistryError)
def wrong_video(error: RegistryError) -> tuple[Response, int]:
    return jsonify({"detail": str(error)}), 422


@app.errorhandler(QueryError)
def wrong_search(error: QueryError) -> tuple[Response, int]:
    # Not what else the index holds; why the engine refused it names hosts: error.engine, to log.
    return jsonify({"detail": error.public}), 422


@app.errorhandler(BackendUnavailableError)
def search_is_away(error: BackendUnavailableError) -> tuple[Response, int]:
    logging.getLogger(__name__).error("%s", error)  # it names hosts: nothing for users
    return jsonify({"detail": "the search is away, try again soon"}), 503
