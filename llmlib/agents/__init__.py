"""Agents: a language model, tools, and a loop between them.

`tools` turns Python functions into tools; `backends` are the models that may call them.
"""
