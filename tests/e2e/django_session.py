"""What somebody does with the site of ``examples/django``; prints what they see, as JSON.

Arguments: ``title=path=what it shows`` of films.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.files.base import ContentFile  # noqa: E402
from django.core.files.storage import FileSystemStorage  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test import Client  # noqa: E402
from films.models import Film  # noqa: E402

from vidsearch_tasks import current_services  # noqa: E402

SECONDS = 240
seen: dict[str, Any] = {}
services = current_services()
registry = services.registry


def refresh() -> None:
    services.engine.refresh(services.settings.index.name)


call_command("makemigrations", check_changes=True, verbosity=0)  # ends the process if one lacks
call_command("check", verbosity=0)

films, captions = [], []
for title, path, caption in (argument.split("=") for argument in sys.argv[1:]):
    (Path(settings.MEDIA_ROOT) / "films").mkdir(parents=True, exist_ok=True)
    shutil.copy(path, Path(settings.MEDIA_ROOT) / "films" / Path(path).name)
    films.append(Film(title=title, file=f"films/{Path(path).name}"))
    captions.append(caption)

with transaction.atomic():
    films[0].save()
    Film.objects.bulk_create(films[1:])
    seen["inside the transaction"] = [*registry.find_many([film.vidsearch_id for film in films])]


def states_at_the_end() -> list[str]:
    deadline = time.monotonic() + SECONDS
    while True:
        states = [str(registry.get(film.vidsearch_id).state) for film in films]
        if set(states) <= {"indexed", "failed", "dead"} or time.monotonic() > deadline:
            return states
        time.sleep(0.1)


seen["states"] = states_at_the_end()

refresh()
seen["found by what is seen"] = [
    [found.title for found in Film.objects.search(caption, mode="vector")] for caption in captions
]

client = Client(SERVER_NAME="localhost")
answer = client.get("/search/", {"q": films[0].title})
best = answer.json()["films"][0]
seen["view"] = [answer.status_code, best["title"], [*best["moments"][0]]]
seen["wrong request"] = client.get("/search/").status_code

client.force_login(User.objects.create_superuser("admin"))
page = client.get("/admin/films/film/")
shown = page.content.decode().count('<td class="field-vidsearch_state">indexed')
seen["admin"] = {"status": page.status_code, "states": shown}


class Overwriting(FileSystemStorage):
    """Keeps the name of a file that is uploaded again, as buckets do."""

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        self.delete(name)
        return name


Film._meta.get_field("file").storage = Overwriting()
name = films[1].file.name
films[1].file = ContentFile(films[2].file.read(), name=Path(name).name)
films[1].save()
seen["file of the same name"] = films[1].file.name == name
seen["states after the upload"] = states_at_the_end()
refresh()
cosines = {
    film.title: film.vidsearch_hit.cosine
    for film in Film.objects.search(captions[2], mode="vector")
}
seen["cosines of the same file"] = [cosines[film.title] for film in films[1:]]

films[0].delete()
refresh()
left = Film.objects.search(captions[0], mode="vector")
seen["after delete"] = [sorted(film.title for film in left), list(left.missing)]
sys.stdout.write(json.dumps(seen))
