"""The labelling page: server-rendered, on this machine only, no script but our own."""

from truing.people.web.app import make_app

__all__ = ["make_app"]
