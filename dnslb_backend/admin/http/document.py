"""JSON documents of the API, each described by a model."""

from pydantic import BaseModel, ConfigDict


class ApiModel(BaseModel):
    """A document that does not change. Unknown keys are ignored, unless a model forbids them.

    The schema of each is built when it is first needed: a daemon should answer soon after its
    start, and most are seldom asked for.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
