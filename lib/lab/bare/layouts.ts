/** How each emulator is started as a bare machine: a CPU, a little RAM, the ROM, and a serial line. */
import { startOf } from '../lanes/bochs-start.ts';
import type { Emulator, Invocation, LineAddress } from '../lanes/lane.ts';
import type { Bochs } from '../lanes/vmx-bochs.ts';

/** Mebibytes: the least that both take. */
const MEMORY = 16;

/** The ROM's name in the run's folder. */
export const ROM_FILE = 'rom';

/** Of which emulators there are bare machines. */
export const bareLayouts: Record<'qemu' | 'bochs', (emulator: Emulator, dir: string, line: LineAddress) => Invocation> =
  {
    qemu: () => ({
      args: [
        ...['-no-user-config', '-nodefaults', '-display', 'none', '-nic', 'none', '-no-reboot'],
        ...['-accel', 'tcg,thread=single', '-cpu', 'max', '-smp', '1', '-m', `${MEMORY}`, '-bios', ROM_FILE],
        ...['-chardev', 'socket,id=line1,path=line1', '-serial', 'chardev:line1'],
      ],
      env: process.env,
    }),
    bochs: (emulator, dir, { port }) => {
      const bochs = emulator as Bochs;
      const configuration = [
        `romimage: file=${ROM_FILE}`,
        `display_library: ${bochs.display}`,
        `memory: guest=${MEMORY}, host=${MEMORY}`,
        // As slow as it can be: the less instructions a byte of the serial line takes.
        `cpu: model=${bochs.cpuModel}, count=1, ips=1000000, reset_on_triple_fault=0, ignore_bad_msrs=0`,
        'clock: sync=none, time0=utc',
        'ata0: enabled=0',
        'ata1: enabled=0',
        'boot: disk',
        `com1: enabled=1, mode=socket-client, dev=127.0.0.1:${port}`,
      ];
      return startOf(bochs, dir, configuration);
    },
  };
