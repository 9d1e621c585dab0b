"""Page scripts: Streamlit runs them by path, each draws one page."""
