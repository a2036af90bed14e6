"""What openstacksdk can do with clusters, as its users do it. Ends at the first thing that goes wrong."""

import sys
import warnings

import openstack
from openstack import exceptions

warnings.simplefilter("ignore")
csr = open("client.csr").read()
cloud = openstack.connect()
service = cloud.container_infrastructure_management


def refused(status, action, *arguments, **attributes):
    try:
        action(*arguments, **attributes)
    except exceptions.HttpException as error:
        assert error.status_code == status, error
        return str(error)
    raise AssertionError(f"{action.__name__} was not refused")


template = service.create_cluster_template(
    name="sdk", coe="swarm-mode", image_id="local", external_network_id="public", network_driver="docker",
    labels={"availability_zone": "one"}, is_floating_ip_enabled=False,
)
assert service.get_cluster_template(template.id).labels == {"availability_zone": "one"}
assert service.find_cluster_template("sdk").uuid == template.id
assert service.find_cluster_template("nope") is None
assert "sdk" in [row.name for row in service.cluster_templates()]
assert cloud.get_cluster_template("sdk").coe == "swarm-mode"
assert [row.name for row in cloud.search_cluster_templates("sdk")] == ["sdk"]
service.update_cluster_template(template, docker_volume_size=7)
assert service.get_cluster_template(template.uuid).docker_volume_size == 7

cluster = service.create_cluster(name="sdk", cluster_template_id=template.id, master_count=1, node_count=1)
cluster = service.wait_for_status(cluster, "CREATE_COMPLETE", failures=["CREATE_FAILED"], interval=0.2, wait=120)
assert cluster.api_address.startswith("tcp://"), cluster
assert service.find_cluster("sdk").uuid == cluster.id
assert [row.name for row in service.clusters()].count("sdk") == 1
assert [row.name for row in cloud.list_coe_clusters()].count("sdk") == 1
refused(404, service.get_cluster, "nope")
service.update_cluster(cluster, node_count=2)
cluster = service.wait_for_status(cluster, "UPDATE_COMPLETE", failures=["UPDATE_FAILED"], interval=0.2, wait=120)
assert service.get_cluster(cluster.uuid).node_count == 2
refused(400, service.delete_cluster_template, template)

authority = service.get_cluster_certificate(cluster.id)
assert authority.pem.startswith("-----BEGIN CERTIFICATE-----")
signed = service.create_cluster_certificate(cluster_uuid=cluster.id, csr=csr)
assert signed.pem.startswith("-----BEGIN CERTIFICATE-----")
assert cloud.get_coe_cluster_certificate(cluster.id)
refused(403, lambda: list(service.services()))
assert [row.binary for row in openstack.connect(cloud="admin").list_magnum_services()] == ["magnum-conductor"]

service.delete_cluster(cluster)
service.wait_for_delete(cluster, interval=0.2, wait=120)
service.delete_cluster_template(template)
service.delete_cluster_template("nope", ignore_missing=True)
refused(404, service.delete_cluster, "nope", ignore_missing=False)
sys.stdout.write("done\n")
