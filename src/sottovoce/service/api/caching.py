"""ETags: what is the same as before is not sent again.

Owns the tag of what is told of a person. Does not know what that is.

References
----------
RFC 9110, 8.8.3 and 13.1.2.
"""

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

from sottovoce.service.gate import Case


def answered(request: Request, case: Case, said: BaseModel, media: str | None = None) -> Response:
    """Answer with a body and its ETag, or 304 where the client has it already.

    The tag is of the person's version and of the kind of body: nothing else changes what is said.
    """
    tag = f'"{case.version}-{type(said).__name__}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if tag in known or f"W/{tag}" in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    media_type = media or "application/json"
    return Response(said.model_dump_json(), headers=headers, media_type=media_type)
