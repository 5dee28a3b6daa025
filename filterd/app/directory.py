"""The operator's own directory: sources as the configuration names them, and the look-ups before `account_for`."""

from __future__ import annotations

from filterd.clients.secret import secret_from
from filterd.config.directory import DirectoryConfig
from filterd.pipeline.lookups import DirectoryLookups, LookupRules, Submit
from filterd.pipeline.verbs import DeskRules
from filterd.ports import Clock, DirectorySource


def directory_sources(config: DirectoryConfig) -> tuple[DirectorySource, ...]:
    """Make every source that is switched on, in the order they are asked. Raises ConfigError for a secret that cannot
    be read, or a URL that no driver knows."""
    sources: list[DirectorySource] = []
    if config.ldap.enabled:
        # Each only where it is asked: they bring libraries that nobody else needs.
        from filterd.clients.directory_ldap import LdapDirectory

        secret = secret_from(config.ldap.password_file, config.ldap.password_env, "directory.ldap")
        if secret is not None:
            secret()
        sources.append(LdapDirectory(config.ldap, secret))
    if config.sql.enabled:
        from filterd.clients.directory_sql import SqlDirectory

        secret = secret_from(config.sql.password_file, config.sql.password_env, "directory.sql")
        if secret is not None:
            secret()
        sources.append(SqlDirectory(config.sql, secret))
    return tuple(sources)


def directory_lookups(
    config: DirectoryConfig, submit: Submit, desk: DeskRules, clock: Clock
) -> DirectoryLookups | None:
    """Make the look-ups; None where no source is switched on. Raises ConfigError."""
    sources = directory_sources(config)
    if not sources:
        return None
    rules = LookupRules(
        refresh_s=config.refresh_s,
        unknown_s=config.unknown_s,
        pause_s=config.pause_s,
        when_away=config.when_away,
        unknown=config.unknown,
    )
    return DirectoryLookups(sources, submit, desk, clock, rules)
