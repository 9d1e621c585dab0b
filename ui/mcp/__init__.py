"""The read verbs for language-model clients (Model Context Protocol)."""
