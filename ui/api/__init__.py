"""The facade's verbs over HTTP, with local tokens."""
