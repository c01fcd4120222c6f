/** What runs first in a machine of the lab, and what it shares with the host. */

/** What the host and the machine's init agree on: a line of the kernel's log that holds this word is meant for the host. */
export const marker = '@kvm-dsm';

/**
 * What init says behind that, with the word's secret between. boot: user space is reached. alive: the machine's clock.
 * ready: the command begins. exit: it has ended. bye: all of its output is out. idle, where it runs one command after the
 * other: none runs, and what is left of the last one.
 */
export const initWords = [
  'boot',
  'alive',
  'kvm',
  'note',
  'no_medium',
  'no_line',
  'idle',
  'ready',
  'exit',
  'bye',
] as const;
export type InitWord = (typeof initWords)[number];

/** Where init finds the secrets of its words. */
export const secretsPath = 'lab/secrets';

/** Where the data disk is mounted inside. */
export const mediumMount = '/media';

/** Where the package lies inside. */
export const packageInside = `${mediumMount}/pkg`;

/** This machine's Node.js, inside. */
export const nodeInside = `${mediumMount}/node`;

/** The command, inside. */
export const mainInside = `${packageInside}/start.cjs`;

/** The file that tells init that a disk is the lab's. */
export const mediumStamp = 'kvm-dsm-medium';

/** Where init finds what to run. */
export const commandPath = 'lab/command';

/**
 * Where init finds that it is to run one command after the other: the name of the disk that has a command's files.
 */
export const servePath = 'lab/serve';

/** Where init finds the environment of a command that it starts before it knows what it is. */
export const environmentPath = 'lab/environment';

/** Told to the command inside, instead of a subcommand: what it is to do stands in `argumentsPath` when a byte has come. */
export const WAIT_FOR_COMMAND = '--wait-for-command';

/** Where that byte comes. */
export const goDescriptor = 3;

/** Where it says, by a byte, that it is loaded and waits. */
export const loadedDescriptor = 8;

/** What it is to do: arguments and environment, as JSON. Removed by whoever has read it. */
export const argumentsPath = 'lab/arguments';

/** The job disk's unit, in bytes. */
export const jobUnit = 65536;

/** On the kernel's command line, which hands it to init: the CPUs of every process, as a hexadecimal mask. Default: all. */
export const initCpus = 'lab_cpus';

/**
 * The machine's first process, run by busybox.
 *
 * Words for the host go through /dev/kmsg: such a line is never torn by a message of the kernel's, and stands in the
 * log in its true order. The command's output has serial lines of its own, so that it arrives byte for byte.
 */
export const initScript = `#!/bin/busybox sh
export PATH=/bin HOME=/root TERM=dumb
# What is written there anybody may read: each word has a secret of its own, which nobody sees before the word is said.
mark() {
  word=$1
  shift
  eval "secret=\\$secret_$word"
  echo "<0>${marker} $word $secret $*" >/dev/kmsg
}
while read word secret; do eval "secret_$word=$secret"; done </${secretsPath}
busybox rm /${secretsPath}
give_up() { mark "$@"; busybox sleep 1; busybox poweroff -f; }

busybox mount -t devtmpfs dev /dev || busybox mknod /dev/kmsg c 1 11
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
mark boot "$(busybox uname -r)"
# A kernel may have none of them.
[ -z "$${initCpus}" ] || busybox taskset -p "$${initCpus}" $$ >/dev/null 2>&1
# Below this level a message of the kernel's is not sent to the console; the marks above are, and every report of a
# broken kernel is: a WARN() is no more than a warning.
echo 5 >/proc/sys/kernel/printk
busybox mount -t debugfs debug /sys/kernel/debug 2>/dev/null
busybox mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
busybox mount -t tmpfs tmp /tmp 2>/dev/null
busybox mkdir -p /dev/shm /dev/pts
busybox mount -t tmpfs shm /dev/shm 2>/dev/null
busybox mount -t devpts pts /dev/pts 2>/dev/null
busybox ifconfig lo 127.0.0.1 up 2>/dev/null

# A sign of life with the machine's own clock. read waits on a pipe that nobody writes to: no process per second.
busybox mkfifo /lab/never
(
  exec 8<>/lab/never
  while read up idle </proc/uptime; do
    mark alive "$up"
    read -t 1 nothing <&8
  done
) &
alive=$!

if [ -c /dev/kvm ]; then
  mark kvm yes
else
  mark kvm no
fi

find_medium() {
  for try in 1 2 3 4 5; do
    for disk in /dev/vd[a-z] /dev/sd[b-z] /dev/sda /dev/sr[0-9]; do
      [ -b "$disk" ] || continue
      busybox mount -t iso9660 -o ro "$disk" ${mediumMount} 2>/dev/null || continue
      if [ -e ${mediumMount}/${mediumStamp} ]; then
        # Node is mapped, not read: the kernel's usual 128 KiB around each page bring in twice what is needed.
        echo 64 >/sys/block/\${disk##*/}/queue/read_ahead_kb
        return 0
      fi
      busybox umount ${mediumMount}
    done
    busybox sleep 1
  done
  return 1
}
if ! find_medium; then
  disks=$(busybox awk 'NR > 2 { print $4 }' /proc/partitions)
  [ -e /lab/terminal ] || give_up no_medium $disks
  # A person may want to find out why.
  mark note "the kernel cannot read the lab's disk, so there is no node and no kvm-dsm"
fi

for line in 1 2; do
  busybox stty -F /dev/ttyS$line raw -echo 115200 2>/dev/null || give_up no_line ttyS$line
done

# What a machine that has run a command is left with: flags of a broken kernel, memory in KiB, the modules' parameters as one
# number, and the names of processes that nobody has ended.
look_idle() {
  read tainted </proc/sys/kernel/tainted
  while read name available unit; do [ "$name" = MemAvailable: ] && break; done </proc/meminfo
  set -- $(busybox cat /sys/module/kvm*/parameters/* 2>/dev/null | busybox md5sum)
  settings=$1
  strays=
  for dir in /proc/[0-9]*; do
    case $dir in /proc/1 | /proc/$alive) continue ;; esac
    # A thread of the kernel's has no program.
    [ -e "$dir/exe" ] && read name <"$dir/comm" && strays="$strays $name"
  done 2>/dev/null
  left="$tainted $available $settings$strays"
}

# One command after the other, each with secrets of its own. What the host sends by the second line tells of it: where its
# files stand on the disk, and how many units they take; the secrets; and the time, for a machine that was somewhere else
# since it looked at its clock.
serve() {
  read disk </${servePath}
  busybox mkfifo /lab/out /lab/err /lab/go /lab/loaded
  exec 4<>/lab/go 7<>/dev/ttyS1
  while :; do
    look_idle
    busybox cat /lab/out >/dev/ttyS1 4<&- &
    out=$!
    busybox cat /lab/err >/dev/ttyS2 4<&- &
    err=$!
    # Held open until the command has them.
    exec 5>/lab/out 6>/lab/err
    # Most commands are this package's: it is loaded, and waits.
    (
      . /${environmentPath}
      exec ${nodeInside} ${mainInside} ${WAIT_FOR_COMMAND} ${goDescriptor}<&4 >&5 2>&6 4<&- 5>&- 6>&- 7<&-
    ) </dev/null ${loadedDescriptor}>/lab/loaded &
    waiting=$!
    # It is loaded, or has ended.
    read nothing </lab/loaded
    mark idle "$left"
    read skip units secret_ready secret_exit secret_bye end now <&7
    [ -z "$now" ] || busybox date -s "@$now" >/dev/null
    busybox dd if="$disk" bs=${jobUnit} skip="$skip" count="$units" iflag=direct 2>/dev/null |
      (cd / && busybox cpio -idu 2>/dev/null)
    mark ready
    if [ -e /${argumentsPath} ] && kill -0 "$waiting" 2>/dev/null; then
      exec 5>&- 6>&-
      echo >&4
      wait "$waiting"
      code=$?
    else
      kill -9 "$waiting" 2>/dev/null
      wait "$waiting"
      busybox sh /${commandPath} </dev/null >&5 2>&6 4<&- 5>&- 6>&- 7<&-
      code=$?
      exec 5>&- 6>&-
    fi
    mark exit "$code"
    wait "$out" "$err"
    printf '\\036%s' "$end" >/dev/ttyS1
    printf '\\036%s' "$end" >/dev/ttyS2
    mark bye
    busybox rm -rf /run/kvm-dsm /tmp/* /dev/shm/* /${commandPath} /${argumentsPath}
  done
}

if [ -e /${servePath} ]; then
  serve
elif [ -e /lab/terminal ]; then
  # A person sits at the second line.
  busybox --install -s /bin
  exec 7<>/dev/ttyS1
  busybox stty -F /dev/ttyS1 sane $(busybox cat /lab/terminal)
  mark ready
  busybox setsid -c sh /${commandPath} <&7 >&7 2>&7
  code=$?
else
  busybox mkfifo /lab/in /lab/out /lab/err
  # A pipe holds back what the line has not sent yet; closing the line waits until all of it is sent.
  busybox cat /lab/out >/dev/ttyS1 &
  out=$!
  busybox cat /lab/err >/dev/ttyS2 &
  err=$!
  if [ -e /lab/input ]; then
    # The second line brings standard input; a ^D ends it.
    exec 7<>/dev/ttyS1
    busybox stty -F /dev/ttyS1 raw icanon -echo -iexten eof ^D erase undef kill undef eol undef
    busybox cat <&7 >/lab/in &
    input=/lab/in
    mark ready
  else
    input=/dev/null
    mark ready
  fi
  busybox sh /${commandPath} <$input >/lab/out 2>/lab/err
  code=$?
fi
mark exit "$code"
[ -z "$out" ] || wait "$out" "$err"
# The line's last bytes may still be on their way.
exec 7<&-
busybox stty -F /dev/ttyS1 raw -echo
busybox stty -F /dev/ttyS2 raw -echo
mark bye
busybox poweroff -f
`;
