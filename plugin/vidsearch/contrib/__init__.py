"""Glue for frameworks that an application may use already: Django, LangChain, Haystack, LlamaIndex.

Each is a module of its own that imports its framework; importing this package imports none.
"""
