"""Archives as `ocne image create --type ostree` makes them: a repository in an OCI image."""

import subprocess
from pathlib import Path


def an_archive(repository: Path, scratch: Path, *, architecture: str = "amd64") -> Path:
    """Put the repository where ocne does, in an image of umoci's, saved by skopeo."""
    layout, archive = scratch / "oci", scratch / f"ock-1.31-{architecture}-ostree.tar"
    run("umoci", "init", "--layout", str(layout))
    run("umoci", "new", "--image", f"{layout}:ock")
    run("umoci", "config", "--image", f"{layout}:ock", "--architecture", architecture)
    run("umoci", "insert", "--image", f"{layout}:ock", str(repository), "/usr/share/nginx/html/ostree")
    image = (f"oci:{layout}:ock", f"oci-archive:{archive}:localhost/ock-ostree:latest")
    run("skopeo", "--insecure-policy", "copy", "--quiet", *image)
    return archive


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
