"""The library of *Token to Agent*: a chapter writes each part by hand, proves it, and imports it.

Modules are built in floors and import strictly lower floors only; nothing happens on import.
"""

__version__ = "0.1.0"
