"""Makes sure that everybody of people.yaml is there in a lab's Keystone, and says who is who.

usage: people.py PEOPLE LAB RESULT

RESULT: tokens by name, and pairs of identifiers: the one in the data, the one in this lab.
"""

import json
import sys

import openstack
import yaml
from keystoneauth1 import session
from keystoneauth1.identity import v3


def main():
    with open(sys.argv[1]) as file:
        data = yaml.safe_load(file)
    with open(sys.argv[2]) as file:
        lab = json.load(file)
    identity = openstack.connect(
        auth_url=lab["keystone"], username="admin", password=lab["password"], project_name="admin",
        user_domain_id="default", project_domain_id="default", region_name=lab["region"], identity_api_version="3",
    ).identity
    projects = {project.name: project.id for project in identity.projects()}
    users = {user.name: user.id for user in identity.users() if user.domain_id == "default"}
    roles = {role.name: role.id for role in identity.roles()}
    pairs = []
    for name, ours in data["projects"].items():
        if name not in projects:
            projects[name] = identity.create_project(name=name, domain_id="default").id
        pairs.append([ours, projects[name]])
    tokens = {}
    for person in data["people"]:
        name = person["name"]
        if name not in users:
            users[name] = identity.create_user(name=name, domain_id="default", password=lab["password"]).id
            # The strongest; the others are implied.
            role, project = person["roles"][0], projects[person["project"]]
            identity.put(f"/projects/{project}/users/{users[name]}/roles/{roles[role]}")
        pairs.append([person["user_id"], users[name]])
        auth = v3.Password(
            lab["keystone"], username=name, password=lab["password"], user_domain_id="default",
            project_id=projects[person["project"]],
        )
        tokens[name] = auth.get_token(session.Session())
    for kind in ("networks", "subnets"):
        pairs += [[ours, row["id"]] for ours, row in zip(data[kind], lab.get(kind, []))]
    with open(sys.argv[3], "w") as file:
        json.dump({"tokens": tokens, "identifiers": pairs}, file, indent=1)


if __name__ == "__main__":
    main()
