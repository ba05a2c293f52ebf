"""Each client reads from nginx, which is not ours."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from fixtures.file_servers import nginx
from fixtures.lan import Lan, a_lan
from netns import inside

from netboot.model.install.event import Step
from netboot.probe.http.agents import CURL, EDK2, GRUB, IGNITION, IPXE, LIBOSTREE, SHIM, HttpAgent
from netboot.probe.http.http_client import HttpClient
from netboot.probe.loaded_file import FileMissingError

SERVER, MACHINE = IPv4Address("192.0.2.10"), IPv4Address("192.0.2.50")
LOADER = os.urandom(1_500_000)


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    directory = tmp_path_factory.mktemp("nginx") / "files"
    directory.mkdir()
    (directory / "snponly.efi").write_bytes(LOADER)
    with a_lan((f"{SERVER}/24", f"{MACHINE}/24")) as lan, nginx(lan.server, 8080, directory):
        yield lan


@pytest.mark.parametrize("agent", [IPXE, EDK2, SHIM, GRUB, CURL, LIBOSTREE, IGNITION], ids=lambda agent: agent.name)
def test_a_client_reads_from_nginx(lan: Lan, agent: HttpAgent) -> None:
    async def run() -> str:
        async with HttpClient(MACHINE, agent) as client:
            url = f"http://{SERVER}:8080"
            head = await client.head(f"{url}/snponly.efi", step=Step.LOADER)
            answer = await client.get(f"{url}/snponly.efi", step=Step.LOADER)
            assert head.headers["content-length"] == str(answer.size_bytes)
            with pytest.raises(FileMissingError):
                await client.get(f"{url}/other.efi", step=Step.LOADER)
            return answer.sha256

    with inside(lan.client):
        assert asyncio.run(run()) == hashlib.sha256(LOADER).hexdigest()
