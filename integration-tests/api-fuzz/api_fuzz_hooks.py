"""Makes most of what schemathesis generates a question the attacked house can answer.

Left to itself it names warehouses and SKUs that nobody has, and hardly a reply with stock, a hold or
a refresh is ever compared with the document. What is replaced follows from the case itself, so that a
seed repeats an attack.
"""

import atexit
import collections
import os
import sys
import zlib

import schemathesis

SKUS = ["D0001", "1000", "A0001", "O'NEIL-7", " RFI-TEST-001", "50%OFF"]
IDS = [f"FUZZ-{number}" for number in range(20)]
KNOWN = {
    "warehouseId": ["24", "11"],
    "organization": ["contoso"],
    "tenant": ["contoso"],
    "channel": ["inSPIRED-inTRONICS-Site"],
    "orderId": IDS,
    "reservationId": IDS,
    "sku": SKUS,
}
# The house takes no events: that needs a key.
REFUSED = {"POST /inventoryPrefetcher/v1/events"}
LISTS = {"skus": SKUS, "warehouseIds": ["24", "11", "51"]}


def chosen(values, *of):
    """One of the values, or none in a quarter of the cases."""
    number = zlib.crc32(repr(of).encode("utf-8", "surrogatepass"))
    return None if number % 4 == 0 else values[number // 4 % len(values)]


def known(name, value):
    if name in KNOWN and isinstance(value, str):
        return chosen(KNOWN[name], name, value) or value
    if name in LISTS and isinstance(value, list):
        return [chosen(LISTS[name], name, at, item) or item for at, item in enumerate(value)]
    if isinstance(value, list):
        return [known(name, item) for item in value]
    if isinstance(value, dict):
        return {name: known(name, item) for name, item in value.items()}
    return value


def small_order(path, body):
    """A question for a few pieces, as a shop sends it; held where it is an order."""
    order = {
        "organization": "contoso",
        "warehouseId": "24",
        "products": [{"sku": chosen(SKUS, body) or "D0001", "quantity": 1}],
    }
    if path.endswith("/availability-checks"):
        order |= {"orderId": chosen(IDS, body) or IDS[0], "commit": True}
    return order


@schemathesis.hook
def map_body(context, body):
    path = context.operation.path
    is_order = path.endswith("/availability-checks") or "/reservations" in path
    if is_order and chosen([True, False], "order", body):
        return small_order(path, body)
    return known(None, body)


@schemathesis.hook
def map_query(context, query):
    return known(None, query)


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if reservations and "reservationId" in (path_parameters or {}):
        return {"reservationId": reservations[-1]}
    return known(None, path_parameters)


answered = collections.defaultdict(collections.Counter)
# The ids of those that were made: the service chooses them.
reservations = []


@schemathesis.hook
def after_call(context, case, response):
    answered[case.operation.label][response.status_code] += 1
    if case.operation.path.endswith("/reservations") and response.status_code == 201:
        reservations.append(response.json()["reservation"]["id"])


@atexit.register
def tell():
    """Says how each operation was answered, and fails if one never got to what it is for."""
    missed = []
    for operation, statuses in sorted(answered.items()):
        told = ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        print(f"answered {operation}  {told}")
        is_answered = any(200 <= status < 400 for status in statuses)
        # What an id in the path leads to depends on what was made before: that is only told.
        if not is_answered and "{" not in operation and operation not in REFUSED:
            missed.append(operation)
    if missed:
        print("never got to what they are for:", ", ".join(missed))
    sys.stdout.flush()
    if missed:
        os._exit(1)
