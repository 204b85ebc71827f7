"""Carries messages by a SQLite file, between domains of one process and between processes of one machine, no server.

A channel is a table that grows at its end. A consumer is a mark in it, before which everything has been handed out, and
the list of what is *pending*: handed out and not settled, or to come again. What is pending belongs to a subscription
until it is settled, or given back, or the process of the subscription has ended.
"""

from .transport import SqliteTransport

__all__ = ["SqliteTransport"]
