"""Conversations that every backend of the contract must be able to have."""

from llmlib.agents.backends import Reply, ToolCall
from llmlib.world.toolbox import SCHEMAS

TOOLS = [SCHEMAS["weather"], SCHEMAS["add"]]
HELLO = [{"role": "user", "content": "Say hello to Zoë."}]
WEATHER = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is the weather in Arlo?"},
]
CALL = ToolCall("call_0", "weather", {"town": "Arlo"})
ASKED = Reply(tool_calls=[CALL], finish_reason="tool_calls").as_message()
RESULT = [*WEATHER, ASKED, {"role": "tool", "tool_call_id": "call_0", "content": "foggy"}]
FERRY = [{"role": "user", "content": "Does the ferry leave?"}]
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "ferry",
        "schema": {
            "type": "object",
            "properties": {
                "leaves": {"type": "boolean"},
                "pier": {"enum": ["north", "süd"]},
            },
            "required": ["leaves", "pier"],
            "additionalProperties": False,
        },
    },
}
ANSWERS = {  # the last user's words: what is said, with no result yet and with one
    HELLO[-1]["content"]: "Hello, Zoë! 😀 How are you?",
    FERRY[-1]["content"]: '{"leaves": true, "pier": "süd"}',
}


def policy(messages, tools):
    """What a model that has learnt the lessons says."""
    if messages[-1]["role"] == "tool":
        return f"It is {messages[-1]['content']} in Arlo."
    return ANSWERS.get(messages[-1]["content"]) or ToolCall("", "weather", {"town": "Arlo"})


def lesson(messages, tools=None):
    made = policy(messages, tools)
    reply = (
        Reply(made)
        if isinstance(made, str)
        else Reply(tool_calls=[made], finish_reason="tool_calls")
    )
    return [*messages, reply.as_message()], tools


LESSONS = [lesson(HELLO), lesson(WEATHER, TOOLS), lesson(RESULT, TOOLS), lesson(FERRY)]
