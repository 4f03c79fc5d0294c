#!/usr/bin/env bash
# Runs static x86-64 Linux programs that use AVX-512 on a machine
# whose CPU has none, by booting a small Linux inside the Bochs PC emulator.
#
#   usage: run_avx512.sh [options] DIR
#
#     DIR       a directory of statically linked x86-64 executables; each
#               executable ELF file directly in it is run once, in the order
#               of the names, without arguments, or with those in NAME.args
#               (one line, split at blanks) if there is such a file.  All
#               else in DIR, folders too, is there to be read: the programs'
#               current directory is a read-only copy of DIR.  They may write
#               to /tmp (guest memory).
#     -t SECS   wall time for everything together, booting too  (1800)
#     -i SECS   wall time without a word from the guest: neither a program's
#               start nor its end nor a line of its output (0: no limit)
#     -m MIB    guest memory                                     (1024)
#     -v        print every program's output, not only the failed ones'
#     -k        keep the folder of this run (logs, images), and name it
#
#   For each program it prints one line "ok NAME ..." or "FAIL NAME exit N ...",
#   then the (last 64 KiB of the) output of a failed one, each line after "| ".
#   Exits 0 if every program ran and exited 0; 1 if one failed or did not run;
#   2 on wrong use or a missing thing.  An exit code over 128 is 128 + signal
#   (132: illegal instruction, that is, an instruction the model does not have).
#
# What it needs on the host: Debian 12 on x86-64, mke2fs (e2fsprogs), and the
# usual coreutils, grep, sed; for the first run also apt-get with a reachable
# mirror, dpkg-deb, tar, xz, make and g++.  No root, no KVM, no display.  The
# first run fetches the packages in $PKGS below with apt-get download, and the
# source of Bochs 3.0 from Debian 13, mends and builds it (some minutes); all
# that is unpacked, not installed, under $AVX512_CACHE (default: the folder of
# this script + "/cache").
#
# How it works: isolinux on a small ISO boots Debian's cloud kernel with an
# initramfs of busybox, the disk drivers and /init; DIR is packed into an ext2
# image, the guest's disk.  /init runs the programs and tells the results on
# the second serial port, which Bochs writes to a file.  The first serial port
# is the kernel's console, also kept in a file.  At the end the guest powers
# off, which ends Bochs.
set -u -o pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
cache=${AVX512_CACHE:-$here/cache}
limit=1800 idle=0 mem=1024 verbose=0 keep=0
# AVX-512 F, CD, BW, DQ, VL, and no more: a program that uses what only newer
# chips have ends with 132 here, as it would on the oldest chips with these.
model=corei7_skylake_x
# Guest instructions per guest second.  Guest time is counted in instructions
# (the same in each run), not by the host's clock; see "clock:" below.
ips=100000000

die() { echo "run_avx512.sh: $*" >&2; exit 2; }
while getopts t:i:m:vk o; do
  case $o in
    t) limit=$OPTARG ;; i) idle=$OPTARG ;; m) mem=$OPTARG ;;
    v) verbose=1 ;; k) keep=1 ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# = 1 ] && [ -d "$1" ] || die "usage: run_avx512.sh [-t secs] [-i secs] [-m MiB] [-v] [-k] DIR"
dir=$(cd "$1" && pwd -P)
export PATH=$PATH:/usr/sbin:/sbin
command -v mke2fs >/dev/null || die "no mke2fs on this machine"

# ---------------------------------------------------------------- the tools --
# Packages are unpacked into $cache/x and Bochs is built in $cache/bochs, once;
# a stamp marks all complete (give it another name when something here changes).
PKGS="bochsbios vgabios isolinux syslinux-common genisoimage busybox-static"
x=$cache/x
stamp=$cache/stamp-bochs3.0-1
src=http://deb.debian.org/debian/pool/main/b/bochs/bochs_3.0+dfsg.orig.tar.xz
sum=78f6c73d4a6472d5130a87ab9dc306d02c7c71ed8e25b3a8ef642e2a7acd282b

mend() {     # mend FILE TIMES OLD NEW: OLD is there so many times, by line
  [ "$(grep -cF -e "$3" "$1")" = "$2" ] || { echo "Bochs's $1 is not as expected" >&2; return 1; }
  sed -i "s/$(printf %s "$3" | sed 's/[]\/*.^$[]/\\&/g')/$4/" "$1"
}
build() {    # Bochs, in the folder of its source
  # What Bochs 3.0 does wrong (Debian 12's own Bochs, 2.7, is no better):
  # - kshiftlw and kshiftrw give 0 for a count of 15, the greatest valid one.
  mend cpu/avx/avx512_mask16.cc 2 'if (count < 15)' 'if (count < 16)' &&
  # - A gather or scatter with an index register from 16 on is an illegal
  #   instruction: its bit 4, EVEX.V', is taken for an unused operand that must
  #   be 0.
  mend cpu/decoder/fetchdecode32.cc 1 'i->setSibIndex(i->sibIndex() | (vvv & 0x10));' '& vvv \&= 0xf;' &&
  # - vgatherqps and vpgatherqd of 512 bits keep the old upper half of the
  #   result's register.
  mend cpu/avx/gather.cc 1 'else len--;' 'else len >>= 1;' &&
  # - psrlq by 64 does not give 0.
  mend cpu/simd_int.h 1 'if(shift_64 > 64) op->clear();' 'if(shift_64 > 63) op->clear();' &&
  nice ./configure --with-nogui --disable-docbook --disable-debugger --disable-debugger-gui \
    --enable-cpu-level=6 --enable-x86-64 --enable-avx --enable-evex --enable-pci --enable-cdrom \
    --enable-memtype --enable-all-optimizations CFLAGS=-O2 CXXFLAGS=-O2 &&
  nice make bochs
}

if [ ! -e "$stamp" ]; then
  for c in apt-get dpkg-deb tar xz make g++; do command -v $c >/dev/null || die "no $c on this machine"; done
  rm -rf "$cache"; mkdir -p "$cache/debs" "$cache/bochs" "$x" || die "cannot write $cache"
  # linux-image-cloud-amd64 only depends on the real kernel package.
  kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -1)
  [ -n "$kernel" ] || die "apt knows no linux-image-cloud-amd64: run apt-get update first"
  (cd "$cache/debs" && timeout 600 apt-get -qq download $PKGS $kernel 2>"$cache/apt.log") ||
    { cat "$cache/apt.log" >&2; die "could not fetch the packages (apt-get update first?)"; }
  for d in "$cache"/debs/*.deb; do dpkg-deb -x "$d" "$x" || die "cannot unpack $d"; done
  rm -rf "$cache/debs"
  # apt's own downloader: it knows the host's proxy, and checks the sum.
  timeout 600 /usr/lib/apt/apt-helper download-file "$src" "$cache/bochs.tar.xz" "SHA256:$sum" >"$cache/apt.log" 2>&1 ||
    { cat "$cache/apt.log" >&2; die "could not fetch $src"; }
  tar -xJf "$cache/bochs.tar.xz" -C "$cache/bochs" --strip-components=1 || die "cannot unpack $src"
  rm "$cache/bochs.tar.xz"
  echo "run_avx512.sh: building Bochs, once (some minutes)" >&2
  (cd "$cache/bochs" && build) >"$cache/build.log" 2>&1 && cp "$cache/bochs/bochs" "$x/bochs" && strip "$x/bochs" ||
    { tail -n 20 "$cache/build.log" >&2; die "could not build Bochs"; }
  rm -rf "$cache/bochs"
  touch "$stamp"
fi
bochs=$x/bochs
export BXSHARE=$x/usr/share/bochs
missing=$(ldd "$bochs" "$x/usr/bin/genisoimage" | grep 'not found' | sort -u)
[ -z "$missing" ] || die "libraries missing for Bochs or genisoimage:
$missing"

# ------------------------------------------------------------- this run's files --
work=$(mktemp -d "${TMPDIR:-/tmp}/avx512-run.XXXXXX") || die "no temporary folder"
pid=
finish() {   # never leave an emulator behind
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null; sleep 0.2; kill -9 "$pid" 2>/dev/null; fi
  if [ $keep = 1 ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# The list of programs: executable ELF files; a dynamically linked one could
# not start in the guest, so it is refused here, with a clear word.
mkdir "$work/disk" "$work/iso" "$work/root"
names=()
for f in "$dir"/*; do
  [ -f "$f" ] && [ -x "$f" ] || continue
  [ "$(head -c 4 "$f" | tail -c 3)" = ELF ] || continue
  n=${f##*/}
  case $n in *$'\n'*) die "a newline in a program's name" ;; esac
  if head -c 4096 "$f" | grep -qa 'ld-linux'; then die "$n is dynamically linked: link it with -static"; fi
  names+=("$n")
done
[ ${#names[@]} -gt 0 ] || die "no executables in $dir"
printf '%s\n' "${names[@]}" >"$work/root/list"

# The disk: DIR in an ext2 image with a fifth of spare room.
kib=$(du -skL --apparent-size "$dir" | cut -f1); files=$(find -L "$dir" | wc -l)
mke2fs -q -t ext2 -m 0 -b 4096 -N $((files + 64)) -d "$dir" "$work/disk.img" \
  $(( (kib + files * 4) * 6 / 5 + 4096 ))k >"$work/mke2fs.log" 2>&1 ||
  { cat "$work/mke2fs.log" >&2; die "mke2fs failed"; }
# Bochs wants whole cylinders of 16 heads x 63 sectors.
cyl=$(( ($(stat -c %s "$work/disk.img") + 516095) / 516096 ))
truncate -s $((cyl * 516096)) "$work/disk.img"

# The initramfs: busybox, the drivers in the order of their dependencies, /init.
r=$work/root
mkdir "$r/bin" "$r/dev" "$r/proc" "$r/sys" "$r/mnt" "$r/tmp" "$r/mod"
cp "$x/bin/busybox" "$r/bin/busybox"
mods=$(echo "$x"/lib/modules/*/kernel)
order=
add() {   # add a module after those it depends on
  local f d
  f=$(find "$mods" -name "$1.ko" -o -name "${1//_/-}.ko" | head -1)
  [ -n "$f" ] || return 0                                   # built in
  case " $order " in *" ${f##*/} "*) return 0 ;; esac
  for d in $(tr '\0' '\n' <"$f" | sed -n 's/^depends=//p' | tr , ' '); do add "$d"; done
  cp "$f" "$r/mod/"; order="$order ${f##*/}"
}
add ata_piix; add sd_mod
echo $order >"$r/mod/order"

cat >"$r/init" <<'INIT'
#!/bin/busybox sh
# Runs in the guest as process 1.
b=/bin/busybox
$b mount -t devtmpfs dev /dev; $b mount -t proc proc /proc; $b mount -t sysfs sys /sys
$b mkdir -p /dev/shm
exec 3<>/dev/ttyS1                                  # the results
$b stty 115200 raw -echo <&3
for m in $($b cat /mod/order); do $b insmod /mod/$m; done
n=0; while [ ! -b /dev/sda ] && [ $n -lt 300 ]; do $b usleep 50000; n=$((n + 1)); done
if $b mount -t ext2 -o ro /dev/sda /mnt; then
  cd /mnt
  echo "@boot $($b cut -d' ' -f1 /proc/uptime)" >&3
  while IFS= read -r p; do
    a=; [ -f "$p.args" ] && a=$($b cat "$p.args")
    echo "@begin $p" >&3
    read -r s _ </proc/uptime
    set -f
    HOME=/tmp TMPDIR=/tmp PATH=/bin "./$p" $a </dev/null >/tmp/.out 2>&1; e=$?
    set +f
    read -r t _ </proc/uptime
    echo "@size $($b stat -c %s /tmp/.out)" >&3
    # "|" before each line: no output can be taken for a word of this script.
    $b tail -c 65536 /tmp/.out | $b sed 's/^/|/' >/tmp/.lines; echo >>/tmp/.lines
    $b cat /tmp/.lines >&3
    echo "@end $e $s $t" >&3
    $b rm -f /tmp/.out /tmp/.lines
  done </list
  echo "@done" >&3
else
  echo "@nodisk" >&3
fi
exec 3>&-                                           # waits until all is sent
$b poweroff -f
INIT
chmod +x "$r/init"
(cd "$r" && find . | "$x/bin/busybox" cpio -o -H newc 2>/dev/null) >"$work/iso/initrd" || die "cpio failed"

# The boot ISO.  The kernel's arguments:
# - clearcpuid: the kernel saves registers with plain XSAVE.  It boots without
#   this too, but nothing is gained by the compacted forms, of which older
#   versions of Bochs told a wrong size (then the kernel switches off AVX).
# - tsc_early_khz, tsc: the model's CPUID tells the real chip's TSC rate, but
#   Bochs's TSC counts instructions; without this, delays last 35 times as long.
# - the rest spares boot time: no crypto self-tests (a third of all), no
#   certificates, no zeroing of memory twice, few messages (serial is slow).
kargs="console=ttyS0,115200 loglevel=5 clearcpuid=xsavec,xsaves"
kargs+=" tsc_early_khz=$((ips / 1000)) tsc=reliable no_timer_check nowatchdog"
kargs+=" cryptomgr.notests initcall_blacklist=load_system_certificate_list,cubictcp_register"
kargs+=" init_on_alloc=0 mitigations=off nokaslr audit=0 random.trust_cpu=on panic=-1"
cp "$x"/boot/vmlinuz-* "$work/iso/vmlinuz"
cp "$x/usr/lib/ISOLINUX/isolinux.bin" "$x/usr/lib/syslinux/modules/bios/ldlinux.c32" "$work/iso/"
cat >"$work/iso/isolinux.cfg" <<CFG
default l
prompt 0
label l
  kernel /vmlinuz
  append initrd=/initrd $kargs
CFG
"$x/usr/bin/genisoimage" -quiet -o "$work/boot.iso" -b isolinux.bin -c boot.cat -no-emul-boot \
  -boot-load-size 4 -boot-info-table -R "$work/iso" 2>"$work/iso.log" || { cat "$work/iso.log" >&2; die "genisoimage failed"; }

# --------------------------------------------------------------------- Bochs --
# clock: sync=none makes guest time a count of instructions (cpu: ips per
# second), the fastest and the only reproducible way.
cat >"$work/bochsrc" <<RC
display_library: nogui
config_interface: textconfig
romimage: file=$BXSHARE/BIOS-bochs-latest
vgaromimage: file=$x/usr/share/vgabios/vgabios.bin
cpu: model=$model, count=1, ips=$ips, reset_on_triple_fault=0
memory: guest=$mem, host=$mem
pci: enabled=1, chipset=i440fx
clock: sync=none, time0=utc
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata1: enabled=1, ioaddr1=0x170, ioaddr2=0x370, irq=15
ata0-master: type=disk, path="$work/disk.img", mode=flat, cylinders=$cyl, heads=16, spt=63
ata1-master: type=cdrom, path="$work/boot.iso", status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev="$work/console"
com2: enabled=1, mode=file, dev="$work/results"
speaker: enabled=0
log: $work/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
RC
: >"$work/results"; : >"$work/console"
start=$(date +%s%N)
elapsed() { local t=$(( ($(date +%s%N) - start) / 10000000 )); printf '%d.%02d' $((t / 100)) $((t % 100)); }
# The CPU time limit ends Bochs even where this script was killed in a way that
# it cannot catch.
(ulimit -t $((limit + 60)); exec "$bochs" -q -f "$work/bochsrc") </dev/null >"$work/screen" 2>&1 &
pid=$!

# ------------------------------------------------------------- the results --
# Read the results as they come; $seen lines are dealt with.
ran=0 failed=0 done=0 why= cur= out= size= last=$SECONDS t0=$SECONDS seen=0
report() {   # report EXITCODE START END (guest times: in instructions, see ips)
  local took; took="about $(( (10#${3/./} - 10#${2/./}) * (ips / 100000000) )) M instructions"
  ran=$((ran + 1))
  if [ "$1" = 0 ]; then echo "ok   $cur (exit 0, $took)"; else echo "FAIL $cur (exit $1, $took)"; failed=$((failed + 1)); fi
  if [ "$1" != 0 ] || [ $verbose = 1 ]; then
    [ "${size:-0}" -le 65536 ] || echo "| [the last 64 KiB of $size bytes]"
    [ -z "$out" ] || printf '%s' "$out" | sed 's/^/| /'
  fi
  cur=
}
take() {     # deal with the new whole lines of the results
  local line n
  n=$(wc -l <"$work/results"); [ "$n" -gt "$seen" ] || return 0
  while IFS= read -r line; do
    case $line in
      '|'*)      out+=${line#|}$'\n' ;;
      '@begin '*) cur=${line#@begin }; out= size= ;;
      '@size '*) size=${line#@size } ;;
      '@end '*)  report ${line#@end } ;;
      '@boot '*) echo "booted in $(elapsed) s (guest: ${line#@boot } s), model $model" ;;
      '@nodisk') why="the guest could not mount its disk" ;;
      '@done')   done=1 ;;
    esac
  done < <(sed -n "$((seen + 1)),${n}p" "$work/results")
  seen=$n last=$SECONDS
}
while :; do
  take
  [ $done = 0 ] && [ -z "$why" ] || break
  if ! kill -0 $pid 2>/dev/null; then take; [ $done = 1 ] || why="Bochs ended early"; break; fi
  if [ $((SECONDS - t0)) -ge "$limit" ]; then why="not done after $limit s"; break; fi
  if [ "$idle" -gt 0 ] && [ $((SECONDS - last)) -ge "$idle" ]; then why="no word from the guest for $idle s"; break; fi
  sleep 0.2
done
if [ $done = 1 ]; then   # it powers off by itself; wait for that a little
  for _ in $(seq 100); do kill -0 $pid 2>/dev/null || break; sleep 0.1; done
  kill -0 $pid 2>/dev/null || pid=
else
  [ -z "$cur" ] || echo "FAIL $cur (did not end)"
  echo "run_avx512.sh: $why; the ends of the console and of Bochs's log:" >&2
  { tail -n 25 "$work/console"; tail -n 8 "$work/bochs.log"; } 2>/dev/null | tr -d '\r' >&2
fi
echo "${#names[@]} programs: $((ran - failed)) passed, $failed failed, $(( ${#names[@]} - ran )) did not run; $(elapsed) s"
[ $done = 1 ] && [ $failed = 0 ] && [ $ran = ${#names[@]} ]
