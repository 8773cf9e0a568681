"""Passes calls on to a Pub/Sub emulator, but ends pull streams as the service may.

    python pubsub.py --port N --target HOST:PORT --unknown N

The first so many pull streams end with UNKNOWN as they are opened. Ends with its standard input.
"""

import argparse
import asyncio
import itertools
import os
import threading
from concurrent import futures

import grpc

PULL = "/google.pubsub.v1.Subscriber/StreamingPull"


class Relay(grpc.GenericRpcHandler):
    def __init__(self, target, unknown):
        self.channel = grpc.insecure_channel(target)
        self.unknown = unknown
        self.pulls = itertools.count()

    def service(self, call):
        # On the wire a call of one message is a stream of one.
        return grpc.stream_stream_rpc_method_handler(lambda requests, context: self.relay(call.method, requests, context))

    def relay(self, method, requests, context):
        if method == PULL and next(self.pulls) < self.unknown:
            context.abort(grpc.StatusCode.UNKNOWN, "a pull stream was ended")
        # What gRPC sends of itself it does not take from others.
        metadata = [one for one in context.invocation_metadata() if not one.key.startswith(("grpc-", "user-agent"))]
        answers = self.channel.stream_stream(method)(requests, metadata=metadata)
        context.add_callback(answers.cancel)
        try:
            yield from answers
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())


async def front(port, grpc_port, target):
    """Clients find both interfaces at one address: what greets as HTTP/2 is gRPC."""

    async def pipe(reader, writer):
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    async def accept(reader, writer):
        host, http_port = target.split(":")
        first = await reader.read(3)
        there = await asyncio.open_connection(host, grpc_port if first == b"PRI" else int(http_port))
        there[1].write(first)
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--target", required=True)
    options.add_argument("--unknown", type=int, required=True)
    options = options.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers([Relay(options.target, options.unknown)])
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    asyncio.run(front(options.port, grpc_port, options.target))


def end_with_standard_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
