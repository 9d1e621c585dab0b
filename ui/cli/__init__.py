"""The command line: thin readings of the facade's verbs, human or JSON."""
