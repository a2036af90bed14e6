//! The network of a cluster: one namespace with a bridge, and one namespace per node with a cable into it. Nothing
//! of it appears among the machine's own interfaces.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::command::run;
use super::error::LocalError;
use super::namespace::Namespace;

/// The bridge in the cluster's namespace.
const BRIDGE: &str = "br0";
/// The node's end of its cable.
const CARD: &str = "eth0";
/// The first node gets this address of the subnet; those below are for the machine's side.
const FIRST_NODE: u32 = 11;

/// The addresses of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses(pub(crate) Ipv4Net);

impl Addresses {
    /// The machine's side: what nodes reach the conductor by, and their default route.
    pub(crate) fn gateway(self) -> Ipv4Addr {
        self.nth(1)
    }

    /// How many nodes there is room for.
    pub(crate) fn capacity(self) -> u32 {
        // The last address of a subnet is its broadcast address.
        (1u64 << (32 - self.0.prefix_len())).saturating_sub(u64::from(FIRST_NODE) + 1).try_into().unwrap_or(u32::MAX)
    }

    /// The lowest node addresses that are not taken.
    pub(crate) fn free(self, taken: &[Ipv4Addr]) -> impl Iterator<Item = Ipv4Addr> + '_ {
        (0..self.capacity()).map(move |index| self.nth(FIRST_NODE + index)).filter(move |free| !taken.contains(free))
    }

    fn nth(self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.0.network()) + index)
    }
}

/// Makes the cluster's namespace with its bridge. What an interrupted attempt left is made anew.
pub(crate) async fn create_cluster(namespace: &Namespace, addresses: Addresses) -> Result<(), LocalError> {
    remove(namespace).await?;
    run("ip", &["netns", "add", namespace.name()], "").await?;
    let commands = format!(
        "link set lo up\n\
         link add {BRIDGE} type bridge forward_delay 0 stp_state 0\n\
         address add {}/{} dev {BRIDGE}\n\
         link set {BRIDGE} up\n",
        addresses.gateway(),
        addresses.0.prefix_len(),
    );
    run("ip", &["-netns", namespace.name(), "-batch", "-"], &commands).await?;
    Ok(())
}

/// Makes a node's namespace and the cable into the bridge. What an interrupted attempt left is made anew.
pub(crate) async fn create_node(
    cluster: &Namespace,
    node: &Namespace,
    address: Ipv4Addr,
    addresses: Addresses,
) -> Result<(), LocalError> {
    remove(node).await?;
    run("ip", &["netns", "add", node.name()], "").await?;
    let cable = cable(address, addresses);
    // Taking the node's namespace away takes both ends with it, but some time later. That there is none is as good.
    let _ = run("ip", &["-netns", cluster.name(), "link", "delete", "dev", &cable], "").await;
    let commands = format!(
        "link add {cable} type veth peer name {CARD} netns {}\n\
         link set {cable} master {BRIDGE} up\n",
        node.name()
    );
    run("ip", &["-netns", cluster.name(), "-batch", "-"], &commands).await?;
    let commands = format!(
        "link set lo up\n\
         address add {address}/{} dev {CARD}\n\
         link set {CARD} up\n\
         route add default via {}\n",
        addresses.0.prefix_len(),
        addresses.gateway(),
    );
    run("ip", &["-netns", node.name(), "-batch", "-"], &commands).await?;
    Ok(())
}

/// Removes a namespace with everything in it. Does nothing when there is none.
pub(crate) async fn remove(namespace: &Namespace) -> Result<(), LocalError> {
    if !namespace.path().exists() {
        return Ok(());
    }
    if namespace.exists() {
        run("ip", &["netns", "delete", namespace.name()], "").await?;
        return Ok(());
    }
    // An interrupted `ip netns add` leaves an empty file, which `ip netns delete` refuses.
    std::fs::remove_file(namespace.path()).map_err(|source| LocalError::io("remove", &namespace.path(), source))
}

/// The bridge's end of a node's cable, called by the node's place in the subnet: at most 15 characters.
fn cable(address: Ipv4Addr, addresses: Addresses) -> String {
    format!("n{}", u32::from(address) - u32::from(addresses.0.network()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn addresses_are_given_from_the_lowest_free_one() {
        let addresses = Addresses("10.77.0.0/24".parse().unwrap());
        assert_eq!(addresses.gateway(), Ipv4Addr::new(10, 77, 0, 1));
        assert_eq!(addresses.capacity(), 244);
        let taken = [Ipv4Addr::new(10, 77, 0, 11), Ipv4Addr::new(10, 77, 0, 13)];
        let free = addresses.free(&taken).take(2).collect::<Vec<_>>();
        assert_eq!(free, [Ipv4Addr::new(10, 77, 0, 12), Ipv4Addr::new(10, 77, 0, 14)]);
        assert_eq!(addresses.free(&[]).last(), Some(Ipv4Addr::new(10, 77, 0, 254)));
        let all = addresses.free(&[]).collect::<Vec<_>>();
        assert_eq!(addresses.free(&all).next(), None);
    }

    #[test]
    fn small_and_large_subnets_have_the_room_they_have() {
        for (subnet, room) in [("10.0.0.0/28", 4), ("10.0.0.0/29", 0), ("10.0.0.0/32", 0), ("10.64.0.0/16", 65524)] {
            assert_eq!(Addresses(subnet.parse().unwrap()).capacity(), room, "{subnet}");
        }
    }

    #[test]
    fn a_cable_has_a_name_that_fits() {
        let addresses = Addresses("10.0.0.0/8".parse().unwrap());
        assert_eq!(cable(Ipv4Addr::new(10, 0, 0, 11), addresses), "n11");
        assert!(cable(Ipv4Addr::new(10, 255, 255, 254), addresses).len() <= 15);
    }
}
