"""Every call of an engine as pure steps: what is asked, and what the answer means.

A call is a generator. It yields a :class:`Request`, is given the :class:`Answer`, and returns what
the caller wants to know; nothing in here waits or has a client. Who carries it out waits for the
``pause`` of a request, and throws into the call the error of one that had no answer:

    def mapping(self, index):
        answer = yield from self.request("GET", f"/{part(index)}/_mapping", index=index)
        return answer.body[…]["mappings"]

:class:`~vidsearch.engines._rest.RestEngine` carries calls out in the caller's thread,
:class:`~vidsearch.engines.aio.AsyncRestEngine` in an event loop.
"""

from __future__ import annotations

from vidsearch.engines._calls.asking import Answer, Call, Request, part
from vidsearch.engines._calls.bulk import BulkCalls
from vidsearch.engines._calls.documents import document
from vidsearch.engines._calls.searches import WHOLE, SearchCalls

__all__ = ["WHOLE", "Answer", "Call", "Calls", "Request", "document", "part"]


class Calls(BulkCalls, SearchCalls):
    """The calls of one cluster, the same for both engines but for the abstract methods."""
