#!/usr/bin/env python3
"""Checks what is deployed, without a cluster, a cloud or the network: the chart by Helm itself, its objects by
the schemas of Kubernetes and KEDA, Terraform by its grammar and a list of arguments, the container recipe by its
own text.

    check.py [--write] [FOLDER]

FOLDER is a copy of `host/deploy`. `--write` writes the plain manifests anew, of which the chart is the source.
It wants the packages of host/tests/emulators/deploy.txt. Exit codes: 0 fine, 1 findings, one a line.
"""

import json
import pathlib
import re
import sys

import hcl2
import helm_python as helm
import jsonschema
import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ARGUMENTS = json.loads((HERE / "google.json").read_text())
KEDA = json.loads((HERE / "keda.json").read_text())
# What a released message's word takes, at most: PARTING_WORDS of host/pipeline/src/run/stream.rs.
PARTING = 5
# What Cloud Run gives an instance that is told to end.
CLOUD_RUN_GRACE = 10
# Of any resource, whatever the provider.
META = {"count", "for_each", "provider", "depends_on", "lifecycle", "dynamic"}
# What main.tf makes of a file *.table.json.
OF_TABLES = {"description", "timePartitioning", "clustering", "labels"}
OF_PARTITIONS = {"type", "field", "expirationMs"}

found = []


def wanted(what, fine):
    if not fine:
        found.append(what)


# --- The chart


def render(chart, kind, **values):
    """The chart's objects, with one way of autoscaling."""
    values = {"autoscaling": {"kind": kind}, **values}
    chart.validate_schema(values)
    files = chart.render(values, name="clickmill", namespace="clickmill")
    return "---\n".join(text.strip() + "\n" for _, text in sorted(files.items()) if text.strip())


def check_object(thing, where):
    name = f"{where}: {thing.get('kind')}"
    try:
        if thing.get("kind") in KEDA:
            jsonschema.validate(thing, KEDA[thing["kind"]])
        else:
            kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True)
    except (jsonschema.ValidationError, kubernetes_validate.ValidationError) as error:
        wanted(f"{name}: {error.message}", False)


def settings(arguments):
    pairs = zip(arguments, arguments[1:])
    return dict(value.split("=", 1) for flag, value in pairs if flag == "--set")


def check_drain(arguments, grace, where):
    given = settings(arguments)
    wanted(f"{where}: letters go to a disk that goes away", given.get("dead_letter.spool") == "off")
    drain = int(given.get("source.max_drain_secs", 1 << 30)) + PARTING
    wanted(f"{where}: a drain takes up to {drain} s, the grace period is {grace} s", drain < grace)


def check_chart(folder, write):
    path = folder / "helm/clickmill"
    for said in helm.lint(path, strict=True)["messages"]:
        # From warnings on.
        wanted(f"{said['path']}: {said['error']}", said["severity"] < 2)
    chart = helm.Chart.load(path)
    scalers = {"hpa": ["HorizontalPodAutoscaler"], "keda": ["ScaledObject"], "none": []}
    for kind, scaler in scalers.items():
        text = render(chart, kind)
        objects = list(yaml.safe_load_all(text))
        for thing in objects:
            check_object(thing, f"autoscaling {kind}")
        kinds = [thing["kind"] for thing in objects]
        both = [kind for kind in kinds if kind in ("HorizontalPodAutoscaler", "ScaledObject")]
        wanted(f"autoscaling {kind}: scaled by {both}", both == scaler)
        wanted(f"autoscaling {kind}: no disruption budget", "PodDisruptionBudget" in kinds)
        if scaler:
            plain = folder / f"kubernetes/{kind}.yaml"
            text = f"# Rendered of ../helm/clickmill by ../check/check.py --write.\n---\n{text}"
            if write:
                plain.write_text(text)
            wanted(f"{plain.name} is not what the chart says: --write", plain.read_text() == text)
    for drain in (1, 45, 3600):
        check_pod(next(o for o in yaml.safe_load_all(render(chart, "hpa", drainSeconds=drain)) if o["kind"] == "Deployment"))
    files = {"pipelineFiles": {"p.toml": "name = \"p\""}, "settings": ["source.streams=8"], "fleet": "gs://lake/fleets/", "env": [{"name": "A", "value": "b"}]}
    for thing in yaml.safe_load_all(render(chart, "hpa", **files)):
        check_object(thing, "a pipeline of one's own")
    for values in (
        {"autoscaling": {"kind": "both"}},
        {"autoscaling": {"kind": "hpa", "keda": True}},
        {"replicas": "two"},
    ):
        try:
            chart.validate_schema(values)
            wanted(f"the chart takes {values}", False)
        except helm.HelmValuesError:
            pass
    spool, drain, probes = "a disk that goes away", "`drainSeconds` says", "the probes ask"
    for values, told in (
        ({"settings": ["dead_letter.spool=/spool"]}, spool),
        # As the executable reads keys: without blanks around them.
        ({"settings": ["source.streams=8", " dead_letter.spool=/spool"]}, spool),
        ({"settings": ["\tdead_letter.spool\u00a0 = /spool"]}, spool),
        ({"settings": ['dead_letter={ table = "a.dead" }']}, "set its other keys one by one"),
        ({"settings": ["source.max_drain_secs=600"]}, drain),
        ({"settings": ["source.max_drain_secs =600"]}, drain),
        ({"settings": [' source = { kind = "pubsub" }']}, drain),
        # Another kind drops the keys of the one before.
        ({"settings": ["source.kind=generator"]}, drain),
        ({"settings": ["admin.listen=off"]}, probes),
        ({"settings": ["admin.listen = 0.0.0.0:8080"]}, probes),
        ({"settings": ["admin={}"]}, probes),
        ({"settings": ["swap.fleet=/fleets"], "fleet": "gs://lake/fleets/"}, "`fleet` says it"),
        ({"settings": ["swap={}"], "fleet": "gs://lake/fleets/"}, "`fleet` says it"),
        ({"autoscaling": {"kind": "hpa", "minReplicas": 30, "maxReplicas": 5}}, "minReplicas is 30, and maxReplicas 5"),
        ({"autoscaling": {"kind": "keda", "minReplicas": 21}}, "minReplicas is 21, and maxReplicas 20"),
        ({"autoscaling": {"maxReplicas": 1}}, "minReplicas is 2, and maxReplicas 1"),
    ):
        try:
            render(chart, "hpa", **values)
            wanted(f"the chart takes {values}", False)
        except helm.HelmError as error:
            wanted(f"the chart refuses {values} with {error}", told in str(error))
    for values in (
        {"settings": ["dead_letter.table=a.dead", "dead_letter.spool_max_wait_secs=9", "source.streams=8", "admin.hosts=[]"]},
        {"settings": ["swap.fleet=gs://lake/fleets/"]},
        {"settings": ["plugin.mask.config.source=dead_letter.spool=/spool"]},
        {"autoscaling": {"kind": "hpa", "minReplicas": 5, "maxReplicas": 5}},
        {"autoscaling": {"kind": "none", "maxReplicas": 1}},
    ):
        render(chart, "hpa", **values)


def check_pod(deployment):
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    check_drain(container["args"], pod["terminationGracePeriodSeconds"], "Deployment")
    cache = next(variable["value"] for variable in container["env"] if variable["name"] == "CLICKMILL_CACHE")
    wanted(f"Deployment: others may write to {cache}", cache.startswith("/dev/shm/"))
    may = container["securityContext"]
    wanted("Deployment: the root is written to", may["readOnlyRootFilesystem"])
    wanted("Deployment: it may become root", pod["securityContext"]["runAsNonRoot"] and not may["allowPrivilegeEscalation"])
    probes = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    # What is away is no reason to begin anew.
    wanted(f"Deployment: {probes}", list(probes.values()) == ["/healthz", "/healthz", "/readyz"])
    rolling = deployment["spec"]["strategy"]["rollingUpdate"]
    wanted("Deployment: an update takes replicas away first", rolling["maxUnavailable"] == 0)


def check_job(path):
    (job,) = yaml.safe_load_all(path.read_text())
    check_object(job, path.name)
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    container = pod["containers"][0]
    wanted(f"{path.name}: pods do each other's work", "source.claim_lease_secs" in settings(container["args"]))
    wanted(f"{path.name}: a pod that ends early leaves work", spec["completions"] == spec["parallelism"])
    first = spec["podFailurePolicy"]["rules"][0]
    moved = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    wanted(f"{path.name}: a pod that is moved counts as a try", first == moved)
    may = container["securityContext"]
    wanted(f"{path.name}: the root is written to", may["readOnlyRootFilesystem"])
    wanted(f"{path.name}: it may become root", pod["securityContext"]["runAsNonRoot"] and not may["allowPrivilegeEscalation"])


# --- Terraform


def plain(value):
    """What is parsed, without the parser's own marks."""
    if isinstance(value, dict):
        return {plain(key): plain(of) for key, of in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(of) for of in value]
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def blocks(folder):
    """Kind, type, name and body of each block; `locals` and `terraform` have no type, and so no name."""
    for path in sorted(folder.glob("*.tf")):
        with path.open() as file:
            parsed = plain(hcl2.load(file))
        for kind, of_kind in parsed.items():
            for block in of_kind:
                if kind in ("resource", "data"):
                    for type_, of_type in block.items():
                        for name, body in of_type.items():
                            yield kind, type_, name, body
                elif kind in ("variable", "module", "provider", "output"):
                    for name, body in block.items():
                        yield kind, "", name, body
                else:
                    yield kind, "", "", block


def arguments(body, path=""):
    """The names of all arguments, those in blocks by their paths."""
    for key, value in body.items():
        at = f"{path}{key}"
        if not path and key in META:
            continue
        yield at
        for inner in value if isinstance(value, list) else []:
            if isinstance(inner, dict):
                yield from arguments(inner, f"{at}.")
    for block in body.get("dynamic", []):
        for name, of in block.items():
            yield name
            for content in of["content"]:
                yield from arguments(content, f"{name}.")


def check_module(folder):
    made = list(blocks(folder))
    there = {"path.module", "each.key", "each.value"}
    for kind, type_, name, body in made:
        prefix = {"resource": f"{type_}.", "data": f"data.{type_}.", "variable": "var.", "module": "module."}
        if kind in prefix:
            there.add(prefix[kind] + name)
        if kind == "locals":
            there.update(f"local.{key}" for key in body)
        if kind in ("resource", "data"):
            known = ARGUMENTS.get(f"data.{type_}" if kind == "data" else type_)
            wanted(f"{folder.name}: {type_} is not in google.json", known is not None)
            for argument in arguments(body):
                wanted(f"{folder.name}: {type_}.{name} has no argument {argument}", argument in (known or [argument]))
    reference = re.compile(r"(?<![\w.])((?:var|local|module|each|path)\.\w+|data\.google_\w+\.\w+|google_\w+\.\w+)")
    for path in sorted(folder.glob("*.tf")):
        # Comments and SQL name other things.
        text = re.sub(r"<<-SQL.*?\n\s*SQL\n|^\s*#[^\n]*$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        for name in reference.findall(text):
            wanted(f"{path.name}: nothing is called {name}", name in there)
    return made


def check_terraform(folder):
    made = check_module(folder / "terraform")
    roles = check_module(folder / "terraform/roles")
    body = {(kind, type_, name): of for kind, type_, name, of in made}
    wanted_by_module = {name for kind, _, name, of in roles if kind == "variable"}
    for name, of in ((name, of) for kind, _, name, of in made if kind == "module"):
        given = set(of) - {"source", "depends_on"}
        wanted(f"module {name} has no variables {given - wanted_by_module}", given <= wanted_by_module)
    # Roles are on what is made here.
    names = {"subscription": {body["resource", "google_pubsub_subscription", "clicks"]["name"]}}
    dataset = body["resource", "google_bigquery_dataset", "clicks"]["dataset_id"]
    names["dataset_id"] = {dataset, f"{dataset}_masked"}
    names["table_id"] = set(tables(made))
    for kind, type_, name, of in roles:
        for key in names.keys() & of.keys() if kind == "resource" else ():
            if not of[key].startswith("${"):
                wanted(f"roles/main.tf: {type_}.{name} is on {of[key]}, which nobody makes", of[key] in names[key])
    schemas = HERE.parents[2] / "schemas"
    for table in tables(made):
        described = json.loads((schemas / f"{table}.table.json").read_text())
        wanted(f"{table}.table.json has more than main.tf takes", {"description", "clustering"} <= described.keys() <= OF_TABLES)
        wanted(f"{table}.table.json is partitioned otherwise", described.get("timePartitioning", {}).keys() <= OF_PARTITIONS)
        columns = json.loads((schemas / f"{table}.json").read_text())
        nested = [column["name"] for column in columns if "policyTags" in json.dumps(column.get("fields", []))]
        wanted(f"{table}.json has policy tags in {nested}, where main.tf does not look", not nested)
    pool = body["resource", "google_cloud_run_v2_worker_pool", "clicks"]["template"][0]
    check_drain(pool["containers"][0]["args"], CLOUD_RUN_GRACE, "worker pool")
    for variable in pool["containers"][0]["env"]:
        for source in variable.get("value_source", []):
            version = source["secret_key_ref"][0]["version"]
            # Instances that start later would have another.
            wanted(f"worker pool: {variable['name']} is of version {version}", version != "latest")


def tables(made):
    text = next(of["tables"] for kind, _, _, of in made if kind == "locals")
    return sorted(re.findall(r'"(\w+)"', text))


# --- The container recipe


def check_recipe(folder):
    text = re.sub(r"\\\n", " ", (folder / "Containerfile").read_text())
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    # Before all stages: images, which `--build-arg` names by their digests.
    images = dict(rest.split("=", 1) for word, rest in lines if word == "ARG")
    lines = [(word, rest) for word, rest in lines if word != "ARG"]
    stages, last = [], []
    for word, rest in lines:
        if word == "FROM":
            named, *as_name = rest.split(" AS ")
            wanted(f"Containerfile: {named} is not of an ARG", named[2:-1] in images)
            rest = image = images.get(named[2:-1], named)
            wanted(f"Containerfile: {image} has no tag", ":" in image.rsplit("/", 1)[-1])
            stages.append(as_name[0] if as_name else "")
            last = []
        wanted(f"Containerfile: {word} is no instruction that is wanted", word in {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "STOPSIGNAL", "ENTRYPOINT", "CMD"})
        for stage in re.findall(r"--from=(\S+)", rest):
            wanted(f"Containerfile: no stage is called {stage}", stage in stages[:-1])
        last.append((word, rest))
    given = dict(last)
    wanted("Containerfile: the image is not distroless", given["FROM"].startswith("gcr.io/distroless/cc-debian12:nonroot"))
    wanted("Containerfile: it runs as root", re.fullmatch(r"[1-9]\d*:[1-9]\d*", given.get("USER", "")))
    wanted("Containerfile: something is run where there is no shell", "RUN" not in given)
    for word in ("ENTRYPOINT", "CMD"):
        wanted(f"Containerfile: {word} wants a shell", isinstance(json.loads(given[word]), list))
    for script in re.findall(r"(?<=RUN )\.ci/\w+", text):
        wanted(f"Containerfile: {script} is not there", (HERE.parents[2] / script).is_file())


def main(arguments):
    write = "--write" in arguments
    folders = [argument for argument in arguments if not argument.startswith("--")]
    folder = pathlib.Path(folders[0]) if folders else HERE.parent
    check_chart(folder, write)
    check_job(folder / "kubernetes/job.yaml")
    check_terraform(folder)
    check_recipe(folder)
    print("\n".join(found) or "fine")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
