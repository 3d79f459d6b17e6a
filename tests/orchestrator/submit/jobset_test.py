"""Reads a JobSet from stdin and checks what Kubernetes would check of its structure, and the exit codes."""

import re
import sys

import yaml

NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


def check_pod(template, kind):
    pod = template["spec"]
    assert pod["restartPolicy"] == "Never", kind
    (container,) = pod["containers"]
    assert container["name"] == "fulgur" and container["image"] == "registry/fulgur:1", kind
    assert all(isinstance(word, str) for word in container["command"]), kind
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        assert mount["name"] in volumes, mount
    assert volumes["secret"]["secret"]["defaultMode"] == 0o400, "others could read the secret"
    variables = {each["name"]: each for each in container["env"]}
    assert len(variables) == len(container["env"]), "a variable stands twice"
    return container, variables


def main():
    manifest = yaml.safe_load(sys.stdin)
    assert manifest["apiVersion"] == "jobset.x-k8s.io/v1alpha2" and manifest["kind"] == "JobSet"
    name = manifest["metadata"]["name"]
    assert NAME.match(name), name
    spec = manifest["spec"]
    jobs = {job["name"]: job for job in spec["replicatedJobs"]}
    assert set(jobs) == {"coordinator", "node"}
    assert spec["successPolicy"]["targetReplicatedJobs"] == ["coordinator"]
    assert spec["failurePolicy"]["maxRestarts"] == 7
    for kind, job in jobs.items():
        inner = job["template"]["spec"]
        assert inner["completions"] == inner["parallelism"] == {"coordinator": 1, "node": 3}[kind]
        assert inner["completionMode"] == "Indexed" and inner["backoffLimit"] == 0
        container, variables = check_pod(inner["template"], kind)
        address = variables["FULGUR_COORDINATOR_ADDRESS"]["value"]
        assert address == f"{name}-coordinator-0-0.{name}", address
        assert variables["FULGUR_NODES"]["value"] == "3"
        assert ("FULGUR_NODE" in variables) == (kind == "node")
        assert ("resources" in container) == (kind == "node")
    policy = jobs["coordinator"]["template"]["spec"]["podFailurePolicy"]["rules"]
    (rule,) = policy
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {
        "containerName": "fulgur", "operator": "In", "values": [2, 65, 73, 77, 78, 93]}
    (restart,) = spec["failurePolicy"]["rules"]
    assert restart["action"] == "FailJobSet"
    assert restart["onJobFailureReasons"] == ["PodFailurePolicy"]
    command = jobs["coordinator"]["template"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command == ["fulgur", "train", "my \"r\".yaml", "cluster.kind=kubernetes"], command


main()
