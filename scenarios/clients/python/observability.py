"""Cockpit: data sources with their exporters, tokens, whom alerts go to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaleway.cockpit.v1 import CockpitV1RegionalAPI
from scaleway.cockpit.v1.types import ContactPointEmail, DataSourceOrigin, DataSourceType, TokenScope

from life import Life, demand, only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaleway.cockpit.v1.types import ContactPoint, Token

    from place import Place


def cockpit(place: Place) -> Sequence[Life[Any]]:
    """Returns the lives of Cockpit's resources."""
    api = CockpitV1RegionalAPI(place.client)
    return [
        Life(
            "cockpit.data_source",
            create=lambda name: api.create_data_source(name=name, type_=DataSourceType.METRICS, retention_days=31),
            read=lambda it: api.get_data_source(data_source_id=it.id),
            listed=lambda: api.list_data_sources_all(
                project_id=place.project_id, origin=DataSourceOrigin.CUSTOM, types=[DataSourceType.METRICS]
            ),
            change=lambda it: api.update_data_source(data_source_id=it.id, retention_days=60),
            delete=lambda it: api.delete_data_source(data_source_id=it.id),
            shows=lambda it: (it.type_, it.origin, it.retention_days),
            given=("metrics", "custom", 31),
            changed=("metrics", "custom", 60),
        ),
        _token(api, place),
        _contact_point(api),
    ]


def _token(api: CockpitV1RegionalAPI, place: Place) -> Life[Token]:
    scope = TokenScope.WRITE_ONLY_METRICS
    return Life(
        "cockpit.token",
        create=lambda name: api.create_token(name=name, token_scopes=[scope]),
        read=lambda it: api.get_token(token_id=it.id),
        listed=lambda: api.list_tokens_all(project_id=place.project_id),
        delete=lambda it: api.delete_token(token_id=it.id),
        shows=lambda it: (it.scopes, it.project_id),
        given=([scope], place.project_id),
        also=lambda it: demand("the secret of a token that is read again", it.secret_key, None),
    )


def _contact_point(api: CockpitV1RegionalAPI) -> Life[ContactPoint]:
    whom = ContactPointEmail(to="on-call@example.com")

    def points() -> list[ContactPoint]:
        return api.list_contact_points_all()

    def create() -> ContactPoint:
        demand("whether the alert manager is enabled", api.enable_alert_manager().alert_manager_enabled, expected=True)
        return api.create_contact_point(email=whom, send_resolved_notifications=False)

    def delete() -> None:
        api.delete_contact_point(email=whom)
        state = api.disable_alert_manager().alert_manager_enabled
        demand("whether the alert manager is still enabled", state, expected=False)

    def to(point: ContactPoint) -> str | None:
        return point.email and point.email.to

    return Life(
        "cockpit.contact_point",
        create=lambda _: create(),
        read=lambda it: only(points(), lambda one: to(one) == to(it)),
        listed=points,
        change=lambda _: api.update_contact_point(email=whom, send_resolved_notifications=True),
        delete=lambda _: delete(),
        key=to,
        shows=lambda it: (to(it), it.send_resolved_notifications),
        given=(whom.to, False),
        changed=(whom.to, True),
    )
