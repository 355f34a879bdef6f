T = 'a{x}' r'\n' "\u2014" + ('b' "c")
REASONING_EFFORT_PROMPTS: Dict[str, str] = {
    "low": "",
    "high": T + "h\n",  # a comment
    'max': None,
}
TOOLS_TEMPLATE = f"{T}{{tool_schemas}}" \
    '''t
'''; B = b"x"; C = T
T += "x"
