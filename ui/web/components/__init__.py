"""Parts that several pages share: markup, state in the URL, errors, cards, samples."""
