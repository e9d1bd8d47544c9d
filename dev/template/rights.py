"""Looks at what the templates of docs/aws/ give away, without deploying them.

    python dev/template/rights.py ROOT

Every right has an exact action and a resource of ours, but for those that AWS cannot bind to one; only services take
the roles; every route wants a token; and every header by which the service knows a caller is set by the gateway, or
taken off. Exit code 1 and a line for each thing that is wrong.
"""

import pathlib
import re
import sys

from cfnlint.decode import decode

# What AWS cannot bind to a resource: its service authorization reference lists none for these, or Lambda wants
# them for all.
UNBOUND = {
    "lambda:ListEventSourceMappings",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}

# The domain is not of this template; what lies in it has no name of its own beside its index.
DOMAIN = {"Fn::Sub": "${DomainArn}/*"}

# Where the service says by which headers it knows a caller.
GATEWAY = "api/src/identity/gateway.rs"


def listed(value):
    """A value that may stand alone for a list of one."""
    return value if isinstance(value, list) else [value]


def read(path):
    """A template's resources."""
    template, faults = decode(str(path))
    if faults:
        raise SystemExit(f"{path}: {faults[0].message}")
    return template["Resources"]


def statements(resource):
    """What a role or a policy says, of whatever condition."""
    properties = resource["Properties"]
    for policy in properties.get("Policies", [{"PolicyDocument": properties.get("PolicyDocument")}]):
        policy = policy["Fn::If"][1] if "Fn::If" in policy else policy
        yield from policy["PolicyDocument"]["Statement"]


def is_ours(resource, found):
    """Whether a right's resource is one thing that this template makes, or the domain."""
    if resource == DOMAIN:
        return True
    return isinstance(resource, dict) and resource.get("Fn::GetAtt", [None])[0] in found


def wrong_rights(name, found):
    """What is too wide in one role or policy."""
    for statement in statements(found[name]):
        if statement["Effect"] == "Deny":
            continue
        actions = listed(statement["Action"])
        for action in actions:
            if "*" in action:
                yield f"{name}: {action} is more than one action"
        for resource in listed(statement["Resource"]):
            if not is_ours(resource, found) and not set(actions) <= UNBOUND:
                yield f"{name}: {', '.join(actions)} on {resource}"


def wrong_trust(name, role):
    """Who may take a role and is no service."""
    for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]:
        principal = statement["Principal"]
        if not isinstance(principal, dict) or set(principal) != {"Service"}:
            yield f"{name}: {principal} may take it"


def wrong_headers(integration, root):
    """Headers that a caller could set himself."""
    names = re.findall(r'HeaderName::from_static\("([^"]+)"\)', (root / GATEWAY).read_text())
    if len(names) < 5:
        yield f"{GATEWAY}: only {len(names)} headers found"
    parameters = {key.lower() for key in integration["Properties"]["RequestParameters"]}
    for name in names:
        if not parameters & {f"overwrite:header.{name}", f"remove:header.{name}"}:
            yield f"Integration: {name} comes from the caller"
    for key, value in integration["Properties"]["RequestParameters"].items():
        if ":header." in key and "claims." in str(value) and "${context" not in str(value):
            yield f"Integration: {key} may stay as the caller sent it when a claim is missing"


def wrong(found, root):
    """Everything that is wrong with one template."""
    for name, resource in found.items():
        kind = resource["Type"]
        if kind in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            yield from wrong_rights(name, found)
        if kind == "AWS::IAM::Role":
            yield from wrong_trust(name, resource)
        if kind == "AWS::ApiGatewayV2::Route" and resource["Properties"].get("AuthorizationType") != "JWT":
            yield f"{name}: asks for no token"
        if kind == "AWS::ApiGatewayV2::Integration":
            yield from wrong_headers(resource, root)


def main():
    """Looks at each template; what is wrong goes to standard error."""
    root = pathlib.Path(sys.argv[1])
    paths = sorted((root / "docs/aws").glob("*.yaml"))
    faults = [f"{path.name}: {fault}" for path in paths for fault in wrong(read(path), root)]
    for fault in faults:
        print(f"    {fault}", file=sys.stderr)
    raise SystemExit(not paths or bool(faults))


main()
