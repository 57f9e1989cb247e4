"""The configuration as a whole: /v1/config, /v1/reload."""

from __future__ import annotations

from vswitch import configfile, reconcile
from vswitch.control.api import Call, Route
from vswitch.control.schema import ConfigCheck, ConfigInfo, NewConfig, Reloaded
from vswitch.errors import ConfigError
from vswitch.service import Service


def show(service: Service, _: Call) -> ConfigInfo:
    config, source = service.config, service.source
    run = source.run if source else {}
    return ConfigInfo(
        toml=configfile.dumps(config, run),
        tables=configfile.tables(config, run),
        file=str(source.path) if source else None,
        digest=source.digest if source else "",
    )


def check(service: Service, call: Call) -> ConfigCheck:
    config, source, toml = service.config, service.source, call.body.toml
    if toml is not None:
        contents = configfile.loads(toml)
        wanted = source.wanted(contents) if source else contents.config()
    elif source is None:
        raise ConfigError("this switch has no configuration file", hint="name one to compare with")
    else:
        wanted = source.read()
    changes = reconcile.changes(config, wanted)
    if source and toml is None and not changes:  # as after "vswitch config save"
        source.taken_over()
    run = source.run if source else {}
    before, after = configfile.dumps(config, run), configfile.dumps(wanted, run)
    return ConfigCheck(changes=changes, before=before, after=after)


def reload(service: Service, _: Call) -> Reloaded:
    return Reloaded(service.reload())


ROUTES = (
    Route("GET", "/v1/config", show, "The configuration it has now", ConfigInfo),
    Route(
        "POST", "/v1/config/check", check, "What another configuration would change", ConfigCheck,
        body=NewConfig, slow=True,
    ),
    Route("POST", "/v1/reload", reload, "Read its file again", Reloaded, slow=True),
)  # fmt: skip
