"""Signing in to the page: browser sessions, the gate before every request, the pages that ask for a token."""
