"""A conversation with a language model that uses the catalog's own verbs: reads are free, writes are proposals."""

from agents.assistant.loop import AgentTool, Step, Turn, converse

__all__ = ["AgentTool", "Step", "Turn", "converse"]
