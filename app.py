"""What `streamlit run app.py` serves: the pages, plotly.js for charts that draw themselves, a class's cookies."""

import streamlit as st
from starlette.routing import Route

from pages.people import cookie
from pages.shared import plot

# Streamlit takes the files of a folder named pages/ beside the script for pages, so the script lies inside the folder.
app = st.App("pages/navigation.py", routes=[Route(plot.SOURCE, plot.library), cookie.route])
