/** The command line of the lab's kernel. */
import { initCpus } from '../disk/init.ts';
import type { Emulator, Lane } from '../lanes/lane.ts';

const common = [
  'console=ttyS0,115200',
  'quiet',
  'loglevel=5',
  'panic=-1',
  'printk.devkmsg=on',
  'no_timer_check',
  /**
   * An emulator that gets no CPU between two reads makes the kernel's watchdog believe that the TSC is wrong. KVM then
   * takes every vCPU's TSC offset away at the next ioctl (x86.c, kvm_arch_vcpu_load).
   */
  'tsc=reliable',
];

/** The lane's words, and behind them, so that it wins, what the user adds. */
export function kernelCommandLine(lane: Lane, emulator: Emulator, extra: string | undefined, verbose: boolean): string {
  const words = verbose ? common.map((word) => (word === 'quiet' ? 'ignore_loglevel' : word)) : common;
  const cpus = lane.initCpus === null ? [] : [`${initCpus}=${lane.initCpus.toString(16)}`];
  return [...words, ...lane.kernelWords(emulator), ...cpus, ...(extra ? [extra] : [])].join(' ');
}
