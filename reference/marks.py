"""Tables that commands write into pages, between two comments."""


def between(text: str, name: str, command: str, made: str, page: str) -> str:
    """A page's text with what a command has made of this name between its comments; ValueError if the page lacks one of them."""
    begin, end = f"<!-- {name}: written by `{command}` -->", f"<!-- end of {name} -->"
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{page} has no place for the {name}, between {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"
