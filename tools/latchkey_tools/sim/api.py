"""The GraphQL API over a Cloud: schema first (drivr.graphql), resolvers thin, a bearer before everything."""

import hmac
import uuid
from pathlib import Path

from ariadne import MutationType, QueryType, ScalarType, load_schema_from_path, make_executable_schema
from ariadne.asgi import GraphQL
from ariadne.explorer import ExplorerHttp405
from graphql import GraphQLError

from latchkey_tools.sim import timespan
from latchkey_tools.sim.cloud import CloudError

SCHEMA_PATH = Path(__file__).parent / "drivr.graphql"
_MAX_BODY = 64 * 1024


def make_app(cloud, publisher, bearer):
    """ASGI application: POST /graphql with ``Authorization: Bearer``; everything else is refused."""
    schema = make_executable_schema(
        load_schema_from_path(str(SCHEMA_PATH)),
        _queries(cloud, publisher),
        _documented_mutations(cloud, publisher),
        _token_mutations(cloud, publisher),
        _cloud_mutations(cloud, publisher),
        *_scalars(),
    )
    graphql = GraphQL(schema, explorer=ExplorerHttp405(), debug=False)
    wanted = f"Bearer {bearer}".encode()

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        if scope["path"] != "/graphql":
            await _answer(send, 404, b'{"error":"not found; the API is at /graphql"}')
        elif not hmac.compare_digest(headers.get(b"authorization", b""), wanted):
            await _answer(send, 401, b'{"error":"send Authorization: Bearer with the token from the bearer file"}')
        elif not headers.get(b"content-length", b"").isdigit() or int(headers[b"content-length"]) > _MAX_BODY:
            await _answer(send, 413, b'{"error":"the body needs a length of at most 64 KB"}')
        else:
            await graphql(scope, receive, send)

    return app


def _queries(cloud, publisher):
    query = QueryType()

    @query.field("localApiTokens")
    def tokens(_, info, systemUuid):
        return cloud.tokens(systemUuid)

    @query.field("certificate")
    def certificate(_, info, uuid):
        name, pem = _asked(cloud.certificate, uuid)
        return {"uuid": uuid, "name": name, "certificate": pem}

    @query.field("issuers")
    def issuers(_, info, limit=None):
        return {"items": cloud.issuers()}

    @query.field("simulation")
    def simulation(_, info):
        return cloud.settings

    @query.field("status")
    def status(_, info):
        return {
            "connected": publisher.connected,
            "pending": publisher.pending,
            "error": publisher.error,
            "keys": cloud.kids,
        }

    return query


def _documented_mutations(cloud, publisher):
    mutation = MutationType()

    @mutation.field("createLocalApiToken")
    def create(_, info, systemUuid, requestedDevice, duration):
        return _made(publisher, cloud.create(systemUuid, duration))

    @mutation.field("createPermanentLocalApiToken")
    def create_permanent(_, info, systemUuid, name):
        return _made(publisher, cloud.create(systemUuid))

    @mutation.field("createCertificate")
    def create_certificate(_, info, csr, entityUuid, issuerUuid, name, duration=None, usages=None):
        usages = usages or ["CLIENT_AUTH"]
        record = _asked(cloud.create_certificate, csr, duration, entityUuid, issuerUuid, name, usages)
        return {"uuid": record["uuid"], "name": record["name"], "certificate": None}

    return mutation


def _token_mutations(cloud, publisher):
    """Ours: what happens to a token after it was made."""
    mutation = MutationType()

    @mutation.field("extendLocalApiToken")
    def extend(_, info, uuid, duration):
        return _made(publisher, _asked(cloud.extend, uuid, duration))

    @mutation.field("revokeLocalApiToken")
    def revoke(_, info, uuid, how, status):
        left = cloud.as_listed(_asked(cloud.find, uuid))
        record = _asked(cloud.revoke, uuid, how == "LEAVE", status)
        publisher.publish_list(record["systemUuid"])
        return left if how == "LEAVE" else cloud.as_listed(record)

    @mutation.field("setTokenRoles")
    def set_token_roles(_, info, uuid, roles):
        record = _asked(cloud.set_token_roles, uuid, roles)
        publisher.publish_list(record["systemUuid"])
        return cloud.as_listed(record)

    return mutation


def _cloud_mutations(cloud, publisher):
    """Ours: keys, the subject, and how the cloud and its broker behave."""
    mutation = MutationType()

    @mutation.field("setSubjectRoles")
    def set_subject_roles(_, info, roles):
        return cloud.set_subject_roles(roles)

    @mutation.field("rotateKeys")
    def rotate(_, info, keepOld):
        kid = cloud.rotate(keepOld)
        publisher.publish_keys()
        return kid

    @mutation.field("setSimulation")
    def set_simulation(_, info, settings):
        was_retained = cloud.settings["retainedLists"]
        cloud.set(**{name: value for name, value in settings.items() if value is not None})
        if was_retained and not cloud.settings["retainedLists"]:
            publisher.clear_lists()
            publisher.publish_all()
        return cloud.settings

    @mutation.field("republish")
    def republish(_, info):
        publisher.publish_all()
        return True

    @mutation.field("publishOldList")
    def publish_old_list(_, info, systemUuid, stepsBack, retained):
        return _asked(publisher.publish_old_list, systemUuid, stepsBack, retained)

    return mutation


def _made(publisher, record):
    publisher.publish_list(record["systemUuid"])
    return {"jwt": record["token"], "uuid": record["uuid"]}


def _asked(action, *args):
    """Turns a refusal into a GraphQL error with its words."""
    try:
        return action(*args)
    except (CloudError, IndexError) as error:
        raise GraphQLError(str(error)) from error


def _scalars():
    spans, whole, beginnings = ScalarType("Timespan"), ScalarType("UUID"), ScalarType("Beginning")
    spans.set_value_parser(timespan.parse_s)
    whole.set_value_parser(_parse_uuid)
    beginnings.set_value_parser(str)
    return spans, whole, beginnings


def _parse_uuid(value):
    parsed = str(uuid.UUID(value)) if isinstance(value, str) else None
    if parsed is None or parsed != value.lower():
        raise ValueError("not a UUID")
    return parsed


async def _answer(send, status, body):
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
