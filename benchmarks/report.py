"""The results of one run, and on what they were found."""

from pydantic import BaseModel

from benchmarks.rounds import Result, WorkResult


class Report(BaseModel):
    """The works of one run; `missing` names the peers that could not be installed, with the reason."""

    python: str
    pydantic: str
    machine: str
    events: int
    rounds: int
    works: list[WorkResult]
    missing: dict[str, str]

    def find(self, work: str, contender: str) -> Result | None:
        """Return what a contender has reached, if it was measured; a peer is also found without its version."""
        for each in self.works:
            for result in each.results if each.work == work else ():
                if contender in (result.contender, result.contender.partition(" ")[0]) and result.per_event is not None:
                    return result
        return None
