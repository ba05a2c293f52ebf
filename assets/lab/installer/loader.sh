# `bootloader`: systemd-boot on the ESP, where firmware finds it.
# shellcheck shell=bash

install_loader() {
    local esp=$sysroot/boot/efi
    mkdir -p "$esp/EFI/BOOT" "$esp/loader"
    echo "timeout 0" >"$esp/loader/loader.conf"
    cp "$deployment/usr/lib/ostree-boot/efi/EFI/systemd-bootx64.efi" "$esp/EFI/BOOT/BOOTX64.EFI"
    if [ -d /sys/firmware/efi/efivars ]; then register_loader; else note "no UEFI: no boot entry"; fi
    note "loader installed"
}

# register_loader: the disk goes first, or with --leavebootorder behind the card that this boot came from
register_loader() {
    local old new current
    for old in $(efibootmgr | sed -n "s/^Boot\([0-9A-F]\{4\}\)\*\{0,1\} $osname\$/\1/p"); do efibootmgr -q -B -b "$old"; done
    efibootmgr -q -c -d "$disk" -p 1 -L "$osname" -l '\EFI\BOOT\BOOTX64.EFI'
    words bootloader | grep -qx -e --leavebootorder || return 0
    new=$(efibootmgr | sed -n "s/^Boot\([0-9A-F]\{4\}\)\*\{0,1\} $osname\$/\1/p")
    current=$(efibootmgr | sed -n 's/^BootCurrent: //p')
    efibootmgr -q -o "$current,$new"
}
