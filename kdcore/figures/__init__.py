"""Pictures: pure functions from a view model to a plotly Figure. No streamlit, no torch, no files."""
