"""kdcore: the engine of the laboratory. Distil, compress and measure image classifiers, honestly.

Importing this package imports neither torch nor streamlit.
"""

__version__ = "0.1.0"
