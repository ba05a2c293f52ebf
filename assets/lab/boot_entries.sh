# Shared by the installer and the installed system: firmware cannot read an XFS /boot, so the ESP has what GRUB would read
# there when the machine starts. Called after every change of /boot.
# shellcheck shell=sh

# files_of ENTRY: its kernel and each initramfs, which GRUB takes from one line
files_of() { awk '$1 == "linux" || $1 == "initrd" { for (i = 2; i <= NF; i++) print $i }' "$1"; }

# copy_entries BOOT ESP: systemd-boot takes one initramfs from each line
copy_entries() {
    mkdir -p "$2/loader/entries"
    for entry in "$1/loader/entries/"*.conf; do
        for file in $(files_of "$entry"); do
            mkdir -p "$2$(dirname "$file")"
            cmp -s "$1$file" "$2$file" || cp "$1$file" "$2$file" || return 1
        done
        awk '$1 == "initrd" { for (i = 2; i <= NF; i++) print "initrd", $i; next } { print }' "$entry" \
            >"$2/loader/entries/${entry##*/}"
    done
    for file in "$2"/ostree/*/*; do
        [ -e "$1${file#"$2"}" ] || rm -f "$file"
    done
    sync
}
