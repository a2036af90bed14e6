"""Makes what cloud.yaml says in one service of the lab, and writes down what it is called there. May be run again.

usage: seed.py SECTION CONTEXT TABLE RESULT
"""

import json
import sys

import openstack
import yaml

INTERFACES = ("public", "internal", "admin")


class Seed:
    def __init__(self, context, table):
        self.context = context
        self.table = table
        self.region = table["region"]
        self._projects = None

    def connect(self, user, project):
        return openstack.connect(
            auth_url=self.context["keystone"],
            username=user,
            password=self.context["password"],
            project_name=project,
            user_domain_id="default",
            project_domain_id="default",
            region_name=self.region,
            identity_api_version="3",
        )

    @property
    def admin(self):
        if not hasattr(self, "_admin"):
            self._admin = self.connect("admin", "admin")
        return self._admin

    def project(self, name):
        if self._projects is None:
            self._projects = {p.name: p.id for p in self.admin.identity.projects()}
        return self._projects[name]

    def identity(self):
        identity = self.admin.identity
        domains = {d.name: d.id for d in identity.domains()}
        for name in self.table["domains"]:
            domains.setdefault(name, None)
            domains[name] = domains[name] or identity.create_domain(name=name).id
        projects = {p.name: p.id for p in identity.projects()}
        for name in self.table["projects"]:
            if name not in projects:
                projects[name] = identity.create_project(name=name, domain_id="default").id
        roles = {r.name: r for r in identity.roles()}
        for name in [*self.table["roles"], "service"]:
            if name not in roles:
                roles[name] = identity.create_role(name=name)
        users = self._users(identity, domains, projects, roles)
        self._endpoints(identity)
        self._clouds()
        return {
            "domains": domains,
            "projects": projects,
            "roles": {name: role.id for name, role in roles.items()},
            "users": users,
            "application_credentials": self._application_credentials(),
        }

    def _users(self, identity, domains, projects, roles):
        facts = {}
        for row in self.table["users"]:
            domain = domains[row["domain"]] if "domain" in row else "default"
            user = identity.find_user(row["name"], domain_id=domain) or identity.create_user(
                name=row["name"], domain_id=domain, password=self.context["password"], is_enabled=row.get("enabled", True)
            )
            for kind, where, role in row["grants"]:
                if kind == "project":
                    identity.put(f"/projects/{projects[where]}/users/{user.id}/roles/{roles[role].id}")
                else:
                    identity.put(f"/domains/{domains[where]}/users/{user.id}/roles/{roles[role].id}")
            facts[row["name"]] = {
                "id": user.id,
                "domain_id": domain,
                "password": self.context["password"],
                "grants": row["grants"],
            }
        return facts

    def _endpoints(self, identity):
        services = {s.type: s for s in identity.services()}
        for row in self.table["endpoints"]:
            service = services.get(row["type"]) or identity.create_service(name=row["name"], type=row["type"])
            url = f"http://127.0.0.1:{self.context['ports'][row['port']]}{row['path']}"
            have = {e.interface for e in identity.endpoints(service_id=service.id)}
            for interface in INTERFACES:
                if interface not in have:
                    identity.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=self.region)

    def _clouds(self):
        """Writes clouds.yaml, for the usual clients."""
        clouds = {}
        for name, (user, project) in self.table["clouds"].items():
            clouds[name] = {
                "auth": {
                    "auth_url": self.context["keystone"],
                    "username": user,
                    "password": self.context["password"],
                    "project_name": project,
                    "user_domain_id": "default",
                    "project_domain_id": "default",
                },
                "region_name": self.region,
                "identity_api_version": 3,
            }
        with open(self.context["clouds"], "w") as file:
            yaml.safe_dump({"clouds": clouds}, file, sort_keys=False)

    def _application_credentials(self):
        facts = []
        for row in self.table["application_credentials"]:
            own = self.connect(row["user"], row["project"])
            user = own.current_user_id
            have = own.identity.find_application_credential(user, row["name"])
            if not have:
                wanted = {
                    "name": row["name"],
                    "secret": self.context["password"],
                    "roles": [{"name": role} for role in row["roles"]],
                }
                if "access" in row:
                    wanted["access_rules"] = row["access"]
                have = own.identity.create_application_credential(user, **wanted)
            facts.append({**row, "id": have.id, "secret": self.context["password"]})
        return facts

    def images(self):
        image = self.admin.image
        have = {i["id"] for i in checked(image.get("/images?limit=1000"))["images"]}
        for row in self.table["images"]:
            if row["id"] in have:
                continue
            checked(
                image.post(
                    "/images",
                    json={
                        "id": row["id"],
                        "name": row["name"],
                        "owner": self.project(row["project"]),
                        "visibility": row["visibility"],
                        "disk_format": "raw",
                        "container_format": "bare",
                        **row["properties"],
                    },
                )
            )
            content = {"Content-Type": "application/octet-stream"}
            checked(image.put(f"/images/{row['id']}/file", data=b"lab", headers=content))
        return {"images": self.table["images"]}

    def compute(self):
        compute = self.admin.compute
        have = {f["id"] for f in checked(compute.get("/flavors?is_public=None"))["flavors"]}
        for row in self.table["flavors"]:
            if row["id"] not in have:
                checked(compute.post("/flavors", json={"flavor": row}))
        projects = {user: project for user, project in self.table["clouds"].values()}
        for row in self.table["keypairs"]:
            own = self.connect(row["user"], projects[row["user"]]).compute
            names = {k["keypair"]["name"] for k in checked(own.get("/os-keypairs"))["keypairs"]}
            if row["name"] not in names:
                wanted = {"name": row["name"], "public_key": row["public_key"]}
                checked(own.post("/os-keypairs", json={"keypair": wanted}))
        return {"flavors": self.table["flavors"], "keypairs": self.table["keypairs"]}

    def network(self):
        network = self.admin.network
        have = list(network.networks())
        networks = []
        for row in self.table["networks"]:
            project = self.project(row["project"])
            found = next((n for n in have if n.name == row["name"] and n.project_id == project), None)
            if found:
                have.remove(found)
            else:
                wanted = {"name": row["name"], "project_id": project, "is_shared": row.get("shared", False)}
                if row.get("external"):
                    wanted["is_router_external"] = True
                    wanted["provider_network_type"] = "flat"
                    wanted["provider_physical_network"] = row["physical_network"]
                found = network.create_network(**wanted)
            networks.append({**row, "id": found.id})
        subnets = []
        there = {s.name: s for s in network.subnets()}
        for row in self.table["subnets"]:
            parent = next(n["id"] for n in networks if n["name"] == row["network"])
            found = there.get(row["name"]) or network.create_subnet(
                name=row["name"],
                network_id=parent,
                project_id=self.project(row["project"]),
                ip_version=4,
                cidr=row["cidr"],
                is_dhcp_enabled=row.get("dhcp", True),
            )
            subnets.append({**row, "id": found.id, "network_id": parent})
        return {"networks": networks, "subnets": subnets}


def checked(answer):
    if answer.status_code >= 400:
        sys.exit(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
    return answer.json() if answer.text else None


def main():
    section, context, table, result = sys.argv[1:]
    with open(context) as file:
        context = json.load(file)
    with open(table) as file:
        table = yaml.safe_load(file)
    facts = getattr(Seed(context, table), section)()
    with open(result, "w") as file:
        json.dump(facts, file, indent=1)


if __name__ == "__main__":
    main()
