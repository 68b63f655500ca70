"""What a browser keeps to be known again, which no script can read: an address that app.py serves beside the pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kdcore.workspace import people
from kdcore.workspace.workspace import Workspace

COOKIE = "kdcore_person"
ADDRESS = "/kdcore/person"
HEADER = "x-kdcore-person"  # a page of another origin cannot send it


async def answer(request: Request) -> Response:
    """Hands the browser the cookie for a token that is somebody's; takes it away for any other."""
    token = request.headers.get(HEADER)
    if token is None:
        return Response(status_code=400)
    response = Response(status_code=204)
    if people.by_token(Workspace(), token[:200]):
        secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
        seconds = people.KEPT_SECONDS
        response.set_cookie(COOKIE, token, max_age=seconds, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(COOKIE)
    return response


route = Route(ADDRESS, answer, methods=["POST"])
