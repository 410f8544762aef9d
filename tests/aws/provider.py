"""Stands in for the aws provider of Terraform where that cannot be had, as far as its schema goes.

Terraform starts this as a plugin, asks it which resources there are and what they take, and does the rest by
itself: it checks every argument, resolves every reference, and plans with `mock_provider`. Names and nesting are
those of provider_arguments.json; types are as far as the module needs them: a text, unless below. It validates
nothing that needs to know AWS, and creates nothing.

Protocol 5 over gRPC, without TLS (TF_DISABLE_PLUGIN_TLS): messages are few and small, and encoded by hand.
"""

import json
import sys
import threading
from concurrent import futures
from pathlib import Path

import grpc

LISTS = {
    "alarm_actions", "instance_type", "permissions", "permissions_with_grant_option", "platform_capabilities",
    "requires_compatibilities", "route_table_ids", "security_group_ids", "security_groups", "subnet_ids", "subnets",
}  # fmt: skip
MAPS = {"dimensions", "parameters", "tags", "tags_all"}
# What a resource knows of itself once it is there; all know `id` and `arn`.
COMPUTED = {
    "aws_ecr_repository": ["repository_url"],
    "aws_launch_template": ["latest_version"],
    "aws_sqs_queue": ["url"],
    "aws_vpc_endpoint": ["prefix_list_id"],
}
DATA = {
    "aws_caller_identity": ["account_id"],
    "aws_partition": ["dns_suffix", "partition"],
    "aws_region": ["region"],
}
LIST_NESTING = 2


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """A field of a message: a whole number, a text, or bytes of another message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, how):
    kind = ["list", "string"] if name in LISTS else ["map", "string"] if name in MAPS else "string"
    return field(1, name) + field(2, json.dumps(kind)) + field(how, 1)


REQUIRED, OPTIONAL, IS_COMPUTED = 4, 5, 6


def block(takes, computed=()):
    out = b""
    for key, inner in takes.items():
        name, is_required = key.rstrip("!"), key.endswith("!")
        if isinstance(inner, dict):
            nested = field(1, name) + field(2, block(inner)) + field(3, LIST_NESTING)
            out += field(3, nested + (field(4, 1) if is_required else b""))
        elif name not in computed:
            out += field(2, attribute(name, REQUIRED if is_required else OPTIONAL))
    for name in computed:
        out += field(2, attribute(name, IS_COMPUTED))
    return out


def entry(number, name, content):
    return field(number, field(1, name) + field(2, field(2, content)))


def schema(arguments):
    out = field(1, field(2, block({"region": 0, "profile": 0})))
    for kind, takes in arguments.items():
        if kind.startswith("aws_"):
            # Not where an argument of the name must be given: an ARN that is somebody else's.
            own = ["arn"] if "arn!" not in takes else []
            out += entry(2, kind, block(takes, ["id", *own, *COMPUTED.get(kind, [])]))
    for kind, known in DATA.items():
        out += entry(3, kind, block({}, ["id", *known]))
    return out


class Provider(grpc.GenericRpcHandler):
    """Answers with the schema, and finds nothing wrong with anything."""

    def __init__(self, schema, stopped):
        self.answers = {"/tfplugin5.Provider/GetSchema": schema}
        self.stopped = stopped

    def service(self, call):
        if call.method == "/plugin.GRPCController/Shutdown":
            self.stopped.set()
        if not call.method.startswith(("/tfplugin5.Provider/", "/plugin.GRPCController/")):
            return None
        if call.method in ("/tfplugin5.Provider/GetMetadata", "/tfplugin5.Provider/GetResourceIdentitySchemas"):
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.answers.get(call.method, b""))


def main(arguments):
    stopped = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers([Provider(schema(arguments), stopped)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"1|5|tcp|127.0.0.1:{port}|grpc", flush=True)
    stopped.wait(600)
    server.stop(0)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
