//! What is asked at each place of the walk-through besides what it says itself: between them, every command of the client.

use Expected::{Refused, Says, Until};

/// A command of the client.
#[derive(Debug)]
pub(crate) struct Also {
    /// The cloud of `clouds.yaml`.
    pub(crate) cloud: &'static str,
    /// Arguments of `openstack`; `{project}` is the tenant's project.
    pub(crate) run: &'static str,
    pub(crate) expected: Expected,
}

/// What must come of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// It is done, and its output has these words.
    Says(&'static str),
    /// It fails, and says these words.
    Refused(&'static str),
    /// It is asked again until its output has these words.
    Until(&'static str),
}

const fn demo(run: &'static str, expected: Expected) -> Also {
    Also { cloud: "demo", run, expected }
}

const fn admin(run: &'static str, expected: Expected) -> Also {
    Also { cloud: "admin", run, expected }
}

/// The administrator, where the other services are.
const fn cloud(run: &'static str, expected: Expected) -> Also {
    Also { cloud: "cloud", run, expected }
}

/// The commands of this name.
pub(crate) fn named(name: &str) -> Option<&'static [Also]> {
    match name {
        "before" => Some(BEFORE),
        "here" => Some(HERE),
        "after" => Some(AFTER),
        "end" => Some(END),
        _ => None,
    }
}

/// What upstream makes.
const BEFORE: &[Also] = &[
    demo(
        "coe cluster template create kubernetes --coe kubernetes --image ubuntu --external-network public \
         --flavor m1.small --master-flavor m1.small --network-driver flannel --docker-volume-size 5 \
         --labels availability_zone=one --floating-ip-disabled --driver lab_ubuntu",
        Says("accepted"),
    ),
    demo(
        "coe cluster template create spare --coe kubernetes --image ubuntu --external-network public --flavor m1.small \
         --master-flavor m1.small --driver lab_ubuntu",
        Says("accepted"),
    ),
    demo(
        "coe cluster create web --cluster-template kubernetes --node-count 2 --labels kube_tag=v1.29.0 --merge-labels \
         --timeout 30",
        Says("accepted"),
    ),
    demo("coe cluster show web", Until("CREATE_COMPLETE")),
    demo("coe nodegroup create web batch --node-count 1 --min-nodes 1 --max-nodes 3 --role batch", Says("accepted")),
    demo("coe nodegroup show web batch", Until("CREATE_COMPLETE")),
    demo("coe cluster list", Until("_COMPLETE")),
    demo("coe ca sign web client.csr", Says("BEGIN CERTIFICATE")),
    admin("coe quotas create --project-id {project} --resource Cluster --hard-limit 5", Says("hard_limit")),
];

/// Of what upstream has made: all that needs no driver works, what needs one is refused, and nothing is lost by it.
/// Then a cluster of our own, in upstream's database; it has to be gone before upstream is back.
const HERE: &[Also] = &[
    demo("coe cluster template list", Says("spare")),
    demo("coe cluster template show kubernetes", Says("flannel")),
    demo("coe cluster template update spare --docker-volume-size 7", Says("7")),
    demo(
        "coe cluster template create more --coe kubernetes --image ubuntu --external-network public",
        Refused("not supported"),
    ),
    cloud(
        "image create made-here --public --property os_distro=local --disk-format raw --container-format bare",
        Says("made-here"),
    ),
    demo(
        "coe cluster template create made-here --coe swarm-mode --image made-here --external-network public \
         --flavor m1.small --master-flavor m1.small --network-driver docker --labels availability_zone=two",
        Says("accepted"),
    ),
    demo(
        "coe cluster template create here-and-gone --coe swarm-mode --image made-here --external-network public \
         --flavor m1.small --master-flavor m1.small",
        Says("accepted"),
    ),
    demo("coe cluster template delete here-and-gone", Says("accepted")),
    demo("coe cluster show web", Says("kube_tag")),
    demo("coe nodegroup list web", Says("batch")),
    demo("coe nodegroup show web batch", Says("COMPLETE")),
    demo("coe ca show web", Says("BEGIN CERTIFICATE")),
    demo("coe ca sign web client.csr", Says("BEGIN CERTIFICATE")),
    demo("coe cluster config web --dir . --output-certs --use-certificate", Says("KUBECONFIG")),
    demo("coe cluster create more --cluster-template kubernetes", Refused("(HTTP 4")),
    demo("coe cluster update web --node-count 5", Refused("(HTTP 4")),
    demo("coe cluster resize web 5", Refused("(HTTP 4")),
    demo("coe cluster upgrade web spare", Refused("(HTTP 4")),
    demo("coe cluster delete web", Refused("(HTTP 4")),
    demo("coe nodegroup create web more --node-count 1", Refused("(HTTP 4")),
    demo("coe nodegroup update web batch --max-nodes 4", Refused("(HTTP 4")),
    demo("coe nodegroup delete web batch", Refused("(HTTP 4")),
    demo("coe ca rotate web", Refused("(HTTP 4")),
    demo("coe credential rotate web", Says("not supported by driver")),
    admin("coe quotas list --all-tenants", Says("{project}")),
    admin("coe quotas show --project-id {project} --resource Cluster", Says("| 5")),
    admin("coe quotas update --project-id {project} --resource Cluster --hard-limit 9", Says("| 9")),
    admin("coe quotas create --project-id {project} --resource Cluster --hard-limit 9", Says("already exists")),
    demo("coe stats list {project}", Says("clusters")),
    admin("coe service list", Says("magnum-conductor")),
    demo("coe cluster create ours --cluster-template made-here --node-count 1", Says("accepted")),
    demo("coe cluster show ours", Until("CREATE_COMPLETE")),
    demo("coe ca sign ours client.csr", Says("BEGIN CERTIFICATE")),
    demo("coe cluster delete ours", Says("accepted")),
    demo("coe cluster show ours", Until("could not be found")),
    demo("coe cluster template delete made-here", Says("accepted")),
    cloud("image delete made-here", Says("")),
];

/// What was made here, as upstream sees it.
const AFTER: &[Also] = &[
    demo("coe cluster template show spare", Says("| 7")),
    demo("coe cluster template update spare --docker-volume-size 9", Says("| 9")),
    demo("coe cluster show web", Says("kube_tag")),
    demo("coe ca show web", Says("BEGIN CERTIFICATE")),
    demo("coe ca sign web client.csr", Says("BEGIN CERTIFICATE")),
    admin("coe quotas show --project-id {project} --resource Cluster", Says("| 9")),
    admin("coe quotas delete --project-id {project} --resource Cluster", Says("accepted")),
    demo("coe cluster resize web 3", Says("accepted")),
    demo("coe nodegroup show web default-worker", Until("| 3")),
];

/// And here once more.
const END: &[Also] = &[
    demo("coe cluster show web", Says("| 4")),
    demo("coe cluster template show spare", Says("| 9")),
    demo("coe cluster template delete spare", Says("accepted")),
];
