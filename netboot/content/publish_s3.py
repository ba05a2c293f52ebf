"""A bucket of an S3-compatible store as a target of `publish`: boto3's client, imported when somebody asks for it.

Credentials are boto3's business (environment, ~/.aws, instance role); none are read or kept here.
"""

import base64
import re
import sys
from typing import Any, Final

from netboot.content.publish import PublishedFile
from netboot.errors import ContentError

_TARGET: Final = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
_LARGEST_BYTES: Final = 5 * 1024**3  # of one PUT; a checksum over the whole file is one PUT's


class S3Target:
    """Puts each file with its SHA-256, which the store checks before it takes it; compares by ETag what is there."""

    threads = 8

    def __init__(self, url: str, *, endpoint: str | None = None) -> None:
        """Take `s3://bucket/prefix`; raise ContentError where the bucket cannot be listed."""
        found = _TARGET.fullmatch(url)
        if found is None:
            raise ContentError(f"cannot publish to {url}: it names no bucket; write it as s3://bucket/prefix")
        self._url = url
        self._bucket = found[1]
        self._prefix = f"{found[2].strip('/')}/" if found[2] and found[2].strip("/") else ""
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as error:
            raise ContentError(
                f"cannot publish to {url}: boto3 is not installed; {sys.prefix}/bin/pip install boto3"
            ) from error
        self._errors: tuple[type[Exception], ...] = (BotoCoreError, ClientError, OSError, ValueError)
        try:
            config = Config(max_pool_connections=self.threads, retries={"mode": "standard"})
            self._client: Any = boto3.client("s3", endpoint_url=endpoint, config=config)
            self._there = self._list()
        except self._errors as error:
            raise self._failed("list", error) from error

    def has(self, file: PublishedFile) -> bool:
        """Compare with what the store listed at the beginning: the ETag of one PUT is the MD5 of its bytes."""
        return self._there.get(self._prefix + file.key) == (file.served.size_bytes, file.md5.hex())

    def put(self, file: PublishedFile) -> None:
        """Send one file; the store refuses it where its bytes are not those of the checksum."""
        if file.served.size_bytes > _LARGEST_BYTES:
            raise ContentError(f"cannot publish {file.key}: S3 takes 5 GiB in one piece; publish to a directory")
        try:
            with file.open() as source:
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + file.key,
                    Body=source,
                    ContentType=file.served.content_type,
                    CacheControl=file.served.cache_control,
                    ChecksumSHA256=base64.b64encode(file.sha256).decode(),
                )
        except self._errors as error:
            raise self._failed(f"put {file.key}", error) from error

    def _list(self) -> dict[str, tuple[int, str]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
        return {
            held["Key"]: (held["Size"], held["ETag"].strip('"')) for page in pages for held in page.get("Contents", ())
        }

    def _failed(self, what: str, error: Exception) -> ContentError:
        return ContentError(
            f"cannot {what} at {self._url}: {error}; look at --endpoint, the bucket and AWS_ACCESS_KEY_ID"
        )
