"""The page behind a sign-in, as `strata ui --sign-in` runs it: Streamlit's own server, with our gate before it."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from catalog import Catalog
from ui.web.entry.gate import Gate, routes

cat = Catalog.open()
app = st.App(Path(__file__).with_name("app.py"), routes=routes(cat), middleware=[Middleware(Gate, cat=cat)])
