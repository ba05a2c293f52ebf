# `ostreesetup`: a real pull into the new root, and a real deployment of it.
# shellcheck shell=bash

pull_payload() {
    local words url
    words=$(words ostreesetup)
    osname=$(option osname <<<"$words")
    remote=$(option remote <<<"$words")
    remote=${remote:-$osname}
    ref=$(option ref <<<"$words")
    url=$(option url <<<"$words")
    ostree admin init-fs --modern "$sysroot"
    ostree admin os-init "$osname" --sysroot="$sysroot"
    ostree config --repo="$sysroot/ostree/repo" set sysroot.bootloader none
    ostree remote add --repo="$sysroot/ostree/repo" --no-gpg-verify "$remote" "$url"
    note "pulling $ref from $url"
    ostree pull --repo="$sysroot/ostree/repo" "$remote" "$ref"
    note "pulled $ref"
}

deploy() {
    local arguments
    mapfile -t arguments < <(words bootloader | option append | tr -s ' ' '\n')
    ostree admin deploy --sysroot="$sysroot" --os="$osname" "$remote:$ref"
    # As Anaconda: `deploy --karg` would keep only the last of several arguments with one name, as of ifname=.
    ostree admin instutil set-kargs --sysroot="$sysroot" "root=$(awk '$2 == "/" { print $1 }' /run/fstab)" "${arguments[@]}"
    deployment=$(echo "$sysroot/ostree/deploy/$osname/deploy/"*.0)
    cp /run/fstab "$deployment/etc/fstab"
    [ -z "$hostname" ] || echo "$hostname" >"$deployment/etc/hostname"
    write_interface >"$deployment/etc/sysconfig/network-scripts/ifcfg-$network_card"
    note "deployed $osname"
}

# write_interface: Anaconda leaves an ifcfg file (EL8) for an OSTree payload too
write_interface() {
    echo "DEVICE=$network_card"
    echo "ONBOOT=yes"
    if [ -n "$address" ]; then
        echo "BOOTPROTO=none"
        echo "IPADDR=$address"
        echo "NETMASK=$netmask"
        [ -z "$gateway" ] || echo "GATEWAY=$gateway"
        [ -z "$nameserver" ] || echo "DNS1=$nameserver"
    else
        echo "BOOTPROTO=dhcp"
    fi
}
