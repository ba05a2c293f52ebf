# Reading a Kickstart: commands into one file, each script section into its own.
# shellcheck shell=bash
commands=/run/ks/commands
declare -i script_count=0

# read_kickstart FILE
read_kickstart() {
    mkdir -p /run/ks
    : >"$commands"
    local line target=$commands
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        %end*) target=$commands ;;
        %pre* | %post* | %onerror* | %traceback*)
            script_count+=1
            target=/run/ks/script-$script_count
            echo "${line#%}" >"$target.header"
            : >"$target"
            ;;
        %packages*) target=/dev/null ;; # an OSTree payload has none
        %include*) echo "$line" >>"$commands" ;;
        %*) fail "kickstart section ${line%% *} is not played in the lab" ;;
        *)
            if [ "$target" = "$commands" ]; then
                case $line in '' | '#'*) continue ;; esac
            fi
            printf '%s\n' "$line" >>"$target"
            ;;
        esac
    done <"$1"
}

# include_written: put the files that %pre wrote in the place of their %include
include_written() {
    local line
    while IFS= read -r line; do
        case $line in %include*) cat "${line#%include }" ;; *) printf '%s\n' "$line" ;; esac
    done <"$commands" >"$commands.all"
    mv "$commands.all" "$commands"
}

has_command() { grep -qE "^$1( |$)" "$commands"; }

# words COMMAND: the words of its first line, one a line, quotes taken off as shlex (and so Anaconda) does
words() {
    local line
    line=$(grep -E "^$1( |$)" "$commands" | head -n 1)
    split "${line#"$1"}"
}
split() { (set -f; eval "set -- $1"; [ $# = 0 ] || printf '%s\n' "$@"); }

# option NAME: the value of --NAME=VALUE or of --NAME VALUE among the words on stdin
option() { awk -v name="--$1" 'index($0, name "=") == 1 { print substr($0, length(name) + 2); exit }
    take { print; exit } $0 == name { take = 1 }'; }

# run_scripts SECTION: in order; --interpreter is obeyed; only --erroronfail makes a failure one of the install
run_scripts() {
    local number header section words interpreter status
    for ((number = 1; number <= script_count; number++)); do
        header=$(cat "/run/ks/script-$number.header")
        section=${header%% *}
        [ "$section" = "$1" ] || continue
        words=$(split "${header#"$section"}")
        interpreter=$(option interpreter <<<"$words")
        if [ "$section" = post ] && ! grep -qx -e --nochroot <<<"$words"; then
            fail "%post without --nochroot is not played in the lab"
        fi
        note "%$section"
        status=0
        ANA_INSTALL_PATH=/mnt/sysroot "${interpreter:-/bin/sh}" "/run/ks/script-$number" || status=$?
        [ "$status" = 0 ] || note "%$section ended with $status"
        if [ "$status" != 0 ] && grep -qx -e --erroronfail <<<"$words"; then fail "%$section failed"; fi
    done
}

# apply_network: `network --activate` with a static address takes the card over from stage 1's lease
apply_network() {
    local words device card
    words=$(words network)
    hostname=$(option hostname <<<"$words")
    address=$(option ip <<<"$words")
    netmask=$(option netmask <<<"$words")
    gateway=$(option gateway <<<"$words")
    nameserver=$(option nameserver <<<"$words")
    device=$(option device <<<"$words")
    network_card=$(boot_card)
    for card in /sys/class/net/en*; do
        if [ "${card##*/}" = "$device" ] || [ "$(cat "$card/address")" = "${device,,}" ]; then network_card=${card##*/}; fi
    done
    [ -z "$address" ] || ! grep -qx -e --activate <<<"$words" || {
        ip addr flush dev "$network_card"
        ifconfig "$network_card" "$address" netmask "$netmask" up
        [ -z "$gateway" ] || ip route replace default via "$gateway"
        note "network $network_card $address"
    }
}
