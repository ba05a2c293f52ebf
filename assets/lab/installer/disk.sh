# The disk that `ignoredisk --only-use` names, and no other: GPT, file systems, mounts.
# shellcheck shell=bash
sysroot=/mnt/sysroot

choose_disk() {
    local wanted
    wanted=$(words ignoredisk | option only-use)
    [ -n "$wanted" ] || fail "no ignoredisk --only-use: the lab's installer never guesses a disk"
    case $wanted in /*) ;; *) wanted=/dev/$wanted ;; esac
    disk=$(readlink -f "$wanted")
    [ -b "$disk" ] || fail "no disk $wanted"
    [ "$(words clearpart | grep -cx -e --all)" = 1 ] || fail "no clearpart --all"
    note "disk $wanted is $disk, $(($(blockdev --getsize64 "$disk") / 1048576)) MiB"
}

# partition_device NUMBER
partition_device() { case $disk in *[0-9]) echo "${disk}p$1" ;; *) echo "$disk$1" ;; esac; }

# partition: each `part` line in order becomes one partition; mounts are made in the order of their paths
partition() {
    local line words point fstype label size number=0 table='label: gpt' total=0 mounts=()
    : >/run/fstab
    while IFS= read -r line; do
        words=$(split "${line#part}")
        fstype=$(option fstype <<<"$words")
        size=$(option size <<<"$words")
        total=$((total + ${size:-0}))
        table+=$'\n'"type=$([ "$fstype" = efi ] && echo uefi || echo linux)"
        grep -qx -e --grow <<<"$words" || table+=",size=${size}MiB"
    done < <(grep '^part ' "$commands")
    [ "$total" -lt "$(($(blockdev --getsize64 "$disk") / 1048576))" ] || fail "$disk is smaller than $total MiB"
    sfdisk -q --wipe always "$disk" <<<"$table"

    while IFS= read -r line; do
        number=$((number + 1))
        words=$(split "${line#part}")
        point=$(head -n 1 <<<"$words")
        fstype=$(option fstype <<<"$words")
        label=$(option label <<<"$words")
        make_file_system "$(partition_device $number)" "$fstype" "$label"
        mounts+=("$point $number $fstype")
    done < <(grep '^part ' "$commands")

    while read -r point number fstype; do
        [ "$fstype" != efi ] || fstype=vfat
        mkdir -p "$sysroot$point"
        mount -t "$fstype" "$(partition_device "$number")" "$sysroot$point"
        echo "UUID=$(blkid -s UUID -o value "$(partition_device "$number")") $point $fstype defaults 0 0" >>/run/fstab
    done < <(printf '%s\n' "${mounts[@]}" | sort)
    note "partitioned: ${#mounts[@]} file systems"
}

# make_file_system DEVICE FSTYPE LABEL
make_file_system() {
    case $2 in
    efi) mkfs.vfat -F 32 -n "$3" "$1" ;;
    xfs) mkfs.xfs -q -f -L "$3" "$1" ;;
    *) fail "file system $2 is not played in the lab" ;;
    esac
}
