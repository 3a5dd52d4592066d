"""What no vote can help: all nodes of one site, and voters that nobody is."""

import pytest

from dnslb_backend.core.model.quorum import CheckQuestion, QuestionKind, obstacle

ALL = CheckQuestion("all")
OWN = CheckQuestion("file", QuestionKind.LOCAL)


def of(*voters: str) -> CheckQuestion:
    return CheckQuestion("some", voters=voters)


@pytest.mark.parametrize(
    ("nodes", "questions", "words"),
    [
        ({"ns1": "dc1", "ns2": "dc2"}, [ALL, of("dc1"), of("ns2", "dc9")], ""),
        ({"ns1": "dc1", "ns2": "dc1"}, [ALL], "all 2 nodes are of site dc1"),
        ({"ns1": "dc1", "ns2": "dc1"}, [of("dc1")], ""),
        ({"ns1": "dc1", "ns2": "dc1"}, [OWN], ""),
        ({"ns1": "dc1", "ns2": "dc2"}, [of("dc3", "dc4")], "no node is, or is of, dc3 or dc4"),
        ({"ns1": "ns1"}, [ALL], ""),
        ({}, [ALL], ""),
    ],
)
def test_why_nodes_cannot_agree(
    nodes: dict[str, str], questions: list[CheckQuestion], words: str
) -> None:
    found = obstacle(nodes, questions)
    assert found.startswith(words)
    assert bool(found) == bool(words)
