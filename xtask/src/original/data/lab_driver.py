"""A cluster driver that makes nothing.

The original's API and conductor do all they do around a driver; no cloud is touched. A cluster stays where its conductor put it
(CREATE_IN_PROGRESS, UPDATE_IN_PROGRESS), and one that is deleted is gone with the next periodic look at it.
"""

from magnum.common import exception
from magnum.drivers.common import driver
from magnum.objects import fields


class Driver(driver.Driver):
    provides = [{"server_type": "vm", "os": "fedora-coreos", "coe": "kubernetes"}]

    def create_cluster(self, context, cluster, cluster_create_timeout):
        """Nothing to make."""

    def update_cluster_status(self, context, cluster, use_admin_ctx=False):
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

    def create_nodegroup(self, context, cluster, nodegroup):
        """Nothing to make."""

    def update_nodegroup(self, context, cluster, nodegroup):
        nodegroup.save()

    def delete_nodegroup(self, context, cluster, nodegroup):
        nodegroup.destroy()

    def create_federation(self, context, federation):
        raise exception.NotSupported("create_federation")

    def update_federation(self, context, federation):
        raise exception.NotSupported("update_federation")

    def delete_federation(self, context, federation):
        raise exception.NotSupported("delete_federation")
