import re

from django.http import JsonResponse

from films.models import Film
from vidsearch.errors import BackendUnavailableError, QueryError


def search(request):
    """``/search/?q=a red circle&since=2020``: films in the order of their ranks."""
    text, since = request.GET.get("q", ""), request.GET.get("since", "")
    if len(text) > 1000:  # people may paste anything
        return JsonResponse({"detail": "at most 1000 characters"}, status=422)
    try:
        found = Film.objects.search(
            text,
            k=10,
            # What users choose goes into values only; fields, paths and URLs stay yours.
            filter={"year": {"gte": int(since)}} if re.fullmatch("[0-9]{4}", since) else None,
        )
    except QueryError as error:
        # Not what else the index holds; why the engine refused it names hosts: error.engine.
        return JsonResponse({"detail": error.public}, status=422)
    except BackendUnavailableError:
        return JsonResponse({"detail": "the search is away, try again soon"}, status=503)
    return JsonResponse(
        {
            "films": [
                {
                    "id": film.pk,
                    "title": film.title,
                    "score": film.vidsearch_hit.score,
                    "moments": [moment.to_dict() for moment in film.vidsearch_hit.moments],
                }
                for film in found
            ]
        }
    )
