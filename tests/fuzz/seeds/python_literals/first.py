"""An encoding file, with texts of our own."""
from typing import Dict

dsml_token: str = "｜DSML｜"
thinking_end_token: str = "</think>"
tool_output_template: str = (
    "<tool_result>{content}</tool_result>"
)
REASONING_EFFORT_MAX = (
    "One.\n"
    "Two.\n\n"
)

TOOLS_TEMPLATE = """## Tools

<{dsml_token}tool_calls> {{x}}

### Available Tool Schemas

{tool_schemas}

After {thinking_end_token}.
"""


def render(tools):
    return TOOLS_TEMPLATE.format(tool_schemas="\n".join(tools), x=f"{tools[0]!r:>{3}}")
