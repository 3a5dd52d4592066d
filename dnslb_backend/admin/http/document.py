"""What operators' programs send and are sent: JSON documents, each described by a model."""

from pydantic import BaseModel, ConfigDict


class ApiModel(BaseModel):
    """A document that does not change. Unknown keys are passed over, unless a kind forbids them.

    The schema of each is built when it is needed first, since a node should answer soon after
    its start, and nobody asks for most of them.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
