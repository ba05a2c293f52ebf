#!/bin/bash
# Turns a plain Debian 12 into the appliance: netboot in /opt/netboot, its service, and a first configuration.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get -q update
apt-get -q -y install --no-install-recommends python3-venv ipxe ostree

python3 -m venv /opt/netboot
/opt/netboot/bin/pip install --quiet --upgrade /netboot
ln -sf /opt/netboot/bin/netboot /usr/local/bin/netboot

install -m 0644 /netboot/systemd/netboot.service /etc/systemd/system/netboot.service
install -D -m 0644 /netboot/systemd/netboot.sysusers.conf /etc/sysusers.d/netboot.conf
install -D -m 0644 /netboot/systemd/netboot.tmpfiles.conf /etc/tmpfiles.d/netboot.conf
systemd-sysusers netboot.conf
systemd-tmpfiles --create netboot.conf

card=$(ip -4 -o addr show to 192.168.77.0/24 | awk '{ print $2; exit }')
[ -e /etc/netboot/netboot.yaml ] || cat >/etc/netboot/netboot.yaml <<END
network:
  interfaces: [$card]
hosts:
  unknown: wait
END

# Every node is registered and none is armed: no machine is installed before `netboot install arm node1`.
[ -e /etc/netboot/hosts.yaml ] || {
    cat <<END
cluster: {name: vagrant, init: node1}
defaults: {boot_media: ol8u10-x86_64, release: ock-1.31-amd64}
roles:
  control-plane: {ignition: {init: ign/init.ign, join: ign/controlplane-join.ign}}
  worker: {ignition: {join: ign/worker-join.ign}}
hosts:
END
    role=control-plane
    for number in $(seq "$NODES"); do
        printf '  node%d:\n    role: %s\n    mac: 52:54:00:aa:bb:%02x\n    disk: /dev/disk/by-id/virtio-node%d\n' \
            "$number" "$role" "$number" "$number"
        role=worker
    done
} >/etc/netboot/hosts.yaml

# Example role files, so that `netboot check` succeeds: replace them with the files that `ocne` writes.
for role in init controlplane-join worker-join; do
    [ -e "/etc/netboot/ign/$role.ign" ] || install -m 0640 "/netboot/assets/examples/ign/$role.ign" /etc/netboot/ign/
done
chgrp -R netboot /etc/netboot
chmod 0640 /etc/netboot/*.yaml

systemctl daemon-reload
systemctl enable netboot.service
systemctl restart netboot.service
