"""The Streamlit app; it reads the store."""
