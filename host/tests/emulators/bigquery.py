"""BigQuery on loopback, for the tests: REST and the Storage Write API, all in memory.

    python bigquery.py --rest-port N --grpc-port N --project P --home FOLDER [--refuse-file PATH]

It is bqemulator 1.4.0 (requirements.txt) with the repairs below. It prints `ready` once both ports
answer, logs to standard error, and ends when its standard input does, so that it cannot outlive the
test run that holds the other end of the pipe. Nothing leaves the machine: the proxies point at a
closed port, and DuckDB's extensions come from wheels, linked into FOLDER.

Without these the official Rust client cannot write:

- The client names the stream in the first append of a connection only, as the API allows; the
  emulator looked for a stream without a name.
- Each open connection occupies a worker thread, and there were six on two cores: the seventh writer
  hung every call.
- RECORD columns lost their fields.

Without these a test would pass or fail for the wrong reason:

- A failed insert advanced the stream's offset, so a retry was told that its rows were there.
- A null in a REQUIRED column and a column that the table does not have were accepted. BigQuery
  refuses the whole request: the first with an error per row, the second with INVALID_ARGUMENT.
- Each append copied the whole table, for time travel.
- Appends and queries shared one DuckDB connection from several threads; an append beside a query
  could stop both for ever. Now all of it happens on the event loop's thread.
- ALTER TABLE changed the table but not its description, so neither tables.get nor an append knew a
  column that a query did; and it took one column a statement.
- A query that failed was answered with status 200 and no rows.
- `SELECT *` beside a function whose types matter, such as CONCAT, left RECORD columns out.
- A NUMERIC of zero was written as 0E-9, and others with all of their nine digits.
- Two jobs could have one id. BigQuery takes an id once (409), whatever became of the job.
- The streams of a table that was deleted went on in the next table of that name.
- A stream that is committed once more was told to be in a wrong state. BigQuery says that it is committed.

`--refuse-file` is a fault to order: while PATH exists, each of its lines, TABLE, a tab, TEXT, has an
append to that table refused for the rows that hold TEXT in any string. It is read at every append.

Other faults are ordered over HTTP, beside the REST interface, while it runs:

    POST /faults {"kind": KIND, "table": TABLE, "times": N}   from now on, N times (default: until taken back)
    DELETE /faults                                            all are taken back
    GET /faults                                               how often each KIND was met so far

| kind | what happens |
|---|---|
| unseen_table | the Write API does not know the table: NOT_FOUND; REST does |
| unseen_columns | nor its columns: INVALID_ARGUMENT to an append |
| denied, unauthenticated | PERMISSION_DENIED, UNAUTHENTICATED of the Write API |
| rest_denied, rest_unauthenticated | 403, 401 of the REST interface, to what names the table in its path; with "reason", for that one |
| exhausted | RESOURCE_EXHAUSTED: a quota is used up |
| out_of_range | OUT_OF_RANGE to an append: the stream has fewer rows than its offset says |
| too_large | a request of more than "bytes" ends the connection, as what carries it there does |
| refused | all rows of an append at the offset "from" or behind it are refused |
| late | a connection ends with two appends unanswered, from the offset "from" on; the second is made as soon as the stream ends at its offset |
| lost_answer | an append is made, and the connection ends before its answer; "then": "finalized" or "expired" |
| uncommitted | streams are not committed: UNAVAILABLE |
| lost_commit | streams are committed, and the answer is UNAVAILABLE |
| refused_commit | streams are not committed: KMS_SERVICE_ERROR of the stream |
| billed | a query that may be billed for fewer than "bytes" is refused: bytesBilledLimitExceeded; the table is called queries |
| failed_job | a job that enters a load, with table load_ledger, fails: rateLimitExceeded |
| foreign_job | there is one of its id, which cannot be looked at (403), and which does nothing so far |
| finalized | at once, once: the table's streams are finalised, as old ones are |
| expired | at once, once: the table's streams are forgotten, as old ones are |
"""

import argparse
import asyncio
import importlib.util
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLOSED = "http://127.0.0.1:9"
# More than any test opens at once.
CONNECTIONS = 256


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rest-port", type=int, required=True)
    options.add_argument("--grpc-port", type=int, required=True)
    options.add_argument("--project", required=True)
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--refuse-file", type=Path)
    options = options.parse_args()

    for port in (options.rest_port, options.grpc_port):
        refuse_taken(port)
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    # What libraries print belongs in the log; standard output carries one word.
    said = os.dup(1)
    os.dup2(2, 1)

    os.environ["HOME"] = str(options.home.resolve())
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        os.environ[name] = os.environ[name.upper()] = CLOSED
    link_extensions(options.home.resolve())

    try:
        asyncio.run(serve(options, said))
    except BaseException as error:
        print(f"bigquery.py: {error!r}", file=sys.stderr, flush=True)
        # Threads that wait for the loop would keep the process.
        os._exit(1)


def end_with_standard_input():
    while os.read(0, 4096):
        pass
    os._exit(0)


def refuse_taken(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            sys.exit(f"bigquery.py: port {port}: {error.strerror}")


def link_extensions(home):
    """Puts the extensions where DuckDB looks before it would download them."""
    import duckdb

    version = f"v{duckdb.__version__}"
    platform = duckdb.sql("PRAGMA platform").fetchone()[0]
    folder = home / ".duckdb" / "extensions" / version / platform
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("spatial", "avro"):
        wheel = importlib.util.find_spec(f"duckdb_extension_{name}").submodule_search_locations[0]
        file = f"{name}.duckdb_extension"
        # Made aside and moved into place: another emulator may start in the same folder.
        aside = folder / f"{file}.{os.getpid()}"
        aside.unlink(missing_ok=True)
        aside.symlink_to(Path(wheel) / "extensions" / version / file)
        aside.replace(folder / file)


async def serve(options, said):
    from bqemulator.config import LogFormat, LogLevel, PersistenceMode, Settings
    from bqemulator.observability.logging_ import configure_logging

    # Before the other modules are imported: some log as they are.
    configure_logging(level=LogLevel.WARNING, fmt=LogFormat.JSON)
    repair(asyncio.get_running_loop(), options.refuse_file)

    from bqemulator.server import EmulatorServer

    server = EmulatorServer(
        Settings(
            rest_port=options.rest_port,
            grpc_port=options.grpc_port,
            default_project_id=options.project,
            persistence_mode=PersistenceMode.EPHEMERAL,
            log_level=LogLevel.WARNING,
            log_format=LogFormat.JSON,
        )
    )
    await server.start()
    os.write(said, b"ready\n")
    os.close(said)
    await asyncio.Event().wait()


def repair(loop, refuse_file):
    from bqemulator.grpc_api import write_servicer

    take_a_job_id_once()
    take_orders()
    widen_grpc()
    use_one_thread(loop)
    keep_no_snapshots()
    answer_failed_queries()
    follow_alter_table()
    know_records()
    write_decimals_out()
    write_servicer._table_arrow_schema = arrow_schema
    write_servicer.BigQueryWriteHandler = write_handler(loop, refuse_file)


def widen_grpc():
    import grpc.aio

    build = grpc.aio.server

    def server(*, options, **rest):
        # Shared ports are gRPC's default: two emulators would split one port's connections.
        options = [*options, ("grpc.so_reuseport", 0)]
        return build(ThreadPoolExecutor(CONNECTIONS), options=options, **rest)

    grpc.aio.server = server


def use_one_thread(loop):
    import fastapi.routing
    from bqemulator.storage.engine import DuckDBEngine

    async def run_here(function, /, *arguments, **named):
        return function(*arguments, **named)

    fetch_arrow = DuckDBEngine.fetch_arrow

    def fetch_on_loop(engine, *arguments):
        return on_loop(loop, engine, fetch_arrow, engine, *arguments)

    fastapi.routing.run_in_threadpool = run_here
    DuckDBEngine.fetch_arrow = fetch_on_loop


def on_loop(loop, engine, function, *arguments):
    """Calls the function between two queries. Appends come from threads, commits from the loop."""
    if threading.current_thread() is threading.main_thread():
        return function(*arguments)

    async def call():
        async with engine.write_lock():
            return function(*arguments)

    return asyncio.run_coroutine_threadsafe(call(), loop).result()


def keep_no_snapshots():
    from bqemulator.domain.events import TableDataChanged
    from bqemulator.versioning.snapshots import SnapshotManager

    def record_change(manager, *table):
        manager._events.publish(TableDataChanged(*table))

    SnapshotManager.record_change = record_change


def answer_failed_queries():
    from bqemulator.api.routes import jobs

    result_of = jobs._domain_error_to_error_result

    def refuse_or_result(error):
        # A job that failed is a job, a query (jobs.query) that failed is an HTTP error.
        if sys._getframe(1).f_code is jobs.query.__code__:
            raise error
        return result_of(error)

    jobs._domain_error_to_error_result = refuse_or_result


def follow_alter_table():
    import sqlglot
    from bqemulator.catalog import ddl_sync
    from bqemulator.jobs import executor
    from sqlglot import exp

    run_single_sql = executor._run_single_sql

    async def run(project, sql, parameters, ctx, **rest):
        alter = parsed(sql)
        if alter is None:
            return await run_single_sql(project, sql, parameters, ctx, **rest)
        for action in alter.args["actions"]:
            single = alter.copy()
            single.set("actions", [action.copy()])
            result = await run_single_sql(
                project, single.sql("bigquery"), parameters, ctx, **rest
            )
            describe(ddl_sync._split_target(alter.this, project), ctx)
        return result

    def parsed(sql):
        try:
            statement = sqlglot.parse_one(sql, read="bigquery")
        except sqlglot.errors.SqlglotError:
            return None
        altered = isinstance(statement, exp.Alter) and statement.args.get("actions")
        return statement if altered and statement.args.get("kind") == "TABLE" else None

    def describe(table, ctx):
        meta = ctx.catalog.get_table(*table)
        if meta is None:
            return
        # DuckDB knows the columns and their order, the description knows the rest of the old ones.
        known = {field.name: field for field in meta.schema_.fields}
        found = ddl_sync._introspect_schema(*table, ctx).fields
        fields = tuple(known.get(field.name, field) for field in found)
        schema = meta.schema_.model_copy(update={"fields": fields})
        now = ctx.clock.now()
        changes = {
            "schema_": schema,
            "last_modified_time": now,
            "etag": ddl_sync.generate_etag(*table, str(now)),
        }
        ctx.catalog.update_table(meta.model_copy(update=changes))

    executor._run_single_sql = run


def know_records():
    from bqemulator.sql import catalog_schema

    duckdb_type = catalog_schema._safe_bq_to_duckdb

    def of_column(bigquery_type):
        # Only that there is a column matters: its fields have types of their own.
        return duckdb_type(bigquery_type) or "STRUCT"

    catalog_schema._safe_bq_to_duckdb = of_column


def write_decimals_out():
    import pyarrow.types
    from bqemulator.storage import arrow_bridge

    def written_out(value, *_):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text

    decimals = (pyarrow.types.is_decimal, written_out)
    arrow_bridge._BQ_TYPE_FORMATTERS = (decimals, *arrow_bridge._BQ_TYPE_FORMATTERS)


def take_a_job_id_once():
    from bqemulator.api.routes import jobs
    from bqemulator.domain.errors import AlreadyExistsError

    handle = jobs._handle_query_job
    taken = set()

    async def once(project, job, config, *, dry_run, **rest):
        if (project, job) in taken:
            raise AlreadyExistsError(f"Already Exists: Job {project}:US.{job}")
        if not dry_run:
            taken.add((project, job))
        if job.startswith("clickmill-load-"):
            if FAULTS.meets("foreign_job", "load_ledger"):
                FOREIGN.add(job)
                raise AlreadyExistsError(f"Already Exists: Job {project}:US.{job}")
            if FAULTS.meets("failed_job", "load_ledger"):
                return jobs._failed_job_meta(
                    project_id=project,
                    job_id=job,
                    job_type="QUERY",
                    config=config,
                    error_result={"reason": "rateLimitExceeded", "message": "Exceeded rate limits"},
                    now=rest["now"],
                )
        return await handle(project, job, config, dry_run=dry_run, **rest)

    jobs._handle_query_job = once


class Faults:
    """What was ordered, and how often it was met."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ordered = {}
        self.met = {}

    def order(self, kind, table, times=None, **rest):
        with self.lock:
            self.ordered[kind, table] = {"left": times, **rest}

    def clear(self):
        with self.lock:
            self.ordered.clear()

    def meets(self, kind, table, holds=lambda fault: True):
        """The fault, where it happens now."""
        with self.lock:
            fault = self.ordered.get((kind, table))
            if fault is None or fault["left"] == 0 or not holds(fault):
                return None
            if fault["left"] is not None:
                fault["left"] -= 1
            self.met[kind] = self.met.get(kind, 0) + 1
            return fault


FAULTS = Faults()
# The append that is still on its way to a stream, by its name: offset and rows.
LATE = {}
# Jobs of others.
FOREIGN = set()


def take_orders():
    """Adds `/faults` to the REST interface, and the faults of REST itself."""
    from bqemulator.api import app as application
    from starlette.responses import JSONResponse

    create = application.create_app
    refusals = {
        "rest_denied": (403, "PERMISSION_DENIED", "accessDenied", "Access Denied"),
        "rest_unauthenticated": (401, "UNAUTHENTICATED", "authError", "Invalid Credentials"),
    }

    def create_app(context):
        app = create(context)

        async def order(request):
            if request.method == "POST":
                asked = await request.json()
                kind, table = asked["kind"], asked.get("table")
                if kind in ("finalized", "expired"):
                    end_streams(context, table, kind)
                else:
                    FAULTS.order(**asked)
            elif request.method == "DELETE":
                FAULTS.clear()
            return JSONResponse(FAULTS.met)

        app.add_route("/faults", order, methods=["GET", "POST", "DELETE"])

        def denied_job(job):
            message = f"Access Denied: Job {job}: Permission bigquery.jobs.get denied"
            error = {"domain": "global", "reason": "accessDenied", "message": message}
            body = {"code": 403, "message": message, "status": "PERMISSION_DENIED"}
            return JSONResponse({"error": {**body, "errors": [error]}}, status_code=403)

        def billed(limit):
            message = f"Query exceeded limit for bytes billed: {limit}."
            error = {"domain": "global", "reason": "bytesBilledLimitExceeded", "message": message}
            body = {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}
            return JSONResponse({"error": {**body, "errors": [error]}}, status_code=400)

        @app.middleware("http")
        async def refuse(request, answer):
            if request.method == "POST" and request.url.path.endswith("/queries"):
                limit = int((await request.json()).get("maximumBytesBilled") or 2**63)
                if FAULTS.meets("billed", "queries", lambda fault: limit < fault["bytes"]):
                    return billed(limit)
            _, _, table = request.url.path.partition("/tables/")
            for kind, (code, status, reason, message) in refusals.items():
                fault = table and FAULTS.meets(kind, table)
                if fault:
                    reason = fault.get("reason", reason)
                    error = {"domain": "global", "reason": reason, "message": message}
                    body = {"code": code, "message": message, "status": status, "errors": [error]}
                    return JSONResponse({"error": body}, status_code=code)
            _, _, job = request.url.path.partition("/jobs/")
            if job in FOREIGN:
                return denied_job(job)
            response = await answer(request)
            if request.method == "DELETE" and table:
                end_streams(context, table, "expired")
            return response

        return app

    application.create_app = create_app


def end_streams(context, table, kind):
    from bqemulator.streaming.write_stream import WriteStreamState

    streams = context.write_streams
    for stream in streams.list_active():
        if stream.table_id == table and not stream.name.endswith("/_default"):
            with stream.lock:
                if kind == "expired":
                    streams.delete(stream.name)
                elif stream.state is WriteStreamState.OPEN:
                    stream.state = WriteStreamState.FINALIZED


def arrow_schema(table):
    from bqemulator.api.routes import tabledata

    return tabledata._build_arrow_schema(
        tabledata._fields_raw_from_schema(table.schema_.fields)
    )


def write_handler(loop, refuse_file):
    from bqemulator.grpc_api import write_servicer
    from bqemulator.streaming.write_stream import WriteStreamState
    from google.cloud.bigquery_storage_v1 import types
    from google.rpc import status_pb2

    import grpc

    refusals = {
        "unseen_table": (grpc.StatusCode.NOT_FOUND, "Requested entity was not found"),
        "denied": (grpc.StatusCode.PERMISSION_DENIED, "Permission 'TABLES_UPDATE_DATA' denied"),
        "unauthenticated": (
            grpc.StatusCode.UNAUTHENTICATED,
            "Request had invalid authentication credentials",
        ),
    }

    def is_refused(name, context):
        table = name.split("/")[5] if name.count("/") >= 5 else None
        for kind, (code, details) in refusals.items():
            if FAULTS.meets(kind, table):
                context.set_code(code)
                context.set_details(f"{details}. Entity: {name}")
                return True
        return False

    def refusing(handle, request_type, name_of):
        def handled(self, request, context):
            name = name_of(request_type.deserialize(request))
            return b"" if is_refused(name, context) else handle(self, request, context)

        return handled

    base = write_servicer.BigQueryWriteHandler

    class WriteHandler(base):
        _handle_create_write_stream = refusing(
            base._handle_create_write_stream,
            types.CreateWriteStreamRequest,
            lambda request: request.parent,
        )
        _handle_get_write_stream = refusing(
            base._handle_get_write_stream,
            types.GetWriteStreamRequest,
            lambda request: request.name,
        )
        _handle_finalize_write_stream = refusing(
            base._handle_finalize_write_stream,
            types.FinalizeWriteStreamRequest,
            lambda request: request.name,
        )

        def _committed(self, request, context):
            answer = super()._handle_batch_commit_write_streams(request, context)
            answer = types.BatchCommitWriteStreamsResponse.deserialize(answer)
            for error in answer.stream_errors:
                stream = self._manager.get(error.entity)
                if stream is not None and stream.state is WriteStreamState.COMMITTED:
                    error.code = types.StorageError.StorageErrorCode.STREAM_ALREADY_COMMITTED
            return types.BatchCommitWriteStreamsResponse.serialize(answer)

        def _handle_batch_commit_write_streams(self, request, context):
            parent = types.BatchCommitWriteStreamsRequest.deserialize(request).parent
            table = parent.split("/")[5]
            if is_refused(parent, context):
                return b""
            if FAULTS.meets("refused_commit", table):
                return types.BatchCommitWriteStreamsResponse.serialize(
                    types.BatchCommitWriteStreamsResponse(
                        stream_errors=[
                            types.StorageError(
                                code=types.StorageError.StorageErrorCode.KMS_SERVICE_ERROR,
                                entity=parent,
                                error_message="the key cannot be asked",
                            )
                        ]
                    )
                )
            lost = FAULTS.meets("uncommitted", table)
            answer = b"" if lost else self._committed(request, context)
            if lost or FAULTS.meets("lost_commit", table):
                context.set_code(grpc.StatusCode.UNAVAILABLE)
                context.set_details("the connection ended")
                return b""
            return answer

        def _handle_append_rows(self, requests, context):
            settings = self._ctx.settings
            bound = writer_schema = decoder = None
            late = None
            for message in requests:
                if len(message) > settings.write_api_max_request_bytes:
                    yield write_servicer._oversize_error_response(
                        request_bytes_len=len(message),
                        max_bytes=settings.write_api_max_request_bytes,
                        bound_ctx=bound,
                    )
                    continue
                request = types.AppendRowsRequest.deserialize(message)
                name = request.write_stream or (bound[0].name if bound else "")
                if is_refused(name, context):
                    return
                # Anew for each append: the table may have got a column since the last.
                bound = self._bind_stream_to_target(name, context)
                if bound is None:
                    return
                stream, schema = bound
                table = stream.table_id
                size = len(message)
                if FAULTS.meets("too_large", table, lambda fault: size > fault["bytes"]):
                    context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
                    context.set_details(f"Received message larger than max ({size})")
                    return
                # Kept even if these rows are refused: the client does not send it again.
                sent = request.arrow_rows.writer_schema.serialized_schema
                writer_schema = bytes(sent) or writer_schema
                try:
                    rows, decoder, _ = write_servicer._rows_for_request(
                        request, decoder, writer_schema, schema
                    )
                    refused = missing_values(rows) | refused_values(rows, refuse_file, table)
                    if FAULTS.meets("unseen_columns", table):
                        raise ValueError("Input schema has more fields than BigQuery schema")
                except Exception as error:
                    yield write_servicer._error_response(name, str(error))
                    continue
                offset = request.offset if write_servicer._has_offset(request) else None
                if late:
                    LATE[name] = offset, rows
                    context.set_code(grpc.StatusCode.UNAVAILABLE)
                    context.set_details("the connection ended")
                    return
                late = FAULTS.meets("late", table, behind(offset))
                if late:
                    continue
                if FAULTS.meets("refused", table, behind(offset)):
                    refused = dict.fromkeys(range(rows.num_rows), "refused")
                if refused:
                    yield row_errors(name, refused)
                    continue
                if FAULTS.meets("exhausted", table):
                    yield write_servicer._error_response(
                        name,
                        "Exceeds 'AppendRows throughput' quota",
                        status_code=grpc.StatusCode.RESOURCE_EXHAUSTED,
                    )
                    continue
                if offset is not None and FAULTS.meets("out_of_range", table):
                    yield write_servicer._error_response(
                        name,
                        f"The offset is beyond stream, expected offset 0, received {offset}",
                        status_code=grpc.StatusCode.OUT_OF_RANGE,
                    )
                    continue
                most = settings.write_api_max_stream_rows
                answer = self._perform_append(stream, rows, offset, most)
                at, late_rows = LATE.get(name, (None, None))
                if at == stream.next_offset:
                    self._perform_append(stream, late_rows, at, most)
                fault = FAULTS.meets("lost_answer", table)
                if fault:
                    if "then" in fault:
                        end_streams(self._ctx, table, fault["then"])
                    context.set_code(grpc.StatusCode.UNAVAILABLE)
                    context.set_details("the connection ended")
                    return
                yield answer

        def _perform_append(self, stream, rows, *rest):
            with stream.lock:
                before = stream.next_offset, stream.row_count
                # Rows that wait for a commit get the columns the table got since.
                stream.buffer[:] = [aligned(waiting, rows.schema) for waiting in stream.buffer]
                try:
                    return super()._perform_append(stream, rows, *rest)
                except Exception as error:
                    stream.next_offset, stream.row_count = before
                    return write_servicer._error_response(stream.name, str(error))

        def _flush_to_target(self, stream, rows):
            on_loop(loop, self._ctx.engine, self._insert, stream, rows)

        def _insert(self, stream, rows):
            table = self._ctx.catalog.get_table(
                stream.project_id, stream.dataset_id, stream.table_id
            )
            rows = aligned(rows, arrow_schema(table))
            super()._flush_to_target(stream, rows)

    def row_errors(stream, refused):
        return types.AppendRowsResponse.serialize(
            types.AppendRowsResponse(
                write_stream=stream,
                error=status_pb2.Status(
                    code=3,
                    message="Errors found while processing rows. Please refer to the row_errors "
                    "field for details. The list may not be complete because of the size "
                    "limitations.",
                ),
                row_errors=[
                    types.RowError(
                        index=row,
                        code=types.RowError.RowErrorCode.FIELDS_ERROR,
                        message=refused[row],
                    )
                    for row in sorted(refused)
                ],
            )
        )

    write_servicer._align_to_target = aligned
    return WriteHandler


def behind(offset):
    """Whether an append at this offset is one that a fault is ordered for."""
    return lambda fault: offset is not None and offset >= fault["from"]


def aligned(rows, schema):
    """The rows with the table's columns, null where they have none."""
    import pyarrow as pa

    if rows.schema == schema:
        return rows
    # BigQuery's names do not differ by case alone.
    given = {name.lower(): name for name in rows.column_names}
    unknown = given.keys() - {field.name.lower() for field in schema}
    if unknown:
        names = ", ".join(sorted(given[name] for name in unknown))
        raise ValueError(f"Input schema has more fields than BigQuery schema: {names}")
    columns = [
        rows.column(given[field.name.lower()]).cast(field.type)
        if field.name.lower() in given
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def missing_values(rows):
    import pyarrow.compute as pc

    return {
        row: f"Field {field.name} is REQUIRED but missing"
        for field, column in zip(rows.schema, rows.columns)
        if not field.nullable and column.null_count
        for row in pc.indices_nonzero(pc.is_null(column)).to_pylist()
    }


def refused_values(rows, refuse_file, table):
    try:
        lines = refuse_file.read_text().splitlines() if refuse_file else []
    except FileNotFoundError:
        return {}
    rules = [line.partition("\t") for line in lines]
    texts = [text for name, _, text in rules if name == table and text]
    if not texts:
        return {}
    return {
        row: f"Refused by the test: {text}"
        for row, values in enumerate(rows.to_pylist())
        for text in texts
        if holds(values, text)
    }


def holds(value, text):
    if isinstance(value, str):
        return text in value
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return any(holds(part, text) for part in value)


if __name__ == "__main__":
    main()
