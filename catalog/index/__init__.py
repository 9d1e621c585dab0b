"""The standing index: what the whole catalog holds, by content and by near-duplicate keys, kept up to date by segments."""
