"""Serves upstream for the conformance suite: its API as it is, with its conductor in the same process.

What the API asks of the conductor travels through the message queue as ever, but a request that the API would only
post (`cast`) is waited for, and what becomes of it is ignored as before. So an answer is given when the work is done,
and the database can be put back before the next request. Periodic tasks do not run, for the same reason.

usage: serve.py PORT --config-file FILE
"""

import gc
import sys
import traceback

# Older releases run on green threads, for which everything has to be patched before it is imported.
import magnum.cmd  # noqa: F401
from werkzeug import serving

# Each request opens connections to the cloud that are closed when their last, circular reference is found; Neutron
# serves a hundred at a time.
COLLECT_EVERY = 10


def wait_for_casts():
    from magnum.common import rpc_service

    def cast(self, method, *args, **kwargs):
        try:
            self._client.call(self._context, method, *args, **kwargs)
        except Exception:  # a real cast has no answer: nothing of this may reach the client
            traceback.print_exc()

    rpc_service.API._cast = cast


def start_conductor():
    from magnum.common import rpc_service, short_id
    from magnum.conductor.handlers import ca_conductor, cluster_conductor, conductor_listener, federation_conductor
    from magnum.conductor.handlers import indirection_api, nodegroup_conductor
    import magnum.conf

    modules = [indirection_api, cluster_conductor, conductor_listener, ca_conductor, federation_conductor]
    try:
        from magnum.conductor.handlers import credential_conductor

        modules.append(credential_conductor)
    except ImportError:  # not in every release
        pass
    modules.append(nodegroup_conductor)
    handlers = [module.Handler() for module in modules]
    service = rpc_service.Service.create(
        magnum.conf.CONF.conductor.topic, short_id.generate_id(), handlers, binary="magnum-conductor"
    )
    service.start()
    return service


def tidy(app):
    """Closes what requests have left open."""
    count = 0

    def tidied(environ, start_response):
        nonlocal count
        count += 1
        if count % COLLECT_EVERY == 0:
            gc.collect()
        return app(environ, start_response)

    return tidied


class Quiet(serving.WSGIRequestHandler):
    disable_nagle_algorithm = True
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def main():
    port = int(sys.argv.pop(1))
    from magnum.api import app
    from magnum.common import service

    service.prepare_service(sys.argv)
    wait_for_casts()
    conductor = start_conductor()
    # The server that `magnum-api` itself uses.
    serving.run_simple("127.0.0.1", port, tidy(app.load_app()), threaded=True, request_handler=Quiet)
    conductor.stop()


if __name__ == "__main__":
    main()
