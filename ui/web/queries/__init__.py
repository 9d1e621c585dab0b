"""What the pages ask of the catalog, free of Streamlit. Nothing here loads a table."""
