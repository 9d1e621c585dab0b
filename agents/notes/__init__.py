"""Release notes and a card draft from what changed between two versions; see `versions`."""

from agents.notes.versions import OFF, version_notes

__all__ = ["OFF", "version_notes"]
