//! The table of services: what each is made of, how it is prepared and started, and how one sees that it answers.
//!
//! Words in double braces are filled in by [`super::template`]: `{{dir}}` is the service's own folder, `{{port}}` its
//! own port, `{{port.NAME}}` that of another.

use crate::debian::{Package, Shown, package};

/// A service of the lab, or a piece of work that has to be done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Service {
    Mariadb,
    Memcached,
    Epmd,
    Rabbitmq,
    Keystone,
    /// Domains, projects, users, roles, catalog.
    Identity,
    Placement,
    NovaApiDatabase,
    NovaDatabase,
    Nova,
    /// Where Nova's servers go.
    NovaCells,
    NeutronDatabase,
    Glance,
    Neutron,
    NovaConductor,
    NovaScheduler,
    NovaCompute,
    NeutronAgent,
    /// What `cloud.yaml` says of Glance.
    Images,
    /// What `cloud.yaml` says of Nova.
    Flavors,
    /// What `cloud.yaml` says of Neutron.
    Networks,
}

/// How to see that something answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answers {
    /// It is a piece of work: done when it is prepared.
    Done,
    /// Somebody listens on its port.
    Connection,
    /// This path on its port gives an answer below 400.
    Page(&'static str),
    /// This question to the database gives a line: there is a heartbeat, no more than `{{age}}` seconds old.
    Row(&'static str),
    /// Its log has these words.
    #[cfg_attr(not(test), expect(dead_code, reason = "for tests, whose services listen nowhere"))]
    Log(&'static str),
}

/// One service.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) service: Option<Service>,
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [Package],
    /// The user it runs as; ourselves without.
    pub(crate) user: Option<&'static str>,
    /// What has to answer before it is started.
    pub(crate) needs: &'static [Service],
    /// Its files: name and template.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// Folders that have to be there.
    pub(crate) folders: &'static [&'static str],
    /// Key repositories: folders with two random keys each.
    pub(crate) keys: &'static [&'static str],
    /// Commands that are run once, in this order; a status of 2 after `?` is fine.
    pub(crate) prepare: &'static [&'static str],
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// What goes on running; empty for a piece of work.
    pub(crate) command: &'static str,
    pub(crate) answers: Answers,
}

impl Row {
    const fn new(service: Service, name: &'static str) -> Self {
        Self { service: Some(service), ..Self::other(name) }
    }

    /// A row of no service of the table.
    pub(crate) const fn other(name: &'static str) -> Self {
        Self {
            service: None,
            name,
            packages: &[],
            user: None,
            needs: &[],
            files: &[],
            folders: &[],
            keys: &[],
            prepare: &[],
            environment: &[],
            command: "",
            answers: Answers::Done,
        }
    }
}

/// Ports by name, numbered in this order from the lab's first one. A row has the port of its own name.
pub(crate) const PORTS: &[&str] = &[
    "keystone",
    "glance",
    "nova",
    "neutron",
    "placement",
    "mariadb",
    "memcached",
    "rabbitmq",
    "rabbitmq-peers",
    "epmd",
    "magnum",
    "magnum-api-21.0.1",
    "magnum-api-23.0.0",
];

/// How many upstreams a lab has room for: each has a virtual host of its own on RabbitMQ, `upstream-1` and so on.
pub(crate) const UPSTREAMS: usize = 6;

/// Questions of packages that would make databases in the system's own folders.
pub(crate) const PRESEED: &str = "\
keystone keystone/configure_db boolean false
keystone keystone/register-endpoint boolean false
glance-common glance/configure_db boolean false
nova-common nova/configure_db boolean false
neutron-common neutron/configure_db boolean false
placement-common placement/configure_db boolean false
";

/// What all that is spoken to by HTTP through uWSGI needs.
const UWSGI: Package = package("uwsgi", "application server: runs Keystone and Placement", Shown::Program("uwsgi"));
const UWSGI_PYTHON: Package =
    package("uwsgi-plugin-python3", "uWSGI's Python", Shown::File("/usr/lib/uwsgi/plugins/python3_plugin.so"));
const PYMYSQL: Package = package(
    "python3-pymysql",
    "how the services reach MariaDB",
    Shown::File("/usr/lib/python3/dist-packages/pymysql/__init__.py"),
);
const MEMCACHE: Package = package(
    "python3-memcache",
    "how the services reach memcached",
    Shown::File("/usr/lib/python3/dist-packages/memcache.py"),
);

const NOVA_FILES: &[(&str, &str)] =
    &[("nova.conf", concat!(include_str!("data/nova.conf"), "\n", include_str!("data/nova-databases.conf")))];
const NEUTRON_FILES: &[(&str, &str)] =
    &[("neutron.conf", include_str!("data/neutron.conf")), ("ml2.ini", include_str!("data/ml2.ini"))];
const NOVA_FOLDERS: &[&str] = &["locks", "instances"];

/// Every service. Those that others wait for longest come first, since that is the order in which they get the processors.
pub(crate) const TABLE: &[Row] = &[
    Row {
        packages: &[package("mariadb-server", "MariaDB server", Shown::Program("mariadbd"))],
        user: Some("mysql"),
        files: &[("my.cnf", include_str!("data/mariadb.cnf")), ("accounts.sql", include_str!("data/mariadb.sql"))],
        prepare: &[
            "mariadb-install-db --defaults-file={{dir}}/my.cnf --auth-root-authentication-method=socket --skip-test-db",
        ],
        command: "mariadbd --defaults-file={{dir}}/my.cnf",
        answers: Answers::Row("SELECT 1"),
        ..Row::new(Service::Mariadb, "mariadb")
    },
    Row {
        packages: &[package("memcached", "cache of tokens", Shown::Program("memcached"))],
        user: Some("memcache"),
        command: "memcached -l 127.0.0.1 -p {{port}} -U 0 -m 64",
        answers: Answers::Connection,
        ..Row::new(Service::Memcached, "memcached")
    },
    Row {
        packages: &[
            package("keystone", "identity service", Shown::Program("keystone-manage")),
            UWSGI,
            UWSGI_PYTHON,
            PYMYSQL,
            MEMCACHE,
        ],
        user: Some("keystone"),
        needs: &[Service::Mariadb, Service::Memcached],
        files: &[("keystone.conf", include_str!("data/keystone.conf")), ("uwsgi.ini", include_str!("data/uwsgi.ini"))],
        keys: &["tokens", "credentials"],
        prepare: &[
            "keystone-manage --config-file {{dir}}/keystone.conf db_sync",
            "keystone-manage --config-file {{dir}}/keystone.conf bootstrap --bootstrap-password {{password}} --bootstrap-region-id RegionOne \
             --bootstrap-public-url {{keystone}} --bootstrap-internal-url {{keystone}} --bootstrap-admin-url {{keystone}}",
        ],
        environment: &[("OS_KEYSTONE_CONFIG_FILES", "{{dir}}/keystone.conf")],
        command: "uwsgi --ini {{dir}}/uwsgi.ini --wsgi-file /usr/bin/keystone-wsgi-public --processes 2",
        answers: Answers::Page("/v3"),
        ..Row::new(Service::Keystone, "keystone")
    },
    Row {
        needs: &[Service::Keystone],
        prepare: &["{{python}} {{lab}}/seed.py identity {{lab}}/context.json {{lab}}/cloud.yaml {{lab}}/identity.json"],
        ..Row::new(Service::Identity, "identity")
    },
    Row {
        packages: &[package("rabbitmq-server", "message queue", Shown::Program("rabbitmq-server"))],
        user: Some("rabbitmq"),
        environment: &[("ERL_EPMD_PORT", "{{port}}"), ("ERL_EPMD_ADDRESS", "127.0.0.1")],
        command: "epmd",
        answers: Answers::Connection,
        ..Row::new(Service::Epmd, "epmd")
    },
    Row {
        user: Some("rabbitmq"),
        needs: &[Service::Epmd],
        files: &[
            ("rabbitmq.conf", include_str!("data/rabbitmq.conf")),
            ("definitions.json", include_str!("data/rabbitmq.json")),
            ("advanced.config", include_str!("data/rabbitmq.advanced")),
            ("plugins", "[].\n"),
            ("environment", ""),
        ],
        environment: &[
            ("ERL_EPMD_PORT", "{{port.epmd}}"),
            ("ERL_EPMD_ADDRESS", "127.0.0.1"),
            ("RABBITMQ_CONF_ENV_FILE", "{{dir}}/environment"),
            ("RABBITMQ_NODENAME", "lab{{port}}@localhost"),
            ("RABBITMQ_CONFIG_FILE", "{{dir}}/rabbitmq.conf"),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", "{{dir}}/advanced.config"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "{{dir}}/plugins"),
            ("RABBITMQ_MNESIA_BASE", "{{dir}}/data"),
            ("RABBITMQ_LOG_BASE", "{{dir}}/log"),
            ("RABBITMQ_PID_FILE", "{{dir}}/pid"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "{{dir}}/generated"),
            // The Erlang machine in place of a shell that waits for it.
            ("RUNNING_UNDER_SYSTEMD", "true"),
        ],
        command: "/usr/lib/rabbitmq/bin/rabbitmq-server",
        answers: Answers::Connection,
        ..Row::new(Service::Rabbitmq, "rabbitmq")
    },
    Row {
        packages: &[package("nova-api", "compute service", Shown::Program("nova-api")), PYMYSQL, MEMCACHE],
        user: Some("nova"),
        needs: &[Service::Mariadb],
        files: NOVA_FILES,
        folders: NOVA_FOLDERS,
        prepare: &["nova-manage --config-file {{dir}}/nova.conf api_db sync"],
        ..Row::new(Service::NovaApiDatabase, "nova-api-database")
    },
    Row {
        user: Some("nova"),
        needs: &[Service::Mariadb],
        files: NOVA_FILES,
        folders: NOVA_FOLDERS,
        prepare: &["nova-manage --config-file {{dir}}/nova.conf db sync --local_cell"],
        ..Row::new(Service::NovaDatabase, "nova-database")
    },
    Row {
        user: Some("nova"),
        needs: &[Service::NovaApiDatabase, Service::NovaDatabase, Service::Memcached, Service::Rabbitmq],
        files: NOVA_FILES,
        folders: NOVA_FOLDERS,
        command: "nova-api --config-file {{dir}}/nova.conf",
        answers: Answers::Page("/"),
        ..Row::new(Service::Nova, "nova")
    },
    Row {
        packages: &[package("neutron-server", "network service", Shown::Program("neutron-server")), PYMYSQL, MEMCACHE],
        user: Some("neutron"),
        needs: &[Service::Mariadb],
        files: NEUTRON_FILES,
        folders: &["locks"],
        prepare: &["neutron-db-manage --config-file {{dir}}/neutron.conf --config-file {{dir}}/ml2.ini upgrade head"],
        ..Row::new(Service::NeutronDatabase, "neutron-database")
    },
    Row {
        user: Some("neutron"),
        needs: &[Service::NeutronDatabase, Service::Memcached, Service::Rabbitmq],
        files: NEUTRON_FILES,
        folders: &["locks"],
        command: "neutron-server --config-file {{dir}}/neutron.conf --config-file {{dir}}/ml2.ini",
        answers: Answers::Page("/"),
        ..Row::new(Service::Neutron, "neutron")
    },
    Row {
        packages: &[package("glance-api", "image service", Shown::Program("glance-api")), PYMYSQL, MEMCACHE],
        user: Some("glance"),
        needs: &[Service::Mariadb, Service::Memcached],
        files: &[("glance.conf", include_str!("data/glance.conf"))],
        folders: &["images", "tasks", "staging", "locks"],
        prepare: &["glance-manage --config-file {{dir}}/glance.conf db_sync"],
        command: "glance-api --config-file {{dir}}/glance.conf",
        answers: Answers::Page("/healthcheck"),
        ..Row::new(Service::Glance, "glance")
    },
    Row {
        packages: &[
            package("placement-api", "placement service", Shown::Program("placement-api")),
            UWSGI,
            UWSGI_PYTHON,
            PYMYSQL,
            MEMCACHE,
        ],
        user: Some("placement"),
        needs: &[Service::Mariadb, Service::Memcached],
        files: &[
            ("placement.conf", include_str!("data/placement.conf")),
            ("uwsgi.ini", include_str!("data/uwsgi.ini")),
        ],
        prepare: &["placement-manage --config-file {{dir}}/placement.conf db sync"],
        environment: &[("OS_PLACEMENT_CONFIG_DIR", "{{dir}}")],
        command: "uwsgi --ini {{dir}}/uwsgi.ini --wsgi-file /usr/bin/placement-api --processes 1",
        answers: Answers::Page("/"),
        ..Row::new(Service::Placement, "placement")
    },
    Row {
        user: Some("nova"),
        needs: &[Service::NovaApiDatabase, Service::NovaDatabase],
        files: NOVA_FILES,
        folders: NOVA_FOLDERS,
        prepare: &[
            "?nova-manage --config-file {{dir}}/nova.conf cell_v2 map_cell0",
            "?nova-manage --config-file {{dir}}/nova.conf cell_v2 create_cell --name cell1",
            "nova-manage --config-file {{dir}}/nova.conf db sync",
        ],
        ..Row::new(Service::NovaCells, "nova-cells")
    },
    Row {
        packages: &[package("nova-conductor", "Nova's way to its databases", Shown::Program("nova-conductor"))],
        user: Some("nova"),
        needs: &[Service::Nova, Service::NovaCells],
        files: NOVA_FILES,
        folders: NOVA_FOLDERS,
        command: "nova-conductor --config-file {{dir}}/nova.conf",
        answers: Answers::Row(
            "SELECT 1 FROM nova.services WHERE `binary` = 'nova-conductor' \
             AND COALESCE(updated_at, created_at) > UTC_TIMESTAMP() - INTERVAL {{age}} SECOND",
        ),
        ..Row::new(Service::NovaConductor, "nova-conductor")
    },
    Row {
        packages: &[package("nova-scheduler", "chooses where a server goes", Shown::Program("nova-scheduler"))],
        user: Some("nova"),
        needs: &[Service::Nova, Service::NovaCells, Service::Placement, Service::Identity],
        files: NOVA_FILES,
        folders: NOVA_FOLDERS,
        command: "nova-scheduler --config-file {{dir}}/nova.conf",
        answers: Answers::Row(
            "SELECT 1 FROM nova.services WHERE `binary` = 'nova-scheduler' \
             AND COALESCE(updated_at, created_at) > UTC_TIMESTAMP() - INTERVAL {{age}} SECOND",
        ),
        ..Row::new(Service::NovaScheduler, "nova-scheduler")
    },
    Row {
        packages: &[
            package("nova-compute", "Nova's driver of hypervisors, here its fake one", Shown::Program("nova-compute")),
            package(
                "nova-compute-ironic",
                "the least that nova-compute can be installed with",
                Shown::Program("nova-compute"),
            ),
        ],
        user: Some("nova"),
        needs: &[Service::NovaConductor, Service::Placement, Service::Identity],
        // It reaches the databases by the conductor only.
        files: &[("nova.conf", include_str!("data/nova.conf"))],
        folders: NOVA_FOLDERS,
        command: "nova-compute --config-file {{dir}}/nova.conf",
        // It is of use once the scheduler has found it, not only once its heart beats.
        answers: Answers::Row(
            "SELECT 1 FROM nova_api.host_mappings WHERE host = 'lab' AND EXISTS (SELECT 1 FROM nova.services \
             WHERE `binary` = 'nova-compute' AND COALESCE(updated_at, created_at) > UTC_TIMESTAMP() - INTERVAL {{age}} SECOND)",
        ),
        ..Row::new(Service::NovaCompute, "nova-compute")
    },
    Row {
        packages: &[package(
            "neutron-linuxbridge-agent",
            "makes the networks on this machine",
            Shown::Program("neutron-linuxbridge-agent"),
        )],
        needs: &[Service::Neutron],
        prepare: &["?ip link add {{external}} type veth peer name {{external}}-far", "ip link set {{external}} up"],
        files: NEUTRON_FILES,
        folders: &["locks"],
        command: "neutron-linuxbridge-agent --config-file {{dir}}/neutron.conf --config-file {{dir}}/ml2.ini",
        answers: Answers::Row(
            "SELECT 1 FROM neutron.agents WHERE `binary` = 'neutron-linuxbridge-agent' \
             AND heartbeat_timestamp > UTC_TIMESTAMP() - INTERVAL {{age}} SECOND",
        ),
        ..Row::new(Service::NeutronAgent, "neutron-agent")
    },
    Row {
        needs: &[Service::Identity, Service::Glance],
        prepare: &["{{python}} {{lab}}/seed.py images {{lab}}/context.json {{lab}}/cloud.yaml {{lab}}/images.json"],
        ..Row::new(Service::Images, "images")
    },
    Row {
        needs: &[Service::Identity, Service::Nova],
        prepare: &["{{python}} {{lab}}/seed.py compute {{lab}}/context.json {{lab}}/cloud.yaml {{lab}}/flavors.json"],
        ..Row::new(Service::Flavors, "flavors")
    },
    Row {
        needs: &[Service::Identity, Service::Neutron],
        prepare: &["{{python}} {{lab}}/seed.py network {{lab}}/context.json {{lab}}/cloud.yaml {{lab}}/networks.json"],
        ..Row::new(Service::Networks, "networks")
    },
];

/// Everything.
pub(crate) fn all() -> Vec<Service> {
    TABLE.iter().filter_map(|row| row.service).collect()
}

/// What the lookups behind Magnum's validations take: no server is ever made.
pub(crate) const LOOKUPS: &[Service] = &[Service::Identity, Service::Images, Service::Flavors, Service::Networks];

/// These rows and all that they need, in the order of the table.
pub(crate) fn with_needs(wanted: &[Service]) -> Vec<&'static Row> {
    let mut services = wanted.to_vec();
    let mut next = 0;
    while let Some(&service) = services.get(next) {
        let needs = TABLE.iter().filter(|row| row.service == Some(service)).flat_map(|row| row.needs);
        let new: Vec<Service> = needs.copied().filter(|need| !services.contains(need)).collect();
        services.extend(new);
        next += 1;
    }
    TABLE.iter().filter(|row| row.service.is_some_and(|service| services.contains(&service))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_one_row() {
        for service in all() {
            assert_eq!(TABLE.iter().filter(|row| row.service == Some(service)).count(), 1, "{service:?}");
        }
    }

    #[test]
    fn keystone_takes_no_message_queue() {
        let names: Vec<&str> = with_needs(&[Service::Identity]).iter().map(|row| row.name).collect();
        assert_eq!(names, ["mariadb", "memcached", "keystone", "identity"]);
    }

    #[test]
    fn whatever_answers_on_a_port_has_one() {
        for row in TABLE {
            if matches!(row.answers, Answers::Connection | Answers::Page(_)) {
                assert!(PORTS.contains(&row.name), "{}", row.name);
            }
        }
    }
}
