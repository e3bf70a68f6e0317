"""Lists the public items whose documentation has neither an example nor a line that leads to one.

usage: public_api_examples.py WEBSOCKET_STREAM.json      (from rustdoc, with --output-format json)

An item is a struct, enum, trait, function, type alias, constant or macro, at the first of its public paths. The line is
``See the example of [`Name`](path).``, where `(path)` is needed only if the name is not in scope. Name must have an
example.
"""
import json
import re
import sys

KINDS = {"struct", "enum", "union", "trait", "function", "type_alias", "constant", "static", "macro", "proc_macro"}
LINE = re.compile(r"^See the example of \[(`[^`]+`)\](?:\(([^)]+)\))?\.$", re.MULTILINE)


def public_items(index, module, path, seen):
    """Yields the path and the item of everything that is public in a module."""
    for key in module["inner"]["module"]["items"]:
        item, name = index[str(key)], None
        while item is not None and (use := item["inner"].get("use")):
            name = name or ("" if use["is_glob"] else use["name"])
            item = index.get(str(use["id"]))
        if item is None or item["crate_id"] != 0 or item["id"] in seen:
            continue
        seen.add(item["id"])
        here = path if name == "" else f"{path}::{name or item['name']}"
        if "module" in item["inner"]:
            yield from public_items(index, item, here, seen)
        elif KINDS & item["inner"].keys():
            yield here, item


def fault(index, item):
    """Returns what is missing in an item's documentation, or None."""
    if "```" in (item["docs"] or ""):
        return None
    line = LINE.search(item["docs"] or "")
    if not line:
        return "no example"
    target = index.get(str(item["links"].get(line[2] or line[1])))
    return None if target and "```" in (target["docs"] or "") else f"no example at {line[1]}"


with open(sys.argv[1], encoding="utf-8") as file:
    crate = json.load(file)
items = list(public_items(crate["index"], crate["index"][str(crate["root"])], "websocket_stream", set()))
faults = [(path, why) for path, item in items if (why := fault(crate["index"], item))]
for path, why in sorted(faults):
    print(f"{path}: {why}")
print(f"examples: {len(items)} public items, {len(faults)} without one")
sys.exit(bool(faults) or not items)
