"""The web page: `streamlit run ui/web/app.py`, or `strata ui`."""
