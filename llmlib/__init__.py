"""The library of *Token to Agent*: every part is written by hand in a chapter, proved equal, then imported from here.

Modules are built in floors and import strictly lower floors only; nothing happens on import.
"""

__version__ = "0.1.0"
