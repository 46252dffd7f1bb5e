"""Search videos from an application."""

from vidsearch import VideoSearch, load_settings

with VideoSearch.from_settings(load_settings()) as videos:  # or client=your_own_client
    result = videos.search(
        "a boat leaves the harbour",
        k=5,
        mode="hybrid",  # or "vector", "keyword"
        filter={"tags": "harbour", "year": {"gte": 2024}},  # applied to both legs
    )
    for hit in result.hits:
        print(hit.id, hit.fields["title"], hit.score, hit.cosine, hit.rank_per_leg)
        for moment in hit.moments:
            print(f"  {moment.start:.0f}-{moment.end:.0f} s, cosine {moment.cosine:.2f}")
    vector = videos.embed("a boat leaves the harbour")  # the bare unit vector, 512 floats
    bodies = videos.body("a boat leaves the harbour")  # the requests, to send them yourself
