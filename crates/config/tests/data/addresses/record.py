"""Records how upstream's libraries read addresses in configuration files: what the test `addresses` holds ours to.

    python3 -m venv venv && venv/bin/pip install oslo.messaging==18.3.1 oslo.config==10.7.0 python-memcached==1.62 requests
    venv/bin/python crates/config/tests/data/addresses/record.py > crates/config/tests/data/addresses/recorded.json
"""

import json
import sys
import warnings

warnings.simplefilter("ignore")

import memcache
import oslo_messaging
import requests
from oslo_config import cfg, types

TRANSPORTS = [
    "rabbit://",
    "rabbit:///",
    "rabbit://h",
    "rabbit://h:5672",
    "rabbit://u:p@h:5672",
    "rabbit://u:p@h:5672/",
    "rabbit://u:p@h:5672//",
    "rabbit://u:p@h:5672/%2F",
    "rabbit://u:p@h:5672/magnum",
    "rabbit://u:p@h:5672/magnum/x",
    "rabbit://u:p@h1:5672,u:p@h2:5672,u:p@h3:5672/magnum",
    "rabbit://u:p@h1:5672,u2:p2@h2,h3/",
    "rabbit://u:p@h1,h2/",
    "rabbit://u:p@[::1]:5672/",
    "rabbit://u:p@[::1]/",
    "rabbit://u:p@[2001:db8::1]:5672,u:p@[2001:db8::2]:5672/magnum",
    "rabbit://u:p@::1/",
    "rabbit://u:p@[::1:5672/",
    "rabbit://u:p%40x%2Fy@h/",
    "rabbit://u:p@x@h/",
    "rabbit://u:p/x@h/",
    "rabbit://u:p?x@h/",
    "rabbit://u:p#x@h/",
    "rabbit://u:p:q@h/",
    "rabbit://u%40v:p@h/",
    "rabbit://u@h/",
    "rabbit://:p@h/",
    "rabbit://u:p,x@h/",
    "rabbit://u:p@h:port/",
    "rabbit://u:p@h:/",
    "rabbit://u:p@h:99999/",
    "rabbit://u:p@h/?ssl=1",
    "rabbit://u:p@h/magnum?ssl=1&name=x&name=y",
    "rabbit://u:p@h/m%20n",
    "rabbit://u:p@h,,h2/",
    "amqp://u:p@h/",
    "kombu+memory://",
    "fake:",
    "fake:///",
    "kafka://h:9092",
    "h:5672",
    "u:p@h:5672",
    "//h:5672",
    "h",
    "rabbit:/u:p@h",
    "RABBIT://h",
    "rabbit_x://h",
    "rabbit://é:ü@h/",
]

MEMCACHED = [
    "h",
    "h:11211",
    "h:",
    "h:x",
    "127.0.0.1:11211",
    "controller.example.org:11212",
    "inet:h:11211",
    "inet:h",
    "inet6:[::1]:11211",
    "inet6:[::1]",
    "inet6:[2001:db8::1]:11211",
    "inet6:::1",
    "inet6:[::1]:",
    "[::1]:11211",
    "[::1]",
    "::1",
    "unix:/run/memcached.sock",
    "unix:",
    "u:p@h:11211",
    "h:11211:1",
    "",
    " h:11211",
]

WEB = [
    "http://controller:5000",
    "http://controller:5000/",
    "http://controller:5000/v3",
    "http://controller:5000/v3/",
    "https://keystone.example/identity/v3",
    "HTTPS://Keystone.Example/v3",
    "http://[::1]:5000/v3",
    "http://[::1]/v3",
    "http://::1:5000/v3",
    "http://[::1:5000/v3",
    "http://controller:port/v3",
    "http://controller:99999/v3",
    "http://controller:/v3",
    "http://",
    "http:///v3",
    "controller:5000/v3",
    "controller",
    "//controller:5000",
    "ftp://controller:5000",
    " http://controller:5000/v3 ",
    "http://controller 1:5000/v3",
    "http://10.0.0.1:5000/v3",
    "http://käystone.example/v3",
    "http:/controller:5000/v3",
]

BIND = ["127.0.0.1", "0.0.0.0", "::", "::1", "[::1]", "[::]", "localhost", "", "2001:db8::1", "fe80::1%eth0", "1.2.3",
        "1.2.3.4.5", "300.1.1.1", "127.0.0.1:9511", " 127.0.0.1 ", "0"]
PORTS = ["9511", "0", "65535", "65536", "-1", "", " 9511 ", "http", "9511.0", "0x10", "+1", "08"]


def attempt(read, text):
    try:
        return read(text)
    except Exception:
        return "error"


def transport(text):
    url = oslo_messaging.TransportURL.parse(cfg.CONF, text)
    hosts = [[host.hostname, host.port, host.username, host.password] for host in url.hosts]
    return {"transport": url.transport, "virtual_host": url.virtual_host, "hosts": hosts, "query": url.query}


def memcached(text):
    host = memcache._Host(text)
    return host.address if isinstance(host.address, str) else list(host.address)


def web(text):
    found = requests.Request("GET", text).prepare()
    parts = requests.utils.urlparse(found.url)
    # The adapter has nothing for other schemes.
    requests.Session().get_adapter(found.url)
    return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port, "path": parts.path}


def bind(text):
    return str(types.IPAddress()(text))


def port(text):
    return types.Port()(text)


def main():
    tables = {"transports": (transport, TRANSPORTS), "memcached": (memcached, MEMCACHED), "web": (web, WEB),
              "bind": (bind, BIND), "ports": (port, PORTS)}
    parts = []
    for name, (read, texts) in tables.items():
        lines = [json.dumps([text, attempt(read, text)], ensure_ascii=False, sort_keys=True) for text in texts]
        parts.append('"%s": [\n%s\n]' % (name, ",\n".join(lines)))
    sys.stdout.write("{%s}\n" % ",\n".join(parts))


main()
