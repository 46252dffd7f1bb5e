"""Register a video from an application, and have the workers ingest it."""

from vidsearch.errors import BackendUnavailableError
from vidsearch_tasks import register_video

try:
    record = register_video(
        "clip-42",
        uri="https://media.example/clip-42.mp4",  # or a path, as the workers see it
        fields={"title": "Harbour at dawn", "tags": ["harbour", "2026"], "year": 2026},
    )
    print(record.state)  # queued; a worker makes it indexed, or failed with a reason
except BackendUnavailableError as error:
    print(error)  # engine or broker is away; to register again does no harm
