"""What it costs to take an event to its handler, beside what pydantic and Python cost at least.

`python -m benchmarks` runs each work in a fresh process. A work is a file in `works/`; it lists contenders, the
floor first. What contenders share is in `events`, how they are timed in `rounds`, how they are shown in `table`.
"""
