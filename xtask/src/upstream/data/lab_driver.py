"""Cluster drivers that make nothing.

Upstream's API and conductor do all they do around a driver; no cloud is touched. A cluster stays where its conductor put it
(CREATE_IN_PROGRESS, UPDATE_IN_PROGRESS); what is deleted is gone with the next periodic look at its cluster.
"""

from magnum.common import exception
from magnum.drivers.common import driver
from magnum.objects import fields


class Driver(driver.Driver):
    """Can do everything there is."""

    provides = [{"server_type": "vm", "os": "fedora-coreos", "coe": "kubernetes"}]

    def create_cluster(self, context, cluster, cluster_create_timeout):
        """Nothing to make."""

    def update_cluster_status(self, context, cluster, use_admin_ctx=False):
        for nodegroup in cluster.nodegroups:
            if nodegroup.status == fields.ClusterStatus.DELETE_IN_PROGRESS:
                nodegroup.destroy()
        if cluster.status == fields.ClusterStatus.DELETE_IN_PROGRESS:
            cluster.status = fields.ClusterStatus.DELETE_COMPLETE
            cluster.save()

    def update_cluster(self, context, cluster, scale_manager=None, rollback=False):
        """Nothing to change."""

    def upgrade_cluster(self, context, cluster, cluster_template, max_batch_size, nodegroup, scale_manager=None, rollback=False):
        """Nothing to change."""

    def delete_cluster(self, context, cluster):
        """Nothing to delete."""

    def resize_cluster(self, context, cluster, resize_manager, node_count, nodes_to_remove, nodegroup=None):
        """Nothing to change."""

    def validate_master_resize(self, node_count):
        if node_count % 2 == 0 or node_count < 1:
            raise exception.MasterNGSizeInvalid(requested_size=node_count)

    def create_nodegroup(self, context, cluster, nodegroup):
        """Nothing to make."""

    def update_nodegroup(self, context, cluster, nodegroup):
        nodegroup.save()

    def delete_nodegroup(self, context, cluster, nodegroup):
        nodegroup.status = fields.ClusterStatus.DELETE_IN_PROGRESS
        nodegroup.save()

    def rotate_ca_certificate(self, context, cluster):
        """Nobody has the old one."""

    def rotate_credential(self, context, cluster):
        """Nobody has the old one."""

    def create_federation(self, context, federation):
        raise exception.NotSupported("create_federation")

    def update_federation(self, context, federation):
        raise exception.NotSupported("update_federation")

    def delete_federation(self, context, federation):
        raise exception.NotSupported("delete_federation")


class Simple(Driver):
    """Can do what every driver can, and nothing that is optional."""

    provides = [{"server_type": "vm", "os": "flatcar", "coe": "kubernetes"}]

    validate_master_resize = driver.Driver.validate_master_resize
    rotate_ca_certificate = driver.Driver.rotate_ca_certificate
    rotate_credential = driver.Driver.rotate_credential

    def upgrade_cluster(self, context, cluster, cluster_template, max_batch_size, nodegroup, scale_manager=None, rollback=False):
        raise exception.NotSupported("'upgrade_cluster' is not supported by this driver.")


class Finishing(Driver):
    """What it is asked for is there at once."""

    provides = [{"server_type": "vm", "os": "ubuntu", "coe": "kubernetes"}]

    def create_cluster(self, context, cluster, cluster_create_timeout):
        for nodegroup in cluster.nodegroups:
            nodegroup.status = fields.ClusterStatus.CREATE_COMPLETE
            nodegroup.save()
        cluster.status = fields.ClusterStatus.CREATE_COMPLETE
        cluster.api_address = "https://192.0.2.10:6443"

    def create_nodegroup(self, context, cluster, nodegroup):
        nodegroup.status = fields.ClusterStatus.CREATE_COMPLETE
        cluster.status = fields.ClusterStatus.UPDATE_COMPLETE
        cluster.save()
