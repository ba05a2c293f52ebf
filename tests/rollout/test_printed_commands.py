"""What `ocne cluster join` prints on standard error, of several versions."""

import pytest

from netboot.operate.rollout.ocne.printed_commands import MOST_COMMANDS, kubeadm_commands, printed_lines

KEY = "c0" * 32
UPLOAD = f"kubeadm init phase upload-certs --certificate-key {KEY} --upload-certs"
WORKER_2_3 = (
    "Run this command before booting the new node to allow it to join the cluster: "
    "kubeadm token create w0rker.0123456789abcdef\n"
)
CONTROL_PLANE_2_3 = (
    "Run these commands before booting the new node to allow it to join the cluster:\n"
    f'\techo "chroot /hostroot {UPLOAD}" | ocne cluster console --node cp1\n'
    "\tkubeadm token create c0ntrl.fedcba9876543210\n"
)
DIRECT = (
    'time="2026-01-01T00:00:00Z" level=info msg="Waiting"\n'
    "Run these commands:\n"
    f'  echo "{UPLOAD}" | ocne cluster console --direct --node cp1\n'
    '  echo "kubeadm token create c0ntrl.fedcba9876543210" | ocne cluster console --direct --node cp1\n'
)


@pytest.mark.parametrize(
    ("errors", "lines", "commands"),
    [
        pytest.param(
            WORKER_2_3,
            ("kubeadm token create w0rker.0123456789abcdef",),
            ("kubeadm token create w0rker.0123456789abcdef",),
            id="worker-2.3",
        ),
        pytest.param(
            CONTROL_PLANE_2_3,
            (
                f'echo "chroot /hostroot {UPLOAD}" | ocne cluster console --node cp1',
                "kubeadm token create c0ntrl.fedcba9876543210",
            ),
            (UPLOAD, "kubeadm token create c0ntrl.fedcba9876543210"),
            id="control-plane-2.3",
        ),
        pytest.param(
            DIRECT,
            (
                f'echo "{UPLOAD}" | ocne cluster console --direct --node cp1',
                'echo "kubeadm token create c0ntrl.fedcba9876543210" | ocne cluster console --direct --node cp1',
            ),
            (UPLOAD, "kubeadm token create c0ntrl.fedcba9876543210"),
            id="direct",
        ),
        pytest.param(
            f"ocne cluster console --direct --node cp1 -- {UPLOAD}",
            (f"ocne cluster console --direct --node cp1 -- {UPLOAD}",),
            (UPLOAD,),
            id="direct-with-arguments",
        ),
        pytest.param("INFO[0001] Waiting for the Kubernetes cluster to be ready\n", (), (), id="automatic-token"),
        pytest.param("run kubeadm reset to begin again", (), (), id="another-command"),
    ],
)
def test_the_commands_are_found(errors: str, lines: tuple[str, ...], commands: tuple[str, ...]):
    assert printed_lines(errors) == lines
    assert kubeadm_commands(lines) == commands


def test_what_a_shell_would_run_is_no_part_of_a_command():
    lines = printed_lines("kubeadm token create abcdef.0123456789abcdef; rm -rf / && $(reboot)")

    assert kubeadm_commands(lines) == ("kubeadm token create abcdef.0123456789abcdef",)


def test_the_number_of_commands_is_limited():
    assert len(printed_lines("kubeadm token create a.b\n" * 100)) == MOST_COMMANDS
