"""What `streamlit run app.py` serves."""

import streamlit as st

# Streamlit takes the files of a folder named pages/ beside the script for pages, so the script lies inside the folder.
app = st.App("pages/navigation.py")
