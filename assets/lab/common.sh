# Shared by the installer's stage 1 and the installed system's initramfs: what dracut and udev do on a real machine.
# shellcheck shell=sh

say() { echo "netboot-lab: $*" >/dev/console; }

mount_kernel_file_systems() {
    mount -t devtmpfs dev /dev 2>/dev/null
    mount -t proc proc /proc
    mount -t sysfs sys /sys
    mount -t tmpfs -o mode=755 run /run
    [ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
}

# argument NAME: the value of the last NAME=… on the kernel's command line
argument() {
    argument_value=
    for argument_word in $(cat /proc/cmdline); do
        case $argument_word in "$1"=*) argument_value=${argument_word#*=} ;; esac
    done
    printf %s "$argument_value"
}

# flag NAME: does the bare word NAME stand on the kernel's command line?
flag() { case " $(cat /proc/cmdline) " in *" $1 "* | *" $1=1 "*) return 0 ;; *) return 1 ;; esac; }

# The list is in load order, as modprobe printed it when the lab was built. What this CPU lacks (crc32c-intel) may fail.
load_modules() { while read -r module; do insmod "/lib/netboot/modules/$module" 2>/dev/null; done </lib/netboot/modules/list; }

# Give every card the name that udev would give it (enp0s2), and print them.
name_cards() {
    for card in /sys/class/net/*; do
        [ -e "$card/device" ] || continue
        parent=$(readlink -f "$card/device/..")
        address=${parent##*/} # 0000:00:02.0
        bus=${address#*:}; bus=${bus%%:*}
        slot=${address##*:}; slot=${slot%%.*}
        name=enp$((0x$bus))s$((0x$slot))
        ip link set "${card##*/}" down
        [ "${card##*/}" = "$name" ] || ip link set "${card##*/}" name "$name"
        echo "$name"
    done
}

# boot_card: the card that BOOTIF names, else the first
boot_card() {
    wanted=$(argument BOOTIF | tr - : | tr A-F a-f)
    for card in /sys/class/net/en*; do
        case $wanted in '' | *"$(cat "$card/address")") echo "${card##*/}"; return ;; esac
    done
}

# arguments NAME: the values of every NAME=… on the kernel's command line, one a line
arguments() { tr ' ' '\n' </proc/cmdline | sed -n "s/^$1=//p"; }

# make_bonds: dracut's ifname=NAME:MAC and bond=NAME:CARD,CARD…:OPTION=VALUE,…
make_bonds() {
    arguments ifname | while IFS=: read -r name mac; do
        for card in /sys/class/net/*; do
            [ "$(cat "$card/address" 2>/dev/null)" = "$mac" ] && ip link set "${card##*/}" name "$name"
        done
    done
    arguments bond | while IFS=: read -r bond cards options; do
        [ -e "/sys/class/net/$bond" ] || echo "+$bond" >/sys/class/net/bonding_masters
        for option in $(echo "$options" | tr , ' '); do
            echo "${option#*=}" >"/sys/class/net/$bond/bonding/${option%%=*}"
        done
        for card in $(echo "$cards" | tr , ' '); do echo "+$card" >"/sys/class/net/$bond/bonding/slaves"; done
        say "bond $bond $(cat "/sys/class/net/$bond/bonding/mode"): $(cat "/sys/class/net/$bond/bonding/slaves")"
    done
}

# configure_network IP-ARGUMENT [VENDOR-CLASS]: dracut's ip=dhcp and ip=ADDRESS::GATEWAY:MASK:HOST:CARD:none
configure_network() {
    name_cards >/run/cards
    make_bonds
    ip link set lo up
    case $1 in
    *:*:*:*:*:*:*)
        echo "$1" | {
            IFS=: read -r address _ gateway mask host card _
            [ -z "$host" ] || hostname "$host"
            card=${card:-$(boot_card)}
            [ -e "/sys/class/net/$card" ] || { say "no card $card, only $(cat /run/cards)"; exit 1; }
            ifconfig "$card" "$address" netmask "$mask" up
            [ -z "$gateway" ] || route add default gw "$gateway"
            for server in $(argument nameserver); do echo "nameserver $server" >>/etc/resolv.conf; done
        } || return 1
        ;;
    *)
        card=$(boot_card)
        ip link set "$card" up
        udhcpc -n -q -f -t 8 -T 2 -i "$card" ${2:+-V "$2"} -s /lib/netboot/udhcpc >/dev/null || return 1
        ;;
    esac
    say "network $(ip -4 -o addr show scope global | awk '{print $2, $4}')"
}
