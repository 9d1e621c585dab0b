"""Figures drawn as SVG, so that they follow the theme and cost no round trip."""
