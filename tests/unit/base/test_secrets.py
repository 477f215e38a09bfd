"""Which addresses may contain credentials, and texts without them."""

import time

import pytest

from nl2sql_align.tasks.base.errors import AlignError, CorpusError
from nl2sql_align.tasks.base.secrets import hide_secrets, holds_credentials

CANARY = "canary-0123456789"
WITH_CREDENTIALS = [
    f"s3://key:{CANARY}@bucket/w",
    f"s3:/key:{CANARY}@bucket/w",  # as a path
    f"S3://{CANARY}@bucket/w",
    f"simplecache::ftp://user:{CANARY}@host/dump.sql",
    f"zip://a.json::simplecache::ftp://user:{CANARY}@host/a.zip",
    f"zip://a.json::https://host/a.zip?sig={CANARY}",
    f"filecache::s3://key:{CANARY}@bucket/a::s3://bucket/b",
    f"ftp://user%3A{CANARY}%40host/a",
    f"ftp://user%253A{CANARY}%2540host/a",
    f"ftp://user:{CANARY}/with-slash@host/a",
    f"ftp://user:123/{CANARY}@host/a",
    f"ftp://user:{CANARY}#x@host/a",
    f"user:{CANARY}@host:/dump.sql",
    f"az://container/a.sql?sv=2024&sig={CANARY}",
    f"az://container:{CANARY}@account.example.net/a.sql",
    f"abfss://{CANARY}@account/a.sql",
    f"abfs://container@account.example.net/a.sql?sig={CANARY}",
    f"gs://bucket/a.sql?token={CANARY}",
    f"gs://bucket/a.sql%3Ftoken%3D{CANARY}",
    f"gs://bucket/a.sql?generation=1&token={CANARY}",
    f"s3://bucket/a.sql?X-Amz-Signature={CANARY}",
    f"s3://bucket/part-*.sql;token={CANARY}",
    f"https://host/a.sql?{CANARY}",
    f"https://host/a.sql?X-Amz-Credential=a%2Fb&X-Amz-Signature={CANARY}",
    f"https://host/a.sql#{CANARY}",
    f"gs://bucket/a.sql#access_token={CANARY}",
    f"hf://user:{CANARY}@datasets/harbours/boats",
    f"hf://hf_{CANARY}@datasets/harbours/boats",
    f"hf://datasets/harbours/boats/a.parquet?token={CANARY}",
    "hf://datasets/harbours/hf_canary0123456789canary0123/a.parquet",
    "s3://AKIACANARY0123456789/a.sql",
    f"github://harbours:{CANARY}@main/a.sql",
]
WITHOUT_CREDENTIALS = [
    "warehouse",
    "/data/boats@home/a?b=c.sql",
    "C:/data/a@b",
    "s3://bucket/year=2024/part-?.parquet",
    "s3://bucket/part-?/year=2024/a.parquet",
    "s3://bucket/notes #2.sql",
    "s3://bucket/boats@home/a.sql",
    "s3://bucket/a.sql?versionId=3sL4kqtJlcpXroDTDmJ",
    "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/boats/a.sql",
    "gs://bucket/a.sql?generation=1712345678901234",
    "gs://bucket/a.sql#1712345678901234",
    "abfs://container@account.dfs.example.net/a.sql",
    "az://container/folder/*.sql",
    "hf://datasets/harbours/boats@refs%2Fconvert%2Fparquet/a.parquet",
    "https://host:8443/boats/a.sql",
    "ftp://host:21/a.sql",
    "zip://inner/*.json::s3://bucket/a.zip",
    "simplecache::s3://bucket/a.sql",
    "file:///data/a.sql",
    "memory://results/w",
    "tcp://127.0.0.1:8786",
]


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_an_address_with_credentials_is_found_and_hidden(address):
    assert holds_credentials(address)
    for text in (f"cannot read {address}", f"file '{address}': missing", f"({address})"):
        if not address.startswith("user:"):  # without a scheme, an address within text is not found
            assert CANARY not in hide_secrets(text)
            assert "canary0123" not in hide_secrets(text).lower()


@pytest.mark.parametrize("address", WITHOUT_CREDENTIALS)
def test_an_address_without_credentials_is_used_and_shown(address):
    assert not holds_credentials(address)
    assert hide_secrets(f"cannot read {address}") == f"cannot read {address}"


def test_values_of_the_environment_are_hidden(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary/with+signs==")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "a-long-name-of-a-region")
    text = "canary/with+signs== canary%2Fwith%2Bsigns%3D%3D a-long-name-of-a-region"
    assert hide_secrets(text) == "*** *** a-long-name-of-a-region"


def test_messages_of_errors_hide_credentials():
    address = f"https://host/a?sig={CANARY}"
    for error in (AlignError(f"no {address}"), CorpusError("a", address, f"{address}", address)):
        assert CANARY not in str(error)
        assert "https://***" in str(error)


def test_long_texts_take_linear_time():
    started = time.process_time()
    for piece in ("a" * 5, "a:/", "a://", "ftp://", "?a", "&=", "eyJaaaaaaaaaa.", "%25", "::", "@"):
        holds_credentials("s3://" + piece * 40_000)
        hide_secrets("s3://" + piece * 40_000)
    assert time.process_time() - started < 5
