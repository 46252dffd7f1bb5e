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

deadline = time.monotonic() + SECONDS
while time.monotonic() < deadline:
    states = [str(registry.get(film.vidsearch_id).state) for film in films]
    if set(states) <= {"indexed", "failed", "dead"}:
        break
    time.sleep(0.1)
seen["states"] = states

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

films[0].delete()
refresh()
left = Film.objects.search(captions[0], mode="vector")
seen["after delete"] = [sorted(film.title for film in left), list(left.missing)]
sys.stdout.write(json.dumps(seen))
