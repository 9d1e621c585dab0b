"""The tabs of the dataset page, one module each; `draw(cat, found)` draws it."""
