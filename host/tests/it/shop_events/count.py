"""What a pipeline is to make of messages of shop events, worked out from the messages alone.

    python3 count.py FILE

FILE has a message a line, as `clickmill generate events` writes them. The rules are those of
host/pipelines/shop_events.toml, written down here a second time; numbers are decimals from the digits of
the file on. It prints a JSON object: `rows`, a list for each row of the table (line, place in the message,
session, event, items, pieces, price, revenue), `letters` (line, place, column or null where the message
has it as a whole), and over all items of the rows `items` (number, pieces, price, revenue).
"""

import datetime
import decimal
import ipaddress
import json
import sys

TYPES = {
    "page_view", "product_view", "search", "add_to_cart", "remove_from_cart", "checkout", "purchase",
}
Decimal = decimal.Decimal
decimal.getcontext().prec = 60


def depth(value):
    """How deep lists and objects are nested."""
    if isinstance(value, dict):
        value = list(value.values())
    elif not isinstance(value, list):
        return 0
    return 1 + max(map(depth, value), default=0)


def is_number(value):
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def fault(event):
    """The column at fault, or None."""
    for name in ["event_id", "event_timestamp", "event_type"]:
        if not event.get(name):
            return name
    try:
        at = datetime.datetime.fromisoformat(event["event_timestamp"].replace("Z", "+00:00"))
    except ValueError:
        return "event_timestamp"
    if not isinstance(event["tags"], list):
        return "tags"
    for number, item in enumerate(event["items"]):
        if not is_number(item["price"]):
            return f"items[{number}].price"
        if not isinstance(item["quantity"], int):
            return f"items[{number}].quantity"
    if event["event_type"] not in TYPES:
        return "event_type"
    if at > datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1):
        return "event_timestamp"
    for number, item in enumerate(event["items"]):
        if item["price"] < 0:
            return f"items[{number}].price"
    return None


def text(number):
    """An exact number without zeros at its end."""
    written = f"{number:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


rows, letters = [], []
count, sums = 0, [0, Decimal(0), Decimal(0)]
with open(sys.argv[1], "rb") as lines:
    for line, message in enumerate(lines, 1):
        try:
            message = json.loads(message.decode(), parse_float=Decimal)
        except ValueError:
            letters.append([line, 0, None])
            continue
        if depth(message) > 64:
            letters.append([line, 0, None])
            continue
        try:
            ipaddress.ip_address(message["context"]["user"]["ip"])
            of_all = None
        except ValueError:
            of_all = "visitor.ip"
        for place, event in enumerate(message["events"]):
            at_fault = fault(event) or of_all
            if at_fault:
                letters.append([line, place, at_fault])
                continue
            items = event["items"]
            pieces = sum(item["quantity"] for item in items)
            price = sum((Decimal(item["price"]) * item["quantity"] for item in items), Decimal(0))
            revenue = sum((Decimal(item["revenue"]) for item in items), Decimal(0))
            row = [line, place, message["session_id"], event["event_id"]]
            rows.append([*row, len(items), pieces, text(price), text(revenue)])
            count += len(items)
            sums[0] += pieces
            sums[1] += sum((Decimal(item["price"]) for item in items), Decimal(0))
            sums[2] += revenue
print(json.dumps({
    "rows": rows,
    "letters": letters,
    "items": [count, sums[0], text(sums[1]), text(sums[2])],
}))
