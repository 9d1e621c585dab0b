"""Router of the web page. Run it with `strata ui`, or:

STRATA_HOME=./strata-home streamlit run ui/web/app.py
"""

import streamlit as st

from ui.web.components.shell import LOGO, guarded, tab_title, theme, warm
from ui.web.components.who import signed_in

if __name__ == "__main__":  # not where a spawned process imports the main module again
    st.set_page_config(layout="wide")
    theme()
    warm()
    st.logo(LOGO, size="medium")
    page = st.navigation(
        [
            st.Page("views/home.py", title="Catalog", url_path="", default=True),
            st.Page("views/discover.py", title="Discover", url_path="discover"),
            st.Page("views/dataset.py", title="Dataset", url_path="dataset"),
            st.Page("views/grade.py", title="Grade", url_path="grade"),
            st.Page("views/mixes.py", title="Mixes", url_path="mixes"),
            st.Page("views/experiments.py", title="Experiments", url_path="experiments"),
            st.Page("views/flows.py", title="Flows", url_path="flows"),
            st.Page("views/intake.py", title="Intake", url_path="intake"),
            st.Page("views/incidents.py", title="Incidents", url_path="incidents"),
            st.Page("views/sql.py", title="SQL", url_path="sql"),
            st.Page("views/assistant.py", title="Assistant", url_path="assistant"),
            st.Page("views/admin.py", title="Admin", url_path="admin"),
        ],
        position="top",
    )
    st.set_page_config(page_title=tab_title(page.title))
    with guarded(whole=True):
        if signed_in(page.url_path):
            page.run()
