"""What it costs to take an event to its handler, beside what pydantic and Python cost at least, and beside peers.

`python -m benchmarks` measures works. A work is a file in `works/`; it lists contenders, the floor first. A peer is
a file in `peers/`, and the works that peers can do are in `peer_works`; each peer has an `environments` of its own.
Each contender is a process (`worker`), timed in turn with the others (`rounds`); `goals` says what is to be reached,
`table` and `chart` show it. `steps` takes the way of one event apart; `guard` is the short version for `make test`.
"""
