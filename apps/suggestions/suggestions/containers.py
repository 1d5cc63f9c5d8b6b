"""What the views are given, and how it is made."""

from dependency_injector import containers, providers

from suggestions.service import SuggestionsService


class Container(containers.DeclarativeContainer):
    """Makes the service once, from the data file."""

    wiring_config = containers.WiringConfiguration(modules=["suggestions.views"])
    config = providers.Configuration()

    suggestions_service = providers.Resource(
        SuggestionsService, filename=config.data_source.file_name
    )
