"""Read the artifacts that runs leave on the server."""


def read_artifact(key):
    """Return the data of the newest artifact with a key.

    Prefect's ``Artifact.get`` would leave its connection open.
    """
    from prefect import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=wanted, sort=ArtifactSort.UPDATED_DESC, limit=1
        )
    assert found, key
    return found[0].data
