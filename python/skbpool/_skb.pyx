# cython: language_level=3
"""Views of packet buffers."""
