"""Agents: a language model, tools, and a loop between them.

    backends    models that can be asked: ours, any OpenAI-compatible server, a scripted one
    tools       Python functions as tools, run so that an error stays an error
    loop        the loop, with budgets; trace keeps what happened
    memory      what an agent keeps in mind; planning decides all calls before the first
    defences    against text that gives orders
    mcp         tools that live in another program
    sandbox     Python that a model wrote, in a process without rights
    serve       a model of ours behind OpenAI's interface

Import from the modules: this package imports none of them, so that a tool server needs no torch.
"""
